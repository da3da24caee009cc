"""Makes the completions of gpu-tunedctl for bash, zsh and fish from its parsers.

make.py DESTINATION        (needs gpu_tuned and shtab importable)
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import shtab

from gpu_tuned.ctl.parser import parser_of
from gpu_tuned.ctl.verbs import VERBS

FILES = {"bash": "gpu-tunedctl", "zsh": "_gpu-tunedctl", "fish": "gpu-tunedctl.fish"}
TAKES_A_FILE = ("socket", "config", "files")


def parser() -> argparse.ArgumentParser:
    """All verbs under one parser; gpu-tunedctl itself makes only the parser of the verb that was typed."""
    whole = argparse.ArgumentParser(prog="gpu-tunedctl")
    verbs = whole.add_subparsers(dest="verb")
    for verb, row in VERBS.items():
        # ":" ends a word in zsh's descriptions.
        one = verbs.add_parser(verb, help=row.summary.replace(":", ","), add_help=False)
        for action in parser_of(verb)._actions:
            if action.dest in TAKES_A_FILE:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            one._add_action(action)
    return whole


def main(destination: Path) -> None:
    os.environ.pop("GPU_TUNED_SOCKET", None)
    destination.mkdir(parents=True, exist_ok=True)
    for shell, name in FILES.items():
        (destination / name).write_text(shtab.complete(parser(), shell))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
