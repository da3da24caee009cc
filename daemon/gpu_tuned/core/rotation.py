"""When the application clocks are worth their price: two calls of 0.6 ms, where all else of a look takes 0.2 ms.

They are read at the first look, after a write, whenever they are not as wished, and every three minutes. In between
the clocks of each look, which are there anyway, show most of what can have changed them.
"""

from __future__ import annotations

from gpu_tuned.core.ladder import STEP_MHZ
from gpu_tuned.core.model import ApplicationClocks, Telemetry

SELDOM_S = 180.0
"""At the default interval every 90th look, 0.014 ms of each look on an H200."""
SELDOM = 90
"""The most looks between two readings, where looks follow each other sooner than that."""
SOON = 5
"""Looks: the most often that clocks which do not fit have them read, should they go on not to fit (a lock above)."""
BUSY_PERCENT = 20


def application_clocks_due(
    turn: int, interval_s: float, observed: ApplicationClocks | None, last: Telemetry | None
) -> bool:
    """Whether this turn's look reads them. `interval_s`: from one look to the next; `observed`: as last read, None
    where they are not known; `last`: what the look before saw."""
    if observed is None or turn % max(1, min(SELDOM, int(SELDOM_S / interval_s))) == 0:
        return True
    return turn % SOON == 0 and last is not None and shows_others(observed, last)


def shows_others(clocks: ApplicationClocks, seen: Telemetry) -> bool:
    """Whether a GPU that runs so cannot have these application clocks: its clock lies above, or under load its memory
    runs at another clock. That somebody set a lower GPU clock does not show: a power cap looks the same."""
    if seen.gpu_clock_mhz is not None and seen.gpu_clock_mhz > clocks.gpu_mhz + STEP_MHZ:
        return True
    busy = seen.pstate == 0 and (seen.utilization_percent or 0) >= BUSY_PERCENT
    return busy and seen.memory_clock_mhz is not None and abs(seen.memory_clock_mhz - clocks.memory_mhz) > 2
