"""What comes between a revert and its end: a write that is refused, a reading that cannot be had. Neither is what
somebody is blamed for, and neither ends a contest."""

from __future__ import annotations

from typing import Any

from gpu_tuned.core.errors import DriverRefused
from gpu_tuned.core.model import Setting
from tests.loop.stage import Stage, policy

LIMIT = policy("power_limit_w = 450")
POWER = Setting.POWER_LIMIT


def last(stage: Stage) -> Any:
    return stage.gpu_row()["put_back"]["last"]["cause"]


def contested() -> Stage:
    stage = Stage(LIMIT).turn(2)
    for watts in (500, 501, 502, 503):
        stage.stranger(watts)
        stage.turn(2)
    assert stage.row()["state"] == "contested"
    return stage


def test_a_refusal_in_between_is_not_what_changed_it() -> None:
    stage = Stage(LIMIT).turn(2)
    stage.gpu.refuses[POWER] = DriverRefused("the driver refuses this value")
    stage.stranger(500)
    assert stage.turn(2).row()["state"] == "refused"
    stage.gpu.refuses.clear()
    stage.turn(30)
    assert (stage.row()["state"], last(stage)) == ("held", "somebody's value")


def test_a_reading_that_failed_in_between_is_not_what_changed_it() -> None:
    stage = Stage(LIMIT).turn(2)
    stage.gpu.refuses[POWER] = DriverRefused("the driver refuses this value")
    stage.stranger(500)
    stage.turn(1)
    stage.gpu.unreadable[POWER] = "timeout"
    stage.turn(1)
    assert stage.row()["message"] == "cannot be read: timeout"
    stage.gpu.unreadable.clear()
    stage.turn(1)
    assert (stage.row()["state"], stage.row()["message"]) == ("drifted", "somebody's value"), "it is read again"
    stage.gpu.refuses.clear()
    stage.turn(30)
    assert (stage.row()["state"], last(stage)) == ("held", "somebody's value")


def test_a_first_write_that_failed_is_why_it_waits_once_it_can_be_read_again() -> None:
    stage = Stage(policy("persistence_mode = true"))
    stage.gpu.refuses[Setting.PERSISTENCE_MODE] = DriverRefused("the driver refuses this value")
    stage.turn(1)
    stage.gpu.unreadable[Setting.PERSISTENCE_MODE] = "timeout"
    stage.turn(1)
    stage.gpu.unreadable.clear()
    stage.turn(1)
    row = stage.row("persistence_mode")
    assert (row["state"], row["message"]) == ("waiting", "the last write failed; tried again after a pause")


def test_a_contest_does_not_end_with_a_reading_that_failed() -> None:
    stage = contested()
    stage.gpu.unreadable[POWER] = "timeout"
    assert stage.turn(1).row()["state"] == "waiting"
    stage.gpu.unreadable.clear()
    stage.stranger(450)
    stage.turn(1)
    assert (stage.row()["state"], stage.exit_code) == ("contested", 1), "as wished now, and not for long"
    assert stage.row()["message"] == "somebody changes it back: 4 times, about every 4 s"
    stage.turn(60)
    assert (stage.row()["state"], stage.said().count("contested")) == ("held", 1)


def test_a_contest_does_not_end_with_a_write_that_was_refused() -> None:
    stage = contested()
    stage.turn(10)
    stage.gpu.refuses[POWER] = DriverRefused("the driver refuses this value")
    stage.stranger(505)
    stage.turn(10)
    assert stage.row()["state"] == "refused"
    stage.gpu.refuses.clear()
    while stage.limit_w() != 450:
        stage.turn(1)
    assert (stage.row()["state"], stage.exit_code) == ("contested", 1), "as wished now, and not for long"
