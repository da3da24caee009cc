"""A Debian that is really booted, in a container: systemd as PID 1, the simulated driver as the system's library.

Needs root, debootstrap and systemd-nspawn (base.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.machine.base import new_root
from tests.nvsim import SIMULATOR

NVSIM_STATE = "/var/lib/nvsim"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "cat",
    "NVSIM_STATE": NVSIM_STATE,
}
# The shipped unit is what is tested; this much it must be told to find the simulated host.
DROP_IN = f"""\
[Service]
Environment=NVSIM_STATE={NVSIM_STATE} GPU_TUNED_SYSROOT={NVSIM_STATE}/root
ReadWritePaths={NVSIM_STATE}
"""
# systemd 256 and later boot on cgroup v2 alone. Where the host still mounts v1, the container's own mount namespace
# gets a cgroup2 tree; it has no memory controller and no device filter. A host has one such tree, and machines that
# begin in the same group of it share the groups of their services: one systemd waits for processes of the other's,
# and removes a group between two commands of the other's. So each has a group of its own.
CGROUP = """
if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
  umount -R /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
own="/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/$1"
"""
BOOT = f"""
{CGROUP}
mkdir -p "$own" && echo $$ >"$own/cgroup.procs" || exit
exec systemd-nspawn -q --directory="$2" --boot --private-network --register=no --keep-unit --machine="$1" \\
  --console=read-only --link-journal=no
