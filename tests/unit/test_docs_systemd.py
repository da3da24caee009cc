"""Every unit in docs/systemd.md is one that systemd takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```ini\n(.*?)^```$", (TOP / "docs" / "systemd.md").read_text(), re.MULTILINE | re.DOTALL)
STUB = "[Service]\nExecStart=/bin/true\n"


def runnable(text: str) -> str:
    """With a program that is here in place of those that are not: verify wants each to exist."""
    return re.sub(r"(?<==)/(?:usr|opt)/\S*bin/\S+|(?<== )/(?:usr|opt)/\S*bin/\S+", "/bin/true", text)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Our own units, and what the snippets lean on."""
    for path in (TOP / "units").glob("gpu-tuned*.*"):
        (tmp_path / path.name).write_text(
            re.sub(r"/usr/bin/(gpu-tuned|nvidia-)[a-z-]*", "/bin/true", path.read_text())
        )
    (tmp_path / "docker.service").write_text(STUB)
    return tmp_path


def verify(folder: Path, unit: str) -> str:
    command = ["systemd-analyze", "verify", "--man=no", str(folder / unit)]
    path = {"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr + (f"exit {done.returncode}" if done.returncode else "")


def test_there_are_units_in_the_document() -> None:
    assert sum("gpu-tuned" in block for block in BLOCKS) >= 6


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_unit_of_the_document(block: str, units: Path) -> None:
    whole = "ExecStart=" in block
    (units / "snippet.service").write_text(runnable(block) if whole else STUB)
    if not whole:
        (units / "snippet.service.d").mkdir()
        (units / "snippet.service.d" / "override.conf").write_text(block)
    assert verify(units, "snippet.service") == ""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_a_mistake_would_be_seen(units: Path) -> None:
    (units / "snippet.service").write_text(STUB)
    (units / "snippet.service.d").mkdir()
    (units / "snippet.service.d" / "override.conf").write_text("[Unit]\nAfters=gpu-tuned.target\n")
    assert "Afters" in verify(units, "snippet.service")
