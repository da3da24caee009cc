"""The package over its life: upgrade, downgrade, remove, purge; and the units that are off unless enabled."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from gpu_tuned import __version__
from tests.machine.conftest import BOARDS, FIND, POLICY, PREVIOUS_VERSION, build_deb, build_previous
from tests.machine.machine import NVSIM_STATE, Machine, power_w
from tests.machine.watch import watching

NEXT = "99.0"
# An edited policy stays when a package brings another default file; dpkg would ask, and here nobody answers.
KEEP_POLICY = "-o Dpkg::Options::=--force-confold"
# What a system keeps about its packages and users, and what these tests put there themselves.
NOT_OURS = (
    "/dev/", "/proc/", "/sys/", "/run/", "/tmp/", "/root/", "/var/tmp/",
    "/var/lib/dpkg/", "/var/lib/apt/", "/var/cache/", "/var/log/", "/var/lib/systemd/", "/var/lib/nvsim/",
    "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/.pwd.lock", "/etc/subuid", "/etc/subgid",
    "/etc/systemd/system/gpu-tuned", "/etc/machine-id", "/etc/ld.so.cache", "/home/", "/var/mail", "/var/spool/mail",
)  # fmt: skip


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory, deb: Path) -> Path:
    """The same package under a later version; `deb` came first, so that dist/ ends with the usual one."""
    return build_deb(tmp_path_factory.mktemp("newer"), "--version", NEXT)


def version(machine: Machine) -> str:
    return machine.out("dpkg-query --show --showformat='${Version}' gpu-tuned")


def test_upgrade_and_back(running: Machine, newer: Path) -> None:
    """Neither lets go of a limit or a lock, and both keep the policy and the originals."""
    shutil.copy(newer, running.root / "root/newer.deb")
    old = version(running)
    restoring = POLICY.replace("[daemon]", '[daemon]\non_stop = "restore"')
    running.write("/etc/gpu-tuned/gpu-tuned.toml", restoring)
    running.sh("systemctl reload gpu-tuned")
    original = running.setting("power_limit_w")["original"]
    with watching(running) as watched:
        pid = running.status()["host"]["pid"]
        running.sh(f"apt-get install -y {KEEP_POLICY} /root/newer.deb", timeout_s=120)
        running.until(lambda: running.setting("power_limit_w").get("in_order"), "in force after the upgrade")
        assert version(running) == NEXT
        assert running.status()["host"]["daemon_version"] == NEXT
        assert running.status()["host"]["pid"] != pid
        assert running.setting("power_limit_w")["original"] == original == 575
        running.sh(
            f"apt-get install -y {KEEP_POLICY} --allow-downgrades /root/dist/gpu-tuned_{old}_all.deb", timeout_s=120
        )
        running.until(lambda: running.setting("power_limit_w").get("in_order"), "in force after the downgrade")
        assert running.status()["host"]["daemon_version"] == old
        assert running.setting("power_limit_w")["original"] == 575
    watched.never_fell_back()
    # The policy asks for a restore at a stop, and an upgrade is none, although it stops a process.
    assert not running.entries("GPU_TUNED_EVENT=restored")
    assert running.read("/etc/gpu-tuned/gpu-tuned.toml") == restoring


def test_upgrade_from_the_version_before(running: Machine, deb: Path, tmp_path: Path) -> None:
    """Its state is read, its limit and lock stay as they are, and nothing is restored although a stop would."""
    shutil.copy(build_previous(tmp_path), running.root / "root/previous.deb")
    back = f"apt-get install -y {KEEP_POLICY} --allow-downgrades /root/previous.deb"
    running.sh(f"systemctl stop gpu-tuned; {back}", timeout_s=120)
    running.sh(f"rm -rf /var/lib/gpu-tuned; nvsim create {BOARDS}")
    restoring = POLICY.replace("[daemon]", '[daemon]\non_stop = "restore"')
    running.write("/etc/gpu-tuned/gpu-tuned.toml", restoring)
    running.sh("systemctl start gpu-tuned")
    running.until(lambda: running.setting("power_limit_w").get("original") == 575, "saved by the version before")
    with watching(running) as watched:
        try:
            assert running.status()["host"]["daemon_version"] == PREVIOUS_VERSION
        finally:
            running.sh(f"apt-get install -y {KEEP_POLICY} /root/dist/{deb.name}", timeout_s=120)
        running.until(lambda: running.setting("power_limit_w").get("in_order"), "in force after the upgrade")
    watched.never_fell_back()
    assert running.status()["host"]["daemon_version"] == __version__
    assert running.setting("power_limit_w")["original"] == 575
    assert not running.entries("GPU_TUNED_EVENT=restored")


def test_purge_leaves_nothing(running: Machine) -> None:
    before = set(running.after_install["files"].splitlines())
    running.sh("systemctl enable -q gpu-tuned")
    try:
        said = running.sh("apt-get remove -y gpu-tuned", timeout_s=120).stdout
        assert power_w(running.gpu()) == 450, "on_stop is not restore, so the settings stay"
        # What stays, and the command that undoes it.
        assert "nvidia-smi -i 0000:01:00.0 -pl 575" in said, said
        assert running.read("/etc/gpu-tuned/gpu-tuned.toml") == POLICY, (
            "removed, not purged: the policy is the user's"
        )
        running.sh("apt-get purge -y gpu-tuned", timeout_s=120)
        after = set(running.out(FIND).splitlines())
    finally:
        running.install()
    assert {path for path in after - before if not path.startswith(NOT_OURS)} == set()
    # The name is nobody else's, so nothing with it stays anywhere but with the package manager.
    assert {path for path in after if "gpu-tuned" in path and not path.startswith(NOT_OURS)} == set()


def test_removing_it_after_the_daemon_failed(running: Machine) -> None:
    """systemd runs no ExecStopPost= when a failed service is stopped, so the package's script sees to it."""
    running.write("/etc/systemd/system/gpu-tuned.service.d/test-fail.conf", "[Service]\nRestart=no\n")
    running.sh("systemctl daemon-reload")
    remove = f"export GPU_TUNED_SYSROOT={NVSIM_STATE}/root; apt-get remove -y gpu-tuned 2>&1"
    try:
        for on_stop, power in ({"keep": 450, "restore": 575}).items():
            policy = POLICY.replace("[daemon]", f'[daemon]\non_stop = "{on_stop}"')
            running.write("/etc/gpu-tuned/gpu-tuned.toml", policy)
            running.sh("systemctl restart gpu-tuned")
            running.until(lambda: running.setting("power_limit_w").get("in_order"), "settings in force")
            running.kill()
            running.until(lambda: running.show("gpu-tuned", "ActiveState")["ActiveState"] == "failed", "failed")
            assert power_w(running.gpu()) == 450, "a crash puts nothing back"
            said = running.sh(remove, timeout_s=120).stdout
            assert power_w(running.gpu()) == power, said
            gpu = running.gpu()
            assert (gpu["gpu_clock_mhz"] is None, gpu["persistence_mode"]) == (
                (True, False) if on_stop == "restore" else (False, True)
            ), said
            uuid = gpu["uuid"]
            # What was found, whoever puts it back; the words leave open what is so now.
            assert re.search(rf"power_limit_w was 575 +nvidia-smi -i {uuid} -pl 575\n", said), said
            assert "whether these are still changed is not known" in said
            assert ("restored to 575 W" in said) == (on_stop == "restore"), said
            running.install()
    finally:
        running.install()


