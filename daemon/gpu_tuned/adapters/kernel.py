"""The kernel's files: driver, devices, memory nodes and the NUMA knob, without a call to the driver."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from gpu_tuned.core.errors import DriverPermission, DriverTrouble, GpuTunedError, NotSupported
from gpu_tuned.core.model import Gpu, NumaBalancing

_PCI = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_NVRM = re.compile(r"NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s")
_LIBRARY = re.compile(r"libnvidia-ml\.so\.(\d+\.\d+(?:\.\d+)?)")
# Where distributions put the driver's library: Debian and Ubuntu (by architecture), Fedora and SUSE, Arch.
_LIBRARY_FOLDERS = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/nvidia/current",
    "usr/lib64",
    "usr/lib",
)
# Version 2, and version 1 with systemd's own tree in one of two places.
CONTROL_GROUPS = ("sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/systemd")
_NUMA_BALANCING = "proc/sys/kernel/numa_balancing"
# Documentation/admin-guide/sysctl/kernel.rst
_NUMA_MODES = {0: NumaBalancing.OFF, 1: NumaBalancing.ON, 2: NumaBalancing.TIERING, 3: NumaBalancing.BOTH}


class SystemKernel:
    """`ports.Kernel` below `root`: "/" on a real machine, a folder of the same shape for a simulated one.

    A simulated root never reaches the real one: what is missing there is missing.
    """

    def __init__(self, root: str | Path = "/") -> None:
        self._real = Path(root).resolve() == Path("/")
        self._root = "" if self._real else str(Path(root))  # text: joining paths would cost more than reading

    def boot_id(self) -> str:
        """The kernel's random id of this boot; "unknown" where there is no /proc."""
        return self._read("proc/sys/kernel/random/boot_id") or "unknown"

    def driver_loaded(self) -> str | None:
        version = self._read("sys/module/nvidia/version")
        if version:
            return version
        # Without the attribute, from the first line: "NVRM version: NVIDIA UNIX ... 580.159.04  Release"
        found = _NVRM.search((self._read("proc/driver/nvidia/version") or "") + " ")
        return found[1] if found else None

    def driver_installed(self) -> str | None:
        """The version that the next load brings, read from the file name of the installed driver library.

        Not from the module: finding it costs a walk through /lib/modules and an unpacked 100 MB file, and
        packages install library and module together. It is also the library's version that makes every
        initialisation fail when the loaded module is older.
        """
        versions = [version for folder in _LIBRARY_FOLDERS for version in self._library_versions(folder)]
        return max(versions, key=_as_numbers, default=None)

    def _library_versions(self, folder: str) -> list[str]:
        try:
            target = os.readlink(f"{self._root}/{folder}/libnvidia-ml.so.1")
        except OSError:
            return []
        found = _LIBRARY.fullmatch(os.path.basename(target))
        return [found[1]] if found else []

    def bound_gpus(self) -> Mapping[str, str]:
        """PCI address -> token of every device bound to the driver named nvidia; {} where it is not loaded.

        The token on a real machine is the inode number of the driver's link to the device: sysfs makes a new
        one for each bind. Its times say nothing: they are those of the first look, and change when the kernel
        drops the inode from its cache. On a simulated root inode numbers are used again, so the time counts.
        """
        folder = f"{self._root}/sys/bus/pci/drivers/nvidia"
        tokens = {}
        with suppress(OSError):
            for name in sorted(os.listdir(folder)):
                if not _PCI.fullmatch(name):
                    continue
                with suppress(OSError):  # unbound between the two calls
                    link = os.lstat(f"{folder}/{name}")
                    tokens[name] = f"{link.st_ino}" if self._real else f"{link.st_ino}-{link.st_ctime_ns}"
        return tokens

    def asleep(self, pci: str) -> bool:
        """Whether the GPU is runtime-suspended: reading it through the driver would wake it."""
        return self._read(f"sys/bus/pci/devices/{pci}/power/runtime_status") == "suspended"

    def on_bus(self, pci: str) -> bool:
        """A device that fell off the bus reads as ones; true as well where its configuration cannot be read."""
        try:
            with open(f"{self._root}/sys/bus/pci/devices/{pci}/config", "rb") as file:
                return bool(file.read(4) != b"\xff\xff\xff\xff")
        except OSError:
            return True

    def driver_of(self, pci: str) -> str | None:
        """The driver's name, "" for a device without one, None where the bus has no such device."""
        device = f"{self._root}/sys/bus/pci/devices/{pci}"
        if not os.path.isdir(device):
            return None
        try:
            return os.path.basename(os.readlink(f"{device}/driver"))
        except OSError:
            return ""

    def identity(self, pci: str) -> Gpu | None:
        """Name and UUID as the kernel module has them, without a call to the driver's library."""
        text = self._read(f"proc/driver/nvidia/gpus/{pci}/information")
        if text is None:
            return None
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        uuid, name = fields.get("GPU UUID", "").strip(), fields.get("Model", "").strip()
        # "GPU-????????-..." stands there until the GPU was initialised once.
        return Gpu(uuid, pci, name) if uuid.startswith("GPU-") and "?" not in uuid else None

    def on_battery_host(self) -> bool:
        folder = "sys/class/power_supply"
        try:
            supplies = os.listdir(f"{self._root}/{folder}")
        except OSError:
            return False
        # scope Device: the battery of a mouse or a headset
        return any(
            self._read(f"{folder}/{name}/type") == "Battery" and self._read(f"{folder}/{name}/scope") != "Device"
            for name in supplies
        )

    def running(self, units: Collection[str]) -> frozenset[str]:
        """Those of these system services that run: systemd keeps a control group for each, as long as it does."""
        for layout in CONTROL_GROUPS:
            folder = f"{self._root}/{layout}/system.slice"
            if os.path.isdir(folder):
                return frozenset(unit for unit in units if os.path.isdir(f"{folder}/{unit}"))
        return frozenset()

    def memory_nodes(self) -> int:
        """How many NUMA nodes have memory, at least 1."""
        folder = "sys/devices/system/node"
        return max(1, _count(self._read(f"{folder}/has_memory") or self._read(f"{folder}/online") or "0"))

    def numa_balancing(self) -> NumaBalancing | None:
        found = self._read(_NUMA_BALANCING)
        if found is None or not found.isdigit():
            return None
        return _NUMA_MODES.get(int(found), NumaBalancing.ON)

    def set_numa_balancing(self, value: NumaBalancing) -> None:
        """Raises NotSupported where the kernel has no such knob, DriverPermission, DriverTrouble."""
        path = f"{self._root}/{_NUMA_BALANCING}"
        try:
            file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(file, b"%d\n" % list(_NUMA_MODES.values()).index(value))
            finally:
                os.close(file)
        except OSError as error:
            raise _translated(error, path) from error

    def _read(self, path: str) -> str | None:
        """A small file's text without its line end, None where it cannot be read. What is no letter, but for the ends
        of lines, becomes a replacement character: a name must not steer a terminal."""
        try:
            # Not open(): its layers cost three times what the reading does, for every GPU in every pass.
            file = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                text = os.read(file, 4096).decode("utf-8", "replace").strip()
                return text if text.isprintable() else _printable(text)
            finally:
                os.close(file)
        except OSError:
            return None


def _printable(text: str) -> str:
    return "".join(
        letter if letter.isprintable() or letter in "\t\n" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _translated(error: OSError, path: str) -> GpuTunedError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "" if error.errno == errno.EROFS or os.geteuid() == 0 else "; it needs root"
        return DriverPermission(f"{path} cannot be written: {error.strerror}{hint}")
    if error.errno == errno.ENOENT:
        return NotSupported(f"this kernel has no {path}")
    return DriverTrouble(f"{path} cannot be written: {error.strerror}")


def _count(ranges: str) -> int:
    """How many numbers the kernel's list names: "0-1,3" is 3."""
    count = 0
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last.isdigit() or not last):
            count += max(0, int(last or first) - int(first) + 1)
    return count


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
