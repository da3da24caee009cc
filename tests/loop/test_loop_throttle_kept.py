"""What slowed a GPU down outlives a restart of the daemon, and nothing is added to it that it was not."""

from __future__ import annotations

import pytest

from gpu_tuned.core.model import Telemetry
from tests.loop.stage import Stage, policy

SW_POWER_CAP, SW_THERMAL = 74, 269
TURN_S, SECOND = 2.0, 10**9


def capped() -> Stage:
    """Twenty seconds under a cap of ours, counted."""
    stage = Stage(policy("persistence_mode = true", "power_limit_w = 450"))
    stage.turn()
    stage.gpu.telemetry = Telemetry(power_mw=450_000, pstate=0, utilization_percent=100, reasons=4)
    work(stage, 10)
    return stage


def work(stage: Stage, turns: int) -> None:
    for _ in range(turns):
        stage.gpu.counters_ns[SW_POWER_CAP] += int(TURN_S * SECOND)
        stage.turn(seconds=TURN_S)


def seconds(stage: Stage) -> dict[str | None, float]:
    """What the cap cost, by whose it was."""
    rows = stage.gpu_row()["throttle"]["reasons"]
    return {row["limiter"]: row["start_s"] for row in rows if row["reason"] == "sw_power_cap"}


def away_for(stage: Stage, seconds: float) -> None:
    """The daemon is stopped for a while, in which the GPU is capped all the time."""
    stage.supervisor.reconciler.save()
    stage.clock.mono += seconds
    stage.gpu.counters_ns[SW_POWER_CAP] += int(seconds * SECOND)


def test_what_passed_while_the_daemon_was_down_is_counted() -> None:
    stage = capped()
    before_s = seconds(stage)["own"]
    away_for(stage, 60)
    stage.start()
    work(stage, 10)
    assert seconds(stage)["own"] == pytest.approx(before_s + 60 + 20, abs=6)


def test_what_passed_while_the_daemon_was_down_is_nobodys_where_another_limit_is_found_after_it() -> None:
    """Somebody raised the limit meanwhile: whose cap it was when is not known, and ours it may not have been."""
    stage = capped()
    before_s = seconds(stage)["own"]
    away_for(stage, 60)
    stage.stranger(700)
    stage.start()
    stage.turn()
    assert stage.limit_w() == 450, "put back"
    assert seconds(stage)["own"] == pytest.approx(before_s, abs=3)
    assert sum(seconds(stage).values()) == pytest.approx(before_s, abs=3)
    work(stage, 10)
    assert seconds(stage)["own"] == pytest.approx(before_s + 20, abs=3)


def test_what_a_counter_that_began_anew_has_reached_is_not_of_the_cap_before() -> None:
    """The driver was reloaded while the daemon was down, and the counter is beyond where it was: how far it grew
    since then is not known, and the cap may be another's."""
    stage = capped()
    before_s = seconds(stage)["own"]
    stage.supervisor.reconciler.save()
    stage.gpu.reinitialise()
    stage.kernel.bind("0000:01:00.0", "bound-anew")
    stage.clock.mono += 300
    stage.gpu.counters_ns = {SW_POWER_CAP: 300 * SECOND, SW_THERMAL: 300 * SECOND, 270: 0}
    stage.start()
    stage.turn()
    assert seconds(stage)["own"] == pytest.approx(before_s, abs=3)
    assert [row["start_s"] for row in stage.gpu_row()["throttle"]["reasons"] if row["reason"] == "sw_thermal"] == [0]


def test_the_seconds_of_a_gpu_that_is_away_outlive_a_second_restart() -> None:
    stage = capped()
    before_s = seconds(stage)["own"]
    stage.kernel.sleeping.add("0000:01:00.0")
    for _ in range(2):
        stage.supervisor.reconciler.save()
        stage.start()
        stage.turn(3)
    stage.kernel.sleeping.clear()
    stage.turn()
    assert seconds(stage)["own"] == pytest.approx(before_s, abs=3)
