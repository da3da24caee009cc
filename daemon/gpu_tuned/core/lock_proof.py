"""What a GPU under load says about a clock lock, which no driver call can read back.

One-sided on purpose. Under load, a clock above the lock's maximum proves that the lock is not in force. A clock below
its minimum never proves anything: power, heat and arbitration all lower clocks, and an idle GPU says nothing at all.
A clock that stays at the maximum while nothing else holds it down is what the lock looks like when it is there, and
is worth saying only where a free clock would be seen elsewhere. A clock that stays flat below, with work to do and
nothing named that holds it, is a suspicion: another lock may lie below this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from gpu_tuned.core.model import ApplicationClocks, Board, ClockLock, Setting, Telemetry, text
from gpu_tuned.core.throttle import Kind, Reason

SAMPLES = 3
"""Samples that say the same, with none between that says otherwise. One may have caught a clock on its way."""
SPAN_S = 2.0
"""... and they lie at least this far apart: a loop that is woken often takes three within a moment."""
STALE_S = 120.0
"""Samples further apart than this are no row: much may have happened in between."""
SETTLE_S = 3.0
"""A request shows at the next change of clocks, which may be a while after it."""
LONG_GAP_S = 30.0
"""What happened within so long a time without a look is not known."""

LOADED_PERCENT = 10
"""Utilisation from which on a GPU did work within the last second, so that its clock is not a leftover."""
BUSY_PERCENT = 50
"""Utilisation from which on a free GPU goes as fast as it can. Below, it may sit at any clock."""
LOADED_PSTATE = 2
"""P0 to P2 are the states of work; CUDA runs a GeForce in P2 or P1."""
GPU_MARGIN_MHZ = 15
"""One step of the ladder on most boards, two on the RTX 5090 (7.5 MHz): a lock at 2400 reads 2392 there."""
MEMORY_MARGIN_MHZ = 2
"""Rounding; memory rungs lie hundreds of MHz apart."""

# What a free clock reaches under load with no reason to be lower, as a share of the board's highest clock, before
# this GPU was seen free: 0.88 on an RTX 4090, 0.92 on a 5090, 1 on data centre boards; far less on what is built for
# laptops. A guess, and on the careful side: too low a share confirms less.
FREE_SHARE, FREE_SHARE_MOBILE, FREE_SHARE_MEMORY = 0.85, 0.6, 0.75
MOBILE = ("Laptop", "Max-Q", "Mobile")
SAME_AGAIN = 0.95
"""A clock that was seen free comes again, but for the steps that a warmer chip takes without a word."""

SUSPECT_SAMPLES, SUSPECT_SPAN_S = 5, 8.0

# Application clocks: NVML no longer uses the bit, and where it is set it says nothing about a lock.
_IRRELEVANT = Reason.APPLICATION_CLOCKS.bit


class Proof(Enum):
    """What the samples say about a lock. LOST: it is not in force, and may have been. NOT_OBEYED: it is not, and
    under load without a pause never was since it was requested, which accuses nobody. SUSPECT proves nothing."""

    NOTHING = "nothing"
    CONFIRMED = "confirmed"
    SUSPECT = "suspect"
    LOST = "lost"
    NOT_OBEYED = "not obeyed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`evidence`: what was seen, for a person; "" where there is nothing to say."""

    proof: Proof
    evidence: str = ""


SILENCE = Verdict(Proof.NOTHING)


class Requested(NamedTuple):
    """A lock that was requested at `at_s` (monotonic). A further request is a new one, with its own time."""

    lock: ClockLock
    at_s: float


@dataclass(frozen=True, slots=True)
class FreeClocks:
    """The highest clocks seen under load without a lock of ours in force; 0: never seen so."""

    gpu_mhz: int = 0
    memory_mhz: int = 0


