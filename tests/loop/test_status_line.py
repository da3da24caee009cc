"""The line that `systemctl status` shows names whatever keeps the host from being in order, and `apply` agrees."""

from __future__ import annotations

import pytest

from gpu_tuned.core.errors import DriverPermission
from gpu_tuned.core.model import NumaBalancing
from tests.fakes import FakeStore
from tests.loop.stage import CAP, Stage, board, policy


def test_a_gpu_of_which_not_even_the_name_is_known_is_told() -> None:
    stage = Stage(CAP, board(0), board(1))
    stage.gpus.gpus[board(1).gpu.uuid].undescribed = "lost"
    stage.kernel.knows_names = False
    stage.turn(2)
    assert stage.exit_code == 5
    assert stage.service.line == "1 GPU cannot be looked at; 2 of 2 settings in order on 2 GPUs"


def test_one_that_was_unbound_on_purpose_is_no_trouble() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(2)
    stage.kernel.unbind(board(1).gpu.pci, "vfio-pci")
    stage.turn(2)
    assert (stage.exit_code, stage.wait_code) == (0, 0)
    assert stage.service.line == "2 of 2 settings in order on 1 GPU; 1 GPU asleep or let go of", (
        "its own are not known"
    )


def test_where_all_gpus_sleep_no_setting_is_called_in_order() -> None:
    stage = Stage(CAP, board(0), board(1))
    stage.kernel.sleeping |= {board(0).gpu.pci, board(1).gpu.pci}
    stage.turn(2)
    assert stage.exit_code == 0
    assert stage.service.line == "0 of 0 settings in order on 0 GPUs; 2 GPUs asleep or let go of"


def test_a_setting_of_the_host_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(value: NumaBalancing) -> None:
        raise DriverPermission("read-only")

    stage = Stage(policy("power_limit_w = 450", host='numa_balancing = "off"')).turn(2)
    assert stage.service.line == "1 of 1 settings in order on 1 GPU"
    monkeypatch.setattr(stage.kernel, "set_numa_balancing", refused)
    stage.kernel.knob = NumaBalancing.ON
    stage.turn(2)
    assert stage.exit_code == 1
    assert stage.service.line == "1 of 1 settings in order on 1 GPU; of the host, numa_balancing is refused"


def test_that_no_gpu_has_what_is_required_is_told_and_apply_says_so() -> None:
    stage = Stage(CAP)
    stage.gpus.gpus.clear()
    stage.kernel.bindings.clear()
    stage.this_boot = FakeStore()
    stage.start()
    answer = stage.turn(2).ask("apply")
    why = "no GPU is here, and some setting is required"
    assert (stage.exit_code, stage.wait_code, answer.parameters["in_order"]) == (1, 1, False)
    assert answer.parameters["message"] == f"applied; not in order: {why}"
    assert stage.service.line == f"{why}; 0 of 0 settings in order on 0 GPUs"


def test_no_gpu_is_in_order_where_nothing_is_required() -> None:
    stage = Stage(policy("power_limit_w = 450"))
    stage.gpus.gpus.clear()
    stage.kernel.bindings.clear()
    stage.this_boot = FakeStore()
    stage.start()
    answer = stage.turn(2).ask("apply")
    assert (stage.exit_code, answer.parameters["in_order"]) == (0, True)
