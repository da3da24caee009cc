"""Whether a value of ours may be in force decides what an original is to the next run of the daemon."""

from __future__ import annotations

from gpu_tuned.core.errors import DriverRefused
from gpu_tuned.core.model import Setting
from tests.loop.stage import Stage, policy

POWER = Setting.POWER_LIMIT


def test_a_later_write_that_is_refused_does_not_undo_an_earlier_one() -> None:
    """500 W are ours and in force; the goal changes, and its write is refused: the original stays known."""
    stage = Stage(policy("power_limit_w = 500")).turn(2)
    stage.gpu.refuses[POWER] = DriverRefused("not permitted")
    stage.load(policy("power_limit_w = 420"))
    assert (stage.limit_w(), stage.row()["state"], stage.row()["written"]) == (500, "refused", True)
    stage.start()
    stage.turn(2)
    assert (stage.row()["original"], stage.row()["written"]) == (700, True)
    stage.gpu.refuses.clear()
    stage.ask("restore")
    assert stage.limit_w() == 700


def test_a_restore_that_fails_leaves_something_to_restore_to_the_next_run() -> None:
    stage = Stage(policy("power_limit_w = 500")).turn(2)
    stage.gpu.refuses[POWER] = DriverRefused("not permitted")
    stage.ask("restore")
    stage.ask("apply")
    stage.load(policy("power_limit_w = 420"))
    assert (stage.limit_w(), stage.row()["state"]) == (500, "refused")
    stage.start()
    stage.gpu.refuses.clear()
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (420, 700)


def test_after_a_restore_nothing_of_ours_is_in_force_until_a_write_is_taken() -> None:
    stage = Stage(policy("power_limit_w = 500")).turn(2)
    stage.ask("restore")
    stage.gpu.refuses[POWER] = DriverRefused("not permitted")
    stage.ask("apply")
    stage.stranger(560)
    stage.gpu.refuses.clear()
    stage.start()
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (500, 560), "whoever set 560 W is somebody who may"


def test_a_driver_that_hands_out_nonsense_costs_no_original() -> None:
    """Every field is 0 for a while: the limit is none then, and all counters seem to have started again."""
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    counters_ns = stage.gpu.counters_ns
    stage.gpu.unreadable[POWER] = "0 W, which is no limit"
    stage.gpu.counters_ns = dict.fromkeys(counters_ns, 0)
    stage.turn(12)
    assert stage.row()["original"] == 700
    stage.stranger(410)
    stage.gpu.unreadable.clear()
    stage.gpu.counters_ns = {counter: ns + 1_000_000 for counter, ns in counters_ns.items()}
    stage.start()
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (450, 700)
    assert "reinitialised" not in stage.said()
