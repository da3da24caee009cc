"""When the driver is asked again, and attached anew: soon enough for whoever came, and rarely for whoever did not."""

from __future__ import annotations

import pytest

from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverMismatch, DriverTrouble
from gpu_tuned.core.model import PowerLimit, Setting
from tests.loop.stage import CAP, Stage, board, policy

POWER = Setting.POWER_LIMIT


@pytest.mark.parametrize("knows_names", [True, False])
def test_a_passing_failure_while_attaching_is_over_when_it_is_over(knows_names: bool) -> None:
    stage = Stage(CAP, board(0), board(1))
    stage.kernel.knows_names = knows_names
    for gpu in stage.gpus.gpus.values():
        gpu.undescribed = "the driver is not ready"
    stage.turn()
    assert len(stage.mailbox.document["gpus"]) == 2
    assert (stage.exit_code, stage.wait_code) == (5, 1)
    assert "the driver is not ready" in stage.gpu_row(0)["message"]
    attaches = stage.gpus.attaches
    for gpu in stage.gpus.gpus.values():
        gpu.undescribed = None
    stage.turn(5)
    assert (stage.exit_code, stage.wait_code) == (0, 0)
    assert len(stage.mailbox.document["gpus"]) == 2
    assert stage.gpus.attaches == attaches, "nobody is attached anew for it"


def test_a_gpu_that_cannot_be_described_is_asked_for_for_ever_and_the_others_stay_attached() -> None:
    stage = Stage(policy("power_limit_w = 450"), board(0), board(1))
    list(stage.gpus.gpus.values())[1].undescribed = "the operating system blocks the access"
    stage.turn(200)
    assert stage.gpus.attaches == 1, "persistence mode is off: a shutdown could cost the other one its limit"
    list(stage.gpus.gpus.values())[1].undescribed = None
    stage.turn(16)
    assert stage.exit_code == 0


def test_apply_attaches_again_for_a_lost_gpu_without_waiting_for_the_pause() -> None:
    stage = Stage(policy("persistence_mode = true", "power_limit_w = 450"), board(0), board(1)).turn(2)
    lost = stage.gpu
    stage.kernel.on_bus = lambda pci: True  # type: ignore[method-assign]
    lost.lost = True
    stage.turn(4)
    attaches = stage.gpus.attaches
    stage.gpus.on_attach = lambda: setattr(lost, "lost", False)
    stage.turn(2)
    assert stage.gpus.attaches == attaches, "by itself it waits"
    stage.ask("apply")
    stage.turn()
    assert (stage.gpus.attaches, stage.exit_code, stage.limit_w()) == (attaches + 1, 0, 450)


def test_a_driver_that_goes_away_at_every_look_is_attached_less_and_less_often() -> None:
    stage = Stage(CAP).turn(2)

    def gone(uuid: str, look: object) -> None:
        raise DriverAbsent("the NVIDIA driver is not loaded")

    stage.gpus.see = gone  # type: ignore[assignment, method-assign]
    stage.turn(300)
    assert stage.gpus.attaches < 80
    assert len(stage.heard.events) < 90


def test_a_gpu_that_answers_and_is_lost_again_is_asked_less_and_less_often() -> None:
    stage = Stage(CAP).turn(2)
    for _ in range(150):
        stage.gpu.lost = True
        stage.turn()
        stage.gpu.lost = False
        stage.turn()
    assert len([kind for kind in stage.said() if kind == "gpu_waiting"]) < 50


@pytest.mark.parametrize(
    "error", [DriverAbsent("not loaded"), DriverMismatch("of two versions"), DriverTrouble("not ready")]
)
def test_apply_asks_a_driver_again_that_did_not_answer(error: DriverError) -> None:
    """Also in the middle of a pause, and says nothing of before."""
    stage = Stage(CAP).turn(2)
    stage.gpus.absent = error
    stage.ask("release")
    stage.ask("resume")
    stage.turn(20)
    assert stage.mailbox.document["driver"]["state"] != "ok"
    stage.gpus.absent = None
    answer = stage.ask("apply")
    assert (answer.error, answer.parameters["message"]) == (None, "applied")
    assert stage.exit_code == 0


def test_a_gpu_that_is_bound_anew_and_cannot_be_used_costs_the_others_one_attach() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(3)
    broken = list(stage.gpus.gpus.values())[1]
    pci, attaches = broken.board.gpu.pci, stage.gpus.attaches
    stage.kernel.unbind(pci)
    stage.turn(2)
    broken.undescribed = "it needs a reset"
    stage.kernel.bind(pci, "bound anew")
    stage.turn(14)
    assert stage.gpu_row(1)["state"] == "absent" and "it needs a reset" in stage.gpu_row(1)["message"]
    assert stage.gpus.attaches - attaches <= 2
    assert stage.said().count("gpu_back") <= 2, "the other GPU comes back no more often than it was let go of"
    broken.undescribed = None
    stage.turn(40)
    assert (stage.exit_code, stage.limit_w(1)) == (0, 450)


def test_a_gpu_that_is_bound_anew_and_does_not_answer_costs_the_others_one_attach() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(3)
    broken = list(stage.gpus.gpus.values())[1]
    attaches, broken.mute = stage.gpus.attaches, True
    broken.values[POWER] = PowerLimit(500_000)
    stage.kernel.bindings[broken.board.gpu.pci] = "bound anew"
    stage.turn(14)
    assert stage.gpu_row(1)["state"] == "lost"
    assert stage.gpus.attaches - attaches <= 2
    broken.mute = False
    stage.turn(40)
    assert (stage.exit_code, stage.limit_w(1), stage.row(gpu=1)["original"]) == (0, 450, 500)


def test_a_driver_that_counts_no_gpu_for_a_moment_is_asked_again_also_where_the_kernel_shows_none() -> None:
    stage = Stage(CAP)
    stage.kernel.loaded, stage.kernel.bindings = None, {}
    stage.gpu.bound = False
    stage.turn(20)
    assert (stage.mailbox.document["gpus"], stage.exit_code, stage.wait_code) == ([], 1, 1)
    assert 3 <= stage.gpus.attaches <= 8, "asked anew, less and less often"
    stage.gpu.bound = True
    stage.turn(15)
    assert (stage.exit_code, stage.limit_w()) == (0, 450)


def test_where_no_gpu_can_be_used_the_driver_is_attached_again_within_half_a_minute() -> None:
    stage = Stage(CAP, board(0), board(1))
    for gpu in stage.gpus.gpus.values():
        gpu.undescribed = "not ready"
    stage.turn(300)
    attaches = stage.gpus.attaches
    stage.turn(15)
    assert stage.gpus.attaches > attaches


def test_fewer_gpus_than_there_must_be_are_asked_for_also_where_the_kernel_shows_none() -> None:
    stage = Stage(policy("power_limit_w = 450", host="gpus = 2"), board(0), board(1))
    stage.kernel.loaded, stage.kernel.bindings = None, {}
    second = list(stage.gpus.gpus.values())[1]
    second.bound = False
    assert stage.turn(10).exit_code == 5
    second.bound = True
    stage.turn(15)
    assert (stage.exit_code, stage.limit_w(1)) == (0, 450)


def test_a_host_whose_only_gpu_was_given_away_is_left_in_peace() -> None:
    stage = Stage(CAP).turn(2)
    stage.kernel.unbind(stage.gpu.board.gpu.pci, "vfio-pci")
    stage.turn(2)
    attaches = stage.gpus.attaches
    stage.turn(100)
    assert stage.gpus.attaches == attaches
