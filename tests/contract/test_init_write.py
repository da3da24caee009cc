"""`gpu-tunedctl init --write` on a simulated host: what it does, how it is undone, what the daemon makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeHost
from tests.daemon import Daemon
from tests.init_host import LINK, POLICY, SCRIPT, SYSCTL, UNIT, put, set_up_by_hand, snapshot
from tests.nvsim import Nvsim

ENTRY = "from gpu_tuned.main import control; control()"
SHIPPED = Path(__file__).parents[2] / "etc" / "gpu-tuned.toml"
OF_ONES_OWN = '[[gpu]]\nmatch = { name = "*" }\npower_limit_w = 500\n'


def ctl(host: Nvsim, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ENTRY, *arguments], env=host.env, capture_output=True, text=True, timeout=60
    )


def without_backups(root: Path) -> dict[str, tuple[object, ...]]:
    # The driver's stand-in writes below /proc and /dev whenever somebody attaches.
    skip = ("/var/backups/", "/proc/", "/sys/", "/dev/")
    return {path: what for path, what in snapshot(root).items() if not path.startswith(skip)}


def undo(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stdout.splitlines()
    return lines[lines.index("to undo all of it:") + 1].strip()


def text(host: Nvsim, path: str) -> str:
    return (host.root / path.lstrip("/")).read_text()


def test_it_looks_and_touches_nothing(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    set_up_by_hand(host.root)
    before = without_backups(host.root)
    assert ctl(host, "init").returncode == 0
    assert without_backups(host.root) == before
    assert not (host.root / "var").exists()
    assert host.writes() == []


def test_what_it_prints_is_a_policy_as_it_stands(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("rtx-5090-575")
    set_up_by_hand(host.root)
    file = tmp_path / "new.toml"
    file.write_text(ctl(host, "init").stdout)
    assert ctl(host, "check", str(file)).stdout == f"{file}: good\n"
    plan = ctl(host, "plan", "--config", str(file))
    assert "refused" not in plan.stdout
    assert "off -> on" in plan.stdout


def test_write_puts_the_policy_in_place_and_takes_away_what_it_replaces(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    set_up_by_hand(host.root)
    put(host.root, POLICY, SHIPPED.read_text())
    shown = ctl(host, "init").stdout
    done = ctl(host, "init", "--write")
    assert (done.returncode, done.stderr) == (0, "")
    assert shown.startswith(text(host, POLICY))
    left = without_backups(host.root)
    assert UNIT not in left
    assert LINK not in left
    assert "kernel.numa_balancing" not in [line[:21] for line in text(host, SYSCTL).splitlines()]
    script = host.root / SCRIPT.lstrip("/")
    assert script.stat().st_mode & 0o777 == 0o755
    calls = [
        line for line in text(host, SCRIPT).splitlines() if "nvidia-smi -" in line and not line.startswith(": #")
    ]
    assert calls == ['nvidia-smi -q | grep -E "Persistence Mode|Power Limit|Compute Mode"']
    assert host.writes() == []
    again = ctl(host, "init")
    assert "edit " not in again.stdout
    assert "move " not in again.stdout


@pytest.mark.parametrize("there", [None, SHIPPED.read_text()])
def test_undo_puts_everything_back(nvsim: MakeHost, there: str | None) -> None:
    host = nvsim("rtx-5090-575")
    set_up_by_hand(host.root)
    if there is not None:
        put(host.root, POLICY, there)
    before = without_backups(host.root)
    command = undo(ctl(host, "init", "--write"))
    assert without_backups(host.root) != before
    for _ in range(2):  # a second time changes nothing more
        subprocess.run(command, shell=True, check=True, capture_output=True, timeout=20)
        assert without_backups(host.root) == before


def test_undo_keeps_what_was_changed_since(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    set_up_by_hand(host.root)
    command = undo(ctl(host, "init", "--write"))
    put(host.root, POLICY, OF_ONES_OWN)
    subprocess.run(command, shell=True, check=True, capture_output=True, timeout=20)
    assert not (host.root / POLICY.lstrip("/")).exists()
    (kept,) = (host.root / "var/backups/gpu-tuned").glob("*/since/etc/gpu-tuned/gpu-tuned.toml")
    assert kept.read_text() == OF_ONES_OWN


def test_the_backup_is_for_its_owner_alone(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    ctl(host, "init", "--write")
    (backup,) = (host.root / "var/backups/gpu-tuned").iterdir()
    assert backup.stat().st_mode & 0o777 == 0o700


def test_a_policy_of_ones_own_is_not_replaced_unasked(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    set_up_by_hand(host.root)
    put(host.root, POLICY, OF_ONES_OWN)
    before = without_backups(host.root)
    done = ctl(host, "init", "--write")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--write --replace" in done.stderr
    assert without_backups(host.root) == before
    replaced = ctl(host, "init", "--write", "--replace")
    assert replaced.returncode == 0
    (kept,) = (host.root / "var/backups/gpu-tuned").glob("*/files/etc/gpu-tuned/gpu-tuned.toml")
    assert kept.read_text() == OF_ONES_OWN


def test_root_takes_another_host_s_files(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("h200")
    set_up_by_hand(tmp_path / "image")
    assert SCRIPT not in ctl(host, "init").stdout
    assert SCRIPT in ctl(host, "init", "--root", str(tmp_path / "image")).stdout
    ctl(host, "init", "--write", "--root", str(tmp_path / "image"))
    assert (tmp_path / "image" / POLICY.lstrip("/")).exists()
    assert not (host.root / "etc").exists()


def test_without_a_backup_nothing_is_changed(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    set_up_by_hand(host.root)
    put(host.root, "/var/backups", "a file")
    before = snapshot(host.root / "etc")
    done = ctl(host, "init", "--write")
    assert done.returncode == 5
    assert "making the backup" in done.stderr
    assert "nothing was changed" in done.stderr
    assert snapshot(host.root / "etc") == before


def test_what_fails_half_way_says_how_to_undo_it(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    set_up_by_hand(host.root)
    put(host.root, "/etc/gpu-tuned", "a file")
    done = ctl(host, "init", "--write")
    assert done.returncode == 5
    assert f"writing {POLICY}" in done.stderr
    assert "undo.sh" in done.stderr


def test_without_a_driver(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    set_up_by_hand(host.root)
    host.run("unload")
    before = without_backups(host.root)
    for arguments in (["init"], ["init", "--write"]):
        done = ctl(host, *arguments)
        assert (done.returncode, done.stdout) == (5, "")
        assert done.stderr == "gpu-tunedctl: the NVIDIA driver is not loaded\n"
    assert without_backups(host.root) == before


def test_a_gpu_that_does_not_answer_is_named_and_not_forgotten(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h200")
    host.lose(1)
    done = ctl(host, "init")
    assert done.returncode == 0
    assert "# Not in this policy, for they do not answer now: 0000:02:00.0\n" in done.stdout
    host.lose(0)
    gone = ctl(host, "init")
    assert (gone.returncode, gone.stdout) == (5, "")
    assert "nothing to propose" in gone.stderr


GUIDE: dict[str, dict[str, Any]] = {
    "rtx-5090-575": {"power_limit_w": 575, "gpu_clock_mhz": {"min": 2400, "max": 2550}, "memory_clock_mhz": None},
    "rtx-5090-600": {"power_limit_w": 600, "gpu_clock_mhz": {"min": 2400, "max": 2550}, "memory_clock_mhz": None},
    "h200": {"power_limit_w": 600, "gpu_clock_mhz": None, "memory_clock_mhz": None},
}


@pytest.mark.parametrize("board", GUIDE)
def test_the_daemon_makes_of_it_what_its_comments_say(nvsim: MakeHost, board: str) -> None:
    """After somebody ran the guide's script by hand: what was harmful goes, what was taken over is held."""
    host = nvsim(board)
    set_up_by_hand(host.root)
    gpu_mhz, memory_mhz = ("2400-2550", 7001) if "5090" in board else (1980, 2201)
    host.set(0, persistence_mode=True, gpu_clock_mhz=gpu_mhz, memory_clock_mhz=memory_mhz)
    host.set(0, compute_mode="exclusive_process")
    ctl(host, "init", "--write")
    with Daemon(host, text(host, POLICY)).ready() as daemon:
        daemon.until(lambda: daemon.ctl("verify").returncode == 0, "in order")
        seen = host.gpu()
        assert daemon.status()["gpus"][0]["in_order"]
    assert {key: seen[key] for key in GUIDE[board]} == GUIDE[board]
    assert (seen["persistence_mode"], seen["compute_mode"]) == (True, "default")
    assert (host.root / "proc/sys/kernel/numa_balancing").read_text().strip() == "0"


