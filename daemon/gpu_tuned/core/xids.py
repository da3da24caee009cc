"""Xids as they are told: the first of a kind at once, more of it as a count.

A program that faults in a loop makes the driver report the same Xid dozens of times a second; the journal is to have
one line, and then one for each interval, which grows while it goes on. What Xids mean: NVIDIA's "Xid Errors".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FIRST_INTERVAL_S, LONGEST_INTERVAL_S = 60.0, 3600.0
"""How long the same Xid of one GPU is counted before the count is told; each interval is twice the one before."""
APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Xids that a program causes; the others point at hardware or driver."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be told now: one Xid (`over_s` 0), or how often it came in the last `over_s` seconds."""

    uuid: str
    xid: int
    count: int = 1
    over_s: float = 0.0

    @property
    def cause(self) -> str:
        """Whose doing it is, and how often it came."""
        who = "caused by a program" if self.xid in APPLICATION_XIDS else "hardware or driver"
        if not self.over_s:
            return who
        return f"{who}; {self.count} more in the last {self.over_s:.0f} s"


@dataclass(frozen=True, slots=True)
class Tally:
    """One Xid of one GPU that was told: how many more came since `since_s` (monotonic seconds), to be told when
    `interval_s` is over."""

    since_s: float
    interval_s: float = FIRST_INTERVAL_S
    count: int = 0


Tallies = Mapping[tuple[str, int], Tally]
"""By UUID and Xid; begin with {}."""


def heard(tallies: Tallies, xids: Iterable[tuple[str, int]], now_s: float) -> tuple[Tallies, list[Told]]:
    """What to remember, and what to tell of these Xids, (UUID, number) each. To be asked at every look, also when
    none came: a count is told when its time has come. A quiet interval ends the counting."""
    kept: dict[tuple[str, int], Tally] = {}
    told: list[Told] = []
    for (uuid, xid), tally in tallies.items():
        over_s = now_s - tally.since_s
        if over_s < tally.interval_s:
            kept[uuid, xid] = tally
        elif tally.count:
            told.append(Told(uuid, xid, tally.count, over_s))
            kept[uuid, xid] = Tally(now_s, min(tally.interval_s * 2, LONGEST_INTERVAL_S))
    for uuid, xid in xids:
        before = kept.get((uuid, xid))
        if before is None:
            told.append(Told(uuid, xid))
            kept[uuid, xid] = Tally(now_s)
        else:
            kept[uuid, xid] = Tally(before.since_s, before.interval_s, before.count + 1)
    return kept, told
