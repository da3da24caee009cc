"""`--every TIME`: a verb again and again, until Ctrl-C or until nobody reads any more."""

from __future__ import annotations

import gc
import sys
import time

from gpu_tuned.core.errors import GpuTunedError
from gpu_tuned.ctl.render.text import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_tuned.ctl.options import Options

HOME = "\x1b[H\x1b[2J"  # to the upper left, and clear: a terminal shows the newest page alone


def repeat(
    run: Callable[[Options], int],
    options: Options,
    every_s: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Returns the last exit code once interrupted. What fails is told, and tried again: a daemon that restarts must
    not end a watch. Turns that were missed are left out, not made up for."""
    gc.enable()  # off for verbs that end at once
    code, first, due = 0, True, clock()
    try:
        while True:
            if sys.stdout.isatty():
                sys.stdout.write(HOME)
            elif not first and not options.json:
                sys.stdout.write("\n")
            first = False
            try:
                code = run(options)
            except GpuTunedError as error:
                complain(f"gpu-tunedctl: {error}")
                code = error.exit_code
            sys.stdout.flush()
            due = max(due + every_s, clock())
            sleep(max(0.0, due - clock()))  # the clock went on since
    except KeyboardInterrupt:
        return code
