"""`gpu-tunedctl check` tells advice, and `accept` silences it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ENTRY = "from gpu_tuned.main import control; control()"
POLICY = """
[[gpu]]
match = { name = "NVIDIA GeForce RTX 5090" }
memory_clock_mhz = 14001
"""


def check(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text)
    return subprocess.run(
        [sys.executable, "-c", ENTRY, "check", str(path)], capture_output=True, text=True, timeout=60, check=False
    )


def test_advice_is_told_and_is_no_fault(tmp_path: Path) -> None:
    done = check(tmp_path / "p.toml", POLICY)
    assert (done.returncode, done.stderr) == (0, "")
    good, *advice = done.stdout.splitlines()
    assert good == f"{tmp_path}/p.toml: good"
    assert advice[0].startswith("  harm: p.toml gpu[0].memory_clock_mhz: a memory clock maximum")
    assert advice[-1].endswith("[memory-lock]")
    assert max(map(len, advice)) <= 80


def test_it_can_be_accepted(tmp_path: Path) -> None:
    done = check(tmp_path / "p.toml", f'{POLICY}accept = ["memory-lock"]\n')
    assert done.stdout == f"{tmp_path}/p.toml: good\n"
    done = check(tmp_path / "p.toml", f'{POLICY}accept = ["memory-lok"]\n')
    assert done.returncode == 2
    assert 'nearest: "memory-lock"' in done.stderr
