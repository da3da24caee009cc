"""What a restore puts back, what it leaves to others, and what is known afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_tuned.core.errors import DriverMismatch, DriverRefused
from gpu_tuned.core.events import EventKind, message
from gpu_tuned.core.model import UNLOCKED, ComputeMode, PowerLimit, Setting
from gpu_tuned.ctl.render.rows import notes
from tests.loop.stage import CAP, Stage, board, policy

POWER, LOCK, PERSISTENCE = Setting.POWER_LIMIT, Setting.GPU_CLOCK, Setting.PERSISTENCE_MODE
WISHES = (
    "persistence_mode = true",
    "power_limit_w = 450",
    "gpu_clock_mhz = { max = 1500 }",
    'compute_mode = "exclusive_process"',
)


def finish(stage: Stage) -> list[str]:
    """What a stop that restores would put back; returns what it says of the settings that it left."""
    states = list(stage.supervisor.inventory.states.values())
    return stage.supervisor.restore(states, [s for s in Setting if not s.of_host], host_too=True).left


def test_what_the_policy_watches_is_not_written_by_a_restore_either() -> None:
    stage = Stage(policy(*WISHES)).turn(2)
    stage.load(policy(*WISHES, 'watch = ["power_limit_w", "compute_mode", "gpu_clock_mhz"]'))
    stage.gpu.values[Setting.COMPUTE_MODE] = ComputeMode.PROHIBITED
    stage.turn(2)
    stage.gpu.writes.clear()
    answer = stage.ask("restore")
    assert stage.gpu.writes == []
    assert "may forget the power limit, gpu clock and compute mode that stays" in answer.parameters["message"]
    assert answer.error is None and "the policy watches it" in answer.parameters["message"]
    assert stage.row()["state"] == "watched"
    assert len(finish(stage)) == 4
    assert stage.gpu.values[Setting.COMPUTE_MODE] is ComputeMode.PROHIBITED
    told = [message(event) for event in stage.heard.events if event.kind is EventKind.NOT_RESTORED]
    assert any("power limit left as it is: the policy watches it; not put back" in line for line in told), told


def test_persistence_mode_stays_on_where_somebody_elses_lower_limit_needs_it() -> None:
    stage = Stage(policy(*WISHES)).turn(2)
    stage.stranger(300)
    stage.load(policy("persistence_mode = true", "power_limit_w = { max = 450 }"))
    stage.turn(2)
    answer = stage.ask("restore")
    said = answer.parameters["message"]
    assert "left at 300 W, which somebody else set" in said
    assert "persistence mode left on: without it the GPU may forget the power limit that stays" in said
    assert (stage.gpu.values[PERSISTENCE], stage.limit_w()) == (True, 300)
    assert stage.row("persistence_mode")["state"] == "restored"
    stage.ask("restore", setting="persistence_mode")
    assert stage.gpu.values[PERSISTENCE] is False, "asked for by name"


def test_a_value_of_ours_that_a_restore_could_not_take_back_is_told_of_when_its_rule_is_gone() -> None:
    stage = Stage(CAP).turn(2)
    stage.gpu.refuses[POWER] = DriverRefused("no")
    assert stage.ask("restore", setting="power_limit_w").error == "DriverTrouble"
    stage.load(policy("persistence_mode = true"))
    row = stage.turn().row()
    assert (row["state"], row["message"]) == ("unmanaged", "no rule speaks of it any more; the value stays")
    assert [left["setting"] for left in stage.plan()["left"]] == ["power_limit_w"]


def test_a_second_restore_asks_again_for_the_lock_that_no_call_reads() -> None:
    stage = Stage(policy(*WISHES)).turn(2)
    stage.gpu.deaf = True
    stage.ask("restore", setting="gpu_clock_mhz")
    stage.gpu.deaf = False
    assert stage.gpu.values[LOCK] != UNLOCKED
    answer = stage.ask("restore", setting="gpu_clock_mhz")
    assert stage.gpu.values[LOCK] == UNLOCKED
    assert "gpu clock unlocked (assumed)" in answer.parameters["message"]


def test_a_restore_leaves_alone_a_lock_that_was_never_ours() -> None:
    stage = Stage(CAP).turn(2)
    stage.gpu.writes.clear()
    for _ in range(2):
        stage.ask("restore", setting="gpu_clock_mhz")
    assert stage.gpu.writes == []


def test_a_restore_does_not_answer_for_a_driver_that_is_back() -> None:
    stage = Stage(CAP).turn(2)
    stage.gpus.absent = DriverMismatch("versions differ")
    stage.turn(8)
    assert stage.ask("restore").parameters == {"message": "the driver is away: versions differ"}
    stage.gpus.absent = None
    stage.clock.mono -= 1.9
    assert stage.ask("restore").error is None
    assert (stage.limit_w(), stage.row()["state"], stage.row()["observed"]) == (700, "restored", 700)


def test_who_was_released_stays_so_when_another_is() -> None:
    stage = Stage(CAP, board(0), board(1), board(2)).turn(2)
    first, second, third = stage.gpus.gpus
    stage.ask("release", gpu=first)
    answer = stage.ask("release", gpu=second)
    assert "to free NVIDIA H200 0000:01:00.0 and NVIDIA H200 0000:02:00.0" in answer.parameters["message"]
    assert "every other GPU waits as well" in answer.parameters["message"]
    states = [stage.gpu_row(index) for index in range(3)]
    assert [row["state"] for row in states] == ["released", "released", "waiting"]
    assert [row["in_order"] for row in states] == [True, True, False]
    answer = stage.ask("release", gpu=third)
    assert "every other" not in answer.parameters["message"]
    assert stage.exit_code == 0


def test_a_reload_of_a_driver_that_was_let_go_of_says_what_verify_says() -> None:
    stage = Stage(CAP).turn(2)
    stage.ask("release")
    answer = stage.load(policy("power_limit_w = 500"))
    assert (answer.parameters["in_order"], stage.exit_code) == (True, 0)
    assert "let go of on request" in answer.parameters["message"]


@pytest.mark.parametrize("setting", [None, "power_limit_w"])
def test_an_original_that_the_board_does_not_allow_is_none(setting: str | None) -> None:
    stage = Stage(CAP).turn(2)
    saved = stage.this_boot.load()
    records = saved["gpus"][stage.gpu.uuid]["records"]
    records["power_limit_w"] = {**records["power_limit_w"], "original": 9000}
    stage.this_boot.saves.append(saved)
    stage.start()
    stage.turn(2)
    assert stage.row()["original"] is None
    answer = stage.ask("restore", setting=setting)
    assert "what was found at first could not be read" in answer.parameters["message"]
    assert PowerLimit(9_000_000) not in [value for _, value in stage.gpu.writes]


def test_what_is_found_after_the_saved_state_was_damaged_is_no_first_look() -> None:
    stage = Stage(CAP).turn(2)
    stage.this_boot.damaged = "its checksum does not match"
    stage.start()
    stage.turn(2)
    row = stage.row()
    assert (row["original"], row["original_late"], row["written"]) == (450, True, False)
    stage.load(policy("power_limit_w = 600"))
    stage.turn()
    told: Any = stage.row()
    assert ("dim", "raised: 450 W is the first that is known") in notes(told, set())
    stage.ask("restore", setting="power_limit_w")
    (restored,) = [message(event) for event in stage.heard.events if event.kind is EventKind.RESTORED]
    assert restored.endswith("power limit restored to 450 W, the first that is known; was 600 W")


def test_the_hosts_first_look_is_no_late_one() -> None:
    stage = Stage(policy("persistence_mode = true", host='numa_balancing = "off"')).turn(2)
    row = stage.mailbox.document["host"]["settings"][0]
    assert (row["original"], row["original_late"]) == ("on", False)