def test_installed_again_the_target_can_be_started(running: Machine) -> None:
    """A removal leaves it reached, for those who require it; systemd does not load its units anew by itself."""
    running.sh("systemctl start gpu-tuned.target")
    try:
        running.sh("apt-get remove -y gpu-tuned", timeout_s=120)
        assert running.show("gpu-tuned.target", "ActiveState")["ActiveState"] == "active"
    finally:
        running.install()
    running.sh("systemctl restart gpu-tuned.target gpu-tuned-wait.service")
    assert running.setting("power_limit_w").get("in_order")


def test_nvidia_modprobe_makes_the_device_nodes(machine: Machine) -> None:
    """Outside of the sandbox, which may not make any."""
    machine.write("/usr/bin/nvidia-modprobe", '#!/bin/sh\necho "$@" >>/root/modprobe\nexit 1\n')
    machine.sh("chmod 755 /usr/bin/nvidia-modprobe; rm -f /root/modprobe; systemctl start gpu-tuned")
    assert machine.read("/root/modprobe").splitlines() == ["", "-c 255"]
    machine.sh("rm /usr/bin/nvidia-modprobe")


def test_mps(machine: Machine) -> None:
    """A stand-in that ends when it is told to quit through its pipe directory, and not before."""
    fake = """#!/bin/sh
test -w "$CUDA_MPS_PIPE_DIRECTORY" && test -w "$CUDA_MPS_LOG_DIRECTORY" || exit 9
if [ "$1" = -f ]; then
  mkfifo "$CUDA_MPS_PIPE_DIRECTORY/control"
  trap "" TERM
  read word <"$CUDA_MPS_PIPE_DIRECTORY/control"
  echo "$word" >"$CUDA_MPS_LOG_DIRECTORY/control.log"
else
  read word; echo "$word" >"$CUDA_MPS_PIPE_DIRECTORY/control"
fi
"""
    assert machine.sh("systemctl is-enabled gpu-tuned-mps", check=False).stdout.strip() == "disabled"
    machine.sh("systemctl start gpu-tuned-mps")
    assert machine.show("gpu-tuned-mps", "ActiveState")["ActiveState"] == "inactive", (
        "no MPS here: the condition says no"
    )
    machine.write("/usr/bin/nvidia-cuda-mps-control", fake)
    machine.sh("chmod 755 /usr/bin/nvidia-cuda-mps-control; systemctl start gpu-tuned-mps")
    machine.until(lambda: machine.sh("test -p /run/nvidia-mps/control", check=False).returncode == 0, "its pipe")
    # After the target: the settings were in force before it began.
    assert machine.show("gpu-tuned.target", "ActiveState")["ActiveState"] == "active"
    assert power_w(machine.gpu()) == 450
    machine.sh("systemctl stop gpu-tuned-mps")
    assert machine.show("gpu-tuned-mps", "Result")["Result"] == "success"
    assert machine.read("/var/log/nvidia-mps/control.log") == "quit\n"


