"""How long a GPU was held down and why: the driver's counters and reason bits as seconds and faults.

Pure: time comes in as monotonic seconds. Three questions are kept apart: how long (`report`), is it a fault
(`FaultChange`, one when an episode begins and one when it ends), and did the driver start anew (`went_back`).

Seconds come from differences of the driver's counters, which also see what falls between two looks. A reason
whose counter the board has never answered is sampled: its bit times the time between looks, and marked so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpu_tuned.core.reasons import Kind, Reason
from gpu_tuned.core.windows import Windows

FAULT_SAMPLES = 2  # a bit must be set this often in a row: one sample alone is a blip, also on healthy boards
FAULT_GROWTH_NS = 10_000_000  # a counter must grow by more than this between two looks
QUIET_S = 10.0  # a fault is over after this long without a sign of it
QUIET_SAMPLES = 2  # ... and this many clear samples: with a slow rhythm 10 s may hold none
PATIENCE_S = 120.0  # a counter that stopped answering does not keep a fault on for longer than this
MAX_GAP_S = 30.0  # a longer time between two samples (suspended, hung, released) says nothing about the time between

# HW slowdown is the sum of the hardware's own brakes; where one of these is named too, that one is the fault.
_SPECIFIC = (Reason.HW_THERMAL, Reason.HW_POWER_BRAKE)


@dataclass(frozen=True, slots=True)
class FaultChange:
    """A fault began, or ended after `duration_s` seconds of it (None when it begins)."""

    reason: Reason
    began: bool
    at_s: float
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is on. `since_s`: monotonic seconds of the first sign of it."""

    reason: Reason
    since_s: float


class _Episode:
    """A fault from its first sign to the end of its quiet time."""

    __slots__ = ("clear_samples", "counted_ns", "counter_quiet", "last_sign_s", "sampled_s", "since_s")

    def __init__(self, since_s: float, at_s: float, counted_ns: int, sampled_s: float) -> None:
        self.since_s = since_s
        self.last_sign_s = at_s
        self.counted_ns = counted_ns
        self.sampled_s = sampled_s
        self.clear_samples = 0
        self.counter_quiet = False  # the counter was looked at since the last sign, and stood still

    def duration_s(self) -> float:
        """From the counter where it moved, otherwise from the samples."""
        return round(self.counted_ns / 1e9 if self.counted_ns else self.sampled_s, 3)


class _Meter:
    """What is known of one reason on one GPU."""

    __slots__ = (
        "base_at_s",
        "base_ns",
        "bit",
        "counted",
        "episode",
        "reason",
        "run",
        "run_s",
        "run_since_s",
        "windows",
    )

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        self.windows = Windows()
        self.bit = False
        self.counted = False  # its counter has answered at least once on this board
        self.base_ns: int | None = None
        self.base_at_s = 0.0
        self.run = 0  # samples in a row with the bit set
        self.run_s = 0.0
        self.run_since_s = 0.0
        self.episode: _Episode | None = None

    def count(self, at_s: float, now_ns: int) -> tuple[int, float, bool]:
        """Take a counter's value: its growth in ns, since when, and whether it ran backwards."""
        base_ns, base_at_s = self.base_ns, self.base_at_s
        self.base_ns, self.base_at_s, self.counted = now_ns, at_s, True
        if base_ns is None:
            return 0, at_s, False
        if now_ns < base_ns:
            return 0, at_s, True
        self.windows.add(base_at_s, at_s, now_ns - base_ns)
        return now_ns - base_ns, base_at_s, False