class LockProofs:
    """Watches the clock locks of one GPU. `free`: what was learnt of it before, if anything was kept."""

    def __init__(self, board: Board, free: FreeClocks | None = None) -> None:
        self.free = free or FreeClocks()
        self.board = board
        self._watches: dict[Setting, LockWatch] = {}

    def observe(
        self,
        telemetry: Telemetry,
        at_s: float,
        requested: Mapping[Setting, Requested],
        application: ApplicationClocks | None = None,
    ) -> dict[Setting, Verdict]:
        """Take one look: a verdict for each lock of `requested`. Not at what was not looked at: a GPU that sleeps or
        is away. `application`: the GPU's application clocks as read last, which lower free clocks too."""
        application = application or self.board.default_application_clocks
        verdicts = {}
        for setting, wanted in requested.items():
            watch = self._watches.get(setting)
            if watch is None or watch.requested != wanted:
                watch = self._watches[setting] = LockWatch(setting, wanted, self.board)
            verdicts[setting] = watch.observe(telemetry, at_s, self.free, application)
        self._watches = {s: watch for s, watch in self._watches.items() if s in requested}
        self._learn(telemetry, verdicts)
        return verdicts

    def _learn(self, telemetry: Telemetry, verdicts: Mapping[Setting, Verdict]) -> None:
        if not _busy(telemetry):
            return
        gpu_mhz, memory_mhz = telemetry.gpu_clock_mhz or 0, telemetry.memory_clock_mhz or 0
        held = _held_by_others(telemetry)  # then a free clock would be higher still
        if gpu_mhz > self.free.gpu_mhz and not held and _free(verdicts.get(Setting.GPU_CLOCK)):
            self.free = replace(self.free, gpu_mhz=gpu_mhz)
        if memory_mhz > self.free.memory_mhz and _free(verdicts.get(Setting.MEMORY_CLOCK)):
            self.free = replace(self.free, memory_mhz=memory_mhz)


class LockWatch:
    """Watches one lock from its request on."""

    __slots__ = ("_above", "_board", "_flat", "_inside", "_last_s", "_memory", "_obeyed", "_paused", "requested")

    def __init__(self, setting: Setting, requested: Requested, board: Board) -> None:
        self.requested = requested
        self._memory = setting is Setting.MEMORY_CLOCK
        self._board = board
        self._obeyed = False  # seen under load at or below its maximum
        self._paused = False  # there was a time without load or without a look, in which anything may have happened
        self._last_s = requested.at_s
        self._above = _Row()
        self._inside = _Row()
        self._flat = _Row()

    def observe(
        self, telemetry: Telemetry, at_s: float, free: FreeClocks, application: ApplicationClocks | None
    ) -> Verdict:
        """Take one sample. CONFIRMED and SUSPECT are said again for every further sample that says so; after LOST the
        count starts anew."""
        self._paused = self._paused or at_s - self._last_s > LONG_GAP_S
        self._last_s = at_s
        clock_mhz = telemetry.memory_clock_mhz if self._memory else telemetry.gpu_clock_mhz
        if clock_mhz is None or not _loaded(telemetry):
            self._paused = True
            self._inside.clear()
            self._flat.clear()
            return SILENCE
        lock = self.requested.lock
        margin_mhz = MEMORY_MARGIN_MHZ if self._memory else GPU_MARGIN_MHZ
        if clock_mhz - lock.max_mhz <= margin_mhz:
            self._obeyed = True
            self._above.clear()
            return self._below(telemetry, at_s, clock_mhz, free, application)
        self._inside.clear()
        self._flat.clear()
        if at_s - self.requested.at_s < SETTLE_S or not self._above.add(at_s, clock_mhz).holds(SAMPLES, SPAN_S):
            return SILENCE
        self._above.clear()
        evidence = f"{clock_mhz} MHz under load, above the {lock.max_mhz} MHz asked for"
        if self._obeyed or self._paused:
            return Verdict(Proof.LOST, evidence)
        return Verdict(Proof.NOT_OBEYED, f"{evidence}, and never seen to obey since then")

    def _below(
        self,
        telemetry: Telemetry,
        at_s: float,
        clock_mhz: int,
        free: FreeClocks,
        application: ApplicationClocks | None,
    ) -> Verdict:
        """What a clock at or below the maximum says: the lock's doing, or lower than anything explains."""
        if not _busy(telemetry) or (not self._memory and _held_by_others(telemetry)):
            self._inside.clear()
            self._flat.clear()
            return SILENCE
        lock = self.requested.lock
        application_mhz = self._mhz_of(application)
        reach_mhz = self._reach(free, application_mhz)
        margin_mhz = MEMORY_MARGIN_MHZ if self._memory else GPU_MARGIN_MHZ
        if abs(clock_mhz - lock.max_mhz) <= margin_mhz:
            self._flat.clear()
            telling = lock.max_mhz + 2 * margin_mhz < reach_mhz  # a free clock's reading may lie a step off too
            held = self._inside.add(at_s, clock_mhz).holds(SAMPLES, SPAN_S)
            return Verdict(Proof.CONFIRMED) if held and telling else SILENCE
        self._inside.clear()
        # CUDA runs memory a rung below the highest whatever minimum is asked for, so a memory lock's says nothing.
        least_mhz = 0 if self._memory else lock.min_mhz
        floor_mhz = max(least_mhz, SAME_AGAIN * min(lock.max_mhz, reach_mhz)) - 2 * margin_mhz
        at_application = abs(clock_mhz - (application_mhz or 0)) <= margin_mhz
        if clock_mhz >= floor_mhz or at_application or (self._memory and _slowed(telemetry)):
            self._flat.clear()
            return SILENCE
        if self._flat.spread_with(clock_mhz) > margin_mhz:
            self._flat.clear()
        if not self._flat.add(at_s, clock_mhz).holds(SUSPECT_SAMPLES, SUSPECT_SPAN_S):
            return SILENCE
        nothing = (
            "nothing here lowers a memory clock" if self._memory else "the driver names nothing that holds it down"
        )
        return Verdict(
            Proof.SUSPECT,
            f"flat at {clock_mhz} MHz under load, where {text(lock)} was asked for, and {nothing}: another lock may "
            "lie below this one, or the board does not keep to it",
        )

    def _mhz_of(self, application: ApplicationClocks | None) -> int | None:
        if application is None:
            return None
        return application.memory_mhz if self._memory else application.gpu_mhz

    def _reach(self, free: FreeClocks, application_mhz: int | None) -> float:
        """What a free clock would at least be seen at, MHz; 0 where nothing is known of that."""
        if self._memory:
            reach_mhz = float(free.memory_mhz) or FREE_SHARE_MEMORY * self._board.max_memory_mhz
        elif free.gpu_mhz:
            reach_mhz = SAME_AGAIN * free.gpu_mhz
        else:
            mobile = any(word in self._board.gpu.name for word in MOBILE)
            reach_mhz = (FREE_SHARE_MOBILE if mobile else FREE_SHARE) * self._board.max_gpu_mhz
        return min(reach_mhz, application_mhz or reach_mhz)


