"""Other programs, measured in the same run: tuned, the system tuning daemon, and two NVML clients in Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.nvsim import Nvsim

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy></busconfig>
"""

# Look at every GPU once, as the program itself does, and print what that took of memory.
NVML_CLIENTS = {
    "nvidia-ml-py": "import pynvml; pynvml.nvmlInit()\n"
    "for i in range(pynvml.nvmlDeviceGetCount()):\n"
    "    pynvml.nvmlDeviceGetPowerUsage(pynvml.nvmlDeviceGetHandleByIndex(i))",
    "gpustat": "import gpustat; gpustat.new_query().jsonify()",
    "nvitop": "from nvitop import Device\nfor d in Device.all(): d.as_snapshot()",
}
_TELL = r"""
import json, re
print(json.dumps(dict(re.findall(r"(\w+): +(\d+) kB", open("/proc/self/smaps_rollup").read()))))
"""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A running tuned: `ready_s` from exec until its controller started, the last thing it does before it waits."""

    pid: int
    env: dict[str, str]
    ready_s: float


def why_no_tuned() -> str | None:
    """Why tuned is not measured here, None where it can be. It is started only where that changes nothing on the
    machine: with no profile it would apply the one that it recommends."""
    if not (shutil.which("tuned") and shutil.which("tuned-adm") and shutil.which("dbus-daemon")):
        return "tuned or dbus-daemon is not installed"
    if os.geteuid() != 0:
        return "tuned runs as root alone"
    mode, profile = Path("/etc/tuned/profile_mode"), Path("/etc/tuned/active_profile")
    try:
        idle = mode.read_text().strip() == "manual" and profile.read_text().strip() == ""
    except OSError:
        idle = False
    if not idle:
        return (
            "tuned would apply a profile to this machine; to have it measured: "
            "echo manual >/etc/tuned/profile_mode; : >/etc/tuned/active_profile"
        )
    return None


@contextmanager
def tuned(folder: Path) -> Iterator[Tuned | None]:
    """tuned without a profile on a bus of its own; None where it cannot be measured."""
    if why_no_tuned() is not None:
        yield None
        return
    (folder / "bus.conf").write_text(BUS.format(path=folder / "bus"))
    none = subprocess.DEVNULL
    bus = subprocess.Popen(["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork"], stdout=none, stderr=none)
    process = None
    try:
        _until(lambda: (folder / "bus").exists())
        env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/bus"}
        log = folder / "tuned.log"
        command = ["tuned", "--log", str(log), "--pid", str(folder / "tuned.pid")]
        began = time.monotonic()
        process = subprocess.Popen(command, env=env, stdout=none, stderr=none)
        _until(lambda: log.exists() and "starting controller" in log.read_text())
        yield Tuned(process.pid, env, time.monotonic() - began)
    finally:
        for child in (process, bus):
            if child is not None:
                child.terminate()
        for child in (process, bus):
            if child is not None:
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def _until(condition: object, timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise RuntimeError("tuned did not start")
        time.sleep(0.005)


def nvml_clients_mb(host: Nvsim, what: str = "Rss") -> dict[str, float]:
    """Memory of Python programs that looked once at every GPU of this host, MB."""
    out = {}
    for name, code in NVML_CLIENTS.items():
        command = [sys.executable, "-c", code + _TELL]
        done = subprocess.run(command, env=host.env, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode == 0:
            out[name] = int(json.loads(done.stdout.splitlines()[-1])[what]) / 1024
    return out
