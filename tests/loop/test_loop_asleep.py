"""A GPU that slept when the driver was attached is known by its binding all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_tuned.core import transitions
from gpu_tuned.core.model import ComputeMode, Setting
from gpu_tuned.ctl import verify
from gpu_tuned.ctl.render.text import Colour
from tests.loop.stage import CAP, Stage, board, policy


def asleep_from_the_start() -> Stage:
    stage = Stage(policy("power_limit_w = 450"))
    stage.kernel.sleeping.add("0000:01:00.0")
    stage.kernel.boot = "another"  # so that nothing is known of it
    stage.start()
    stage.turn(2)
    assert stage.gpu_row()["state"] == "asleep"
    return stage


def test_one_that_is_unbound_while_it_sleeps_is_unbound() -> None:
    stage = asleep_from_the_start()
    stage.kernel.unbind("0000:01:00.0", "vfio-pci")
    stage.turn(2)
    assert (stage.gpu_row()["state"], "vfio-pci" in stage.gpu_row()["message"]) == ("waiting", True)


def test_one_that_is_bound_anew_while_it_sleeps_begins_a_new_initialisation() -> None:
    stage = asleep_from_the_start()
    attaches = stage.gpus.attaches
    stage.stranger(390)
    stage.kernel.bindings["0000:01:00.0"] = "anew"
    stage.gpu.reinitialise()
    stage.turn(5)
    assert stage.gpus.attaches == attaches + 1, "NVML holds the binding of before until its next init"
    stage.kernel.sleeping.clear()
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (450, 700)
    assert "reinitialised" not in stage.said(), "it is met for the first time"


def test_apply_says_of_a_sleeping_gpu_that_nothing_was_applied_to_it() -> None:
    stage = Stage(CAP, board(0), board(1))
    stage.kernel.sleeping.add(board(1).gpu.pci)
    answer = stage.ask("apply")
    assert answer.parameters["message"] == "applied; not to 0000:02:00.0 (asleep)"
    assert answer.parameters["in_order"] and stage.limit_w(1) == 700
    stage.kernel.sleeping.clear()
    assert stage.ask("apply").parameters["message"] == "applied"


LOCK = policy("gpu_clock_mhz = { max = 1500 }", 'required = ["gpu_clock_mhz"]')


def requested(stage: Stage) -> int:
    return sum(setting is Setting.GPU_CLOCK for setting, _ in stage.gpu.writes)


def test_a_lock_does_not_outlive_a_release_because_the_gpu_slept_when_the_driver_was_taken_back() -> None:
    stage = Stage(LOCK).turn(2)
    stage.ask("release")
    stage.kernel.sleeping.add("0000:01:00.0")
    stage.ask("resume")
    assert stage.turn(2).gpu_row()["state"] == "asleep"
    stage.kernel.sleeping.clear()
    stage.turn(2)
    assert (stage.row("gpu_clock_mhz")["state"], requested(stage)) == ("requested", 2)


def test_a_lock_does_not_outlive_the_machines_sleep_because_the_gpu_slept_as_well() -> None:
    stage = Stage(LOCK).turn(2)
    stage.kernel.sleeping.add("0000:01:00.0")
    stage.turn(2)
    for state in list(stage.supervisor.inventory.states.values()):
        stage.supervisor.inventory.take(transitions.slept(state, stage.supervisor.inventory.moment()))
    stage.turn(1)
    stage.kernel.sleeping.clear()
    stage.turn(2)
    assert (stage.row("gpu_clock_mhz")["state"], requested(stage)) == ("requested", 2)


def test_a_lock_outlives_the_gpus_own_sleep() -> None:
    stage = Stage(LOCK).turn(2)
    stage.kernel.sleeping.add("0000:01:00.0")
    stage.turn(2)
    stage.kernel.sleeping.clear()
    stage.turn(2)
    assert (stage.row("gpu_clock_mhz")["state"], requested(stage)) == ("requested", 1)


def test_what_was_read_before_it_fell_asleep_is_not_what_it_wakes_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """It falls asleep between the first look of an attach and the look of the same turn."""
    stage = Stage(policy("power_limit_w = 450", 'watch = ["power_limit_w"]'))
    stage.stranger(450)
    answers = iter([False])
    monkeypatch.setattr(stage.kernel, "asleep", lambda pci: next(answers, True))
    assert stage.turn(1).gpu_row()["state"] == "asleep"
    stage.stranger(700)
    monkeypatch.setattr(stage.kernel, "asleep", lambda pci: False)
    row = stage.turn(1, seconds=3600).row()
    assert (row["observed"], row["fits"]) == (700, False)


def test_verify_counts_no_setting_of_a_gpu_that_sleeps() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(2)
    stage.kernel.sleeping.add(board(1).gpu.pci)
    document = stage.turn(2).mailbox.document
    lines = verify.page(document, verify.compare(document), Colour(on=False))
    assert lines == ["in order: 1 GPU, 2 settings", "  H200 02:00.0 asleep: not woken up to be looked at"]


def test_mig_that_was_switched_while_it_slept_is_known_at_its_first_look() -> None:
    stage = Stage(policy('compute_mode = "exclusive_process"'))
    stage.gpu.values[Setting.COMPUTE_MODE] = ComputeMode.EXCLUSIVE_PROCESS
    stage.kernel.sleeping.add("0000:01:00.0")
    stage.turn(2)
    stage.gpu.board = replace(stage.gpu.board, mig=True, absent={Setting.COMPUTE_MODE: "MIG is on"})
    stage.kernel.sleeping.clear()
    row = stage.turn(1).row("compute_mode")
    assert (row["state"], row["message"]) == ("refused", "MIG is on")
