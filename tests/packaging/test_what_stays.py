"""What a removal says stays on the GPUs, and how it is undone."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.adapters.state_file import StateFile
from gpu_tuned.core.drift import new_track
from gpu_tuned.core.gpu_state import GpuState
from gpu_tuned.core.model import (
    GPU_SETTINGS,
    UNLOCKED,
    ApplicationClocks,
    ClockLock,
    ComputeMode,
    Gpu,
    NumaBalancing,
    PowerLimit,
    Setting,
    Value,
)
from gpu_tuned.core.originals import Accepted, Original, Ours
from gpu_tuned.core.saved import to_json
from gpu_tuned.core.track import Moment
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
    script = script.replace("/run/gpu-tuned/state", str(tmp_path / "state"))
    script = script.replace("/var/lib/gpu-tuned", str(tmp_path / "none"))
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


BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
RTX = "GPU-5b1c9f2e-0000-0000-0000-000000000001"
FOUND: dict[Setting, tuple[Value, Value]] = {
    Setting.PERSISTENCE_MODE: (False, True),
    Setting.POWER_LIMIT: (PowerLimit(575_000), PowerLimit(450_000)),
    Setting.GPU_CLOCK: (UNLOCKED, ClockLock(0, 2400)),
    Setting.MEMORY_CLOCK: (ClockLock(405, 7001), UNLOCKED),
    Setting.APPLICATION_CLOCKS: (ApplicationClocks(2619, 1755), ApplicationClocks(2619, 1200)),
    Setting.COMPUTE_MODE: (ComputeMode.DEFAULT, ComputeMode.EXCLUSIVE_PROCESS),
}
UNDO = {
    Setting.PERSISTENCE_MODE: "-pm 0",
    Setting.POWER_LIMIT: "-pl 575",
    Setting.GPU_CLOCK: "-rgc",
    Setting.MEMORY_CLOCK: "-lmc 405,7001",
    Setting.APPLICATION_CLOCKS: "-ac 2619,1755",
    Setting.COMPUTE_MODE: "-c DEFAULT",
}


def save(tmp_path: Path, boot_id: str = BOOT_ID, *, nothing: bool = False) -> Path:
    """A state file, as the daemon writes it."""
    then = Moment(0.0, 0.0)
    tracks, host = {}, {}
    for setting, (original, target) in ({} if nothing else FOUND).items():
        known = Original(original, not setting.readable, ours=Ours.PERHAPS)
        tracks[setting] = replace(new_track(then), original=known, before=Accepted(target, "", target))
    if not nothing:
        knob = Original(NumaBalancing.ON, ours=Ours.PERHAPS)
        host[Setting.NUMA_BALANCING] = replace(new_track(then), original=knob)
    gpu = GpuState(Gpu(RTX, "0000:01:00.0", "NVIDIA GeForce RTX 5090"), tracks=tracks)
    StateFile(tmp_path / "state").save(to_json(boot_id, [gpu], host))
    return tmp_path / "state/state.json"


def test_without_a_daemon_each_saved_original_is_told_with_its_way_back(tmp_path: Path) -> None:
    save(tmp_path)
    text = run(tmp_path, "exit 3")
    assert "whether these are still changed is not known" in text
    assert 'on_stop = "restore"' in text
    for setting, undo in UNDO.items():
        (line,) = (line for line in text.splitlines() if f" {setting.value} was " in line)
        assert line.endswith(f" nvidia-smi -i {RTX} {undo}")
        assert ("(assumed)" in line) == (not setting.readable)
    assert "numa_balancing was on: sysctl kernel.numa_balancing=1" in text
    assert set(UNDO) == set(GPU_SETTINGS), "a new setting needs a way back"


def test_what_was_only_looked_at_is_not_told(tmp_path: Path) -> None:
    path = save(tmp_path)
    path.write_text(path.read_text().replace('"written":true', '"written":false'))
    assert run(tmp_path, "exit 3") == "gpu-tuned: it leaves nothing changed on this machine.\n"


def test_a_daemon_that_answers_is_believed_and_not_the_file(tmp_path: Path) -> None:
    save(tmp_path)
    assert told(tmp_path, []) == "gpu-tuned: it leaves nothing changed on this machine.\n"


def test_where_everything_was_put_back_nothing_is_left(tmp_path: Path) -> None:
    save(tmp_path, nothing=True)
    assert run(tmp_path, "exit 3") == "gpu-tuned: it leaves nothing changed on this machine.\n"


def test_what_was_saved_before_a_reboot_is_over(tmp_path: Path) -> None:
    save(tmp_path, boot_id="another")
    assert "since the last boot" in run(tmp_path, "exit 3")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": 1', '"format": 2'),
        ('"power_limit_w"', '"fan_speed_percent"'),
        ('"original":575', '"original":"x"'),
        ('"records"', '"record"'),
        ('"state"', '"stat'),
    ],
)
def test_a_state_that_it_cannot_read_gives_the_general_words(tmp_path: Path, old: str, new: str) -> None:
    path = save(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    text = run(tmp_path, "exit 3")
    assert "cannot be listed" in text and "-rgc" in text
    assert "575" not in text
