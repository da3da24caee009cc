"""A GPU that slept when the driver was attached is known by its binding all the same."""

from __future__ import annotations

from tests.loop.stage import Stage, policy


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