def test_persistenced_of_ours_steps_aside(machine: Machine) -> None:
    fake = """#!/bin/sh
id -un >/run/nvidia-persistenced/user
setsid sleep 1000 </dev/null >/dev/null 2>&1 &
echo $! >/run/nvidia-persistenced/nvidia-persistenced.pid
"""
    machine.write("/usr/bin/nvidia-persistenced", fake)
    machine.sh("chmod 755 /usr/bin/nvidia-persistenced; systemctl start gpu-tuned-persistenced")
    assert machine.show("gpu-tuned-persistenced", "ActiveState")["ActiveState"] == "active"
    assert machine.out("cat /run/nvidia-persistenced/user") == "nvidia-persistenced"
    assert "gpu-tuned.service" in machine.show("gpu-tuned-persistenced", "Before")["Before"]
    machine.sh("systemctl stop gpu-tuned-persistenced; test ! -e /run/nvidia-persistenced")
    machine.write("/etc/systemd/system/nvidia-persistenced.service", "[Service]\nExecStart=sleep 1000\n")
    machine.sh("systemctl daemon-reload; systemctl start gpu-tuned-persistenced")
    assert machine.show("gpu-tuned-persistenced", "ActiveState")["ActiveState"] == "inactive"
    machine.sh("rm /usr/bin/nvidia-persistenced")
