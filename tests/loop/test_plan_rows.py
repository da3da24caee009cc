"""What a plan's rows say of a wish: a value in the unit of its key, or the word that the policy has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gpu_tuned.core.errors import DriverAbsent, DriverRefused, PolicyError
from gpu_tuned.core.model import PowerLimit, Setting
from tests.loop.stage import Stage, policy


@pytest.mark.parametrize(
    ("wish", "wanted", "nearest"),
    [
        ("power_limit_w = 9000", 9000, 700),
        ("power_limit_w = 20.5", 20.5, 200),
        ("power_limit_w = { max = 20 }", {"max": 20}, 200),
        ("gpu_clock_mhz = 9999", {"min": 9999, "max": 9999}, {"min": 2100, "max": 2100}),
    ],
)
def test_what_cannot_be_had_is_told_as_the_value_that_was_wished(wish: str, wanted: object, nearest: object) -> None:
    (row,) = Stage(policy(wish)).turn(2).plan()["refusals"]
    assert (row["wanted"], row["nearest"]) == (wanted, nearest)


@pytest.mark.parametrize(("wish", "wanted"), [('"max"', "max"), ('"80%"', "80 %"), ("450", 450)])
def test_a_word_stays_a_word(wish: str, wanted: object) -> None:
    stage = Stage(policy(f"power_limit_w = {wish}"))
    stage.gpu.values[Setting.POWER_LIMIT] = PowerLimit(300_000)
    stage.gpu.refuses[Setting.POWER_LIMIT] = DriverRefused("not permitted")
    (row,) = stage.turn(2).plan()["refusals"]
    assert row["wanted"] == wanted


def test_everybody_who_asks_for_a_plan_of_bad_files_does_not_have_them_read_again() -> None:
    """Anybody may ask, two hundred times a second; what is wrong may end without a change of the files' stamps (who
    may write to a folder), so it is looked for again after a second."""

    class Read(Stage):
        reads = 0

        def _read(self) -> Mapping[str, Any]:
            self.reads += 1
            return super()._read()

    stage = Read()
    stage.turn(2)
    stage.load("gpus = 1")
    before = stage.reads
    for _ in range(5):
        with pytest.raises(PolicyError, match="gpus"):
            stage.plan()
    assert stage.reads == before + 1
    stage.clock.mono += 1.0
    with pytest.raises(PolicyError, match="gpus"):
        stage.plan()
    assert stage.reads == before + 2
    stage.text = policy("power_limit_w = 450")
    assert stage.plan()["changes"] == []


def test_a_plan_knows_of_a_reload_also_where_no_gpu_can_be_looked_at() -> None:
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    stage.gpus.absent, stage.kernel.loaded = DriverAbsent("not loaded"), None
    stage.turn(2)
    assert stage.text is not None
    stage.text += "# a remark\n"
    assert stage.turn(1).plan()["pending"] is True
    stage.ask("reload")
    assert stage.plan()["pending"] is False


def test_a_plan_knows_the_mode_also_where_there_is_no_gpu() -> None:
    stage = Stage("gpu = []\n")
    stage.gpus.absent, stage.kernel.loaded = DriverAbsent("not loaded"), None
    stage.start()
    stage.text = 'gpu = []\n[daemon]\nmode = "observe"\n'
    assert stage.turn(2).plan()["mode"] == "enforce"
    stage.ask("reload")
    assert stage.plan()["mode"] == "observe"
