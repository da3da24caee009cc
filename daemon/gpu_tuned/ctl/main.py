"""`gpu-tunedctl`: finds the verb, parses its arguments, runs it, and turns every error into an exit code.

`status` is typed all day, so its way is short: verbs are imported when they are asked for (verbs.py), and a plain
command line is understood without argparse (options.py).
"""

from __future__ import annotations

import gc
import io
import os
import sys

from gpu_tuned.core.errors import GpuTunedError, NotPermitted
from gpu_tuned.ctl.options import Options, quick
from gpu_tuned.ctl.verbs import module_of
from gpu_tuned.ctl.verdict import TROUBLE

TYPE_CHECKING = False  # `typing` itself would be the dearest import here
if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_tuned.ctl.protocols import Looks


WHOLE_OUTPUT = 4 << 20
"""Bytes; the status of some hundred GPUs. Taken from the system only as far as it is filled."""


def run(argv: list[str], looks: Looks) -> int:
    """Run one command line and return its exit code; all output has been written then. `looks`: what verbs look at
    beside the socket."""
    gc.disable()  # a life this short gains nothing from collecting garbage (`watch` does)
    code: int | None = None
    try:
        _prepare_output()
        code = _run(argv, looks)
        sys.stdout.flush()
        return code
    except GpuTunedError as error:
        from gpu_tuned.ctl.render.text import complain

        _flush_quietly()
        for line in str(error).splitlines() or [type(error).__name__]:
            complain(f"gpu-tunedctl: {line}")
        if isinstance(error, NotPermitted) and "group gpu-tuned" not in str(error):
            complain("gpu-tunedctl: this needs root or membership in the group gpu-tuned")
        return error.exit_code
    except BrokenPipeError:
        # `gpu-tunedctl status | head -1` is no error, and what was found is so whether or not somebody reads on.
        _drop_output()
        return code or 0
    except OSError as error:
        from gpu_tuned.ctl.render.text import complain

        complain(f"gpu-tunedctl: what was found cannot be told: {error.strerror or error}")
        _drop_output()
        return code or TROUBLE
    except KeyboardInterrupt:
        _flush_quietly()
        return 130


def _run(argv: list[str], looks: Looks) -> int:
    before, verb, after = _split(argv)
    try:
        if verb is None:
            from gpu_tuned.ctl.parser import without_verb

            return without_verb(before)
        options = quick(verb, [*before, *after])
        if options is None:
            from gpu_tuned.ctl.parser import parser_of

            options = parser_of(verb).parse_args([*before, *after], Options())
    except SystemExit as stop:  # argparse: 0 after --help, 2 for usage
        return stop.code if isinstance(stop.code, int) else 2
    options.looks = looks
    run_once: Callable[[Options], int] = module_of(verb).run
    if options.every_s is None:
        return run_once(options)
    from gpu_tuned.ctl.every import repeat

    return repeat(run_once, options, options.every_s)


def _split(argv: list[str]) -> tuple[list[str], str | None, list[str]]:
    """Options before the verb, the verb, what follows it: `gpu-tunedctl --socket X status` reads as naturally as
    the other way round."""
    i = 0
    while i < len(argv) and argv[i].startswith("-"):
        i += 2 if argv[i] in ("--socket", "--timeout") else 1
    return argv[:i], argv[i] if i < len(argv) else None, argv[i + 1 :]


def _prepare_output() -> None:
    if sys.stdout is None or sys.stderr is None:  # closed by whoever started us; a socket must not take their place
        null = open(os.devnull, "w")  # noqa: SIM115 - until the end
        sys.stdout, sys.stderr = sys.stdout or null, sys.stderr or null
    # A name from a policy must not end a command on a terminal that cannot show it.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    usual = sys.__stdout__
    if usual is not None and sys.stdout is usual and not usual.isatty():
        # Written out at the end, when the exit code is known: a reader who has gone must not change that.
        whole = io.BufferedWriter(io.FileIO(usual.fileno(), "wb", closefd=False), WHOLE_OUTPUT)
        sys.stdout = io.TextIOWrapper(whole, encoding=usual.encoding, errors="replace")


def _flush_quietly() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()


def _drop_output() -> None:
    """Without this the interpreter complains when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