"""
FORGET = f"""
{CGROUP}
[ ! -d "$own" ] || find "$own" -depth -type d -exec rmdir {{}} +
"""


def power_w(gpu: dict[str, Any]) -> float:
    return float(gpu["power_limit_w"])


class Machine:
    """One booted container. Everything in it is done by `sh`, as root, outside of every unit."""

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.root = new_root(suite)
        # A host name: not every name of a temporary folder is one.
        self._name = f"gpu-tuned-{suite}-{os.getpid()}"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._since_us = 0
        self.install_command = ""
        self.after_install: dict[str, str] = {}
        self._install_driver()

    def _install_driver(self) -> None:
        library = self.root / "usr/lib/x86_64-linux-gnu"
        shutil.copy2(SIMULATOR / "build" / "libnvidia-ml.so.1", library)
        tools = self.root / "opt/nvsim"
        tools.mkdir(parents=True)
        shutil.copy2(SIMULATOR / "nvsim", tools)
        shutil.copytree(SIMULATOR / "boards", tools / "boards")
        (self.root / "usr/local/bin/nvsim").symlink_to("/opt/nvsim/nvsim")
        for unit in ("gpu-tuned.service", "gpu-tuned-persistenced.service"):
            folder = self.root / f"etc/systemd/system/{unit}.d"
            folder.mkdir(parents=True)
            (folder / "simulator.conf").write_text(DROP_IN)
        (self.root / "etc/machine-id").write_text("")
        (self.root / NVSIM_STATE.lstrip("/")).mkdir()
        subprocess.run(["chroot", str(self.root), "ldconfig"], check=True)

    def boot(self) -> None:
        """Start it, and wait until systemd has started everything."""
        # pdeathsig: when this process is killed, nothing stays behind.
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "bash", "-c", BOOT, "boot"]
        with open(f"{self.root}.console", "ab") as console:
            self._nspawn = subprocess.Popen(
                [*command, self._name, str(self.root)], stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        self.until(self._is_up, "booted", timeout_s=90)
        assert f"/{self._name}/" in Path(f"/proc/{self._leader}/cgroup").read_text(), (
            "machines share their services' groups"
        )

    def reboot(self) -> None:
        """The container's; the simulated driver stays as it is."""
        self.power_off()
        self.boot()

    def install(self) -> None:
        """What README says, with the package that lies in /root/dist."""
        self.sh(f"cd /root && {self.install_command}", timeout_s=120)

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended with {self._nspawn.returncode}\n{self.console()}")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        if not children:
            return False
        self._leader = int(children[0])
        state = self.sh("systemctl is-system-running", check=False, timeout_s=20).stdout.strip()
        return state in ("running", "degraded")

    def console(self) -> str:
        """The end of what the machine printed."""
        with contextlib.suppress(OSError):
            return Path(f"{self.root}.console").read_text(errors="replace")[-3000:]
        return ""

    def power_off(self) -> None:
        if self._nspawn is None:
            return
        with contextlib.suppress(Exception):
            self.sh("systemctl poweroff", check=False, timeout_s=20)
        try:
            self._nspawn.wait(40)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(20)
        self._nspawn = None
        # The tree outlives the machine. What a killed one left may still be ending: an empty group harms nobody.
        forget = ["unshare", "--mount", "bash", "-c", FORGET, "forget", self._name]
        subprocess.run(forget, capture_output=True, check=False)

    def remove(self) -> None:
        """Power off and leave nothing behind."""
        self.power_off()
        shutil.rmtree(self.root, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(f"{self.root}.console")

    def sh(self, script: str, *, check: bool = True, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a bash script in the machine. Fails with its output and the journal, unless told not to."""
        done = subprocess.run(
            [*self._enter(), "bash", "-euo", "pipefail", "-c", script],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_s,
        )
        if check and done.returncode != 0:
            said = f"{script.strip()}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            raise AssertionError(f"{said}\n{self.journal()}")
        return done

    def spawn(self, script: str) -> subprocess.Popen[str]:
        """Start a bash script in the machine and let it run; its standard output can be read."""
        return subprocess.Popen(
            [*self._enter(), "bash", "-c", script],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _enter(self) -> list[str]:
        return ["nsenter", "-t", str(self._leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]

    def out(self, script: str, *, timeout_s: float = 60) -> str:
        return self.sh(script, timeout_s=timeout_s).stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Put a file there, world-readable."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o644)

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float = 30) -> Any:
        """Poll until `condition()` is true; returns what it gave. An AssertionError of its own is passed on."""
        end = time.monotonic() + timeout_s
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout_s} s: {what}\n{self.journal()}")
            time.sleep(0.05)

    def journal(self, lines: int = 40) -> str:
        """The end of the journal, for messages of failed tests."""
        if self._leader == 0:
            return self.console()
        with contextlib.suppress(Exception):
            return self.sh(f"journalctl --no-pager -n {lines} -o short-monotonic", check=False, timeout_s=20).stdout
        return ""

    # The simulated driver, and the daemon.

    def nvsim(self, words: str) -> str:
        return self.out(f"nvsim {words}")

    def gpu(self, index: int = 0) -> dict[str, Any]:
        """What the simulated driver knows of one GPU, locks too."""
        found: dict[str, Any] = json.loads(self.nvsim("show --json"))["gpus"][index]
        return found

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.sh("gpu-tunedctl status --json", check=False).stdout or "{}")
        return found

    def setting(self, name: str, gpu: int = 0) -> dict[str, Any]:
        """One row of the status, {} where there is none."""
        gpus = self.status().get("gpus") or []
        rows = gpus[gpu]["settings"] if gpu < len(gpus) else []
        return next((row for row in rows if row["setting"] == name), {})

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit, as systemctl shows them."""
        names = ",".join(properties)
        text = self.out(f"systemctl show {unit} --property={names}")
        return dict(line.split("=", 1) for line in text.splitlines())

    def kill(self) -> None:
        """SIGKILL to the daemon, if it runs. By pid: `systemctl kill` fails where a process ends under its hands."""
        self.sh(
            'pid=$(systemctl show --property=MainPID --value gpu-tuned); [ "$pid" = 0 ] || kill -9 "$pid" || true'
        )

    def mark_journal(self) -> None:
        """`entries` gives what comes after this moment."""
        self._since_us = int(self.out("date +%s%6N"))

    def entries(self, *matches: str) -> list[dict[str, str]]:
        """Journal entries with these fields, oldest first."""
        self.sh("journalctl --sync")
        # Not --after-cursor: together with matches it leaves entries out on systemd 252.
        text = self.out("journalctl --no-pager -o json " + " ".join(f"'{match}'" for match in matches))
        found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [entry for entry in found if int(entry["__REALTIME_TIMESTAMP"]) >= self._since_us]
