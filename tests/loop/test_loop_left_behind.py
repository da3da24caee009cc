"""What was ours and whose rule is gone: told for as long as it stays, also by the next run, and no longer."""

from __future__ import annotations

import pytest

from gpu_tuned.core import drift, transitions
from gpu_tuned.core.model import NumaBalancing, Setting, Telemetry
from gpu_tuned.core.throttle import Reason
from tests.loop.stage import Stage, policy

ALL = policy("power_limit_w = 450", "gpu_clock_mhz = { max = 1500 }")
NONE = policy("persistence_mode = true")


def left_behind() -> Stage:
    stage = Stage(ALL).turn(2)
    stage.load(NONE)
    assert [row["setting"] for row in stage.plan()["left"]] == ["power_limit_w", "gpu_clock_mhz"]
    return stage


def test_a_restart_does_not_forget_it() -> None:
    stage = left_behind()
    stage.start()
    stage.turn(2)
    assert [row["setting"] for row in stage.plan()["left"]] == ["power_limit_w", "gpu_clock_mhz"]
    assert stage.row("gpu_clock_mhz")["state"] == "unmanaged"
    assert "requested, and not taken back" in stage.row("gpu_clock_mhz")["message"]
    assert "the value stays" in stage.row()["message"]


def test_a_value_that_somebody_set_since_is_none_of_ours() -> None:
    stage = left_behind()
    stage.stranger(600)
    stage.turn()
    assert (stage.row()["observed"], stage.row()["message"]) == (600, None)
    assert [row["setting"] for row in stage.plan()["left"]] == ["gpu_clock_mhz"]


def test_a_new_driver_initialisation_leaves_nothing_of_ours() -> None:
    stage = left_behind()
    stage.kernel.bindings["0000:01:00.0"] = "anew"
    stage.gpu.reinitialise()
    stage.turn(2)
    assert "reinitialised" in stage.said()
    assert stage.plan()["left"] == []
    assert (stage.row()["message"], stage.row("gpu_clock_mhz")) == (None, {})


def test_apply_takes_up_nothing_that_no_rule_speaks_of() -> None:
    stage = left_behind()
    stage.ask("restore")
    assert (stage.limit_w(), stage.row()["message"]) == (700, "restored on request")
    assert stage.row("gpu_clock_mhz") == {}
    assert "apply" in stage.row("persistence_mode")["message"]


def test_the_hosts_own_setting_is_looked_at_after_a_restore_too() -> None:
    stage = Stage(policy("persistence_mode = true", host='numa_balancing = "off"')).turn(2)
    stage.load(NONE)
    stage.ask("restore")
    stage.kernel.knob = NumaBalancing.OFF
    stage.turn()
    (row,) = stage.mailbox.document["host"]["settings"]
    assert (row["observed"], row["message"]) == ("off", "restored on request")


def test_memory_tiering_comes_back_as_it_was() -> None:
    stage = Stage(policy("persistence_mode = true"))
    stage.kernel.knob, stage.kernel.boot = NumaBalancing.TIERING, "another"
    stage.start()
    stage.load(policy("persistence_mode = true", host='numa_balancing = "on"'))
    knobs = [stage.kernel.knob]
    stage.load(policy("persistence_mode = true", host='numa_balancing = "off"'))
    knobs.append(stage.kernel.knob)
    stage.ask("restore")
    knobs.append(stage.kernel.knob)
    # The first is on, so nothing was written.
    assert knobs == [NumaBalancing.TIERING, NumaBalancing.OFF, NumaBalancing.TIERING]


def test_an_initialisation_that_began_while_only_watching_has_its_own_originals() -> None:
    """Somebody's 620 W were found and 450 put; watched since, the GPU was reset while it was released."""
    stage = Stage(policy("power_limit_w = 450"))
    stage.stranger(620)
    stage.turn(2)
    stage.load(policy("power_limit_w = 450", daemon='mode = "observe"'))
    stage.ask("release")
    stage.gpu.reinitialise()
    stage.ask("resume")
    assert stage.gpu.values[Setting.PERSISTENCE_MODE] is False
    assert (stage.row()["observed"], stage.row()["original"], stage.row()["written"]) == (700, 700, False)


def test_what_is_watched_without_a_value_is_in_order_whatever_it_is() -> None:
    stage = Stage(policy("persistence_mode = true", 'watch = ["power_limit_w", "gpu_clock_mhz"]')).turn(2)
    for setting in ("power_limit_w", "gpu_clock_mhz"):
        row = stage.row(setting)
        assert (row["state"], row["in_order"], row["wished"], row["message"]) == ("watched", True, None, None)
    assert (stage.exit_code, stage.wait_code) == (0, 0)
    stage.stranger(500)
    assert stage.turn().row()["observed"] == 500
    assert stage.exit_code == 0


@pytest.mark.parametrize("rule", [('watch = ["power_limit_w"]', "power_limit_w = 450"), ("power_limit_w = 150",)])
def test_what_stays_is_told_also_where_its_last_rule_did_not_write_it(rule: tuple[str, ...]) -> None:
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    stage.load(policy(*rule))
    stage.load(policy("persistence_mode = true"))
    assert (stage.row()["state"], stage.row()["message"]) == ("unmanaged", drift.LEFT)
    assert [left["found"] for left in stage.turn(1).plan()["left"]] == [450]
    stage.stranger(500)
    assert stage.turn(1).row()["message"] is None


def test_what_was_left_behind_and_is_written_anew_is_the_new_value() -> None:
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    stage.load(policy('watch = ["power_limit_w"]'))
    stage.load(policy("power_limit_w = 500"))
    stage.load(policy("persistence_mode = true"))
    assert [left["found"] for left in stage.turn(1).plan()["left"]] == [500]


def test_a_lock_that_the_machines_sleep_took_does_not_stay() -> None:
    stage = left_behind()
    inventory = stage.supervisor.inventory
    for state in list(inventory.states.values()):
        inventory.take(transitions.slept(state, inventory.moment()))
    stage.turn(1)
    assert [row["setting"] for row in stage.plan()["left"]] == ["power_limit_w"]
    assert stage.row("gpu_clock_mhz") == {}


@pytest.mark.parametrize("then", [NONE, policy("power_limit_w = 450", daemon='mode = "observe"')])
def test_a_cap_that_was_left_behind_is_nobody_elses(then: str) -> None:
    stage = Stage(policy("power_limit_w = 450"))
    stage.gpu.telemetry = Telemetry(
        power_mw=449_000,
        enforced_limit_mw=450_000,
        utilization_percent=100,
        pstate=0,
        reasons=Reason.SW_POWER_CAP.bit,
    )
    stage.turn(5)
    stage.load(then)
    stage.turn(5)
    assert active_limiters(stage) == ["own"]
    stage.stranger(440)
    stage.turn(2)
    assert active_limiters(stage) == ["other"]


def active_limiters(stage: Stage) -> list[str]:
    return [row["limiter"] for row in stage.gpu_row()["throttle"]["reasons"] if row["active"] and row["limiter"]]
