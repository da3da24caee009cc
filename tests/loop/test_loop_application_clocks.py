"""Application clocks, which are dear to read: what a rival does to them together with something else."""

from __future__ import annotations

from gpu_tuned.core.model import ApplicationClocks, Setting
from tests.loop.stage import Stage, board, policy

PAIR = Setting.APPLICATION_CLOCKS


def test_whoever_changed_another_setting_may_have_changed_the_clocks_as_well() -> None:
    text = policy("power_limit_w = 450", "application_clocks_mhz = { memory = 3201, gpu = 1500 }")
    stage = Stage(text, board(default_application_clocks=ApplicationClocks(3201, 1980))).turn(3)
    stage.stranger(600)
    stage.gpu.values[PAIR] = ApplicationClocks(3201, 1200)
    stage.turn(2)
    assert (stage.limit_w(), stage.gpu.values[PAIR]) == (450, ApplicationClocks(3201, 1500))
