"""Linters are tests: what they hold, the suite holds, and nobody has to remember to run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
CHECKED = ["daemon", "tests", "packaging", "noxfile.py"]

COMMANDS = {
    "ruff check": ["ruff", "check", "--no-cache", *CHECKED],
    "ruff format": ["ruff", "format", "--no-cache", "--check", *CHECKED],
    "mypy --strict": ["mypy"],  # strict, and what it looks at: pyproject.toml
}


@pytest.mark.parametrize("name", COMMANDS)
def test_is_clean(name: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", *COMMANDS[name]], cwd=TOP, capture_output=True, text=True, timeout=100
    )
    assert found.returncode == 0, f"{name}:\n{found.stdout}{found.stderr}"


def test_strict_is_on(tmp_path: Path) -> None:
    """A type error that only strict mode sees is refused: the configuration is in force."""
    planted = tmp_path / "planted.py"
    planted.write_text("def untyped(x): return x")
    found = subprocess.run(
        [sys.executable, "-m", "mypy", f"--cache-dir={tmp_path}", str(planted)],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert found.returncode == 1
    assert "no-untyped-def" in found.stdout