class Throttle:
    """The accumulator of one GPU. `supported`: the reasons that the board can report (`Board.reasons_mask`).

    `max_gap_s` should be a few poll intervals. Give counters with the first observation where possible: what
    happened before the first look at a counter cannot be known.
    """

    def __init__(self, supported: int = ~0, max_gap_s: float = MAX_GAP_S) -> None:
        self._meters = tuple(_Meter(reason) for reason in Reason if supported & reason.bit)
        self._by_reason = {meter.reason: meter for meter in self._meters}
        self._max_gap_s = max_gap_s
        self._sampled_at_s: float | None = None
        self.went_back = False
        """Whether a counter ran backwards in the last observation: the driver initialised this GPU anew."""

    def observe(
        self, at_s: float, reasons: int | None, counters_ns: Mapping[int, int] | None
    ) -> tuple[FaultChange, ...]:
        """Take one look at the GPU, at `at_s` monotonic seconds, never before the last one.

        `reasons` None: the driver did not say. `counters_ns` None: not looked at this time. A field that is
        missing keeps its base, so a read that failed once loses nothing.
        """
        self.went_back = False
        gap_s = self._take_gap(at_s, reasons)
        changes: list[FaultChange] = []
        for meter in self._meters:
            now_ns = (
                None if counters_ns is None or meter.reason.counter is None else counters_ns.get(meter.reason.counter)
            )
            grown_ns, from_s = None, at_s
            if now_ns is not None:
                grown_ns, from_s, back = meter.count(at_s, now_ns)
                self.went_back = self.went_back or back
            sampled_s = self._sample(meter, at_s, gap_s, reasons)
            if meter.reason.kind is Kind.FAULT:
                changes.extend(self._judge(meter, at_s, reasons, grown_ns, from_s, sampled_s))
        return tuple(changes)

    def rebase(self) -> None:
        """Forget the counters' last values and the last sample: the next look starts anew.

        For a GPU that comes back: a counter that started at zero may have overtaken its old value unseen.
        Seconds and faults are kept."""
        self._sampled_at_s = None
        for meter in self._meters:
            meter.base_ns = None
            meter.bit = False
            meter.run = 0

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Every fault that is on, worst first."""
        return tuple(Fault(m.reason, m.episode.since_s) for m in self._meters if m.episode is not None)

    @property
    def fault(self) -> Fault | None:
        """The worst fault that is on."""
        return next(iter(self.faults), None)

    def report(self, at_s: float, own_cap: bool) -> list[dict[str, Any]]:
        """The rows of `throttle.reasons`, seconds to the millisecond.

        `own_cap`: a power limit of ours below the board's default is in force: a power cap is as wished."""
        rows = []
        for meter in self._meters:
            reason = meter.reason
            kind = Kind.OWN if own_cap and reason is Reason.SW_POWER_CAP else reason.kind
            minute_s, hour_s, day_s, start_s = meter.windows.seconds(at_s)
            rows.append(
                {
                    "reason": reason.word,
                    "kind": kind.value,
                    "active": meter.bit,
                    "sampled": not meter.counted,
                    "minute_s": minute_s,
                    "hour_s": hour_s,
                    "day_s": day_s,
                    "start_s": start_s,
                }
            )
        return rows

    def _take_gap(self, at_s: float, reasons: int | None) -> float:
        """Seconds since the last sample; 0 where the time between says nothing."""
        if reasons is None:
            return 0.0
        last_s, self._sampled_at_s = self._sampled_at_s, at_s
        gap_s = 0.0 if last_s is None else at_s - last_s
        return gap_s if 0 < gap_s <= self._max_gap_s else 0.0

    @staticmethod
    def _sample(meter: _Meter, at_s: float, gap_s: float, reasons: int | None) -> float:
        """Take the bit: half of the gap belongs to the sample at either end. Returns the seconds it adds."""
        if reasons is None:
            return 0.0
        bit = bool(reasons & meter.reason.bit)
        seconds = gap_s * (bit + meter.bit) / 2
        meter.bit = bit
        if not meter.counted:
            meter.windows.add(at_s - gap_s, at_s, round(seconds * 1e9))
        return seconds

    def _judge(
        self,
        meter: _Meter,
        at_s: float,
        reasons: int | None,
        grown_ns: int | None,
        from_s: float,
        sampled_s: float,
    ) -> list[FaultChange]:
        """Begin, prolong or end this reason's episode."""
        sign = meter.bit if reasons is not None else None  # None: not looked at
        if meter.reason is Reason.HW_SLOWDOWN and sign and self._named(reasons):
            sign = False
        elif meter.reason in _SPECIFIC and meter.episode is not None and reasons is not None:
            sign = sign or bool(reasons & Reason.HW_SLOWDOWN.bit)
        if sign:
            if not meter.run:
                meter.run_since_s, meter.run_s = at_s, 0.0
            meter.run += 1
            meter.run_s += sampled_s
        elif sign is False:
            meter.run = 0
        grew = grown_ns is not None and grown_ns > FAULT_GROWTH_NS
        if meter.episode is not None:
            return self._go_on(meter, meter.episode, at_s, sign, grown_ns, sampled_s)
        if meter.run < FAULT_SAMPLES and not grew:
            return []
        since_s = meter.run_since_s if meter.run else at_s
        if grew:
            # It fell somewhere between the two looks; its length says how late it can have begun.
            since_s = min(since_s, max(from_s, at_s - (grown_ns or 0) / 1e9))
        meter.episode = _Episode(since_s, at_s, grown_ns or 0, meter.run_s if meter.run else sampled_s)
        began = FaultChange(meter.reason, True, since_s)
        return [*self._settle_general(meter, at_s), began]

    def _go_on(
        self,
        meter: _Meter,
        episode: _Episode,
        at_s: float,
        sign: bool | None,
        grown_ns: int | None,
        sampled_s: float,
    ) -> list[FaultChange]:
        episode.counted_ns += grown_ns or 0
        episode.sampled_s += sampled_s
        if grown_ns is not None:
            episode.counter_quiet = grown_ns <= FAULT_GROWTH_NS
        if sign or (grown_ns is not None and not episode.counter_quiet):
            episode.last_sign_s = at_s
            episode.clear_samples = 0
            episode.counter_quiet = False
            return []
        if sign is False:
            episode.clear_samples += 1
        quiet_s = at_s - episode.last_sign_s
        if quiet_s < QUIET_S or episode.clear_samples < QUIET_SAMPLES:
            return []
        if meter.counted and not episode.counter_quiet and quiet_s < PATIENCE_S:
            return []  # counters are looked at every few passes; the next look decides
        meter.episode = None
        meter.run = 0
        return [FaultChange(meter.reason, False, at_s, episode.duration_s())]

    def _named(self, reasons: int | None) -> bool:
        """Whether the slowdown has a name: a specific brake is set now, or its fault is still on."""
        return any(
            (reasons or 0) & reason.bit
            or ((meter := self._by_reason.get(reason)) is not None and meter.episode is not None)
            for reason in _SPECIFIC
        )

    def _settle_general(self, meter: _Meter, at_s: float) -> list[FaultChange]:
        """The specific fault takes over from a general slowdown that was told before it had a name."""
        general = self._by_reason.get(Reason.HW_SLOWDOWN)
        if meter.reason not in _SPECIFIC or general is None or general.episode is None:
            return []
        ended = FaultChange(general.reason, False, at_s, general.episode.duration_s())
        general.episode, general.run = None, 0
        return [ended]
