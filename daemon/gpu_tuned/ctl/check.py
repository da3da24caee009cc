"""`gpu-tunedctl check FILE...`: validates policy files, without a daemon and without a GPU."""

from __future__ import annotations

import sys

from gpu_tuned.ctl import judge
from gpu_tuned.ctl.render.ink import clean, say, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.ctl.options import Options

EXAMPLES = """\
examples:
  gpu-tunedctl check /etc/gpu-tuned/gpu-tuned.toml && gpu-tunedctl reload

A file is checked with the drop-ins beside it (NAME.d/*.toml). What a board
allows is not looked at; that is what plan does. Advice ends with its id, which
has a page in docs/advice and which accept = ["ID"] silences.
"""


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a policy file")


def run(options: Options) -> int:
    code = judge.IN_ORDER
    for file in options.files:
        problems = options.problems(file)
        for problem in problems:
            print(clean(problem) if file in problem else f"{file}: {clean(problem)}", file=sys.stderr)
        if problems:
            code = judge.USAGE
        else:
            print(f"{file}: good")
            for advice in options.looks.advice(file):
                say(wrap(advice, "  ", "    "))
    return code
