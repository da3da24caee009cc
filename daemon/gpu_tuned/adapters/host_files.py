"""The doctor's look at a host: /sys, /proc, /etc and the kernel's log, below one root. Writes nothing, starts nothing
but journalctl."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gpu_tuned.adapters.container_files import containers
from gpu_tuned.adapters.kernel import CONTROL_GROUPS, SystemKernel
from gpu_tuned.adapters.kernel_log import kernel_log
from gpu_tuned.adapters.pci_files import pci_gpus
from gpu_tuned.adapters.plain_files import content, text
from gpu_tuned.adapters.unit_files import units
from gpu_tuned.core.advice import Around
from gpu_tuned.core.host_view import DriverView, HostView, Place, ServicesView
from gpu_tuned.core.model import Unread

JOURNAL_S = 0.8
"""Seconds for journalctl, of the two that the doctor has."""
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
NOFILE_PROCESSES = {"gpu-tuned": "gpu-tuned", "dockerd": "dockerd", "containerd": "containerd",
                    "nvidia-persiste": "nvidia-persistenced"}  # fmt: skip
"""Names as /proc/PID/comm has them, 15 letters."""
MPS_CONTROL = "nvidia-cuda-mps"
MPS_PIPES = ("run/nvidia-mps/control", "tmp/nvidia-mps/control")
PERSISTENCED_SOCKETS = ("run/nvidia-persistenced/socket", "var/run/nvidia-persistenced/socket")
_VIRTUAL = re.compile(
    r"QEMU|KVM|VMware|VirtualBox|Xen|Virtual Machine|Google Compute Engine|Amazon EC2|OpenStack|Bochs|Parallels"
)
_NOFILE = re.compile(r"^Max open files\s+(\d+|unlimited)", re.MULTILINE)
MOST_DEPENDENCIES = 8 << 20
_MODULE = re.compile(
    rb"/nvidia(?:-(?:current|tesla|legacy|open)[\w-]*(?<!-drm)(?<!-modeset)(?<!-uvm)(?<!-peermem))?\.ko(?:\.\w+)?:"
)
"""Debian's packages call the module nvidia-current.ko, nvidia-current-open.ko, nvidia-tesla-535.ko."""


def look(root: str = "/") -> HostView:
    """Everything but what the driver itself tells (adapters.nvml.inspect) and what the policy expects."""
    base = _base(root)
    place = _place(base)
    if place is Place.CONTAINER:
        log, log_from_s = Unread("the kernel's log is the host's, and this is a container"), 0.0
    else:
        log, log_from_s = kernel_log(base, JOURNAL_S)  # type: ignore[assignment]
    return HostView(
        place=place,
        root=os.geteuid() == 0,
        laptop=SystemKernel(root).on_battery_host(),
        uptime_s=_uptime(base),
        pci=pci_gpus(base),
        driver=_driver(root, base, place),
        services=_services(base, place),
        containers=containers(base) if place is not Place.CONTAINER else HostView().containers,
        memory_nodes=_memory_nodes(root, base),
        log=log,
        log_from_s=log_from_s,
    )


def around(root: str, driver: str) -> Around:
    """The few facts of the host that advice hangs on."""
    base = _base(root)
    services = _services(base, _place(base))
    runs, socket = services.mps_runs, services.persistenced_socket
    return Around(
        driver=driver,
        mps=runs if isinstance(runs, bool) else None,
        persistenced=socket if isinstance(socket, bool) else None,
        laptop=SystemKernel(root).on_battery_host(),
    )


def _base(root: str) -> str:
    """What stands before "/proc": "" for this machine, else a folder."""
    return "" if Path(root).resolve() == Path("/") else root.rstrip("/")


def _place(base: str) -> Place:
    release = text(f"{base}/proc/sys/kernel/osrelease") or ""
    if "microsoft" in release.lower():
        return Place.WSL
    marks = ("run/.containerenv", ".dockerenv", "run/systemd/container", "run/host/container-manager")
    if any(os.path.exists(f"{base}/{mark}") for mark in marks):
        return Place.CONTAINER
    groups = text(f"{base}/proc/1/cgroup") or ""
    if re.search(r"/(docker|kubepods|lxc|libpod)[/-]", groups):
        return Place.CONTAINER
    flags = re.search(r"^flags\s*:.*\bhypervisor\b", text(f"{base}/proc/cpuinfo") or "", re.MULTILINE)
    # Only x86 has that flag; elsewhere the firmware's own words must do.
    firmware = " ".join(text(f"{base}/sys/class/dmi/id/{name}") or "" for name in ("sys_vendor", "product_name"))
    return Place.VM if flags or _VIRTUAL.search(firmware) else Place.METAL


def _uptime(base: str) -> float | Unread:
    try:
        return float((text(f"{base}/proc/uptime") or "").split()[0])
    except (IndexError, ValueError):
        return Unread("no /proc/uptime")


def _memory_nodes(root: str, base: str) -> int | Unread:
    if not os.path.isdir(f"{base}/sys/devices/system/node"):
        return Unread("no /sys/devices/system/node")
    return SystemKernel(root).memory_nodes()


