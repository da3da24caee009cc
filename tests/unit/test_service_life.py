"""What only matters under systemd: which job it is, and a driver that came after the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.adapters.late_driver import PATIENCE_S, LateDriver
from gpu_tuned.adapters.systemd_job import job_of, parsed
from gpu_tuned.loop.main_thread import UNANSWERED_S, unanswered

TABLE = """\
 1223 gpu-tuned.service   stop    running
 1224 gpu-tuned.socket    stop    waiting
 1230 gpu-tuned-wait.service start waiting
"""


@pytest.mark.parametrize(
    ("unit", "job"),
    [
        ("gpu-tuned.service", "stop"),
        ("gpu-tuned-wait.service", "start"),
        ("gpu-tuned", None),
        ("tuned.service", None),
    ],
)
def test_the_job_of_a_unit(unit: str, job: str | None) -> None:
    assert parsed(TABLE, unit) == job


def test_no_job() -> None:
    assert parsed("No jobs running.\n", "gpu-tuned.service") is None
    assert parsed("", "gpu-tuned.service") is None


def test_without_systemd_there_is_no_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So nothing is restored by mistake: a restore needs a job that says stop."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert job_of("gpu-tuned.service") is None


class Module:
    """`driver_loaded` of ports.Kernel, and nothing more."""

    def __init__(self, version: str | None) -> None:
        self.version = version

    def driver_loaded(self) -> str | None:
        return self.version


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    return tmp_path


def late(module: Module, root: Path) -> LateDriver:
    return LateDriver(module, root)  # type: ignore[arg-type]


def test_a_driver_that_was_there_is_never_late(root: Path) -> None:
    """So a host without device nodes is no loop of restarts."""
    found = late(Module("580"), root)
    assert not found.possible
    assert not any(found.shut_out(now_s) for now_s in (0.0, 10.0, 1000.0))


def test_a_late_driver_out_of_reach(root: Path) -> None:
    module = Module(None)
    found = late(module, root)
    assert not found.shut_out(0.0)
    module.version = "580"
    assert not found.shut_out(10.0), "its device nodes may be on their way"
    assert found.shut_out(10.0 + PATIENCE_S)


def test_a_late_driver_within_reach(root: Path) -> None:
    module = Module(None)
    found = late(module, root)
    module.version = "580"
    assert not found.shut_out(10.0)
    (root / "dev/nvidiactl").touch()
    assert not found.shut_out(10.0 + PATIENCE_S)
    assert not found.possible, "nobody needs to ask again"


def test_a_driver_that_leaves_again(root: Path) -> None:
    module = Module(None)
    found = late(module, root)
    module.version = "580"
    found.shut_out(10.0)
    module.version = None
    assert not found.shut_out(20.0)
    module.version = "580"
    assert not found.shut_out(30.0), "its patience begins anew"


def test_a_driver_that_never_answered_costs_a_process_every_ten_minutes_and_no_more() -> None:
    """Longer than the 15 minutes and 8 starts of the unit's start limit ever allow to be reached."""
    assert unanswered(settled=False, waited_s=599)
    assert not unanswered(settled=False, waited_s=UNANSWERED_S)
    assert not unanswered(settled=True, waited_s=1), "from then on the loop feeds the watchdog, or nobody"
