"""Linters are tests: what they hold, the suite holds, and nobody has to remember to run them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
CHECKED = ["daemon", "tests", "packaging", "noxfile.py"]

SHELL = re.compile(rb"#!.*\b(bash|sh)\b|# shellcheck shell=")
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


def scripts() -> list[Path]:
    """Every shell script of ours, by its first line; data of tests is somebody else's."""
    listed = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=False).stdout.split()
    # Without git (a source archive), the places where they lie.
    names = listed or [str(p.relative_to(TOP)) for folder in ("packaging", ".ci") for p in (TOP / folder).rglob("*")]
    files = [TOP / name for name in names if "/data/" not in name and (TOP / name).is_file()]
    return [path for path in files if SHELL.match(path.read_bytes()[:80])]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed; packaging/test does")
def test_shell_scripts_are_clean() -> None:
    found = scripts()
    assert TOP / "packaging/test" in found
    command = ["shellcheck", "--external-sources", "--severity=style", *map(str, found)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


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
