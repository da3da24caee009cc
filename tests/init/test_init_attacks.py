"""Hosts whose files were laid out to take a write of root elsewhere: links, hard links, folders of others, odd names,
changes between the look and the write, and between the write and its undo."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.core.errors import GpuTunedError
from gpu_tuned.main import first_policy, write_first_policy
from tests.conftest import MakeHost
from tests.init.case import below, changed, picture

SCRIPT = "#!/bin/sh\nnvidia-smi -pl 450\necho done\n"
UNIT = "[Service]\nType=oneshot\nExecStart=/usr/bin/nvidia-smi -pl 450\n[Install]\nWantedBy=multi-user.target\n"
RC = "/etc/rc.local"
STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


class Attacked:
    """A root below tmp_path, and beside it the folder that nothing may be written to."""

    def __init__(self, folder: Path) -> None:
        self.root, self.outside = folder / "root", folder / "outside"
        self.root.mkdir(mode=0o755)
        self.outside.mkdir(mode=0o755)

    def put(self, path: str, text: str = SCRIPT, mode: int = 0o755) -> Path:
        file = below(self.root, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def link(self, path: str, target: Path | str) -> None:
        place = below(self.root, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def write(self) -> dict[str, Any] | str:
        """`init --write`; its document, or what it said when it refused."""
        try:
            return write_first_policy(str(self.root), replace=False)
        except GpuTunedError as error:
            return str(error)

    def taken(self) -> list[object]:
        return [row["value"] for row in first_policy(str(self.root))["taken"]]


@pytest.fixture
def attacked(nvsim: MakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attacked]:
    host = nvsim("h200")
    for name, value in {**host.simulator_env, "NVSIM_CAP_SYS_ADMIN": "1"}.items():
        monkeypatch.setenv(name, value)
    yield Attacked(tmp_path)


def undo(document: dict[str, Any] | str) -> subprocess.CompletedProcess[str]:
    assert not isinstance(document, str), document
    command = document["written"]["undo"]
    return subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(
    "path", ["/etc/gpu-tuned", "/var/backups", "/var/backups/gpu-tuned", "/var", "/usr/local/bin"]
)
@pytest.mark.parametrize("relative", [False, True])
def test_a_folder_that_is_a_link_out_of_the_root(attacked: Attacked, path: str, relative: bool) -> None:
    attacked.put(RC, "#!/bin/sh\n/usr/local/bin/gpu.sh\n")
    (attacked.outside / "gpu.sh").write_text(SCRIPT)
    (attacked.outside / "gpu.sh").chmod(0o755)
    up = "../" * (path.count("/") + 3)
    attacked.link(path, f"{up}{str(attacked.outside).lstrip('/')}" if relative else attacked.outside)
    before = picture(attacked.outside)
    attacked.write()
    assert picture(attacked.outside) == before


def test_the_policy_is_a_link(attacked: Attacked) -> None:
    precious = attacked.outside / "precious"
    precious.write_text("precious\n")
    attacked.put(RC)
    attacked.link("/etc/gpu-tuned/gpu-tuned.toml", precious)
    attacked.write()
    assert precious.read_text() == "precious\n"


@pytest.mark.parametrize("path", [RC, "/etc/systemd/system/gpu.service", "/etc/cron.d/gpu", "/etc/sysctl.d/x.conf"])
def test_a_file_that_is_a_link_out_of_the_root(attacked: Attacked, path: str) -> None:
    texts = {"service": UNIT, "gpu": "@reboot root nvidia-smi -pl 450\n", "conf": "kernel.numa_balancing = 0\n"}
    target = attacked.outside / "file"
    target.write_text(texts.get(path.rpartition("/")[2].rpartition(".")[2], SCRIPT))
    attacked.link(path, target)
    before = picture(attacked.outside)
    document = attacked.write()
    assert picture(attacked.outside) == before
    assert isinstance(document, str) or document["taken"] == []


@as_root
@pytest.mark.parametrize("folder", ["/opt/app", "/opt/app/bin", "/opt"])
def test_somebody_else_s_folder_anywhere_above(attacked: Attacked, folder: str) -> None:
    script = attacked.put("/opt/app/bin/gpu.sh")
    attacked.put(RC, "#!/bin/sh\n/opt/app/bin/gpu.sh\n")
    os.chown(below(attacked.root, folder), STRANGER, STRANGER)
    attacked.write()
    assert script.read_text() == SCRIPT


@as_root
@pytest.mark.parametrize(("mode", "group", "changes"), [(0o775, 50, False), (0o777, 0, False), (0o775, 0, True)])
def test_a_folder_that_not_only_root_can_write(attacked: Attacked, mode: int, group: int, changes: bool) -> None:
    script = attacked.put("/usr/local/sbin/gpu.sh")
    attacked.put(RC, "#!/bin/sh\n/usr/local/sbin/gpu.sh\n")
    os.chown(script.parent, 0, group)
    script.parent.chmod(mode)
    attacked.write()
    assert (script.read_text() != SCRIPT) == changes


@as_root
@pytest.mark.parametrize(("owner", "mode"), [(STRANGER, 0o755), (0, 0o757), (0, 0o775)])
def test_a_file_that_not_only_root_can_write(attacked: Attacked, owner: int, mode: int) -> None:
    """What a stranger can write at any time is no wish of the host's owner, and no file for root to write."""
    script = attacked.put("/usr/local/sbin/gpu.sh", mode=mode)
    attacked.put(RC, "#!/bin/sh\n/usr/local/sbin/gpu.sh\n")
    os.chown(script, owner, STRANGER)
    attacked.write()
    assert script.read_text() == SCRIPT