def test_a_limit_in_force_stays_what_it_is_on_each_of_eight(nvsim: MakeHost) -> None:
    host = nvsim(*["h200"] * 8)
    host.set(3, persistence_mode=True, power_limit_w=500)
    ctl(host, "init", "--write")
    with Daemon(host, text(host, POLICY)).ready() as daemon:
        daemon.until(lambda: daemon.ctl("verify").returncode == 0, "in order")
        assert [gpu["power_limit_w"] for gpu in host.show()["gpus"]] == [700, 700, 700, 500, 700, 700, 700, 700]
        assert all(gpu["persistence_mode"] for gpu in host.show()["gpus"])
    assert [write for write in host.writes() if "PowerManagement" in write["function"]] == []


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("chattr"), reason="makes a folder immutable")
def test_who_may_not_write_is_told_so(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    (host.root / "var").mkdir()
    subprocess.run(["chattr", "+i", str(host.root / "var")], check=False, capture_output=True)
    try:
        done = ctl(host, "init", "--write")
        if (host.root / "var/backups").exists():
            pytest.skip("this file system has no immutable folders")
        assert done.returncode == 4
        assert "nothing was changed" in done.stderr
    finally:
        subprocess.run(["chattr", "-i", str(host.root / "var")], check=False, capture_output=True)
