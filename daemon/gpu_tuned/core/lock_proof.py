"""What a GPU under load says about a clock lock, which no driver call can read back.

One-sided on purpose. Under load, a clock above the lock's maximum proves that the lock is gone. A clock below its
minimum never proves anything: power, heat and arbitration all lower clocks, and an idle GPU says nothing at all. A
clock that stays at the maximum while nothing else holds it down is what the lock looks like when it is there.
"""

from __future__ import annotations

from enum import Enum

from gpu_tuned.core.model import Board, ClockLock, Setting, Telemetry
from gpu_tuned.core.throttle import Reason

SAMPLES = 3
"""Samples in a row that say the same. One alone may have caught a clock on its way."""
BUSY_PERCENT = 50
"""Utilisation from which on a GPU counts as loaded. Below, it may sit at any clock."""
LOADED_PSTATE = 2
"""P0 to P2 are the states of work; CUDA runs a GeForce in P2 or P1."""
GPU_MARGIN_MHZ = 15
"""One step of the ladder on most boards, two on the RTX 5090 (7.5 MHz): a lock at 2400 reads 2392 there."""
MEMORY_MARGIN_MHZ = 2
"""Rounding; memory rungs lie hundreds of MHz apart."""

# Application clocks: NVML no longer uses the bit, and where it is set it says nothing about a lock.
_IRRELEVANT = Reason.APPLICATION_CLOCKS.bit


class Proof(Enum):
    """What the last samples say about a lock."""

    NOTHING = "nothing"
    CONFIRMED = "confirmed"
    LOST = "lost"


class LockWatch:
    """Watches one lock on one GPU; a new lock gets a new watch.

    `top_mhz`: the highest clock of the board in this domain (`Board.max_gpu_mhz`), 0 where unknown. Where the
    lock's maximum is no lower, a free clock looks just the same, and nothing can be confirmed.
    """

    __slots__ = ("_above", "_inside", "_lock", "_memory", "_top_mhz")

    def __init__(self, setting: Setting, lock: ClockLock, top_mhz: int) -> None:
        self._memory = setting is Setting.MEMORY_CLOCK
        self._lock = lock
        self._top_mhz = top_mhz
        self._above = 0
        self._inside = 0

    @classmethod
    def on(cls, board: Board, setting: Setting, lock: ClockLock) -> LockWatch:
        """The watch of a lock on this board."""
        memory = setting is Setting.MEMORY_CLOCK
        return cls(setting, lock, board.max_memory_mhz if memory else board.max_gpu_mhz)

    def observe(self, telemetry: Telemetry) -> Proof:
        """Take one sample. CONFIRMED is said again for every further sample that confirms; after LOST the count
        starts anew, so that it is said again only by three more samples."""
        clock_mhz = telemetry.memory_clock_mhz if self._memory else telemetry.gpu_clock_mhz
        if clock_mhz is None or not _loaded(telemetry):
            self.reset()
            return Proof.NOTHING
        margin_mhz = MEMORY_MARGIN_MHZ if self._memory else GPU_MARGIN_MHZ
        over_mhz = clock_mhz - self._lock.max_mhz
        self._above = self._above + 1 if over_mhz > margin_mhz else 0
        inside = abs(over_mhz) <= margin_mhz and self._telling(telemetry, margin_mhz)
        self._inside = self._inside + 1 if inside else 0
        if self._above >= SAMPLES:
            self.reset()
            return Proof.LOST
        return Proof.CONFIRMED if self._inside >= SAMPLES else Proof.NOTHING

    def reset(self) -> None:
        """Forget the samples: the lock was written again, or the GPU was away."""
        self._above = self._inside = 0

    def _telling(self, telemetry: Telemetry, margin_mhz: int) -> bool:
        """Whether a clock at the maximum says something about the lock, and not about anything else.

        A memory clock has two or three rungs under load, and no reason bit speaks of it: being on the rung that was
        asked for is all there is to see. A GPU clock must be held by nothing else, below where it would go freely.
        """
        if self._memory:
            return True
        below_top = self._lock.max_mhz + margin_mhz < self._top_mhz
        return below_top and telemetry.reasons is not None and not telemetry.reasons & ~_IRRELEVANT


def _loaded(telemetry: Telemetry) -> bool:
    return (
        telemetry.pstate is not None
        and telemetry.pstate <= LOADED_PSTATE
        and telemetry.utilization_percent is not None
        and telemetry.utilization_percent >= BUSY_PERCENT
    )
