"""Boards that round: what the driver made of a value is evidence for that value alone, and under any rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_tuned.core.model import ApplicationClocks, PowerLimit, Setting
from tests.fakes import FakeGpu
from tests.loop.stage import LADDER, Stage, board, policy

POWER, PAIR = Setting.POWER_LIMIT, Setting.APPLICATION_CLOCKS
ODD = policy("power_limit_w = 465")


def rounding(text: str = ODD) -> Stage:
    """A board whose limit has steps of 4 W."""
    stage = Stage(text)

    def rounds(gpu: FakeGpu, setting: Setting) -> None:
        value = gpu.values[setting]
        if isinstance(value, PowerLimit):
            gpu.values[setting] = PowerLimit(value.limit_mw // 4000 * 4000)

    stage.gpus.on_write = rounds
    return stage


def limits_written(stage: Stage) -> int:
    return sum(setting is POWER for setting, _ in stage.gpu.writes)


ANOTHER_RULE = policy("persistence_mode = true") + "[[gpu]]\nmatch = { name = '*H200' }\npower_limit_w = 465\n"


@pytest.mark.parametrize(
    ("between", "asked_again"),
    [
        ([policy("power_limit_w = 465", 'watch = ["power_limit_w"]')], 1),
        ([policy("power_limit_w = 465", daemon='mode = "observe"')], 1),
        ([ANOTHER_RULE], 1),
        ([], 0),
    ],
    ids=["watched", "observed", "another rule", "the same rule"],
)
@pytest.mark.parametrize("restart", [False, True])
def test_what_a_board_makes_of_a_value_it_makes_of_it_under_another_rule(
    between: list[str], asked_again: int, restart: bool
) -> None:
    stage = rounding().turn(2)
    assert (stage.row()["state"], stage.row()["accepted"]) == ("held", 464)
    for text in between:
        stage.load(text)
        stage.turn()
    if restart:
        stage.start()
    writes = limits_written(stage)
    stage.load(policy("power_limit_w = 465", 'required = ["power_limit_w"]'))
    stage.turn(3)
    assert (stage.row()["state"], stage.row()["observed"], stage.wait_code) == ("held", 464, 0)
    assert limits_written(stage) == writes + asked_again, "nothing is believed of another rule or mode"


def test_nor_does_a_board_that_cannot_be_described_for_a_moment_cost_it() -> None:
    stage = rounding().turn(2)
    allowed = stage.gpu.board
    stage.gpu.board = replace(allowed, power=None, unknown={POWER: "timed out"})
    stage.start()
    assert stage.turn().row()["state"] == "waiting"
    stage.gpu.board = allowed
    assert (stage.turn(20).row()["state"], stage.row()["accepted"]) == ("held", 464)


def test_what_a_board_made_of_another_value_is_no_evidence() -> None:
    stage = rounding().turn(2)
    stage.gpu.deaf = True
    stage.load(policy("power_limit_w = 466"))
    assert (stage.row()["state"], stage.row()["accepted"]) == ("refused", None)


def test_clocks_whose_memory_clock_was_not_taken_are_not_held() -> None:
    two = replace(
        board(default_application_clocks=ApplicationClocks(3201, 1980)),
        memory_ladder_mhz=(3201, 2619),
        gpu_ladders_mhz={3201: LADDER, 2619: LADDER},
    )
    wish = "application_clocks_mhz = { memory = 2619, gpu = 1500 }"
    stage = Stage(policy(wish, 'required = ["application_clocks_mhz"]'), two)

    def takes_the_gpu_clock_alone(gpu: FakeGpu, setting: Setting) -> None:
        gpu.values[PAIR] = ApplicationClocks(3201, 1500)

    stage.gpus.on_write = takes_the_gpu_clock_alone
    stage.turn(2)
    row = stage.row("application_clocks_mhz")
    assert (row["state"], row["in_order"], stage.wait_code) == ("refused", False, 1)
    assert "memory 3201" in row["message"]
