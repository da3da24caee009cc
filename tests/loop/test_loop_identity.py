"""Which GPU is which: by its address, by the kernel's word, by its UUID; and which one an address means."""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core.events import message
from gpu_tuned.core.gpu_state import Presence
from gpu_tuned.core.model import Setting
from gpu_tuned.core.which import Names, meant
from tests.loop.stage import CAP, Stage, board, policy

POWER = Setting.POWER_LIMIT


def test_a_gpu_whose_address_the_driver_did_not_say_is_known_by_the_kernels() -> None:
    stage = Stage(CAP, board(0), board(1))
    address, gpu = stage.gpu.board.gpu.pci, stage.gpu.board.gpu
    stage.kernel.identity = lambda pci: gpu if pci == address else None  # type: ignore[method-assign]
    stage.gpu.board = replace(stage.gpu.board, gpu=replace(gpu, pci="-"))
    stage.turn()
    assert [stage.gpu_row(i)["state"] for i in range(2)] == ["ok", "ok"]
    assert (stage.gpu_row()["pci"], stage.limit_w(), stage.exit_code) == (address, 450, 0)


def test_an_absent_board_is_nobody_until_the_kernel_names_it() -> None:
    stage = Stage(CAP, board(0), board(1))
    stage.kernel.knows_names = False
    list(stage.gpus.gpus.values())[1].undescribed = "not ready"
    stage.turn()
    state = stage.supervisor.inventory.states[board(1).gpu.pci]
    assert (state.presence, state.gpu.uuid, state.gpu.pci) == (Presence.ABSENT, "", board(1).gpu.pci)
    assert stage.wait_code == 1


def test_two_gpus_at_one_address_are_told_apart_by_the_kernel() -> None:
    """The driver gives both the same; the one that is not there would be the wrong one to watch and to name."""
    twin = replace(board(1), gpu=replace(board(1).gpu, pci=board(0).gpu.pci))
    stage = Stage(CAP, board(0), board(1))
    stage.gpus.gpus[twin.gpu.uuid].board = twin
    known = {gpu.pci: gpu for gpu in (board(0).gpu, board(1).gpu)}
    stage.kernel.identity = lambda pci: known.get(pci)  # type: ignore[method-assign]
    stage.start()
    stage.turn(2)
    assert [row["pci"] for row in stage.mailbox.document["gpus"]] == ["0000:01:00.0", "0000:02:00.0"]
    assert stage.exit_code == 0


def test_a_gpu_without_an_address_is_named_by_its_uuid() -> None:
    """As on a Jetson: "- power limit refused" tells nobody which."""
    nowhere = replace(board(0), gpu=replace(board(0).gpu, pci="-"))
    stage = Stage(policy("power_limit_w = 9000"), nowhere)
    stage.kernel.bindings.clear()
    answer = stage.ask("apply")
    assert answer.parameters["message"] == "applied; not in order: GPU-00000000 power limit refused"
    assert "NVIDIA H200 GPU-00000000: power limit" in "\n".join(map(message, stage.heard.events))
    assert stage.load(CAP).parameters["in_order"]
    assert stage.ask("restore").parameters["message"].startswith("restored: GPU-00000000 power limit 700 W")


def test_a_gpu_under_no_address_is_not_missed_at_its_own() -> None:
    odd = board(0)
    stage = Stage(CAP, replace(odd, gpu=replace(odd.gpu, pci="-")))
    stage.kernel.bindings = {odd.gpu.pci: "bound"}
    stage.kernel.identity = lambda pci: replace(odd.gpu, pci=pci)  # type: ignore[method-assign]
    stage.turn(3)
    assert [row["state"] for row in stage.mailbox.document["gpus"]] == ["ok"]
    assert (stage.exit_code, stage.limit_w()) == (0, 450)


def test_one_that_the_driver_does_not_list_any_more_has_no_index() -> None:
    """GPU 0 is taken out: what was GPU 1 is GPU 0 then, and nobody else."""
    stage = Stage(CAP, board(0), board(1)).turn(2)
    first, second = list(stage.gpus.gpus.values())
    stage.kernel.unbind(first.board.gpu.pci)
    second.board = replace(second.board, index=0)
    stage.kernel.bindings[second.board.gpu.pci] = "anew"
    stage.turn(2)
    assert [(row["uuid"], row["index"]) for row in stage.mailbox.document["gpus"]] == [
        (second.uuid, 0),
        (first.uuid, -1),
    ]
    assert "restored" in str(stage.ask("restore", gpu="0").parameters)
    assert (stage.limit_w(1), stage.limit_w(0)) == (700, 450)


def test_an_address_means_the_gpu_that_is_there_now() -> None:
    there, before = Names(1, "GPU-b", "0000:01:00.0"), Names(-1, "GPU-a", "0000:01:00.0")
    for word in ("01:00.0", "0000:01:00.0"):
        assert meant([before, there], word) == [1]
    assert meant([before, there], "-1") == []
    assert meant([before, there], "gpu-a") == [0]


def test_what_was_seen_unbound_begins_anew_also_where_its_binding_was_never_seen() -> None:
    """An original of before, of a limit that cannot be read now, would be another initialisation's."""
    stage = Stage(policy("power_limit_w = 450"))
    pci, token = stage.gpu.board.gpu.pci, stage.kernel.bindings.pop(board().gpu.pci)
    stage.turn(2)
    assert stage.row()["original"] == 700
    stage.kernel.unbind(pci, "vfio-pci")
    stage.start()
    assert stage.turn(2).gpu_row()["state"] == "waiting"
    stage.gpu.unreadable[POWER] = "timed out"
    stage.kernel.bind(pci, f"not {token}")
    row = stage.turn(20).row()
    assert (row["state"], row["original"]) == ("waiting", None)
