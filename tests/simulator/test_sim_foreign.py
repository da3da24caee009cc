"""Programs of other people run on the simulated driver and show what was set."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.nvsim import Nvsim

MakeHost = Callable[..., Nvsim]


def tool(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        pytest.skip(f"{name} is not installed beside this Python")
    return str(path)


def test_gpustat_shows_limit_power_and_load(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575", "h200")
    host.set(0, persistence_mode=True, power_limit_w=450)
    host.load(1, 100)
    host.advance(5)
    done = subprocess.run([tool("gpustat"), "--json"], env=host.env, capture_output=True, text=True, check=True)
    gpus = json.loads(done.stdout)["gpus"]
    assert [g["name"] for g in gpus] == ["NVIDIA GeForce RTX 5090", "NVIDIA H200"]
    assert [g["enforced.power.limit"] for g in gpus] == [450, 700]
    assert gpus[0]["uuid"] == host.gpu(0)["uuid"]
    assert gpus[1]["utilization.gpu"] == 100
    assert gpus[1]["power.draw"] == pytest.approx(691, abs=5)


def test_nvitop_shows_limit_persistence_and_compute_mode(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575", "h200")
    host.set(0, persistence_mode=True, power_limit_w=450, compute_mode="exclusive_process")
    host.set(1, persistence_mode=True, power_limit_w=550)
    done = subprocess.run(
        [tool("nvitop"), "-1"],
        env={**host.env, "COLUMNS": "100", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "Driver Version: 580.159.04" in done.stdout
    first, second = (line for line in done.stdout.splitlines() if "W / " in line)
    assert "/ 450W" in first and ("Exclusive" in first or "E. Process" in first)
    assert "/ 550W" in second and "Default" in second
    assert sum(" On " in line for line in done.stdout.splitlines()) >= 2
