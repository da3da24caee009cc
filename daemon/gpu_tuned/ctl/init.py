"""`gpu-tunedctl init`: a first policy for this host, and what it takes the place of."""

from __future__ import annotations

import sys

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render import first_policy
from gpu_tuned.ctl.render.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.ctl.options import Options

EXAMPLES = """\
examples:
  gpu-tunedctl init            look: it prints a policy, and comments on it
  gpu-tunedctl init > new.toml && gpu-tunedctl plan --config new.toml
  gpu-tunedctl init --json     the same for a program
  gpu-tunedctl init --write    put it in place; prints how to undo it

It reads units, scripts, cron jobs, hooks and sysctl files, and runs none of
them. A value is taken over only where it is certain that every boot sets it,
on this GPU. No GPU is written to.
"""


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("--root", metavar="DIR", help="take the host's files from below DIR (default: /)")


def run(options: Options) -> int:
    looks, root = options.looks, options.root
    document = looks.write_first_policy(root, replace=options.replace) if options.write else looks.first_policy(root)
    if options.json:
        import json

        say([json.dumps(document, indent=2, ensure_ascii=True)])
    else:
        say(first_policy.lines(document))
    sys.stdout.flush()
    return verdict.IN_ORDER
