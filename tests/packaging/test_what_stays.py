"""What a removal says stays on the GPUs, and how it is undone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.built import ENVIRONMENT, TOP


def setting(name: str, original: Any, observed: Any, accepted: Any = None) -> dict[str, Any]:
    return {"setting": name, "original": original, "observed": observed, "accepted": accepted, "state": "held"}


def told(tmp_path: Path, settings: list[dict[str, Any]], on_stop: str = "keep", host: Any = ()) -> str:
    """What it prints with a daemon that answers this."""
    document = {
        "format": 1,
        "policy": {"on_stop": on_stop},
        "gpus": [{"name": "NVIDIA GeForce RTX 5090", "pci": "0000:01:00.0", "settings": settings}],
        "host": {"settings": list(host)},
    }
    (tmp_path / "answer").write_text(json.dumps(document))
    return run(tmp_path, f"cat {tmp_path}/answer")


def run(tmp_path: Path, command: str) -> str:
    fake = tmp_path / "gpu-tunedctl"
    fake.write_text(f"#!/bin/sh\n{command}\n")
    fake.chmod(0o755)
    script = (TOP / "packaging/what-stays").read_text().replace("/usr/bin/gpu-tunedctl", str(fake))
    done = subprocess.run(["python3", "-I", "-c", script], capture_output=True, text=True, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("changed", "undo"),
    [
        (setting("power_limit_w", 575, 450), "-pl 575"),
        (setting("gpu_clock_mhz", "unlocked", None, {"min": 2400, "max": 2550}), "-rgc"),
        (setting("memory_clock_mhz", "unlocked", None, {"min": 0, "max": 14001}), "-rmc"),
        (setting("persistence_mode", False, True), "-pm 0"),
        (setting("compute_mode", "default", "exclusive_process"), "-c DEFAULT"),
        (
            setting("application_clocks_mhz", {"memory": 2619, "gpu": 1755}, {"memory": 2619, "gpu": 1200}),
            "-ac 2619,1755",
        ),
    ],
)
def test_each_changed_setting_is_told_with_its_way_back(tmp_path: Path, changed: dict[str, Any], undo: str) -> None:
    line = told(tmp_path, [changed]).splitlines()[1]
    assert changed["setting"] in line
    assert line.endswith(f"nvidia-smi -i 0000:01:00.0 {undo}")


def test_the_kernels_knob_is_told_too(tmp_path: Path) -> None:
    assert "sysctl kernel.numa_balancing=1" in told(tmp_path, [], host=[setting("numa_balancing", "on", "off")])


def test_what_is_as_it_was_found_is_not_told(tmp_path: Path) -> None:
    unchanged = [setting("power_limit_w", 575, 575), setting("compute_mode", None, "default")]
    assert told(tmp_path, unchanged) == "gpu-tuned: it leaves nothing changed on this machine.\n"


def test_with_restore_it_says_so_and_lists_nothing(tmp_path: Path) -> None:
    text = told(tmp_path, [setting("power_limit_w", 575, 450)], on_stop="restore")
    assert "put back" in text and "-pl" not in text


@pytest.mark.parametrize("answer", ["exit 3", "echo garbage", "echo '{\"format\": 1}'", "echo '[]'"])
def test_without_an_answer_it_says_what_can_be_said(tmp_path: Path, answer: str) -> None:
    text = run(tmp_path, answer)
    assert "cannot be listed" in text and "-rgc" in text
