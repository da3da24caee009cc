"""What a rule requires of a board is required of it, also where no rule gives it a value there."""

from __future__ import annotations

import pytest

from gpu_tuned.core.events import message
from gpu_tuned.core.model import Setting
from tests.loop.stage import Stage, board, policy

OF_ALL = policy("persistence_mode = true", 'required = ["power_limit_w"]')
OF_H200 = "[[gpu]]\nmatch = { name = 'NVIDIA H200' }\npower_limit_w = 450\n"


def two() -> Stage:
    """An H200, and a board that somebody added, of which the rule with the value does not speak."""
    return Stage(OF_ALL + OF_H200, board(), board(1, name="NVIDIA A100-SXM4-80GB"))


def test_a_board_that_is_to_be_capped_and_has_no_cap_is_not_in_order() -> None:
    stage = two().turn(2)
    row = stage.row(gpu=1)
    assert (stage.row()["state"], row["state"], row["in_order"], row["required"]) == ("held", "refused", False, True)
    assert "no rule gives it a value" in row["message"]
    assert (stage.exit_code, stage.wait_code, stage.settled) == (1, 1, True)
    assert stage.limit_w(1) == 700
    assert any("power limit without a value refused" in message(event) for event in stage.heard.events)
    assert "no rule gives it a value" in stage.plan()["refusals"][0]["why"]
    stage.load(OF_ALL + OF_H200.replace("NVIDIA H200", "*"))
    assert (stage.limit_w(1), stage.exit_code, stage.wait_code) == (450, 0, 0)


@pytest.mark.parametrize(
    "rules",
    [
        policy('required = ["power_limit_w"]', daemon='mode = "observe"'),
        policy('watch = ["power_limit_w"]', 'required = ["power_limit_w"]'),
    ],
    ids=["observed", "watched without a value"],
)
def test_nor_is_one_that_is_only_watched(rules: str) -> None:
    stage = two()
    stage.load(rules + OF_H200)
    row = stage.turn().row(gpu=1)
    assert (row["state"], row["in_order"], stage.wait_code) == ("watched", False, 1)
    assert "no rule gives it a value" in row["message"]
    assert Setting.POWER_LIMIT not in [setting for setting, _ in list(stage.gpus.gpus.values())[1].writes]
