"""A driver that says in passing that a board does not have what is wished of it."""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core.model import Setting
from tests.loop.stage import CAP, Stage, board, policy

DENIED = "no power limit to manage: not supported by this GPU"


def denied() -> Stage:
    stage = Stage(CAP)
    whole = stage.gpu.board
    stage.gpu.board = replace(whole, power=None, absent={Setting.POWER_LIMIT: DENIED})
    stage.start()
    stage.turn(2)
    assert (stage.row()["state"], stage.row()["message"], stage.wait_code) == ("refused", DENIED, 1)
    stage.gpu.board = whole
    return stage


def test_it_is_asked_again_when_somebody_asks_to_apply() -> None:
    stage = denied()
    stage.ask("apply")
    stage.turn()
    assert (stage.limit_w(), stage.row()["state"], stage.wait_code) == (450, "held", 0)


def test_it_is_asked_again_by_itself_and_less_and_less_often() -> None:
    stage = denied()
    stage.turn(20)
    assert stage.row()["state"] == "held"
    never = denied()
    never.gpu.board = replace(never.gpu.board, power=None, absent={Setting.POWER_LIMIT: DENIED})
    asked: list[float] = []
    describe = never.gpus.describe
    never.gpus.describe = lambda uuid: asked.append(never.clock.mono) or describe(uuid)  # type: ignore[func-returns-value, method-assign]
    never.turn(600)
    assert 4 <= len(asked) <= 6, asked
    assert never.said().count("refused") == 1


def test_mig_switched_is_seen_however_long_something_else_was_denied() -> None:
    clocks = {Setting.APPLICATION_CLOCKS: "this GPU has no application clocks"}
    wishes = policy('compute_mode = "exclusive_process"', 'application_clocks_mhz = "default"')
    stage = Stage(wishes, board(absent=clocks)).turn(300)
    assert (stage.row("compute_mode")["state"], stage.exit_code) == ("held", 1)
    mig = {Setting.COMPUTE_MODE: "MIG is on"}
    stage.gpu.board = replace(stage.gpu.board, mig=True, absent=clocks | mig)
    stage.turn(15)
    assert stage.row("compute_mode")["state"] == "refused"
    stage.turn(300)
    stage.gpu.board = replace(stage.gpu.board, mig=False, absent=clocks)
    stage.turn(15)
    assert stage.row("compute_mode")["state"] == "held"
