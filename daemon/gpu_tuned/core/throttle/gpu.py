"""Why one GPU was slow, and for how long: the driver's counters and reason bits as seconds and faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpu_tuned.core.throttle.faults import Fault, FaultChange, FaultWatch, Sighting
from gpu_tuned.core.throttle.meter import Meter
from gpu_tuned.core.throttle.power_cap import BOARDS_OWN, Capping, Limiter
from gpu_tuned.core.throttle.reasons import Kind, Reason

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Reason as ReasonRow

MAX_GAP_S = 30.0  # a longer time between two samples (suspended, hung, released) says nothing about the time between

# HW slowdown is the sum of the hardware's own brakes; where one of these is named too, that one is the fault.
_SPECIFIC = (Reason.HW_THERMAL, Reason.HW_POWER_BRAKE)


class Throttle:
    """The accumulator of one GPU. `supported`: the reasons that the board can report (`Board.reasons_mask`).

    `max_gap_s` should be a few poll intervals. Give counters with the first observation where possible: what
    happened before the first look at a counter cannot be known.
    """

    def __init__(self, supported: int = ~0, max_gap_s: float = MAX_GAP_S) -> None:
        self._meters = tuple(Meter(reason) for reason in Reason if supported & reason.bit)
        self._watches = {m.reason: FaultWatch(m.reason) for m in self._meters if m.reason.kind is Kind.FAULT}
        self._pairs = tuple((meter, self._watches.get(meter.reason)) for meter in self._meters)
        self._max_gap_s = max_gap_s
        self._sampled_at_s: float | None = None
        self.another_limits = False
        """Whether a limiter took over since the counters were read: whose the seconds before are, only this run knows
        until they are read again."""
        self.capping = BOARDS_OWN
        """What a power cap is from the last look on."""
        self._resumed = False  # from another run, and not looked at since

    def observe(
        self,
        at_s: float,
        reasons: int | None,
        counters_ns: Mapping[int, int] | None,
        capping: Capping = BOARDS_OWN,
    ) -> tuple[FaultChange, ...]:
        """Take one look at the GPU, at `at_s` monotonic seconds, never before the last one.

        `reasons` None: the driver did not say. `counters_ns` None: not looked at this time. A field that is
        missing keeps its base, so a read that failed once loses nothing. `capping`: what a power cap is as this look
        found it. The time since the last look belongs half to what was then.
        """
        if self._resumed and capping.limiter is not self.capping.limiter:
            self._forget_cap()
        self._resumed = False
        gap_s = self._take_gap(at_s, reasons)
        changes: list[FaultChange] = []
        for meter, watch in self._pairs:
            bit = bool(reasons & meter.reason.bit) if reasons is not None else None
            sampled_s = 0.0
            if bit is not None and (bit or meter.bit or not meter.told or meter.reason is Reason.SW_POWER_CAP):
                sampled_s = meter.sample(at_s - gap_s, at_s, self.capping, capping, bit=bit)
            since_s, uncounted_ns, counter, grown_ns = None, 0, meter.reason.counter, None
            if watch is not None and (bit or counters_ns is not None or not watch.at_rest):
                since_s, uncounted_ns = meter.base_at_s, meter.uncounted_ns  # before the counter is taken
            if counters_ns is not None and counter is not None and counter in counters_ns:
                grown_ns = meter.count(at_s, counters_ns[counter], self.capping)
            if watch is not None and (bit or grown_ns or not watch.at_rest):
                seen = Sighting(self._sign(watch, reasons, bit=bit), sampled_s, grown_ns, since_s, uncounted_ns)
                was_on = watch.episode is not None
                change = watch.look(at_s, seen)
                if watch.episode is not None and not was_on:
                    changes += self._settle_general(watch.reason, at_s)
                changes += [change] if change is not None else []
        self.another_limits = counters_ns is None and (
            self.another_limits or capping.limiter is not self.capping.limiter
        )
        self.capping = capping
        return tuple(changes)

    def _forget_cap(self) -> None:
        """Another limit is in force after a time in which nobody looked: whose the cap was meanwhile is not known."""
        for meter in self._meters:
            if meter.reason is Reason.SW_POWER_CAP:
                meter.rebase()

    def limited_by(self, capping: Capping) -> None:
        """What a power cap is from now on: a decision or a write of ours has changed it."""
        self.another_limits |= capping.limiter is not self.capping.limiter
        self.capping = capping

    def rebase(self) -> None:
        """Forget the counters' last values and the last sample: the next look starts anew.

        For a GPU that comes back: a counter that started at zero may have overtaken its old value unseen.
        Seconds and faults are kept."""
        self._sampled_at_s = None
        for meter in self._meters:
            meter.rebase()
        for watch in self._watches.values():
            watch.forget_run()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Every fault that is on, worst first."""
        return tuple(Fault(w.reason, w.episode.since_s) for w in self._watches.values() if w.episode is not None)

    @property
    def fault(self) -> Fault | None:
        """The worst fault that is on."""
        for watch in self._watches.values():
            if watch.episode is not None:
                return Fault(watch.reason, watch.episode.since_s)
        return None

    @property
    def counters_due(self) -> bool:
        """Whether the counters should be read at the next look, out of turn: a fault is on, or another limits now."""
        return self.fault is not None or self.another_limits

    def report(self, at_s: float) -> list[ReasonRow]:
        """The rows of `throttle.reasons`, seconds to the millisecond. A power cap has a row for each limiter that it
        was: their seconds belong to the state of then. A reason of which the driver never said anything has none."""
        return [row for meter in self._meters if meter.told for row in meter.rows(at_s, self.capping)]

    def to_json(self) -> dict[str, Any]:
        """What outlives a restart of the daemon within one driver initialisation: at most 20 kB a GPU."""
        kept = {meter.reason.word: raw for meter in self._meters if (raw := meter.to_json())}
        return {"limiter": self.capping.limiter.value, "reasons": kept}

    @classmethod
    def from_json(
        cls, raw: Mapping[str, Any], at_s: float, supported: int = ~0, max_gap_s: float = MAX_GAP_S
    ) -> Throttle:
        """The inverse of `to_json`, on the same monotonic clock (the same boot). What happened meanwhile comes with
        the next counters. Raises ValueError for anything that `to_json` cannot have written by `at_s`; what this
        board has no reason for is passed over."""
        throttle = cls(supported, max_gap_s)
        try:
            throttle.capping, throttle._resumed = Capping(Limiter(raw["limiter"])), True
            reasons = raw["reasons"]
            for meter in throttle._meters:
                meter.take(reasons.get(meter.reason.word, {}), at_s)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the windows of a GPU: {error!r}") from error
        return throttle

    def _take_gap(self, at_s: float, reasons: int | None) -> float:
        """Seconds since the last sample; 0 where the time between says nothing."""
        if reasons is None:
            return 0.0
        last_s, self._sampled_at_s = self._sampled_at_s, at_s
        gap_s = 0.0 if last_s is None else at_s - last_s
        return gap_s if 0 < gap_s <= self._max_gap_s else 0.0

    def _sign(self, watch: FaultWatch, reasons: int | None, *, bit: bool | None) -> bool | None:
        """Whether the bits say that this fault is on."""
        if reasons is None:
            return None
        if watch.reason is Reason.HW_SLOWDOWN and bit and self._named(reasons):
            return False
        lingers = watch.reason in _SPECIFIC and watch.episode is not None and reasons & Reason.HW_SLOWDOWN.bit
        return bool(bit or lingers)

    def _named(self, reasons: int) -> bool:
        """Whether the slowdown has a name: a specific brake is set now, or its fault is still on."""
        named = (reason for reason in _SPECIFIC if reason in self._watches)
        return any(reasons & reason.bit or self._watches[reason].episode is not None for reason in named)

    def _settle_general(self, began: Reason, at_s: float) -> list[FaultChange]:
        """The specific fault takes over from a general slowdown that was told before it had a name."""
        general = self._watches.get(Reason.HW_SLOWDOWN)
        if began not in _SPECIFIC or general is None:
            return []
        ended = general.end(at_s)
        return [] if ended is None else [ended]
