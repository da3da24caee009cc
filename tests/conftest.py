"""What every test may use: the simulated driver, built once, and never another one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.machine.together import pytest_xdist_make_scheduler  # noqa: F401  one worker for each booted machine
from tests.marker import require_simulator
from tests.nvsim import SIMULATOR, Nvsim, build

MakeHost = Callable[..., Nvsim]


def pytest_configure(config: pytest.Config) -> None:
    """Build the simulator, and let every process that a test starts find its library before any other."""
    if not hasattr(config, "workerinput"):  # with xdist only the controller builds
        build()
    library = str(SIMULATOR / "build")
    before = os.environ.get("LD_LIBRARY_PATH", "")
    if before.split(":")[0] != library:
        os.environ["LD_LIBRARY_PATH"] = f"{library}:{before}" if before else library
    require_simulator()


@pytest.fixture
def nvsim(tmp_path: Path) -> MakeHost:
    """Make a simulated host: `host = nvsim("rtx-5090-575", "h200")`; a second call makes a second one."""
    made = 0

    def make(*boards: str, driver: str | None = None, wsl: bool = False) -> Nvsim:
        nonlocal made
        made += 1
        return Nvsim.create(tmp_path / f"host{made}", *boards, driver=driver, wsl=wsl)

    return make
