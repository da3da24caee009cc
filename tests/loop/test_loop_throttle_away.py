"""A GPU that cannot be looked at is slowed down by nothing that anybody knows of."""

from __future__ import annotations

import pytest

from gpu_tuned.core.errors import DriverAbsent
from gpu_tuned.core.model import Telemetry
from gpu_tuned.ctl import throttle, verdict
from gpu_tuned.ctl.render.text import Colour
from tests.loop.stage import Stage, policy


def hot() -> Stage:
    stage = Stage(policy("power_limit_w = 450"))
    stage.gpu.telemetry = Telemetry(power_mw=450_000, pstate=0, utilization_percent=100, reasons=0x44)
    stage.turn(4)
    assert stage.gpu_row()["throttle"]["fault"]["reason"] == "hw_thermal"
    return stage


def active(stage: Stage) -> list[str]:
    return [row["reason"] for row in stage.gpu_row()["throttle"]["reasons"] if row["active"]]


@pytest.mark.parametrize("how", ["lost", "asleep", "released", "unloaded"])
def test_what_was_hot_and_went_away_is_not_called_hot(how: str) -> None:
    stage = hot()
    assert set(active(stage)) == {"hw_thermal", "sw_power_cap"}
    if how == "lost":
        stage.gpu.lost = True
    elif how == "asleep":
        stage.kernel.sleeping.add("0000:01:00.0")
    elif how == "unloaded":
        stage.kernel.loaded, stage.kernel.bindings = None, {}
        stage.gpus.absent = DriverAbsent("the NVIDIA driver is not loaded")
    else:
        stage.ask("release")
    stage.turn(2)
    assert (stage.gpu_row()["throttle"]["fault"], active(stage)) == (None, [])
    assert "HOT" not in verdict.verdict(stage.mailbox.document)[0]
    assert stage.gpu_row()["throttle"]["reasons"], "what was seen stays counted"


def test_throttle_says_that_a_gpu_is_away() -> None:
    stage = hot()
    stage.gpu.lost = True
    stage.turn()
    gpu = {key: stage.gpu_row()[key] for key in ("index", "uuid", "pci", "name", "state", "message", "throttle")}
    reply = {"format": 1, "driver": stage.mailbox.document["driver"], "gpus": [gpu], "not_answering_since": None}
    page = "\n".join(throttle.page(reply, Colour(on=False), 0.0))  # type: ignore[arg-type]
    assert "lost: the GPU is lost; this was seen before" in page
