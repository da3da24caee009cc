"""When a setting is written, and what has to be seen before it is said to hold."""

from __future__ import annotations

import pytest

from gpu_tuned.core.events import message
from gpu_tuned.core.model import ApplicationClocks, Board, NumaBalancing, PowerLimit, Setting
from tests.loop.stage import CAP, Stage, board, policy

POWER = Setting.POWER_LIMIT


@pytest.mark.parametrize(
    "between",
    [
        policy("power_limit_w = 450", daemon='mode = "observe"'),
        policy("power_limit_w = 450", 'watch = ["power_limit_w"]'),
        policy("persistence_mode = true"),
    ],
    ids=["observed", "watched", "no rule"],
)
def test_what_was_enforced_before_a_change_of_mode_is_not_believed_after_it(between: str) -> None:
    stage = Stage(policy("power_limit_w = 600")).turn(2)
    stage.load(between)
    stage.turn(2)
    assert stage.limit_w() == 600
    stage.load(policy("power_limit_w = 450"))
    assert (stage.limit_w(), stage.row()["state"], stage.row()["observed"]) == (450, "held", 450)


def test_the_same_goal_under_another_rule_is_looked_at_anew() -> None:
    stage = Stage(policy("gpu_clock_mhz = { max = 1500 }")).turn(2)
    writes = len(stage.gpu.writes)
    stage.load(policy("gpu_clock_mhz = { max = 1500 }", 'reason = "other words"'))
    assert len(stage.gpu.writes) == writes, "words alone are no other rule"
    stage.load("gpu = []")
    stage.load(policy("gpu_clock_mhz = { max = 1500 }"))
    assert len(stage.gpu.writes) == writes + 1


def test_a_required_cap_is_written_although_nothing_can_be_saved() -> None:
    stage = Stage(policy("power_limit_w = 450", "persistence_mode = true", 'required = ["power_limit_w"]'))
    stage.this_boot.full = stage.lasting.full = "no space left on device"
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["state"]) == (450, "held")
    other = stage.row("persistence_mode")
    assert other["state"] == "refused" and "no space" in other["message"]
    assert "state_unsaved" in stage.said()


def test_what_waited_for_the_disk_is_written_as_soon_as_there_is_room() -> None:
    """A pause ends with the failure that it was for, however long it has grown."""
    stage = Stage(policy("power_limit_w = 450", 'compute_mode = "exclusive_process"', host='numa_balancing = "off"'))
    stage.this_boot.full = "no space left on device"
    stage.turn(200)
    assert (stage.limit_w(), stage.row()["state"]) == (700, "refused")
    stage.this_boot.full = None
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["state"], stage.row("compute_mode")["state"]) == (450, "held", "held")
    assert (stage.kernel.knob, stage.exit_code) == (NumaBalancing.OFF, 0)


def test_that_nothing_can_be_saved_is_told_once_and_saved_when_there_is_room() -> None:
    stage = Stage(policy("power_limit_w = 450", "persistence_mode = true", 'required = ["power_limit_w"]'))
    stage.this_boot.full = stage.lasting.full = "no space left on device"
    stage.turn(300)
    assert stage.said().count("state_unsaved") == 1
    stage.this_boot.full = "read-only file system"
    stage.turn(2)
    assert stage.said().count("state_unsaved") == 2, "another trouble is another word"
    stage.this_boot.full = None
    stage.turn(2)
    assert "450" in str(stage.this_boot.saves[-1])
    stage.this_boot.full = "no space left on device"
    stage.stranger(600)
    stage.turn(2)
    assert stage.said().count("state_unsaved") == 3


def test_a_disk_that_is_full_now_and_then_is_told_of_now_and_then() -> None:
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    for turn in range(300):
        stage.this_boot.full = "no space left on device" if turn % 2 else None
        stage.load(policy(f"power_limit_w = {400 + turn % 3}"))
    assert stage.said().count("state_unsaved") <= 3, "twenty minutes"


def test_what_was_written_before_needs_no_disk() -> None:
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    stage.this_boot.full = "read-only file system"
    stage.stranger(700)
    assert (stage.turn().limit_w(), stage.row()["state"]) == (450, "held")


def test_an_original_is_saved_before_the_first_write_of_its_setting() -> None:
    stage = Stage(policy("power_limit_w = 450"))
    saved: list[bool] = []

    def before(gpu: object, setting: Setting) -> None:
        (known,) = stage.this_boot.saves[-1]["gpus"].values()
        saved.append(known["records"][setting.value]["written"])

    stage.gpus.on_write = before
    stage.turn()
    assert saved == [True]


@pytest.mark.parametrize("near_w", [445, 451, 459])
def test_a_deaf_driver_is_not_believed_however_near_its_value_is(near_w: int) -> None:
    stage = Stage(CAP)
    stage.stranger(near_w)
    stage.gpu.deaf = True
    stage.turn(3)
    assert (stage.row()["state"], stage.row()["accepted"], stage.wait_code) == ("refused", None, 1)
    stage.gpu.deaf = False
    assert stage.turn().row()["state"] == "held"


def test_a_near_value_that_does_not_move_is_named_as_what_may_be_written_instead() -> None:
    stage = Stage(policy("power_limit_w = 452"))
    stage.stranger(450)
    stage.gpu.deaf = True
    told = stage.turn().row()
    assert told["state"] == "refused"
    assert told["message"].startswith(
        "the driver reported success, but it reads 450 W as before; if this board knows no 452 W, write 450;"
    )


