"""How long one reason held one GPU down.

The driver's counter is the truth and is costly, so it is read every few looks. Until then the seconds since the last
reading come from the bit, and are marked as not counted; the next reading takes their place. Where the board has no
counter, the bit is all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpu_tuned.core.throttle.power_cap import Capping, Limiter
from gpu_tuned.core.throttle.reasons import Kind, Reason
from gpu_tuned.core.throttle.windows import DAY_S, HOUR_S, MINUTE_S, Windows

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Reason as ReasonRow

FASTEST = 100
"""A counter that grew by more than this many times the time that passed tells nothing. Time itself passes once; a
simulated driver may run faster than that."""
MOST_STRETCHES = 32
"""A counter that never answers must not let the list of what waits for it grow."""

Account = Limiter | None
"""Whose seconds they are: for a power cap its limiter, or None of an idle GPU; for every other reason None."""

_KINDS_OF_A_CAP: Mapping[Account, str] = {
    None: Kind.BENIGN.value,
    Limiter.OWN: Kind.OWN.value,
    Limiter.OTHER: Kind.LIMIT.value,
    Limiter.BOARD: Kind.LIMIT.value,
}


@dataclass(slots=True)
class _Stretch:
    """Time with the bit set that the counter has not confirmed yet."""

    from_s: float
    to_s: float
    ns: int
    account: Account

    def within(self, at_s: float, window_s: float) -> float:
        """Its seconds in the window that ends at `at_s`."""
        span = self.to_s - self.from_s
        overlap = min(self.to_s, at_s) - max(self.from_s, at_s - window_s)
        return self.ns / 1e9 * max(0.0, min(1.0, overlap / span)) if span > 0 else 0.0


class Meter:
    """What is known of one reason on one GPU. `counted`: its counter has answered at least once. `bit`: as last
    seen."""

    __slots__ = (
        "_accounts",
        "_at_rest",
        "_base_at_s",
        "_base_ns",
        "_booked_ns",
        "_exposed_s",
        "_kinds",
        "_waiting",
        "bit",
        "counted",
        "reason",
        "told",
    )

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        self.bit = False
        self.counted = False
        self.told = False
        """Whether the driver ever said anything of it, by bit or counter."""
        self._kinds: Mapping[Account, str] = (
            _KINDS_OF_A_CAP if reason is Reason.SW_POWER_CAP else {None: reason.kind.value}
        )
        self._accounts: dict[Account, Windows] = {}
        self._at_rest: dict[tuple[Account, bool, bool], ReasonRow] = {}
        self._base_ns: int | None = None
        self._base_at_s = 0.0
        self._waiting: list[_Stretch] = []
        self._booked_ns = 0  # of what waited, how much was put into the windows before the counter came
        self._exposed_s: dict[Account, float] = {}  # time looked at since the last count, by whose a cap then was

    def account(self, capping: Capping) -> Account:
        if self.reason is not Reason.SW_POWER_CAP or capping.idle:
            return None
        return capping.limiter

    def sample(self, from_s: float, to_s: float, before: Capping, now: Capping, *, bit: bool) -> float:
        """Take the bit: half of the time since the last look belongs to the look at either end. It was an idle GPU's
        where both looks saw the bit and nothing at work: at the end of work the bit stays for a moment. Returns the
        seconds that it adds."""
        self.told = True
        middle_s, seconds = (from_s + to_s) / 2, 0.0
        idle = before.idle and now.idle and self.bit and bit
        for start_s, end_s, is_set, capping in ((from_s, middle_s, self.bit, before), (middle_s, to_s, bit, now)):
            if end_s - start_s < 1e-6:
                continue
            if self.reason is Reason.SW_POWER_CAP:
                limiter = capping.limiter
                self._exposed_s[limiter] = self._exposed_s.get(limiter, 0.0) + end_s - start_s
            if is_set:
                seconds += end_s - start_s
                self._wait(start_s, end_s, self.account(Capping(capping.limiter, idle)))
        self.bit = bit
        if self._waiting and not self.counted:
            self.settle()
        return seconds

    def count(self, at_s: float, now_ns: int, before: Capping) -> int | None:
        """Take the counter's value: its growth in ns; None where it says nothing: the first one, one that ran back,
        or one that ran ahead of time. Then the bits stand for what is not known. `before`: at the look before."""
        base_ns, from_s = self._base_ns, self._base_at_s
        self._base_ns, self._base_at_s, self.counted, self.told = now_ns, at_s, True, True
        grown_ns = None if base_ns is None else now_ns - base_ns
        if grown_ns is None or not 0 <= grown_ns <= (at_s - from_s) * 1e9 * FASTEST + 1e9:
            self.settle()
            grown_ns = None
        else:
            self._book(from_s, at_s, max(0, grown_ns - self._booked_ns), before)
        self._waiting, self._booked_ns, self._exposed_s = [], 0, {}
        return grown_ns

    def settle(self) -> None:
        """The bits are all that will ever be known of the time since the last count."""
        for stretch in self._waiting:
            self._add(stretch.account, stretch.from_s, stretch.to_s, stretch.ns)
        self._waiting = []

    def rebase(self) -> None:
        """The counter's next value is a new beginning."""
        self.settle()
        self._base_ns, self.bit = None, False
        self._booked_ns, self._exposed_s = 0, {}

    @property
    def base_at_s(self) -> float | None:
        """When the counter was read last, None where the next value has nothing to be held against."""
        return None if self._base_ns is None else self._base_at_s

    @property
    def uncounted_ns(self) -> int:
        return sum(stretch.ns for stretch in self._waiting)

    def rows(self, at_s: float, capping: Capping) -> list[ReasonRow]:
        """One row for each account that has seconds, and one for the reason as it is now."""
        if self.reason is not Reason.SW_POWER_CAP:
            if self._waiting or self._accounts:
                return [self._row(None, at_s, active=self.bit)]
            return [self._resting(None, active=self.bit)]
        if not (self.bit or self._waiting or self._accounts):
            return [self._resting(capping.limiter, active=False)]
        others = (account for account in (*Limiter, None) if account is not capping.limiter)
        accounts = [capping.limiter, *(account for account in others if self._has(account, at_s))]
        holder = self.account(capping)
        return [self._row(account, at_s, active=self.bit and account is holder) for account in accounts]

    def _has(self, account: Account, at_s: float) -> bool:
        windows = self._accounts.get(account)
        waits = bool(self._waiting) and any(stretch.account is account for stretch in self._waiting)
        return waits or (windows is not None and (windows.total_ns > 0 or windows.seconds(at_s)[-1] > 0))

    def _row(self, account: Account, at_s: float, *, active: bool) -> ReasonRow:
        windows = self._accounts.get(account)
        if not self._waiting and (windows is None or windows.empty):
            return self._resting(account, active=active)
        return self._counted(self._blank(account, active=active), windows, account, at_s)

    def _resting(self, account: Account, *, active: bool) -> ReasonRow:
        """The same row as at the look before, as nearly always: no document is ever changed."""
        key = (account, active, self.counted)
        row = self._at_rest.get(key)
        if row is None:
            row = self._at_rest[key] = self._blank(account, active=active)
        return row

    def _blank(self, account: Account, *, active: bool) -> ReasonRow:
        return {
            "reason": self.reason.word,
            "kind": self._kinds[account],
            "limiter": account.value if account is not None else None,
            "active": active,
            "sampled": not self.counted,
            "uncounted_s": 0.0,
            "minute_s": 0.0,
            "hour_s": 0.0,
            "day_s": 0.0,
            "start_s": 0.0,
        }

    def _counted(self, row: ReasonRow, windows: Windows | None, account: Account, at_s: float) -> ReasonRow:
        minute_s, hour_s, day_s = windows.seconds(at_s) if windows else (0.0, 0.0, 0.0)
        uncounted_s = 0.0
        for stretch in self._waiting:
            if stretch.account is account:
                seconds = stretch.ns / 1e9
                recent = stretch.from_s >= at_s - MINUTE_S  # as nearly always; it is inside of every window then
                uncounted_s += seconds
                minute_s += seconds if recent else stretch.within(at_s, MINUTE_S)
                hour_s += seconds if recent else stretch.within(at_s, HOUR_S)
                day_s += seconds if recent else stretch.within(at_s, DAY_S)
        minute_s, hour_s, day_s = min(minute_s, MINUTE_S), min(hour_s, HOUR_S), min(day_s, DAY_S)
        row["uncounted_s"] = round(uncounted_s, 3)
        row["minute_s"], row["hour_s"], row["day_s"] = round(minute_s, 3), round(hour_s, 3), round(day_s, 3)
        row["start_s"] = round((windows.total_ns if windows else 0) / 1e9 + uncounted_s, 3)
        return row

    def _wait(self, from_s: float, to_s: float, account: Account) -> None:
        last = self._waiting[-1] if self._waiting else None
        ns = round((to_s - from_s) * 1e9)
        if last is not None and abs(last.to_s - from_s) < 1e-6 and last.account is account:
            last.to_s, last.ns = to_s, last.ns + ns
            return
        self._waiting.append(_Stretch(from_s, to_s, ns, account))
        if len(self._waiting) > MOST_STRETCHES:
            oldest = self._waiting.pop(0)
            self._add(oldest.account, oldest.from_s, oldest.to_s, oldest.ns)
            self._booked_ns += oldest.ns

    def _book(self, from_s: float, to_s: float, ns: int, before: Capping) -> None:
        """Put what was counted where the bits were seen, and what they did not see in between."""
        if ns <= 0:  # as nearly always: most reasons never happen
            return
        shares = {a: sum(s.ns for s in self._waiting if s.account is a) for a in {s.account for s in self._waiting}}
        seen_ns, left_ns = sum(shares.values()), ns
        for stretch in self._waiting:
            part_ns = min(left_ns, stretch.ns * min(ns, seen_ns) // seen_ns)
            self._add(stretch.account, stretch.from_s, stretch.to_s, part_ns)
            left_ns -= part_ns
        # An idle GPU that is capped shows it at each look; what no look saw belongs to whoever limited then.
        weights: dict[Account, float] = {a: float(share) for a, share in shares.items()} or self._exposed_s
        total = sum(weights.values())
        rest_ns = left_ns
        for account, weight in weights.items():
            part_ns = min(rest_ns, round(left_ns * weight / total))
            self._spread(account, from_s, to_s, part_ns)
            rest_ns -= part_ns
        last = next(reversed(weights)) if weights else self.account(Capping(before.limiter))
        self._spread(last, from_s, to_s, rest_ns)

    def _spread(self, account: Account, from_s: float, to_s: float, ns: int) -> None:
        """Over the time in which no bit was seen; over all of it where that is too short."""
        edges = [from_s, *(edge for s in self._waiting for edge in (s.from_s, s.to_s)), to_s]
        gaps = [(start_s, end_s) for start_s, end_s in zip(edges[::2], edges[1::2], strict=True) if end_s > start_s]
        free_s = sum(end_s - start_s for start_s, end_s in gaps)
        if ns > free_s * 1e9:
            gaps, free_s = [(from_s, to_s)], 0.0
        left_ns = ns
        for start_s, end_s in gaps[:-1]:
            part_ns = int(ns * (end_s - start_s) / free_s)
            self._add(account, start_s, end_s, part_ns)
            left_ns -= part_ns
        if gaps:
            self._add(account, *gaps[-1], left_ns)

    def _add(self, account: Account, from_s: float, to_s: float, ns: int) -> None:
        if ns > 0:
            self._windows(account).add(from_s, to_s, ns)

    def _windows(self, account: Account) -> Windows:
        return self._accounts.setdefault(account, Windows())

    # --- what outlives a restart of the daemon

    def to_json(self) -> dict[str, Any]:
        """The counter's base and the windows; {} where nothing happened."""
        kept = {(a.value if a else ""): w.to_json() for a, w in self._accounts.items()}
        raw: dict[str, Any] = {"windows": {name: rings for name, rings in kept.items() if rings}}
        if self._base_ns is not None:
            raw["base"] = [self._base_ns, self._base_at_s]
        return raw if raw != {"windows": {}} else {}

    def take(self, raw: Mapping[str, Any], at_s: float) -> None:
        """Go on from `to_json`. Raises ValueError."""
        base = raw.get("base")
        if base is not None:
            base_ns, base_at_s = base
            if type(base_ns) is not int or base_ns < 0 or not isinstance(base_at_s, (int, float)):
                raise ValueError(f"{self.reason.word}: {base!r} is no counter and its time")
            if not 0 <= base_at_s <= at_s:  # false of NaN too
                raise ValueError(f"{self.reason.word}: counted at {base_at_s}, which is not before {at_s}")
            self._base_ns, self._base_at_s, self.counted = base_ns, float(base_at_s), True
        self.told = bool(raw)
        for name, rings in raw.get("windows", {}).items():
            self._windows(Limiter(name) if name else None).take(rings, at_s)
