"""The boards that generated hosts have, as the simulated nvidia-smi and the generator know them: figures of
tests/simulator/boards, read from there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.init.smi import Gpu, Model, factory

BOARDS = Path(__file__).parents[1] / "simulator" / "boards"
HOSTS = (("rtx-3090", "rtx-3090"), ("rtx-4090", "rtx-3080"), ("a100", "a100"))


@cache
def model(board: str) -> Model:
    text = (BOARDS / f"{board}.board").read_text()
    found = dict(re.findall(r"^(\w+) = ([^#\n]*?)\s*(?:#.*)?$", text, re.MULTILINE))
    ladders = re.findall(r"^clocks_mhz = ([0-9]+): ([0-9]+) to ([0-9]+) by ([0-9]+)", text, re.MULTILINE)
    _, low, high, by = map(int, ladders[0])
    power = (float(found["power_min_w"]), float(found["power_max_w"]), float(found["power_default_w"]))
    applications = None
    if found["app_clocks"] == "supported":
        applications = (int(found["app_mem_mhz"]), int(found["app_gpu_mhz"]))
    memory = frozenset(int(ladder[0]) for ladder in ladders)
    return Model(found["name"], power, frozenset(range(low, high + 1, by)), memory, applications)


def gpus(boards: tuple[str, ...]) -> list[Gpu]:
    """The GPUs of a simulated host that `nvsim create` made with these boards."""
    return [
        Gpu(uuid(number), f"00000000:{number + 1:02X}:00.0", model(board), factory(model(board)))
        for number, board in enumerate(boards)
    ]


def uuid(number: int) -> str:
    return f"GPU-5b1c9f2e-0000-4000-8000-00000000000{number}"


def described(boards: tuple[str, ...]) -> list[str]:
    """The same as words for `nvsim create --gpu`."""
    return [f"{board},uuid={uuid(n)},pci=0000:{n + 1:02x}:00.0" for n, board in enumerate(boards)]