def test_a_hard_link_keeps_its_other_name_as_it_was(attacked: Attacked) -> None:
    script = attacked.put(RC)
    other = attacked.outside / "other"
    os.link(script, other)
    document = attacked.write()
    assert other.read_text() == SCRIPT
    if script.read_text() != SCRIPT:
        undo(document)
    assert script.read_text() == SCRIPT == other.read_text()


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "loop", "binary", "huge"])
def test_what_is_no_text_holds_nothing_up(attacked: Attacked, kind: str) -> None:
    place = below(attacked.root, RC)
    place.parent.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "socket":
        os.mknod(place, stat.S_IFSOCK | 0o755)
    elif kind == "loop":
        place.symlink_to(RC)
    elif kind == "binary":
        place.write_bytes(b"#!/bin/sh\nnvidia-smi -pl 450\n\0\x01\x02")
    else:
        place.write_text("#!/bin/sh\nnvidia-smi -pl 450\n" + "# padding\n" * 100_000)
    place.chmod(0o755) if kind in ("binary", "huge") else None
    document = attacked.write()
    assert not isinstance(document, str), document
    assert document["taken"] == []
    assert undo(document).returncode == 0


@pytest.mark.parametrize(
    "name",
    ["gpu $(touch pwned) ';x.sh", "a\nrm -rf x\n.sh", "gpu\n[daemon]\nmode = 'observe'\n.sh", "-rf", "gpu\x1b[2J.sh"],
)
def test_names_are_only_names(attacked: Attacked, name: str) -> None:
    """In commands, in the policy and on the terminal."""
    attacked.put(f"/etc/cron.hourly/{name}")
    attacked.put(RC)
    before = picture(attacked.root)
    document = attacked.write()
    assert not isinstance(document, str), document
    lines = [line for line in document["policy"].splitlines() if line and not line.startswith("#")]
    assert not any(line.startswith(("[daemon]", "mode", "rm ")) for line in lines)
    assert not any("\x1b" in line or "\n" in line for line in document["next"])
    done = undo(document)
    assert (done.returncode, changed(before, picture(attacked.root))) == (0, set())
    assert not list(attacked.root.rglob("pwned"))


