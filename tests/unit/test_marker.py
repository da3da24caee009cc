"""Without the simulated driver first in the loader's path nothing runs: no test writes to a real card."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.marker import LIBRARY, MARKER, NotTheSimulator, require_simulator

TOP = Path(__file__).parents[2]


def library(folder: Path, source: str) -> dict[str, str]:
    """The environment of a host whose driver library is made of `source`."""
    (folder / "driver.c").write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / LIBRARY, folder / "driver.c"], check=True)
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}


def test_a_driver_without_the_marker_is_refused(tmp_path: Path) -> None:
    environment = library(tmp_path, "int nvmlInit_v2(void) { return 0; }")
    with pytest.raises(NotTheSimulator, match=f"lacks the simulator's symbol {MARKER}.*{tmp_path}"):
        require_simulator(environment)


def test_a_driver_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    (tmp_path / LIBRARY).write_text("not a library")
    with pytest.raises(NotTheSimulator, match="cannot be loaded"):
        require_simulator({**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})


def test_the_marker_is_enough(tmp_path: Path) -> None:
    require_simulator(library(tmp_path, f"const int {MARKER} = 1;"))


def test_what_a_session_starts_finds_the_simulator() -> None:
    require_simulator()


def test_a_session_on_a_host_with_another_driver_never_meets_it(tmp_path: Path) -> None:
    environment = library(tmp_path, "int nvmlInit_v2(void) { return 0; }")
    environment = {key: value for key, value in environment.items() if not key.startswith("PYTEST_")}
    inner = f"{__file__}::{test_what_a_session_starts_finds_the_simulator.__name__}"
    session = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", inner],
        cwd=TOP,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert session.returncode == 0, session.stdout + session.stderr
    assert "1 passed" in session.stdout
