"""`gpu-tunedctl init --write` on a simulated host: what it does, how it is undone, what the daemon makes of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeHost
from tests.daemon import Daemon
from tests.init_host import ADHOC, LINK, POLICY, SCRIPT, SYSCTL, UNIT, link, put, set_up_by_hand, snapshot
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
    assert text(host, POLICY) in shown
    left = without_backups(host.root)
    assert UNIT not in left
    assert LINK not in left
    assert "kernel.numa_balancing" not in [line[:21] for line in text(host, SYSCTL).splitlines()]
    assert text(host, SCRIPT) == (ADHOC / "setup-gpu.sh").read_text()  # nothing starts it
    assert host.writes() == []
    again = ctl(host, "init")
    assert "  edit " not in again.stdout
    assert "  move " not in again.stdout


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


STARTED = "[Service]\nType=oneshot\nExecStart=/scripts/optimizations/setup-gpu.sh\n"
GUIDE: dict[str, dict[str, Any]] = {
    # 575 W: the script ends where the board refuses its 600 W.
    "rtx-5090-575": {"power_limit_w": 575, "gpu_clock_mhz": None, "compute_mode": "default"},
    "rtx-5090-600": {"power_limit_w": 600, "gpu_clock_mhz": {"min": 2400, "max": 2550}, "compute_mode": "default"},
}


@pytest.mark.parametrize("board", GUIDE)
def test_the_daemon_holds_what_the_guide_s_script_really_sets(nvsim: MakeHost, board: str) -> None:
    host = nvsim(board)
    set_up_by_hand(host.root)
    put(host.root, "/etc/systemd/system/setup-gpu.service", STARTED)
    link(host.root, "/etc/systemd/system/multi-user.target.wants/setup-gpu.service", "../setup-gpu.service")
    ctl(host, "init", "--write")
    assert (host.root / SCRIPT.lstrip("/")).read_text() == (ADHOC / "setup-gpu.sh").read_text()
    with Daemon(host, text(host, POLICY)).ready() as daemon:
        daemon.until(lambda: daemon.ctl("verify").returncode == 0, "in order")
        seen = host.gpu()
        assert daemon.status()["gpus"][0]["in_order"]
    assert {key: seen[key] for key in GUIDE[board]} == GUIDE[board]
    assert seen["persistence_mode"]


@pytest.mark.parametrize("board", ["rtx-5090-600", "h200"])
def test_what_nothing_starts_changes_nothing_that_is_in_force(nvsim: MakeHost, board: str) -> None:
    host = nvsim(board)
    set_up_by_hand(host.root)
    gpu_mhz = "2400-2550" if "5090" in board else 1980
    host.set(0, persistence_mode=True, gpu_clock_mhz=gpu_mhz, power_limit_w=500)
    before = host.gpu()
    ctl(host, "init", "--write")
    with Daemon(host, text(host, POLICY)).ready() as daemon:
        daemon.until(lambda: daemon.ctl("verify").returncode == 0, "in order")
        keys = ("power_limit_w", "gpu_clock_mhz", "memory_clock_mhz", "compute_mode", "persistence_mode")
        assert {key: host.gpu()[key] for key in keys} == {key: before[key] for key in keys}
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


def test_json_has_it_all(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-600")
    put(host.root, "/etc/rc.local", "#!/bin/sh\nnvidia-smi -pl 500\nnvidia-smi -lgc $MHZ\n", 0o755)
    document = json.loads(ctl(host, "init", "--json").stdout)
    assert document["format"] == 1
    (gpu,) = document["gpus"]
    assert (gpu["pci"], gpu["name"], gpu["index"]) == ("0000:01:00.0", "NVIDIA GeForce RTX 5090", 0)
    (taken,) = document["taken"]
    assert (taken["gpu"], taken["setting"], taken["value"]) == (gpu["uuid"], "power_limit_w", 500)
    assert (taken["file"], taken["line"], taken["text"]) == ("/etc/rc.local", 2, "-pl 500")
    (left,) = document["left"]
    assert (left["file"], left["line"], left["setting"], left["kind"]) == (
        "/etc/rc.local",
        3,
        "gpu_clock_mhz",
        "computed",
    )
    assert [(file["path"], file["action"]) for file in document["files"]] == [("/etc/rc.local", "leave")]
    assert "power_limit_w = 500" in document["policy"]
    assert document["next"] == ["gpu-tunedctl init --write"]
    assert document["written"] is None


def test_undo_puts_back_owner_mode_time_and_attributes(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    file = put(host.root, "/etc/rc.local", "#!/bin/sh\nnvidia-smi -pl 450\n", 0o4751)
    os.utime(file, (1e9, 1e9))
    with suppress(OSError):  # not every file system has them
        os.setxattr(file, "user.kept", b"yes")
    before = (file.stat().st_mode, file.stat().st_uid, file.stat().st_mtime, os.listxattr(file))
    done = ctl(host, "init", "--write")
    assert "gpu-tuned holds this now" in file.read_text()
    assert file.stat().st_mode == before[0]
    assert os.listxattr(file) == before[3]
    subprocess.run(undo(done), shell=True, check=True, capture_output=True, timeout=20)
    assert (file.stat().st_mode, file.stat().st_uid, file.stat().st_mtime, os.listxattr(file)) == before


@pytest.mark.parametrize("path", ["/etc/gpu-tuned", "/var/backups", "/etc/gpu-tuned/gpu-tuned.toml"])
def test_no_link_takes_a_write_out_of_the_root(nvsim: MakeHost, tmp_path: Path, path: str) -> None:
    host = nvsim("h200")
    set_up_by_hand(host.root)
    outside = put(tmp_path, "/outside/precious", "precious\n")
    link(host.root, path, str(outside if path.endswith(".toml") else outside.parent))
    before = snapshot(host.root / "etc")
    done = ctl(host, "init", "--write")
    assert done.returncode != 0
    assert "nothing was changed" in done.stderr
    assert snapshot(host.root / "etc") == before
    assert snapshot(outside.parent) == {"/precious": (outside.stat().st_mode, b"precious\n")}


def test_undo_follows_no_link_either(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("h200")
    put(host.root, "/opt/gpu/limits.sh", "#!/bin/sh\nnvidia-smi -pl 450\n", 0o755)
    put(host.root, "/etc/rc.local", "#!/bin/sh\n/opt/gpu/limits.sh\n", 0o755)
    command = undo(ctl(host, "init", "--write"))
    (host.root / "opt/gpu").rename(host.root / "opt/elsewhere")
    (tmp_path / "outside").mkdir()
    link(host.root, "/opt/gpu", str(tmp_path / "outside"))
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "not put back" in done.stderr
    assert list((tmp_path / "outside").iterdir()) == []


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
