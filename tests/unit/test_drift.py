"""One setting's life, told as a story of readings: what is written, what is said, what state it is in."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from gpu_tuned.core import drift, lock_drift
from gpu_tuned.core.contest import IN_A_ROW_S
from gpu_tuned.core.events import EventKind
from gpu_tuned.core.goal import Refusal
from gpu_tuned.core.lock_proof import Proof, Verdict
from gpu_tuned.core.model import NO_GETTER, ClockLock, PowerLimit, Setting, Unread
from gpu_tuned.core.track import Moment, State, Step, Track
from gpu_tuned.core.wish import Ceiling, Origin, Wish

POLL_S = 2.0
DEFAULT = PowerLimit(575_000)
WANTED = PowerLimit(450_000)
RIVAL = PowerLimit(500_000)
ORIGIN = Origin("gpu-tuned.toml", "gpu[0].power_limit_w")
WISH = Wish(Setting.POWER_LIMIT, WANTED, ORIGIN)


class Story:
    """A setting, a driver that takes every write, and a clock that moves one poll interval a look."""

    def __init__(self, wish: Wish | None = WISH, reading=DEFAULT, goal=WANTED) -> None:
        self.wish, self.reading, self.goal = wish, reading, goal
        self.now = 1000.0
        self.track: Track = drift.new_track(self.moment)
        self.writes = 0
        self.said: list[EventKind] = []

    @property
    def moment(self) -> Moment:
        return Moment(1e9 + self.now, self.now)

    def step(self) -> Step:
        """What one look comes to, with nothing written yet."""
        default = None if isinstance(self.reading, Unread) else DEFAULT
        track = drift.aim(self.track, self.wish, self.goal, self.moment)
        return drift.look(track, self.reading, default, POLL_S, self.moment)

    def look(self, reading=None) -> State:
        if reading is not None:
            self.reading = reading
        self.now += POLL_S
        step = self.step()
        self.take(step)
        if step.write is not None:
            self.writes += 1
            if not isinstance(self.reading, Unread):
                self.reading = step.write
            self.take(drift.took(self.track, step.write, self.reading, "told", self.moment))
        return self.track.state

    def take(self, step: Step) -> None:
        self.track = step.track
        self.said += [note.kind for note in step.notes]


def test_what_differs_is_written_once_and_then_held_in_silence():
    story = Story()
    assert story.look() is State.HELD
    assert [story.look() for _ in range(100)] == [State.HELD] * 100
    assert story.writes == 1
    assert story.said == [EventKind.APPLIED]


def test_what_is_already_so_is_never_written_nor_talked_about():
    story = Story(reading=WANTED)
    story.look()
    assert (story.track.state, story.writes, story.said) == (State.HELD, 0, [])


@pytest.mark.parametrize(
    ("found", "cause"), [(DEFAULT, drift.FACTORY_DEFAULT), (RIVAL, drift.SOMEBODYS_VALUE)], ids=["default", "rival"]
)
def test_drift_is_put_right_at_the_look_that_sees_it_and_its_cause_is_told(found, cause):
    story = Story()
    story.look()
    story.reading = found
    step = story.step()
    causes = [note.cause for note in step.notes if note.kind is EventKind.DRIFTED]
    assert causes == [cause]
    assert step.write == WANTED
    assert step.track.state is State.DRIFTED


def test_the_third_revert_in_a_row_is_a_contest_said_once_with_count_and_rhythm():
    story = Story()
    story.look()
    for _ in range(3):
        story.look(RIVAL)
    assert story.track.state is State.CONTESTED
    for _ in range(200):
        story.look(RIVAL)
    assert story.said.count(EventKind.CONTESTED) == 1
    message = story.track.message or ""
    assert "3 times" in message or "times, about every" in message


def test_a_contest_is_written_less_and_less_often():
    story = Story()
    story.look()
    looks = 1800  # an hour of looks, each of which finds the rival's value
    for _ in range(looks):
        story.look(RIVAL)
    assert story.writes < 25
    assert story.track.pause_s == drift.PAUSE_MAX_S


def test_a_required_setting_is_written_at_every_look_although_contested():
    story = Story(wish=replace(WISH, required=True))
    story.look()
    for _ in range(50):
        story.look(RIVAL)
    assert story.track.state is State.CONTESTED
    assert story.writes == 51


def test_a_contest_ends_when_the_value_stays():
    story = Story()
    story.look()
    for _ in range(4):
        story.look(RIVAL)
    while story.reading != WANTED:
        story.look()
    for _ in range(120):
        story.look()
    assert story.track.state is State.HELD
    assert story.said[-1] is EventKind.CONTEST_ENDED


def test_reverts_far_apart_are_no_contest():
    story = Story()
    story.look()
    for _ in range(10):
        story.now += IN_A_ROW_S
        story.look(RIVAL)
        story.look()
    assert story.track.state is State.HELD
    assert EventKind.CONTESTED not in story.said
    assert story.track.put_back == 10


def test_a_refused_write_is_said_once_and_tried_again_after_growing_pauses():
    story = Story()
    tries = 0
    for _ in range(1800):
        story.now += POLL_S
        step = story.step()
        story.take(step)
        if step.write is not None:
            tries += 1
            story.take(drift.failed(story.track, "the driver said no", story.moment, kept=True))
    assert story.track.state is State.REFUSED
    assert story.said == [EventKind.REFUSED]
    assert 5 < tries < 15


def test_a_wish_that_cannot_be_met_is_refused_with_its_reason_and_not_written():
    story = Story(goal=Refusal("700 W is outside this board's 400 to 575 W", DEFAULT))
    assert story.look() is State.REFUSED
    assert story.look() is State.REFUSED
    assert (story.writes, story.said) == (0, [EventKind.REFUSED])
    assert story.track.message == "700 W is outside this board's 400 to 575 W; nearest: 575 W"


def test_a_ceiling_leaves_a_lower_value_alone_and_cuts_a_higher_one():
    story = Story(wish=replace(WISH, target=Ceiling(WANTED)), reading=PowerLimit(420_000))
    assert story.look() is State.HELD
    assert story.writes == 0
    story.look(RIVAL)
    assert (story.writes, story.reading) == (1, WANTED)
    assert EventKind.DRIFTED in story.said


def test_a_watched_setting_is_told_about_and_never_written():
    story = Story(wish=replace(WISH, watched=True))
    assert story.look() is State.WATCHED
    assert not story.track.in_order
    story.look(RIVAL)
    story.look(RIVAL)
    assert story.writes == 0
    assert story.said == [EventKind.WATCHED_DIFFERS, EventKind.WATCHED_CHANGED]


def test_a_rule_that_goes_leaves_the_value_and_says_so():
    story = Story()
    story.look()
    story.wish = story.goal = None
    assert story.look() is State.UNMANAGED
    story.look(RIVAL)
    assert story.writes == 1
    assert story.said == [EventKind.APPLIED, EventKind.UNMANAGED]


def test_a_setting_that_cannot_be_read_waits_and_is_not_written():
    story = Story(reading=Unread("timed out"))
    assert story.look() is State.WAITING
    assert story.writes == 0


LOCK = ClockLock(2400, 2550)


def lock_story() -> Story:
    wish = Wish(Setting.GPU_CLOCK, LOCK, ORIGIN)
    story = Story(wish, NO_GETTER, LOCK)
    story.look()
    return story


def test_a_lock_is_requested_once_and_never_called_held():
    story = lock_story()
    assert [story.look() for _ in range(50)] == [State.REQUESTED] * 50
    assert story.writes == 1
    assert story.said == [EventKind.REQUESTED]


def test_a_lock_that_counts_as_lost_is_requested_again_and_is_no_contest():
    story = lock_story()
    for _ in range(10):
        story.take(lock_drift.forget(story.track, "a setting beside it was lost", story.moment))
        assert story.track.state is State.DRIFTED
        story.look()
    assert story.writes == 11
    assert story.track.state is State.REQUESTED
    assert EventKind.CONTESTED not in story.said


def test_a_lock_rests_only_as_long_as_it_counts_as_requested():
    story = lock_story()
    story.look()
    assert drift.rests(story.track, NO_GETTER)
    assert not drift.rests(replace(story.track, accepted=None), NO_GETTER)
    assert not drift.rests(replace(story.track, ours=False), NO_GETTER)


def test_a_lock_seen_broken_under_load_again_and_again_is_a_contest():
    story = lock_story()
    for _ in range(3):
        story.take(lock_drift.judge(story.track, Verdict(Proof.LOST, "2850 MHz under load, above"), story.moment))
        story.look()
    assert story.track.state is State.CONTESTED
    assert story.said.count(EventKind.LOCK_LOST) == 2


def test_confirmation_is_said_once():
    story = lock_story()
    for _ in range(2):
        story.take(lock_drift.judge(story.track, Verdict(Proof.CONFIRMED), story.moment))
    assert story.said.count(EventKind.LOCK_CONFIRMED) == 1
    assert story.track.confirmed_at is not None


def test_a_lock_that_is_never_obeyed_is_nobodys_doing_and_is_tried_less_and_less_often():
    story = lock_story()
    tries = []
    for _ in range(2000):
        before = story.writes
        if story.track.state is State.REQUESTED:
            story.take(lock_drift.judge(story.track, Verdict(Proof.NOT_OBEYED, "2850 MHz under load"), story.moment))
            assert (story.track.state.value, story.track.in_order) == ("refused", False)
        story.look()
        if story.writes > before:
            tries.append(story.moment.mono)
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps == sorted(gaps) and gaps[0] >= 30 and 550 < gaps[-1] < 700
    assert EventKind.CONTESTED not in story.said and EventKind.LOCK_LOST not in story.said
    assert story.said.count(EventKind.REFUSED) == 1
    assert "not kept to: 2850 MHz" in (story.track.message or "") or story.track.state is State.REQUESTED


def test_a_suspicion_is_said_once_and_ends_when_the_lock_is_seen_to_hold():
    story = lock_story()
    for writes in (2, 2, 2):  # requested again at once, and then after a pause
        story.take(lock_drift.judge(story.track, Verdict(Proof.SUSPECT, "flat at 1200 MHz"), story.moment))
        story.look()
        assert (story.track.state, story.writes) == (State.REQUESTED, writes)
        assert story.track.in_order
    assert story.track.message == "flat at 1200 MHz"
    assert story.said.count(EventKind.LOCK_SUSPECT) == 1
    story.take(lock_drift.judge(story.track, Verdict(Proof.CONFIRMED), story.moment))
    story.look()
    assert story.track.message is None


def test_a_new_goal_is_applied_and_is_not_called_drift():
    story = Story()
    story.look()
    story.goal = PowerLimit(480_000)
    story.look()
    assert story.said == [EventKind.APPLIED, EventKind.APPLIED]
    assert story.reading == PowerLimit(480_000)


@pytest.mark.parametrize(
    "other",
    [
        replace(WISH, watched=True),
        replace(WISH, origin=Origin("20-psu.toml", "gpu[0].power_limit_w")),
        replace(WISH, required=True),
    ],
    ids=["watched", "another rule", "required"],
)
def test_a_goal_that_changes_in_any_way_begins_the_life_anew(other):
    story = Story()
    story.look()
    story.take(drift.failed(story.track, "for once", story.moment, kept=False))
    story.wish = other
    story.track = drift.aim(story.track, other, WANTED, story.moment)
    assert (story.track.state, story.track.observed) == (State.WAITING, None)
    # What the driver made of this very goal, by this very rule, is no other goal's.
    assert story.track.accepted == (WANTED if other.required else None)
    assert (story.track.ours, story.track.pause_s) == (False, 0.0)


def test_other_words_for_the_same_wish_change_nothing():
    story = Story()
    story.look()
    before = story.track
    story.wish = replace(WISH, reason="circuit 4B")
    story.look()
    assert story.track == replace(before, wish=story.wish)
    assert story.writes == 1


def test_what_was_accepted_under_another_goal_is_not_believed():
    """Enforced at 600, watched with 450, enforced at 450: the board stands at 600 all the while."""
    high, low = PowerLimit(600_000), PowerLimit(450_000)
    story = Story(replace(WISH, target=high), goal=high)
    story.look()
    story.wish, story.goal = replace(WISH, target=low, watched=True), low
    assert story.look() is State.WATCHED
    assert not story.track.in_order
    story.wish = replace(WISH, target=low)
    assert story.look() is State.HELD
    assert (story.reading, story.writes) == (low, 2)


def test_what_the_driver_rounded_is_remembered_for_the_same_goal_alone():
    wanted, rounded = PowerLimit(465_000), PowerLimit(464_000)
    story = Story(replace(WISH, target=wanted), goal=wanted)
    story.take(story.step())
    story.take(drift.took(story.track, rounded, rounded, "told", story.moment))
    lasts = story.track.before
    again = drift.aim(replace(drift.new_track(story.moment), before=lasts), story.wish, wanted, story.moment)
    assert again.accepted == rounded
    assert story.wish is not None
    for wish, goal in ((replace(story.wish, watched=True), wanted), (story.wish, WANTED)):
        other = drift.aim(replace(drift.new_track(story.moment), before=lasts), wish, goal, story.moment)
        assert other.accepted is None


def test_a_pause_ends_with_the_failure_that_it_was_for():
    story = Story()
    story.look()
    story.look(RIVAL)
    story.take(drift.failed(story.track, "the reading after the write failed", story.moment, kept=False))
    assert story.look(WANTED) is State.HELD
    assert story.look(RIVAL) is State.HELD
    assert story.reading == WANTED


def test_every_state_that_is_not_in_order_says_why():
    story = Story(reading=Unread("timed out"))
    for reading in (Unread("timed out"), DEFAULT, RIVAL, RIVAL, RIVAL, RIVAL):
        story.reading = reading
        story.now += POLL_S
        story.take(story.step())
        assert story.track.in_order or story.track.message
