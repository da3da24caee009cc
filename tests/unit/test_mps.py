"""Exclusive process mode without MPS is warned about, by `status` and by `plan`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.ctl import mps

EXCLUSIVE = ["default", "exclusive_process"]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(mps, "FOLDERS", (str(tmp_path / "run"),))
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    return tmp_path


def test_exclusive_without_mps() -> None:
    told = mps.warning(EXCLUSIVE)
    assert told is not None
    assert "gpu-tuned-mps" in told


def test_exclusive_with_mps(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / "run").mkdir()
    (nowhere / "run" / "control").touch()
    assert mps.warning(EXCLUSIVE) is None
    # Or where the environment says that the pipes are.
    (nowhere / "run").rename(nowhere / "own")
    assert mps.warning(EXCLUSIVE) is not None
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(nowhere / "own"))
    assert mps.warning(EXCLUSIVE) is None


def test_another_mode_is_none_of_its_business() -> None:
    assert mps.warning(["default", None]) is None
    assert mps.warning([]) is None
