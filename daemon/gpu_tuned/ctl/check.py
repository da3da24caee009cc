"""`gpu-tunedctl check FILE...`: validates policy files, without a daemon; without a GPU, but for a power budget."""

from __future__ import annotations

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import clean, complain, say, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.ctl.options import Options

EXAMPLES = """\
examples:
  gpu-tunedctl check /etc/gpu-tuned/gpu-tuned.toml && gpu-tunedctl reload

A file is checked with the drop-ins beside it (NAME.d/*.toml). What a board
allows is not looked at; that is what plan does. Only where the file has a
gpu_power_budget_w are the boards' limits read, to add them up. Advice ends
with its id, which has a page in docs/advice and which accept = ["ID"] silences.
"""


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a policy file")


def run(options: Options) -> int:
    code = verdict.IN_ORDER
    for file in options.files:
        problems, not_judged = options.looks.problems(file)
        for problem in problems:
            complain(problem if file in problem else f"{file}: {problem}")
        if problems:
            code = verdict.USAGE
        else:
            print(clean(f"{file}: good"))
            for advice in options.looks.advice(file):
                say(wrap(advice, "  ", "    "))
        if not_judged is not None:
            complain(f"{file}: the power budget was not judged: {not_judged}")
    return code