class _Row:
    """Samples in a row that say the same."""

    __slots__ = ("_count", "_first_s", "_high_mhz", "_last_s", "_low_mhz")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._count = self._high_mhz = self._low_mhz = 0
        self._first_s = self._last_s = 0.0

    def add(self, at_s: float, clock_mhz: int) -> _Row:
        if not self._count or at_s - self._last_s > STALE_S:
            self._count, self._first_s, self._low_mhz, self._high_mhz = 0, at_s, clock_mhz, clock_mhz
        self._count, self._last_s = self._count + 1, at_s
        self._low_mhz, self._high_mhz = min(self._low_mhz, clock_mhz), max(self._high_mhz, clock_mhz)
        return self

    def holds(self, samples: int, span_s: float) -> bool:
        return self._count >= samples and self._last_s - self._first_s >= span_s

    def spread_with(self, clock_mhz: int) -> int:
        """How far apart the clocks of the row would lie with this one."""
        if not self._count:
            return 0
        return max(self._high_mhz, clock_mhz) - min(self._low_mhz, clock_mhz)


def _free(verdict: Verdict | None) -> bool:
    """Whether no lock of ours holds this clock."""
    return verdict is None or verdict.proof in (Proof.LOST, Proof.NOT_OBEYED)


def _held_by_others(telemetry: Telemetry) -> bool:
    """Whether anything but a lock may hold the GPU clock down, or that is not known."""
    return telemetry.reasons is None or bool(telemetry.reasons & ~_IRRELEVANT)


def _slowed(telemetry: Telemetry) -> bool:
    """Whether a fault may hold the memory clock down, or that is not known: a power cap lowers the GPU's alone."""
    return telemetry.reasons is None or any(
        telemetry.reasons & reason.bit for reason in Reason if reason.kind is Kind.FAULT
    )


def _loaded(telemetry: Telemetry) -> bool:
    """Whether the GPU did any work in the last second. Where utilisation is not told (MIG), its power says so."""
    if telemetry.pstate is None or telemetry.pstate > LOADED_PSTATE:
        return False
    if telemetry.utilization_percent is not None:
        return telemetry.utilization_percent >= LOADED_PERCENT
    power_mw, limit_mw = telemetry.power_mw, telemetry.enforced_limit_mw
    return power_mw is not None and limit_mw is not None and 2 * power_mw >= limit_mw


def _busy(telemetry: Telemetry) -> bool:
    return _loaded(telemetry) and (telemetry.utilization_percent or 0) >= BUSY_PERCENT
