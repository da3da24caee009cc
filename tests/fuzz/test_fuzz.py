"""The corpus is played at every run of the suite; where atheris is installed, it looks further for a few seconds."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
SECONDS = 4
CASES = sorted(path for path in (HERE / "corpus").rglob("*") if path.is_file())


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_corpus_breaks_nothing(case: Path) -> None:
    TARGETS[case.parent.name](case.read_bytes())


def test_every_target_has_a_small_corpus() -> None:
    assert {case.parent.name for case in CASES} == set(TARGETS)
    assert sum(case.stat().st_size for case in CASES) < 100_000


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python")
@pytest.mark.parametrize("target", TARGETS)
def test_a_few_seconds_of_looking_break_nothing(target: str, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "run.py"), target, "--seconds", str(SECONDS)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    assert "stat::number_of_executed_units" in done.stderr
