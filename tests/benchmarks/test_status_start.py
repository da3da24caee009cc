"""How long `gpu-tunedctl status` takes from a cold start, in terms of `python3 -c pass` on the same machine.

Prints both medians and the ratio: python -m pytest -s tests/benchmarks/test_status_start.py
The budget is 3 and the aim 2 (docs/decisions/0050); the socket's far end answers from memory, as the daemon does.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.golden.fake_daemon import fake_daemon
from tests.golden.kept import document

PAIRS = 20
BUDGET = 3.0
NOISE = 0.3
"""Two processes at a time on a shared machine: the median of 20 pairs still moves by a tenth."""
PASS = [sys.executable, "-c", "pass"]
STATUS = [sys.executable, "-c", "from gpu_tuned.main import control; control()", "status", "--socket"]


def wall_s(argv: list[str]) -> float:
    """Seconds from the start of one run to its end."""
    begun = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    spent = time.perf_counter() - begun
    assert (done.returncode, done.stderr) == (0, b"")
    return spent


@pytest.mark.parametrize("name", ["one", "eight_in_order"])
def test_a_cold_start_of_status_costs_at_most_three_interpreters(name: str, tmp_path: Path) -> None:
    bare: list[float] = []
    full: list[float] = []
    with fake_daemon(tmp_path, {"Status": document(name)}) as daemon:
        for argv in (PASS, [*STATUS, daemon.path]):  # bytecode and page cache, once
            wall_s(argv)
        for _ in range(PAIRS):  # one of each in turn: both see the same neighbours
            bare.append(wall_s(PASS))
            full.append(wall_s([*STATUS, daemon.path]))
    ratio = statistics.median(b / a for a, b in zip(bare, full, strict=True))
    print(
        f"\nstatus of {name}: {statistics.median(full) * 1000:.1f} ms, python3 -c pass: "
        f"{statistics.median(bare) * 1000:.1f} ms, {ratio:.2f} times (budget {BUDGET:g}, aim 2)"
    )
    assert ratio <= BUDGET + NOISE
