"""What `gpu-tunedctl show` prints of a board: with a daemon, without one, and of a board that tells little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_tuned.core.advice import Case, advise
from gpu_tuned.core.board_view import Bar1, BoardView, Link, Memory, Process, Temperatures
from gpu_tuned.core.model import (
    GPU_SETTINGS,
    NO_GETTER,
    Board,
    ClockLock,
    ComputeMode,
    Gpu,
    PowerLimit,
    PowerRange,
    Seen,
    Setting,
    Telemetry,
    Unread,
)
from gpu_tuned.core.show import document_of
from gpu_tuned.core.wish import Origin, Wish
from gpu_tuned.ctl import show
from gpu_tuned.ctl.render.text import WIDTH, Colour
from tests.golden.kept import HERE, NOW, compare, document

UNSUPPORTED = Unread("not supported by this GPU")
LADDER = tuple(int(180 + 7.5 * i) for i in range(388, -1, -1))
RTX = Board(
    Gpu("GPU-5b1c9f2e-8d3a-4c57-9e1f-2a6b7c8d9e0f", "0000:01:00.0", "NVIDIA GeForce RTX 5090"),
    0,
    power=PowerRange(400_000, 575_000, 575_000),
    memory_ladder_mhz=(14001, 13801, 7001, 810, 405),
    gpu_ladder_mhz=LADDER,
    max_gpu_mhz=3090,
    absent={Setting.APPLICATION_CLOCKS: "this GPU has no application clocks"},
)
BUSY = BoardView(
    driver="580.159.04",
    board=RTX,
    seen=Seen(
        {
            Setting.PERSISTENCE_MODE: True,
            Setting.POWER_LIMIT: PowerLimit(450_000),
            Setting.GPU_CLOCK: NO_GETTER,
            Setting.MEMORY_CLOCK: NO_GETTER,
            Setting.APPLICATION_CLOCKS: UNSUPPORTED,
            Setting.COMPUTE_MODE: ComputeMode.DEFAULT,
        },
        Telemetry(411_700, 450_000, 2497, 13801, 71, 97, 1, 0x4),
    ),
    memory=Memory(32607, 28_912, 3175, 520),
    bar1=Bar1(32768, 214),
    temperatures=Temperatures(71, UNSUPPORTED, 90, 92, 95),
    link=Link(5, 16, 5, 16),
    processes=(
        Process(4711, "compute", "vllm", "vllm", 28_100),
        Process(4802, "graphics", "Xorg", "root", None),
    ),
    others=0,
)
SHY = replace(
    BUSY,
    board=replace(RTX, power=None, memory_ladder_mhz=(), gpu_ladder_mhz=()),
    seen=Seen(dict.fromkeys(BUSY.seen.readings, UNSUPPORTED), Telemetry()),
    memory=UNSUPPORTED,
    bar1=UNSUPPORTED,
    temperatures=Temperatures(*[UNSUPPORTED] * 5),
    link=Link(*[UNSUPPORTED] * 4),
    processes=UNSUPPORTED,
)
NOBODYS = replace(BUSY, processes=(), others=3, link=Link(1, 16, 5, 16), seen=BUSY.seen._replace(telemetry=Telemetry(
    24_000, 450_000, 22, 405, 41, 0, 8, 0x1)), temperatures=Temperatures(41, 44, 90, 92, 95))  # fmt: skip
WISHES = {
    Setting.GPU_CLOCK: Wish(Setting.GPU_CLOCK, ClockLock(0, 2550), Origin("gpu-tuned.toml", "gpu[1].gpu_clock_mhz")),
}


def shown(name: str) -> dict[str, Any]:
    told = document("one")["gpus"][0]
    if name == "daemon":
        return document_of(BUSY, told, advise(Case(RTX, WISHES)))
    return document_of({"offline": NOBODYS, "shy": SHY}[name], None, ())


@pytest.mark.parametrize("name", ["daemon", "offline", "shy"])
def test_page(name: str) -> None:
    lines = show.page(shown(name), Colour(on=False), NOW)
    assert [line for line in lines if len(line) > WIDTH] == []
    compare(f"show_{name}", lines)


def test_what_could_not_be_had_is_null_with_the_reason() -> None:
    found = shown("shy")
    assert found["memory_mib"] is found["processes"] is found["pcie"]["width"] is None
    assert found["unread"]["memory"] == found["unread"]["settings.power_limit_w"] == "not supported by this GPU"


def test_every_cost_has_a_page() -> None:
    for setting in shown("daemon")["settings"]:
        assert (HERE.parents[1] / setting["costs_page"]).exists()
    assert set(GPU_SETTINGS) == {Setting(s["setting"]) for s in shown("daemon")["settings"]}


@pytest.mark.parametrize(
    ("ladder", "told"),
    [
        (list(LADDER), "389 from 180 to 3090 MHz by 7.5"),
        ([14001, 13801, 7001, 810, 405], "14001, 13801, 7001, 810, 405 MHz"),
        (list(range(345, 1981, 15)), "110 from 345 to 1980 MHz by 15"),
        ([100, 101, 102, 103, 104, 105, 106, 107, 900], "9 from 100 to 900 MHz, uneven"),
    ],
)
def test_ladders_are_folded(ladder: list[int], told: str) -> None:
    assert show.folded(ladder) == told


@pytest.mark.parametrize(
    ("share", "filled"),
    [(0, 0), (0.001, 1), (0.5, 10), (1, 20), (1.7, 20)],
    ids=["none", "some", "half", "all", "more"],
)
def test_bars(share: float, filled: int) -> None:
    assert show.bar(share) == "[" + "#" * filled + "." * (20 - filled) + "]"
