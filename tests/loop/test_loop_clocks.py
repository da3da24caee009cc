"""What the clocks and counters say, through the whole loop: locks lifted, lowered, never obeyed; faults; restarts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from gpu_tuned.core import transitions
from gpu_tuned.core.model import ClockLock, Setting, Telemetry
from gpu_tuned.ctl.render.fleet import state_of
from gpu_tuned.ctl.render.rows import state_words
from tests.loop.stage import CAP, Stage, policy

LOCK = policy("persistence_mode = true", "gpu_clock_mhz = { max = 1500 }")
S = 1_000_000_000


def working(mhz: int, percent: int = 100, **other: Any) -> Telemetry:
    fields = {"power_mw": 400_000, "enforced_limit_mw": 700_000, "pstate": 0, "reasons": 0, **other}
    return Telemetry(gpu_clock_mhz=mhz, memory_clock_mhz=3201, utilization_percent=percent, **fields)


def lock_writes(stage: Stage) -> int:
    return sum(setting is Setting.GPU_CLOCK for setting, _ in stage.gpu.writes)


def told(stage: Stage, kind: str) -> int:
    return sum(event.kind.word == kind for event in stage.heard.events)


def test_a_range_is_its_rungs_and_the_row_says_so() -> None:
    stage = Stage(policy("gpu_clock_mhz = { max = 1510 }")).turn(2)
    assert stage.gpu.values[Setting.GPU_CLOCK] == ClockLock(210, 1500)
    assert "1500" in stage.row("gpu_clock_mhz")["message"]
    assert stage.row("gpu_clock_mhz")["wished"] == {"min": 0, "max": 1510}


@pytest.mark.parametrize("percent", [20, 49, 100])
def test_a_lock_that_somebody_lifts_is_back_within_five_looks(percent: int) -> None:
    stage = Stage(LOCK).turn(2)
    stage.gpu.telemetry = working(1500, percent)
    stage.turn(5)
    assert lock_writes(stage) == 1
    stage.gpu.telemetry = working(1980, percent)
    stage.turn(4)
    assert lock_writes(stage) == 2
    assert told(stage, "lock_lost") == 1


def test_a_lock_that_the_board_never_keeps_to_is_refused_and_nobody_is_accused() -> None:
    stage = Stage(LOCK)
    stage.gpu.telemetry = working(1980)
    stage.turn(10)
    row = stage.row("gpu_clock_mhz")
    assert row["state"] == "refused" and not row["in_order"]
    assert "1980 MHz under load" in row["message"]
    stage.turn(900)
    assert lock_writes(stage) < 12
    assert told(stage, "contested") == told(stage, "lock_lost") == 0
    assert told(stage, "refused") == 1


def test_another_lock_below_ours_is_a_suspicion_said_once_and_ours_is_requested_again() -> None:
    stage = Stage(LOCK).turn(2)
    stage.gpu.telemetry = working(1200)
    stage.turn(8)
    row = stage.row("gpu_clock_mhz")
    assert (row["state"], row["in_order"], lock_writes(stage)) == ("requested", True, 2)
    stage.turn(8)
    assert "flat at 1200 MHz under load" in stage.row("gpu_clock_mhz")["message"]
    written = []
    for _ in range(1200):  # something else holds it down
        before = lock_writes(stage)
        stage.turn()
        written += [stage.clock.mono] * (lock_writes(stage) - before)
    gaps = [later - earlier for earlier, later in pairwise(written)]
    assert gaps == sorted(gaps) and gaps[-1] < 620, gaps
    assert told(stage, "lock_suspect") == told(stage, "requested") == 1


def test_a_lock_that_somebody_put_below_ours_is_gone_once_ours_is_requested_again() -> None:
    stage = Stage(LOCK).turn(2)
    gpu = stage.gpu
    gpu.values[Setting.GPU_CLOCK] = ClockLock(345, 1200)
    for _ in range(12):
        lock = gpu.values[Setting.GPU_CLOCK]
        gpu.telemetry = working(lock.max_mhz if isinstance(lock, ClockLock) else 1980)
        stage.turn()
    assert gpu.values[Setting.GPU_CLOCK] == stage.supervisor.inventory.states[gpu.uuid].tracks[Setting.GPU_CLOCK].goal
    row = stage.row("gpu_clock_mhz")
    assert (row["state"], row["message"], told(stage, "lock_suspect")) == ("requested", None, 1)


def caps(stage: Stage) -> dict[tuple[str, str | None], float]:
    reasons = stage.gpu_row()["throttle"]["reasons"]
    return {(r["kind"], r["limiter"]): r["start_s"] for r in reasons if r["reason"] == "sw_power_cap"}


def test_seconds_under_our_cap_stay_ours_over_a_change_of_policy_and_a_restart() -> None:
    stage = Stage(CAP).turn(2)
    stage.gpu.telemetry = working(1500, power_mw=450_000, enforced_limit_mw=450_000, reasons=0x4)
    for _ in range(20):
        stage.gpu.counters_ns[74] += 2 * S
        stage.turn()
    assert caps(stage)["own", "own"] == pytest.approx(39, abs=2)
    stage.load(policy("power_limit_w = 700"))
    stage.gpu.telemetry = working(1980)
    stage.turn(2)
    stage.start()
    stage.turn(12)
    assert caps(stage)["own", "own"] == pytest.approx(40, abs=2)
    assert caps(stage)["limit", "board"] == pytest.approx(0, abs=1.1)


def test_a_kill_leaves_seconds_with_whoever_limited_then() -> None:
    """A BMC takes over from our cap at one of the looks between two readings of the counters."""
    stage = Stage(CAP).turn(2)
    for limit_mw, turns in ((450_000, 9), (350_000, 8)):
        stage.gpu.telemetry = working(1500, power_mw=limit_mw, enforced_limit_mw=limit_mw, reasons=0x4)
        for _ in range(turns):
            stage.gpu.counters_ns[74] += 2 * S
            stage.turn()
    before = caps(stage)
    assert before["limit", "other"] == pytest.approx(15, abs=2)
    stage.start()
    stage.turn()
    after = caps(stage)
    for whose, seconds in before.items():
        assert after[whose] == pytest.approx(seconds, abs=3), (whose, before, after)


def test_a_fault_that_is_over_is_over_within_two_looks() -> None:
    stage = Stage(CAP).turn(3)
    stage.gpu.telemetry = working(900, reasons=0x48)
    for _ in range(15):
        stage.gpu.counters_ns[270] += 2 * S
        stage.turn()
    assert stage.gpu_row()["throttle"]["fault"]["reason"] == "hw_thermal"
    stage.gpu.telemetry = working(1500)
    stage.turn(2)
    assert stage.gpu_row()["throttle"]["fault"] is None
    assert told(stage, "fault_began") == told(stage, "fault_ended") == 1


def shown_as(row: Any) -> str:
    return state_words(row, 0.0)


def among_many(stage: Stage) -> str:
    gpu: Any = stage.gpu_row()
    return state_of(gpu)[0]


def test_of_a_watched_lock_the_clocks_under_load_say_whether_it_is_in_force() -> None:
    stage = Stage(policy("gpu_clock_mhz = { max = 1500 }", daemon='mode = "observe"'))
    stage.turn(6)
    row = stage.row("gpu_clock_mhz")
    assert (row["state"], row["in_order"], row["message"][:10]) == ("watched", False, "not known:")
    assert (row["fits"], shown_as(row), among_many(stage)) == (None, "unknown", "UNKNOWN")
    assert (stage.exit_code, told(stage, "lock_suspect")) == (1, 0)
    stage.gpu.telemetry = working(1980)
    stage.turn(6)
    row = stage.row("gpu_clock_mhz")
    assert (row["state"], row["in_order"], row["message"][:13]) == ("watched", False, "not in force:")
    assert (row["fits"], shown_as(row), among_many(stage)) == (False, "differs", "DIFFERS")
    assert told(stage, "lock_suspect") == 1
    assert lock_writes(stage) == 0
    stage.gpu.telemetry = working(1500)
    stage.turn(20)
    row = stage.row("gpu_clock_mhz")
    assert (row["in_order"], row["message"], row["confirmed_at"] is None) == (True, None, False)
    assert (row["fits"], shown_as(row)) == (True, "watched")


def test_a_watched_lock_is_not_known_any_more_when_something_beside_it_was_lost() -> None:
    rule = policy("power_limit_w = 450", "gpu_clock_mhz = { max = 1500 }", 'watch = ["gpu_clock_mhz"]')
    stage = Stage(rule)
    stage.gpu.telemetry = working(1980)
    stage.turn(6)
    stage.gpu.telemetry = working(1500)
    stage.turn(20)
    assert stage.row("gpu_clock_mhz")["in_order"] and stage.exit_code == 0
    stage.gpu.telemetry = working(1500, 0)
    stage.stranger(700)
    stage.turn(2)
    row = stage.row("gpu_clock_mhz")
    assert (stage.limit_w(), row["in_order"], row["message"][:10]) == (450, False, "not known:")


WATCHED = policy("power_limit_w = 450", "gpu_clock_mhz = { max = 1500 }", 'watch = ["gpu_clock_mhz"]')


def watched_lock_in_force() -> Stage:
    stage = Stage(WATCHED).turn(2)
    stage.gpu.telemetry = working(1500)
    stage.turn(4)
    assert stage.row("gpu_clock_mhz")["fits"] is True
    return stage


def test_what_the_clocks_showed_before_a_setting_beside_it_was_lost_confirms_no_watched_lock_after_it() -> None:
    stage = watched_lock_in_force()
    stage.stranger(700)
    stage.turn(2)
    assert stage.row("gpu_clock_mhz")["fits"] is None, "one sample may have caught a clock on its way"
    stage.turn(2)
    assert stage.row("gpu_clock_mhz")["fits"] is True


def test_a_watched_lock_is_not_told_as_confirmed_once_the_machine_has_slept() -> None:
    stage = watched_lock_in_force()
    inventory = stage.supervisor.inventory
    for state in list(inventory.states.values()):
        inventory.take(transitions.slept(state, inventory.moment()))
    stage.turn(1)
    row = stage.row("gpu_clock_mhz")
    assert (row["fits"], row["confirmed_at"]) == (None, None)


def test_where_no_lock_was_wished_none_is_told_as_lost() -> None:
    stage = Stage(policy('gpu_clock_mhz = "unlocked"')).turn(2)
    inventory = stage.supervisor.inventory
    for state in list(inventory.states.values()):
        inventory.take(transitions.slept(state, inventory.moment()))
    stage.turn(1)
    assert (lock_writes(stage), told(stage, "lock_lost"), told(stage, "requested")) == (2, 0, 1)
