"""The clocks that a board has, and what a range of them means there.

A range means the rungs inside it: `{ max = 2000 }` on a ladder with 1995 and 2002 is "at most 1995". A single clock
is that clock or none. What was rounded is told, so that nobody wonders where a number comes from.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from gpu_tuned.core.model import ClockLock

Ladder = tuple[int, ...]

STEP_MHZ = 15
"""The widest step between two rungs of GPU clocks that was seen; Blackwell's are 7.5."""


class Fitted(NamedTuple):
    """A lock whose ends are rungs. `rounded`: what became of an end that is none, in words; None: nothing did."""

    lock: ClockLock
    rounded: str | None = None


class OffLadder(NamedTuple):
    """Why no lock of this board is what was wanted, and the nearest that it has."""

    why: str
    nearest: ClockLock


def every_rung(ladders: Iterable[Ladder]) -> Ladder:
    """Every clock of these ladders, descending; the ladder itself where they are the same one.

    A board's GPU clocks are those that go with any memory clock, for the ladder of the highest need not be its whole
    range: an RTX 2080 has 1260 to 2220 MHz there, and 300 to 2100 beside its slowest."""
    different = tuple({id(ladder): ladder for ladder in ladders if ladder}.values())
    return different[0] if len(different) == 1 else _merged(different)


def lock_on(ladder_mhz: Ladder, wanted: ClockLock) -> Fitted | OffLadder:
    """What a wanted lock is on this ladder (in any order; empty: not known, so the driver is to judge). A minimum of
    0 asks for none, and is the lowest rung."""
    if not ladder_mhz:
        return Fitted(wanted)
    lowest, highest = _ends(ladder_mhz)
    low_mhz, high_mhz = wanted.min_mhz or lowest, wanted.max_mhz
    single = wanted.min_mhz == wanted.max_mhz
    rungs = _rungs(ladder_mhz)
    if low_mhz in rungs and high_mhz in rungs and low_mhz <= high_mhz:
        return Fitted(ClockLock(low_mhz, high_mhz))
    inside = () if single else [mhz for mhz in ladder_mhz if low_mhz <= mhz <= high_mhz]
    if not inside:
        nearest = ClockLock(nearest_rung(ladder_mhz, low_mhz), nearest_rung(ladder_mhz, high_mhz))
        if single:
            why = f"{high_mhz} MHz is no clock of this board"
        elif not wanted.min_mhz:
            why = f"this board has no clock at or below {high_mhz} MHz; its lowest is {lowest}"
        else:
            why = f"this board has no clock from {low_mhz} to {high_mhz} MHz; it goes from {lowest} to {highest}"
        return OffLadder(why, nearest)
    lock = ClockLock(min(inside), max(inside))
    words = [
        f"{end} {asked} MHz is no clock of this board: {mhz}, the next one {way}"
        for end, asked, mhz, way in (
            ("minimum", low_mhz, lock.min_mhz, "up"),
            ("maximum", high_mhz, lock.max_mhz, "down"),
        )
        if asked != mhz
    ]
    return Fitted(lock, "; ".join(words))


def nearest_rung(ladder_mhz: Ladder, wanted_mhz: int) -> int:
    """The clock of a ladder closest to a wanted one, the lower of two equally close."""
    if wanted_mhz in _rungs(ladder_mhz):  # as in every pass over an unchanged host
        return wanted_mhz
    return min(ladder_mhz, key=lambda rung_mhz: (abs(rung_mhz - wanted_mhz), rung_mhz))


# A ladder may have 389 rungs, four of five ladders of a board are the same, and every pass asks.


@lru_cache(maxsize=64)
def _rungs(ladder_mhz: Ladder) -> frozenset[int]:
    return frozenset(ladder_mhz)


@lru_cache(maxsize=64)
def _ends(ladder_mhz: Ladder) -> tuple[int, int]:
    return min(ladder_mhz), max(ladder_mhz)


@lru_cache(maxsize=64)
def _merged(ladders: tuple[Ladder, ...]) -> Ladder:
    return tuple(sorted({rung for ladder in ladders for rung in ladder}, reverse=True))