def _driver(root: str, base: str, place: Place) -> DriverView:
    kernel = SystemKernel(root)
    loaded: str | Unread | None = kernel.driver_loaded()
    if loaded is None and not os.path.isdir(f"{base}/sys/module"):
        loaded = Unread("no /sys/module here, and no /proc/driver/nvidia")
    outside = Unread("installed kernels are the host's, and this is a container")
    return DriverView(
        loaded=loaded,
        library=kernel.driver_installed() or Unread("no libnvidia-ml.so.1 where distributions put it"),
        kernel=text(f"{base}/proc/sys/kernel/osrelease") or Unread("no /proc/sys/kernel/osrelease"),
        kernels=outside if place is Place.CONTAINER else _kernels(base),
        dkms=outside if place is Place.CONTAINER else _dkms(base),
        secure_boot=_secure_boot(base),
    )


def _kernels(base: str) -> Mapping[str, bool] | Unread:
    """Release -> whether depmod knows the driver's module of it."""
    folder = f"{base}/lib/modules"
    if not os.path.isdir(folder):
        folder = f"{base}/usr/lib/modules"
    found: dict[str, bool] = {}
    try:
        releases = sorted(os.listdir(folder))
    except OSError as error:
        return Unread(f"/lib/modules cannot be listed: {error.strerror}")
    for release in releases:
        try:
            found[release] = bool(_MODULE.search(content(f"{folder}/{release}/modules.dep", MOST_DEPENDENCIES)))
        except (FileNotFoundError, NotADirectoryError):
            continue  # what a removed kernel left
        except OSError as error:
            return Unread(f"/lib/modules/{release}/modules.dep cannot be read: {error.strerror}")
    return found or Unread("no kernel's modules are below /lib/modules")


def _dkms(base: str) -> Mapping[str, tuple[str, ...]] | Unread:
    """Version -> kernels it is built for: DKMS keeps NAME/VERSION/KERNEL/ARCHITECTURE/module."""
    top = f"{base}/var/lib/dkms"
    if not os.path.isdir(top):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    with suppress(OSError):
        for name in sorted(os.listdir(top)):
            if not name.startswith("nvidia") or name == "nvidia-fs" or not os.path.isdir(f"{top}/{name}"):
                continue
            for version in sorted(os.listdir(f"{top}/{name}")):
                folder = f"{top}/{name}/{version}"
                if os.path.islink(folder) or not os.path.isdir(folder):
                    continue
                names = (entry for entry in sorted(os.listdir(folder)) if entry not in ("source", "build"))
                found[version] = tuple(entry for entry in names if os.path.isdir(f"{folder}/{entry}"))
        return found
    return Unread("/var/lib/dkms cannot be listed")


def _secure_boot(base: str) -> bool | Unread:
    """The EFI variable: four bytes of attributes, then 1 for on. A machine booted without EFI has none."""
    if not os.path.isdir(f"{base}/sys/firmware/efi"):
        return False if os.path.isdir(f"{base}/sys/firmware") else Unread("no /sys/firmware")
    try:
        value = content(f"{base}/{SECURE_BOOT}", 5)
    except OSError as error:
        return Unread(f"the EFI variable SecureBoot cannot be read: {error.strerror}")
    return len(value) == 5 and value[4] == 1


def _services(base: str, place: Place) -> ServicesView:
    if place is Place.CONTAINER:
        return ServicesView()
    comms = _processes(base)
    nofile: Mapping[str, int] | Unread
    runs: bool | Unread
    if isinstance(comms, Unread):
        nofile = runs = comms
    else:
        nofile = {NOFILE_PROCESSES[comm]: limit for pid, comm in comms.items() if comm in NOFILE_PROCESSES
                  and (limit := _nofile(f"{base}/proc/{pid}/limits")) is not None}  # fmt: skip
        runs = any(comm.startswith(MPS_CONTROL) for comm in comms.values())
    pipes = [f"/{pipe}" for pipe in MPS_PIPES if os.path.exists(f"{base}/{pipe}")]
    return ServicesView(
        running=_running(base),
        units=units(base),
        nofile=nofile,
        persistenced_socket=any(os.path.exists(f"{base}/{path}") for path in PERSISTENCED_SOCKETS),
        mps_pipe=pipes[0] if pipes else None,
        mps_runs=runs,
    )


def _running(base: str) -> frozenset[str] | Unread:
    for layout in CONTROL_GROUPS:
        folder = f"{base}/{layout}/system.slice"
        with suppress(OSError):
            return frozenset(name for name in os.listdir(folder) if name.endswith(".service"))
    return Unread("systemd's control groups cannot be seen here")


def _processes(base: str) -> Mapping[str, str] | Unread:
    """Process id -> its name. Where process 1 is hidden, so may be others."""
    if text(f"{base}/proc/1/comm") is None:
        return Unread("other users' processes cannot be seen here")
    return {pid: text(f"{base}/proc/{pid}/comm") or "" for pid in os.listdir(f"{base}/proc") if pid.isdigit()}


def _nofile(path: str) -> int | None:
    found = _NOFILE.search(text(path) or "")
    if found is None:
        return None
    return 1 << 63 if found[1] == "unlimited" else int(found[1])
