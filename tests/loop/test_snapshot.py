"""The status document is laid out when somebody asks, and says what was so when it was published."""

from __future__ import annotations

import copy

from gpu_tuned.core.model import Telemetry
from gpu_tuned.core.throttle import Reason
from tests.loop.stage import CAP, Stage, policy


def without_plan(document: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in document.items() if key != "plan"}


def test_a_document_laid_out_late_is_that_of_its_own_turn() -> None:
    stage = Stage(CAP).turn(3)
    stage.gpu.telemetry = Telemetry(power_mw=440_000, reasons=Reason.SW_POWER_CAP.bit)
    stage.turn(2)
    lay_out = stage.mailbox.lay_out
    then = copy.deepcopy(without_plan(lay_out()))

    stage.gpu.telemetry = Telemetry(power_mw=90_000, reasons=0)
    stage.stranger(600)
    stage.turn(40)
    stage.load(policy("power_limit_w = 300", host="gpus = 2"))
    stage.gpus.detach()

    assert without_plan(lay_out()) == then
    assert without_plan(stage.mailbox.document) != then


def test_the_service_managers_line_follows_what_it_tells_of() -> None:
    stage = Stage(CAP).turn(2)
    assert stage.service.line == "2 of 2 settings in order on 1 GPU"
    stage.load(policy("power_limit_w = 450", host="gpus = 2"))
    assert stage.service.line == (
        "1 of the 2 GPUs are here that [host] gpus asks for; 1 of 1 settings in order on 1 GPU"
    )
