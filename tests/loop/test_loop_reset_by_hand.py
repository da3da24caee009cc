"""Somebody resets what is ours, with persistence mode off: is it they, or a new driver initialisation?"""

from __future__ import annotations

from gpu_tuned.core.model import Setting
from tests.loop.stage import Stage, policy

OFF = policy("power_limit_w = 450")


def begun_at(watts: int) -> Stage:
    stage = Stage(OFF)
    stage.stranger(watts)
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (450, watts)
    return stage


def test_while_the_daemon_runs_it_is_they() -> None:
    """The daemon is a client itself, so the last one has not left."""
    stage = begun_at(620)
    for _ in range(12):  # the counters are read at some of these looks
        stage.stranger(700)
        stage.turn()
        assert stage.row()["original"] == 620
    assert "reinitialised" not in stage.said()


def test_at_a_start_it_may_have_been_the_last_client_that_left() -> None:
    stage = begun_at(620)
    stage.gpu.reinitialise()
    assert stage.gpu.values[Setting.PERSISTENCE_MODE] is False
    stage.start()
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (450, 700)
    assert "reinitialised" in stage.said()


def test_a_first_reading_that_came_late_outlives_it() -> None:
    stage = Stage(policy("power_limit_w = 700", 'compute_mode = "exclusive_process"'))
    stage.gpu.unreadable[Setting.POWER_LIMIT] = "timed out"
    stage.turn(2)
    stage.stranger(469)
    stage.gpu.unreadable.clear()
    stage.turn()
    assert (stage.limit_w(), stage.row()["original"]) == (700, 469)
    stage.gpu.reinitialise()
    stage.turn(11)
    assert (stage.row("compute_mode")["state"], stage.row()["original"]) == ("held", 469)
