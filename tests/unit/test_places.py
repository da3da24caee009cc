"""Who may connect when many want to: whatever others do, root, the unit's own wait and a newcomer find a place."""

from __future__ import annotations

import os

import pytest

from gpu_tuned.control.places import DYNAMIC_UIDS, Places, Room

ROOT, WAIT = 0, DYNAMIC_UIDS[100]
ROOM = Room()


def taken(places: Places, uid: int, wanted: int = 1000) -> int:
    """How many places this user gets of those that it wants."""
    return sum(places.take(uid) is None for _ in range(wanted))


@pytest.mark.parametrize("greedy", [1, 2, 3, 5, 8])
def test_whoever_takes_all_that_there_is_the_next_user_gets_more_than_a_few(greedy: int) -> None:
    places = Places(ROOM)
    for uid in range(1000, 1000 + greedy):
        taken(places, uid)
    assert taken(places, 2000) > ROOM.few


def test_however_many_users_there_are_root_and_the_units_own_wait_get_in() -> None:
    places = Places(ROOM)
    assert sum(taken(places, uid) for uid in range(1000, 3000)) == ROOM.clients - ROOM.reserved
    assert places.take(999) is not None
    assert taken(places, WAIT) == ROOM.few
    assert taken(places, ROOT) == ROOM.reserved - ROOM.few


def test_a_user_that_goes_leaves_its_places() -> None:
    places = Places(ROOM)
    first = taken(places, 1000)
    for _ in range(first):
        places.leave(1000)
    assert taken(places, 1000) == first


def test_root_and_who_runs_the_daemon_have_a_bound_too() -> None:
    places = Places(ROOM)
    assert taken(places, ROOT) == ROOM.clients_per_uid
    if os.geteuid():
        assert taken(places, os.geteuid()) == ROOM.clients_per_uid
    assert taken(places, 1000) > ROOM.few


def test_half_of_the_descriptors_stay_for_the_driver() -> None:
    assert ROOM.within(4096) == ROOM
    small = ROOM.within(40)
    assert small.clients == 20
    assert 0 < small.reserved < small.clients


def test_a_refusal_says_who_has_how_many() -> None:
    places = Places(Room(clients=8, reserved=2))
    taken(places, 1000)
    assert places.take(1000) == "too many connections: uid 1000 has 4 of 4; the most are 8"
