"""A plain command line, understood without argparse.

argparse, with the locale that its translated help brings, is a quarter of the time that `status` would take. Only
what is certain is understood here: whole option names, one GPU. Anything else, help and mistakes among it, is
argparse's to answer (parser.py), and a test holds both to the same answer.
"""

from __future__ import annotations

import os

from gpu_tuned.ctl.verbs import READ_S, VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.ctl.protocols import Looks

SOCKET = "/run/gpu-tuned/io.gputuned.Control"


class Options:
    """What a command line asks for; argparse fills one as well. A verb reads what it declared."""

    verb: str
    socket: str
    timeout: float
    json: bool
    all: bool
    advice: bool
    no_color: bool
    gpu: str | None
    setting: str | None
    for_s: float | None
    offline: bool
    config: str | None
    files: list[str]
    root: str | None
    write: bool
    replace: bool
    every_s: float | None = None
    looks: Looks
    fix: bool
    quiet: bool
    container: str | None
    subverb: str
    name: str
    component: list[str]
    pattern: str | None
    profile: str
    format: str
    bare: bool
    folder: str | None
    paths: list[str]
    reader: str | None
    pid: list[int]
    gpu_processes: bool


def default_socket() -> str:
    """GPU_TUNED_SOCKET, or where an installed daemon listens."""
    return os.environ.get("GPU_TUNED_SOCKET") or SOCKET


def quick(verb: str, argv: list[str]) -> Options | None:
    """The options of a plain command line, or None where argparse must look at it."""
    row = VERBS.get(verb)
    if row is None or not row.plain:
        return None
    flags = {flag: flag[2:] for flag in row.flags} | {"--no-color": "no_color"}
    options, gpu = Options(), None
    options.verb, options.socket, options.timeout = verb, default_socket(), row.timeout_s or READ_S
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
        elif word.startswith("-") or not row.gpu or gpu is not None:
            return None
        else:
            gpu = word
    if row.gpu:
        options.gpu = gpu
    return options
