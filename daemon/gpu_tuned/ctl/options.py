"""A plain command line of a reading verb, understood without argparse.

argparse, with the locale that its translated help brings, is a quarter of the time that `status` would take. Only
what is certain is understood here: whole option names, one GPU. Anything else, help and mistakes among it, is
argparse's to answer (parser.py), and a test holds both to the same answer.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_tuned.ctl.kinds import Json

SOCKET = "/run/gpu-tuned/io.gputuned.Control"
READ_S = 10.0
"""How long a read waits: the daemon answers from memory, also while the driver hangs."""


class Options:
    """What a command line asks for; argparse fills one as well. A verb reads what it declared."""

    verb: str
    socket: str
    timeout: float
    json: bool
    all: bool
    no_color: bool
    gpu: str | None
    setting: str | None
    for_s: float | None
    offline: bool
    config: str | None
    files: list[str]
    offline_plan: Callable[[str | None], Json]
    problems: Callable[[str], list[str]]
    root: str | None
    write: bool
    replace: bool
    first_policy: Callable[[str | None, bool, bool], Json]


_FLAGS = {
    "status": {"--json": "json", "--all": "all", "--no-color": "no_color"},
    "verify": {"--json": "json", "--no-color": "no_color"},
    "throttle": {"--json": "json", "--no-color": "no_color"},
}
QUICK = tuple(_FLAGS)


def default_socket() -> str:
    """GPU_TUNED_SOCKET, or where an installed daemon listens."""
    return os.environ.get("GPU_TUNED_SOCKET") or SOCKET


def quick(verb: str, argv: list[str]) -> Options | None:
    """The options of a plain command line, or None where argparse must look at it."""
    flags = _FLAGS[verb]
    options = Options()
    options.verb, options.socket, options.timeout, options.gpu = verb, default_socket(), READ_S, None
    for name in flags.values():
        setattr(options, name, False)
    words = iter(argv)
    for word in words:
        if word in flags:
            setattr(options, flags[word], True)
        elif word == "--socket":
            path = next(words, "-")
            if path.startswith("-"):
                return None
            options.socket = path
        elif word.startswith("-") or options.gpu is not None:
            return None
        else:
            options.gpu = word
    return options
