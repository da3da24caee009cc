"""Xids as they are told: the first of a kind at once, more of it as a count.

A program that faults in a loop makes the driver report the same Xid dozens of times a second; the journal is to have
one line, and then one for each interval, which grows while it goes on. A driver that reports number after number has
the first kinds told one by one, and the rest counted together. What Xids mean: NVIDIA's "Xid Errors".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FIRST_INTERVAL_S, LONGEST_INTERVAL_S = 60.0, 3600.0
"""How long the same Xid of one GPU is counted before the count is told; each interval is twice the one before."""
MOST_KINDS = 16
"""Kinds of one GPU that are counted one by one. NVIDIA lists 170 or so; a GPU that fails shows a few."""
THE_REST = -1
"""In place of a number, in a tally's key: every kind beyond these."""
APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Xids that a program causes; the others point at hardware or driver."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be told now: one Xid (`over_s` 0), or how often it came in the last `over_s` seconds. `mixed`: it is
    the last of several kinds that were counted together."""

    uuid: str
    xid: int
    count: int = 1
    over_s: float = 0.0
    mixed: bool = False

    @property
    def cause(self) -> str:
        """Whose doing it is, and how often it came."""
        who = "caused by a program" if self.xid in APPLICATION_XIDS else "hardware or driver"
        if not self.over_s:
            return who
        kinds = " of several kinds" if self.mixed else ""
        return f"{who}; {self.count} more{kinds} in the last {self.over_s:.0f} s"


@dataclass(frozen=True, slots=True)
class Tally:
    """One Xid of one GPU that was told, or several kinds counted together: how many more came since `since_s`
    (monotonic seconds), to be told when `interval_s` is over. `xid`: the last of them."""

    since_s: float
    xid: int
    interval_s: float = FIRST_INTERVAL_S
    count: int = 0


Tallies = Mapping[tuple[str, int], Tally]
"""By UUID and Xid, or `THE_REST`; begin with {}."""


def heard(tallies: Tallies, xids: Iterable[tuple[str, int]], now_s: float) -> tuple[Tallies, list[Told]]:
    """What to remember, and what to tell of these Xids, (UUID, number) each. To be asked at every look, also when
    none came: a count is told when its time has come. A quiet interval ends the counting."""
    kept: dict[tuple[str, int], Tally] = {}
    told: list[Told] = []
    for (uuid, kind), tally in tallies.items():
        over_s = now_s - tally.since_s
        if over_s < tally.interval_s:
            kept[uuid, kind] = tally
        elif tally.count:
            told.append(Told(uuid, tally.xid, tally.count, over_s, kind == THE_REST))
            kept[uuid, kind] = Tally(now_s, tally.xid, min(tally.interval_s * 2, LONGEST_INTERVAL_S))
    for uuid, xid in xids:
        key = uuid, xid if (uuid, xid) in kept or _kinds(kept, uuid) < MOST_KINDS else THE_REST
        before = kept.get(key)
        if before is None:
            told.append(Told(uuid, xid))
            kept[key] = Tally(now_s, xid)
        else:
            kept[key] = Tally(before.since_s, xid, before.interval_s, before.count + 1)
    return kept, told


def _kinds(tallies: Tallies, uuid: str) -> int:
    return sum(whose == uuid for whose, _ in tallies)
