"""What goes on and on is told a few times, and not at each look."""

from __future__ import annotations

import pytest

from gpu_tuned.core.errors import DriverRefused, DriverTrouble
from gpu_tuned.core.events import Event, EventKind, message
from gpu_tuned.core.model import Setting
from gpu_tuned.ctl.render.fleet import exception
from gpu_tuned.ports import DriverEvent
from tests.loop.stage import Stage, policy


def said(stage: Stage, kind: str) -> list[str]:
    return [message(event) for event in stage.heard.events if event.kind.word == kind]


def flip(stage: Stage, times: int) -> None:
    for turn in range(times):
        stage.stranger(500 + turn % 2 * 100)
        stage.turn()


def test_a_watched_setting_that_goes_on_changing_is_told_of_again_when_it_stays() -> None:
    stage = Stage(policy("power_limit_w = 450", 'watch = ["power_limit_w"]')).turn(2)
    flip(stage, 300)
    told = said(stage, "watched_changed")
    assert len(told) == 3
    assert told[2].endswith("it goes on changing, and is told of again when it stays")
    stage.turn(40)
    assert said(stage, "watched_changed")[3:] == [
        "NVIDIA H200 0000:01:00.0: power limit is now 600 W; watched, not written; it stays now"
    ]
    stage.turn(400)
    stage.stranger(450)
    stage.turn()
    assert said(stage, "watched_changed")[4:] == [
        "NVIDIA H200 0000:01:00.0: power limit is now 450 W; watched, not written"
    ]


def test_what_changes_every_ninety_seconds_does_not_stay_in_between() -> None:
    stage = Stage(policy("power_limit_w = 450", 'watch = ["power_limit_w"]')).turn(2)
    for turn in range(40):
        stage.stranger(500 + turn % 2 * 100)
        stage.turn(45)
    assert len(said(stage, "watched_changed")) == 3


def test_a_required_setting_that_is_refused_with_another_number_each_time_is_told_of_once() -> None:
    stage = Stage(policy("power_limit_w = 450", 'required = ["power_limit_w"]')).turn(2)
    for turn in range(100):
        stage.stranger(600)
        stage.gpu.refuses[Setting.POWER_LIMIT] = DriverRefused(f"it reads {598 + turn} W")
        stage.turn()
    assert len(said(stage, "refused")) == 1
    stage.gpu.refuses[Setting.POWER_LIMIT] = DriverRefused("not permitted")
    stage.turn()
    assert len(said(stage, "refused")) == 2


@pytest.mark.parametrize("fault", ["refused", "deaf"])
def test_a_driver_that_takes_every_other_write_of_what_a_rival_changes_is_told_of_a_few_times(fault: str) -> None:
    stage = Stage(policy("power_limit_w = 450", 'required = ["power_limit_w"]')).turn(2)
    began = len(stage.heard.events)
    for _ in range(100):
        stage.stranger(500)
        stage.gpu.deaf = fault == "deaf"
        stage.gpu.refuses = {Setting.POWER_LIMIT: DriverRefused("busy")} if fault == "refused" else {}
        stage.turn()
        stage.gpu.deaf, stage.gpu.refuses = False, {}
        stage.turn()
    assert len(stage.heard.events) - began < 15
    stage.stranger(500)
    stage.gpu.refuses = {Setting.POWER_LIMIT: DriverRefused("not any more")}
    stage.turn()
    assert "not any more" in str(stage.heard.events[-1].cause), "another reason is told"


def test_a_policy_that_does_not_suit_the_boards_now_and_then_is_told_of_now_and_then() -> None:
    stage = Stage(policy("persistence_mode = true", host="gpu_power_budget_w = 600"))
    stage.stranger(500)
    stage.turn(2)
    for turn in range(300):
        stage.stranger(700 if turn % 2 else 450)
        stage.turn()
        assert (stage.exit_code == 1) == bool(turn % 2), "status says what is so, each time"
    assert 1 <= len(said(stage, "policy_unsuited")) <= 2


def test_a_wall_clock_that_jumps_back_has_nothing_dear_read_at_each_look() -> None:
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    stage.stranger(600)
    stage.turn()
    now = stage.clock.now
    stage.clock.now = lambda: now() - 86400.0  # type: ignore[method-assign]
    stage.turn()
    looks = len(stage.gpus.looks)
    stage.turn(20)
    assert sum(look.counters for _, look in stage.gpus.looks[looks:]) == 2


def test_what_the_driver_refused_says_when_it_is_tried_again() -> None:
    stage = Stage(policy("power_limit_w = 450", 'compute_mode = "prohibited"', 'required = ["power_limit_w"]'))
    for setting in (Setting.POWER_LIMIT, Setting.COMPUTE_MODE):
        stage.gpu.refuses[setting] = DriverTrouble("an unknown error")
    stage.turn(2)
    assert stage.row("compute_mode")["message"] == "an unknown error; tried again after 30 s"
    assert stage.row()["message"] == "an unknown error; tried again at every look"
    stage.turn(20)
    assert stage.row("compute_mode")["message"] == "an unknown error; tried again after 60 s"
    assert stage.said().count("refused") == 2


def test_a_contest_is_told_with_its_own_number_and_the_last_value() -> None:
    """Each time it was another value, and there was a change long before this contest."""
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    for watts in (600, 500, 501, 502):
        stage.stranger(watts)
        stage.turn(2 if watts < 600 else 900)
    assert said(stage, "contested") == [
        "NVIDIA H200 0000:01:00.0: power limit is contested: changed 3 times, about every 4.0 s, last to 502 W; "
        "wanted 450 W; from now on written less and less often"
    ]
    row = stage.row()
    assert row["put_back"] == 4
    words = "power wished 450 W, found 450 W: somebody changes it back: 3 times, about every 4 s"
    assert exception(row)[1] == words  # type: ignore[arg-type]


def test_a_lock_that_somebody_keeps_lifting_is_not_said_to_be_set_to_something_unknown() -> None:
    event = Event(
        EventKind.CONTESTED, 0.0, setting=Setting.GPU_CLOCK, detail={"count": 3, "rhythm_s": 9, "then": "so"}
    )
    assert message(event) == "gpu clock is contested: changed 3 times, about every 9 s; wanted unknown; so"


def test_a_machine_that_slept_is_not_said_to_have_been_put_right_by_one_that_observes() -> None:
    event = Event(EventKind.RESUMED, 0.0, detail={"slept_s": 60.0})
    assert message(event) == "The machine slept 60.0 s; every GPU is looked at anew"


def test_xids_are_told_by_their_true_number() -> None:
    """Those of a storm come together, each kind once with how often it came."""
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    for _ in range(10):
        stage.clock.mono += 2
        stage.supervisor.turn([DriverEvent("xid", stage.gpu.uuid, 13, 59)])
    stage.turn(30)
    assert said(stage, "xid") == [
        "NVIDIA H200 0000:01:00.0: Xid 13 (caused by a program)",
        "NVIDIA H200 0000:01:00.0: Xid 13 (caused by a program; 589 more in the last 60 s)",
    ]
