"""A thousand stories of locks: nobody is accused of what did not happen, nothing is confirmed that is not so."""

from __future__ import annotations

import pytest

from gpu_tuned.core.lock_proof import Proof
from tests.locks.gpu_model import board_paths
from tests.locks.scenarios import DEEDS, WORK, Story, tell, told_apart

GONE = (Proof.LOST, Proof.NOT_OBEYED)


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return [tell(seed) for seed in range(1000)]


def test_every_board_work_and_deed_is_among_them(stories: list[Story]) -> None:
    assert {story.board for story in stories} == {path.stem for path in board_paths()}
    assert {(story.work, story.deed) for story in stories} == {(work, deed) for work in WORK for deed in DEEDS}


def test_no_lock_in_force_is_called_lost(stories: list[Story]) -> None:
    wrong = [s for s in stories for truth in ("ours", "lower") for proof in GONE if (truth, proof) in s.said]
    assert not wrong


def test_nothing_is_confirmed_that_is_not_in_force(stories: list[Story]) -> None:
    wrong = [s for s in stories for truth in ("free", "lower") if (truth, Proof.CONFIRMED) in s.said]
    assert not wrong


def test_nothing_in_force_is_suspected(stories: list[Story]) -> None:
    assert not [s for s in stories if ("ours", Proof.SUSPECT) in s.said]


def test_what_can_be_seen_is_seen(stories: list[Story]) -> None:
    """Not a promise, but a judge that says nothing would pass everything above."""
    undone = [s for s in stories if s.noticeable]
    noticed = [s for s in undone if any(proof in s.first_s for proof in GONE)]
    assert len(undone) > 200
    assert len(noticed) > 0.85 * len(undone)
    told = told_apart(stories)
    assert told["ours", Proof.CONFIRMED] > 100
    assert told["lower", Proof.SUSPECT] > 40
    for work in ("light", "bursty"):
        assert any(s.work == work for s in noticed)


def test_a_seed_tells_the_same_story_again(stories: list[Story]) -> None:
    assert [tell(seed).said for seed in range(20)] == [story.said for story in stories[:20]]