def test_nor_of_a_fraction_that_no_reading_could_show() -> None:
    """A driver that reads whole watts and had the nearest one answers as a deaf one does: the message says what to
    write."""
    stage = Stage(policy("power_limit_w = 450.5"))
    stage.stranger(450)
    told = stage.turn(3).row()
    assert (told["state"], stage.exit_code) == ("refused", 1)
    assert "as before; if this board knows no 450.5 W, write 450;" in told["message"]


@pytest.mark.parametrize("before_w", [700, 451])
def test_a_fraction_of_a_watt_is_rounded_and_that_is_known_after_a_restart(before_w: int) -> None:
    stage = Stage(policy("persistence_mode = true", "power_limit_w = 450.5", 'required = ["power_limit_w"]'))
    stage.stranger(before_w)
    said = "the driver rounded 450.5 W to 450 W"
    for _ in range(3):
        row = stage.turn().row()
        assert (row["state"], row["wished"], row["accepted"], row["message"]) == ("held", 450.5, 450, said)
    told = [message(event) for event in stage.heard.events if event.setting is Setting.POWER_LIMIT]
    assert [words.partition(": ")[2] for words in told] == [
        f"power limit set to 450.5 W (the driver has 450 W), was {before_w} W"
    ]
    writes = len(stage.gpu.writes)
    stage.start()
    assert (stage.turn(2).row()["message"], len(stage.gpu.writes)) == (said, writes)


def test_the_status_line_never_says_held_of_what_cannot_be_read() -> None:
    stage = Stage(policy("gpu_clock_mhz = { max = 1500 }")).turn(2)
    assert "held" not in stage.service.line
    assert "requested: no driver call can read a clock lock" in stage.service.line
    stage.ask("restore")
    told = [event for event in stage.heard.events if event.setting is Setting.GPU_CLOCK]
    assert told[-1].kind.word == "reset_requested"


def test_mig_is_read_again() -> None:
    stage = Stage(policy('compute_mode = "exclusive_process"')).turn(2)
    assert stage.row("compute_mode")["state"] == "held"
    absent = {Setting.COMPUTE_MODE: "MIG is on"}
    stage.gpu.board = board(0, mig=True, absent=absent)
    see = stage.gpus.see

    def with_mig(uuid: str, look: object) -> object:
        return see(uuid, look)._replace(mig=True)  # type: ignore[arg-type]

    stage.gpus.see = with_mig  # type: ignore[assignment, method-assign]
    stage.turn(3)
    assert (stage.row("compute_mode")["state"], stage.row("compute_mode")["message"]) == ("refused", "MIG is on")


def test_the_host_goes_the_same_way() -> None:
    stage = Stage(policy("persistence_mode = true", host='numa_balancing = "off"')).turn(2)
    (row,) = stage.mailbox.document["host"]["settings"]
    assert (row["state"], row["original"], stage.kernel.knob) == ("held", "on", "off")
    assert stage.ask("restore", setting="numa_balancing").error is None
    assert (stage.kernel.knob, stage.mailbox.document["host"]["settings"][0]["state"]) == ("on", "restored")


def test_a_knob_of_the_host_that_could_not_be_read_at_the_start_is_there_when_it_can_be() -> None:
    stage = Stage(policy(host='numa_balancing = "off"'))
    stage.kernel.knob = None
    stage.start()
    (row,) = stage.turn().mailbox.document["host"]["settings"]
    assert (row["state"], row["observed"], row["in_order"]) == ("refused", None, False)
    stage.kernel.knob = NumaBalancing.ON
    (row,) = stage.turn().mailbox.document["host"]["settings"]
    assert (row["state"], row["observed"], stage.kernel.knob) == ("held", "off", NumaBalancing.OFF)


def test_limits_are_only_ever_written_inside_the_board() -> None:
    small: Board = board(0, least_w=100, most_w=300, default_w=300)
    stage = Stage(CAP, small).turn(3)
    assert [value for setting, value in stage.gpu.writes if setting is POWER] == []
    assert stage.limit_w() == 300
    assert stage.row()["state"] == "refused"
    assert isinstance(stage.gpu.values[POWER], PowerLimit)


def test_application_clocks_that_somebody_lowered_are_seen_within_ninety_looks() -> None:
    text = policy("application_clocks_mhz = { memory = 3201, gpu = 1500 }")
    stage = Stage(text, board(0, default_application_clocks=ApplicationClocks(3201, 1980))).turn(2)
    wanted = ApplicationClocks(3201, 1500)
    assert stage.gpu.values[Setting.APPLICATION_CLOCKS] == wanted
    stage.gpu.values[Setting.APPLICATION_CLOCKS] = ApplicationClocks(3201, 1200)
    looks = [look.application_clocks for _, look in stage.gpus.looks]
    stage.turn(90)
    assert stage.gpu.values[Setting.APPLICATION_CLOCKS] == wanted
    assert sum(look.application_clocks for _, look in stage.gpus.looks[len(looks) :]) <= 3


@pytest.mark.parametrize("restart", [False, True])
def test_what_the_driver_was_seen_to_round_to_is_taken_under_another_mode_as_well(*, restart: bool) -> None:
    """The value does not move any more, for it is there already; a deaf driver is told by one that never moved it."""
    rounded, observed = policy("power_limit_w = 450.5"), policy("power_limit_w = 450.5", daemon='mode = "observe"')
    stage = Stage(rounded).turn(2)
    if restart:
        stage.start()
    stage.load(observed)
    stage.load(rounded)
    row = stage.turn(1).row()
    assert (row["state"], row["message"]) == ("held", "the driver rounded 450.5 W to 450 W")


def test_what_was_rounded_is_told_after_a_restart_too() -> None:
    stage = Stage(policy("power_limit_w = 450.5")).turn(2)
    stage.start()
    assert stage.turn(2).row()["message"] == "the driver rounded 450.5 W to 450 W"
