"""What a wanted lock is on a board's ladder: one table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_tuned.core.ladder import Fitted, OffLadder, every_rung, lock_on, nearest_rung
from gpu_tuned.core.model import ClockLock

BY_15 = tuple(range(1980, 344, -15))
BY_7_5 = tuple(int(3090 - 7.5 * i) for i in range(389))  # 3090 to 180, half megahertz cut off as the driver does
MEMORY = (14001, 13801, 7001, 810, 405)
TWO = (2002, 1995)

FITS = [
    # ladder, wanted (min 0: none), the lock, what is said of it
    (BY_15, (0, 1500), (345, 1500), None),
    (BY_15, (1500, 1500), (1500, 1500), None),
    (BY_15, (1005, 1500), (1005, 1500), None),
    (TWO, (0, 2000), (1995, 1995), "maximum 2000 MHz is no clock of this board: 1995, the next one down"),
    (BY_15, (0, 1509), (345, 1500), "maximum 1509 MHz is no clock of this board: 1500, the next one down"),
    (BY_15, (1001, 1500), (1005, 1500), "minimum 1001 MHz is no clock of this board: 1005, the next one up"),
    (BY_15, (0, 5000), (345, 1980), "maximum 5000 MHz is no clock of this board: 1980, the next one down"),
    (BY_15, (100, 1500), (345, 1500), "minimum 100 MHz is no clock of this board: 345, the next one up"),
    (BY_15, (1498, 1502), (1500, 1500), "minimum 1498 MHz is no clock of this board: 1500, the next one up; "
     "maximum 1502 MHz is no clock of this board: 1500, the next one down"),
    (BY_7_5, (2400, 2550), (2400, 2550), None),
    (BY_7_5, (2392, 2392), (2392, 2392), None),
    (BY_7_5, (0, 2399), (180, 2392), "maximum 2399 MHz is no clock of this board: 2392, the next one down"),
    (MEMORY, (0, 14000), (405, 13801), "maximum 14000 MHz is no clock of this board: 13801, the next one down"),
    (MEMORY, (7001, 7001), (7001, 7001), None),
    (MEMORY, (5000, 14001), (7001, 14001), "minimum 5000 MHz is no clock of this board: 7001, the next one up"),
    ((), (0, 1234), (0, 1234), None),  # the driver names no clocks: it will judge
    ((), (1234, 1234), (1234, 1234), None),
]  # fmt: skip

OFF = [
    # ladder, wanted, the nearest lock, why
    (BY_15, (1509, 1509), (1515, 1515), "1509 MHz is no clock of this board"),
    (BY_15, (1507, 1507), (1500, 1500), "1507 MHz is no clock of this board"),
    (BY_7_5, (2399, 2399), (2400, 2400), "2399 MHz is no clock of this board"),
    (MEMORY, (3002, 3002), (810, 810), "3002 MHz is no clock of this board"),
    (MEMORY, (20000, 20000), (14001, 14001), "20000 MHz is no clock of this board"),
    (BY_15, (0, 300), (345, 345), "this board has no clock at or below 300 MHz; its lowest is 345"),
    (BY_15, (1501, 1514), (1500, 1515), "this board has no clock from 1501 to 1514 MHz; it goes from 345 to 1980"),
    (BY_15, (2000, 2500), (1980, 1980), "this board has no clock from 2000 to 2500 MHz; it goes from 345 to 1980"),
    (MEMORY, (811, 7000), (810, 7001), "this board has no clock from 811 to 7000 MHz; it goes from 405 to 14001"),
]  # fmt: skip


@pytest.mark.parametrize(("ladder", "wanted", "lock", "rounded"), FITS)
def test_a_range_means_its_rungs(
    ladder: tuple[int, ...], wanted: tuple[int, int], lock: tuple[int, int], rounded: str | None
) -> None:
    assert lock_on(ladder, ClockLock(*wanted)) == Fitted(ClockLock(*lock), rounded)


@pytest.mark.parametrize(("ladder", "wanted", "nearest", "why"), OFF)
def test_refused_only_where_no_rung_is(
    ladder: tuple[int, ...], wanted: tuple[int, int], nearest: tuple[int, int], why: str
) -> None:
    assert lock_on(ladder, ClockLock(*wanted)) == OffLadder(why, ClockLock(*nearest))


def test_the_ladders_of_all_memory_clocks_are_the_boards_range() -> None:
    """As an RTX 2080: the lower half of its clocks goes with its slowest memory clock alone."""
    upper, slow = tuple(range(2220, 1259, -15)), tuple(range(2100, 299, -15))
    rungs = every_rung([upper, upper, upper, slow])
    assert every_rung([upper, (), upper]) is upper  # eight boards keep one ladder
    assert (rungs[0], rungs[-1]) == (2220, 300)
    assert set(rungs) == {*upper, *slow}
    assert lock_on(rungs, ClockLock(0, 1200)) == Fitted(ClockLock(300, 1200))
    assert lock_on(upper, ClockLock(0, 1200)) != Fitted(ClockLock(300, 1200))


def test_a_board_that_names_no_clocks_has_no_rungs() -> None:
    assert every_rung([]) == every_rung([(), ()]) == ()


LADDERS = st.lists(st.integers(1, 15000), min_size=1, max_size=40, unique=True).map(tuple)


@given(LADDERS, st.integers(0, 16000), st.integers(1, 16000))
def test_what_fits_lies_inside_and_nothing_that_lies_inside_is_refused(
    ladder: tuple[int, ...], low: int, high: int
) -> None:
    if low > high:
        low, high = high, low
    wanted = ClockLock(low, high)
    inside = [mhz for mhz in ladder if low <= mhz <= high]
    found = lock_on(ladder, wanted)
    if isinstance(found, Fitted):
        assert (found.lock.min_mhz, found.lock.max_mhz) == (min(inside), max(inside))
        same = found.lock.max_mhz == high and found.lock.min_mhz in (low, low or min(ladder))
        assert same == (found.rounded is None)
        assert lock_on(ladder, found.lock) == Fitted(found.lock), "what it makes of a wish is itself one"
    else:
        assert not inside or (low == high and high not in ladder)
        assert {found.nearest.min_mhz, found.nearest.max_mhz} <= set(ladder)
        assert isinstance(lock_on(ladder, found.nearest), Fitted), "what it names as the nearest can be had"


@given(LADDERS, st.integers(0, 16000))
def test_no_rung_is_nearer_than_the_nearest(ladder: tuple[int, ...], wanted: int) -> None:
    nearest = nearest_rung(ladder, wanted)
    assert nearest in ladder
    assert abs(nearest - wanted) == min(abs(rung - wanted) for rung in ladder)