def test_undo_follows_no_link_that_came_since(attacked: Attacked) -> None:
    script = attacked.put("/usr/local/sbin/gpu.sh")
    attacked.put(RC, "#!/bin/sh\n/usr/local/sbin/gpu.sh\n")
    document = attacked.write()
    assert script.read_text() != SCRIPT
    script.parent.rename(script.parent.with_name("moved"))
    script.parent.symlink_to(attacked.outside)
    before = picture(attacked.outside)
    done = undo(document)
    assert picture(attacked.outside) == before
    assert done.returncode != 0
    assert "gpu.sh" in done.stdout + done.stderr


@as_root
def test_undo_writes_into_no_folder_that_became_a_stranger_s(attacked: Attacked) -> None:
    script = attacked.put("/usr/local/sbin/gpu.sh")
    attacked.put(RC, "#!/bin/sh\n/usr/local/sbin/gpu.sh\n")
    document = attacked.write()
    after = script.read_text()
    os.chown(script.parent, STRANGER, STRANGER)
    undo(document)
    assert script.read_text() == after


@as_root
def test_owner_mode_times_and_attributes_come_back(attacked: Attacked) -> None:
    script = attacked.put(RC, mode=0o4751)
    os.chown(script, 0, 42)
    script.chmod(0o4751)
    os.utime(script, (1e9, 1e9))
    try:
        os.setxattr(script, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    before = picture(attacked.root)
    document = attacked.write()
    edited = script.stat()
    assert (stat.S_IMODE(edited.st_mode), edited.st_gid) == (0o4751, 42)
    assert os.getxattr(script, "user.note") == b"kept"
    undo(document)
    assert changed(before, picture(attacked.root)) == set()
    assert script.stat().st_mtime == 1e9


def test_nothing_below_the_nix_store_is_written(attacked: Attacked) -> None:
    store = "/nix/store/0000-unit-gpu.service/gpu.service"
    attacked.put(store, UNIT, 0o444)
    attacked.link("/etc/systemd/system/gpu.service", store)
    attacked.link("/etc/systemd/system/multi-user.target.wants/gpu.service", "../gpu.service")
    before = picture(below(attacked.root, "/nix"))
    document = attacked.write()
    assert picture(below(attacked.root, "/nix")) == before
    assert not isinstance(document, str) and [row["value"] for row in document["taken"]] == [450]


def test_a_race_for_a_folder_takes_no_write_out_of_the_root(attacked: Attacked) -> None:
    """Somebody swaps the script's folder for a link and back, as fast as can be, while init writes."""
    folder = below(attacked.root, "/usr/local/sbin")
    attacked.put("/usr/local/sbin/gpu.sh")
    attacked.put(RC, "#!/bin/sh\n/usr/local/sbin/gpu.sh\n")
    (attacked.outside / "gpu.sh").write_text(SCRIPT)
    (attacked.outside / "gpu.sh").chmod(0o755)
    before = picture(attacked.outside)
    aside, stop = folder.with_name("aside"), threading.Event()

    def swap() -> None:
        while not stop.is_set():
            folder.rename(aside)
            folder.symlink_to(attacked.outside)
            folder.unlink()
            aside.rename(folder)

    racer = threading.Thread(target=swap)
    racer.start()
    try:
        for _ in range(15):
            document = attacked.write()
            assert picture(attacked.outside) == before
            if not isinstance(document, str):
                undo(document)
                assert picture(attacked.outside) == before
            below(attacked.root, "/etc/gpu-tuned/gpu-tuned.toml").unlink(missing_ok=True)
    finally:
        stop.set()
        racer.join()
    assert picture(attacked.outside) == before


def test_a_read_only_place_changes_nothing_at_all(attacked: Attacked, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backup cannot be made: nothing is changed, and it says so."""
    attacked.put(RC)
    attacked.put("/var/backups", "a file where the folder should be\n", 0o644)
    before = picture(attacked.root)
    said = attacked.write()
    assert isinstance(said, str) and "/var/backups" in said
    assert changed(before, picture(attacked.root)) == set()
