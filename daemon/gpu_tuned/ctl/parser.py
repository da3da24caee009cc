"""The command line of each verb, for everything but the plain read: argparse, its help and its messages."""

from __future__ import annotations

import argparse
import sys

from gpu_tuned.ctl.main import EXIT_CODES, VERBS, module_of
from gpu_tuned.ctl.options import READ_S, default_socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def parser_of(verb: str, module: ModuleType | None = None) -> argparse.ArgumentParser:
    """The parser of one verb; shell completions and man pages are made from these."""
    module = module or module_of(verb)
    parser = argparse.ArgumentParser(
        prog=f"gpu-tunedctl {verb}",
        description=VERBS[verb][0].upper() + VERBS[verb][1:] + ".",
        epilog=f"{module.EXAMPLES}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.arguments(parser, verb)
    _common(parser, module.TIMEOUT_S)
    parser.set_defaults(verb=verb)
    return parser


def _common(parser: argparse.ArgumentParser, timeout_s: float = READ_S) -> None:
    wait = f"how long to wait for an answer (default: {timeout_s:g})"
    socket = default_socket()
    parser.add_argument("--socket", metavar="PATH", default=socket, help=f"the daemon's socket (default: {socket})")
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=timeout_s, help=wait)
    parser.add_argument("--no-color", action="store_true", help="plain text (also with NO_COLOR set)")
    parser.add_argument("--version", action="version", version=_version())


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e6:
        raise ValueError
    return seconds


_seconds.__name__ = "number of seconds"  # argparse names the type in its message


def _version() -> str:
    from gpu_tuned import __version__

    return f"gpu-tunedctl {__version__}"


def without_verb(options: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="gpu-tunedctl",
        usage="gpu-tunedctl [--socket PATH] VERB [...]",
        description="Asks gpu-tuned, which holds GPUs at the settings that a policy file declares.",
        epilog="verbs:\n"
        + "\n".join(f"  {verb:<15}{text}" for verb, text in VERBS.items())
        + "\n\nexamples:\n  gpu-tunedctl status\n  gpu-tunedctl plan\n  gpu-tunedctl VERB --help\n\n"
        + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(parser)
    parser.parse_args(options)
    parser.print_help(sys.stderr)
    return 2
