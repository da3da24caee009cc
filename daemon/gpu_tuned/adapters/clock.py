"""The machine's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """`ports.Clock` over the kernel's clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
