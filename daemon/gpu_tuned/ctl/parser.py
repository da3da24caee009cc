"""The command line of each verb, for everything but the plain read: argparse, its help and its messages."""

from __future__ import annotations

import argparse
import sys

from gpu_tuned.ctl.duration import duration_s, seconds_or_duration_s
from gpu_tuned.ctl.options import default_socket
from gpu_tuned.ctl.verbs import READ_S, VERBS, examples, exit_codes, find, module_of


def parser_of(verb: str) -> argparse.ArgumentParser:
    """The parser of one verb; shell completions and man pages are made from these. Raises UsageError."""
    row, module = find(verb), module_of(verb)
    parser = argparse.ArgumentParser(
        prog=f"gpu-tunedctl {verb}",
        description=row.summary[0].upper() + row.summary[1:] + ".",
        epilog=f"{examples(verb)}\n{exit_codes(row.exits)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if row.gpu:
        parser.add_argument("gpu", nargs="?", metavar="GPU", help=row.gpu)
    if not row.plain:
        module.arguments(parser, verb)
    for flag, text in row.flags.items():
        parser.add_argument(flag, action="store_true", help=text)
    if row.repeats:
        text = "again and again, until Ctrl-C: 1s, 0.5s, 1m"
        parser.add_argument("--every", dest="every_s", metavar="TIME", type=duration_s, help=text)
    _common(parser, row.timeout_s)
    parser.set_defaults(verb=verb)
    return parser


def _common(parser: argparse.ArgumentParser, timeout_s: float | None) -> None:
    """`timeout_s` None: it asks no daemon, and what would be said to one is taken and not shown."""
    where = wait = argparse.SUPPRESS
    if timeout_s is not None:
        where = f"the daemon's socket (default: {default_socket()})"
        wait = f"how long to wait for an answer (default: {timeout_s:g}s)"
    parser.add_argument("--socket", metavar="PATH", default=default_socket(), help=where)
    default_s = timeout_s or READ_S
    parser.add_argument("--timeout", metavar="TIME", type=seconds_or_duration_s, default=default_s, help=wait)
    parser.add_argument("--no-color", action="store_true", help="plain text (also with NO_COLOR set)")
    parser.add_argument("--version", action="version", version=_version())


def _version() -> str:
    from gpu_tuned import __version__

    return f"gpu-tunedctl {__version__}"


def without_verb(options: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="gpu-tunedctl",
        usage="gpu-tunedctl [--socket PATH] VERB [...]",
        description="Asks gpu-tuned, which holds GPUs at the settings that a policy file declares.",
        epilog="verbs:\n"
        + "\n".join(f"  {verb:<15}{row.summary}" for verb, row in VERBS.items())
        + "\n\nexamples:\n  gpu-tunedctl status\n  gpu-tunedctl plan\n  gpu-tunedctl VERB --help\n\n"
        + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(parser, READ_S)
    parser.parse_args(options)
    parser.print_help(sys.stderr)
    return 2
