"""NVIDIA's GPUs on the PCI bus, as sysfs shows them: no call to the driver, and no sleeping GPU is woken."""

from __future__ import annotations

import os
import re
import struct

from gpu_tuned.adapters.plain_files import content, text
from gpu_tuned.core.host_view import Bar, PciGpu
from gpu_tuned.core.model import Unread

DEVICES = "sys/bus/pci/devices"
NVIDIA = "0x10de"
DISPLAY_CLASSES = ("0x0300", "0x0302")  # VGA controller, 3D controller
MEMORY, UNSET = 0x200, 0x20000000  # IORESOURCE_MEM, IORESOURCE_UNSET (include/linux/ioport.h)
BARS = 6
ACS_CAPABILITY, REDIRECTS = 0x000D, 0x000C  # P2P request and completion redirect (PCIe, ACS control register)
EXTENDED, CONFIG_BYTES = 0x100, 4096
UNKNOWN_WIDTHS = (0, 255)
_EXCLUDED = re.compile(r"^GPU Excluded:\s*Yes", re.MULTILINE)


def pci_gpus(root: str) -> tuple[PciGpu, ...] | Unread:
    """Every NVIDIA display device below `root` ("" for this machine), by address."""
    folder = f"{root}/{DEVICES}"
    try:
        addresses = sorted(os.listdir(folder))
    except OSError as error:
        return Unread(f"/{DEVICES} cannot be listed: {error.strerror}")
    return tuple(
        _gpu(root, address)
        for address in addresses
        if text(f"{folder}/{address}/vendor") == NVIDIA
        and (text(f"{folder}/{address}/class") or "").startswith(DISPLAY_CLASSES)
    )


def _gpu(root: str, address: str) -> PciGpu:
    device = f"{root}/{DEVICES}/{address}"
    asleep = text(f"{device}/power/runtime_status") == "suspended"
    width = _number(f"{device}/max_link_width")
    return PciGpu(
        pci=address,
        driver=_link(f"{device}/driver"),
        asleep=asleep,
        excluded=bool(_EXCLUDED.search(text(f"{root}/proc/driver/nvidia/gpus/{address}/information") or "")),
        numa_node=_number(f"{device}/numa_node"),
        board_width=Unread("the link's capability is not told") if width in UNKNOWN_WIDTHS else width,
        bars=_bars(f"{device}/resource"),
        resize_mib=_resize(device),
        errors=_errors(device),
        iommu=_iommu(root, device),
        redirected=_redirected(device),
    )


def _number(path: str) -> int | Unread:
    found = text(path)
    try:
        return int(found) if found is not None else Unread(f"no {os.path.basename(path)} in sysfs")
    except ValueError:
        return Unread(f"{os.path.basename(path)} says {found!r}")


def _link(path: str) -> str | None:
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return None


def _bars(path: str) -> tuple[Bar, ...] | Unread:
    """The device's memory regions: a line each, first and last address and flags, all in hexadecimal."""
    found = text(path)
    if found is None:
        return Unread("no resource file in sysfs")
    bars = []
    for number, line in enumerate(found.splitlines()[:BARS]):
        try:
            start, end, flags = (int(word, 16) for word in line.split())
        except ValueError:
            return Unread(f"line {number + 1} of its resource file is not three numbers")
        if flags & MEMORY and end > start:
            bars.append(Bar(number, 0 if flags & UNSET else start, end - start + 1))
        elif flags & MEMORY:
            bars.append(Bar(number, 0, 0))
    return tuple(bars)


def _resize(device: str) -> tuple[int, ...] | Unread:
    """Sizes that BAR1 can take, MiB: a bit map, bit 0 is 1 MiB (Linux 6.1,
    Documentation/ABI/testing/sysfs-bus-pci)."""
    found = text(f"{device}/resource1_resize")
    if found is None:
        return Unread("the kernel does not tell which sizes BAR1 can take")
    try:
        bits = int(found, 16)
    except ValueError:
        return Unread(f"resource1_resize says {found!r}")
    return tuple(1 << bit for bit in range(bits.bit_length()) if bits >> bit & 1)


def _errors(device: str) -> dict[str, int] | Unread:
    """The kernel's AER totals (Documentation/ABI/testing/sysfs-bus-pci-devices-aer)."""
    totals = {}
    for kind, key in (
        ("correctable", "TOTAL_ERR_COR"),
        ("nonfatal", "TOTAL_ERR_NONFATAL"),
        ("fatal", "TOTAL_ERR_FATAL"),
    ):
        words = (text(f"{device}/aer_dev_{kind}") or "").split()
        if key in words[:-1]:
            count = words[words.index(key) + 1]
            if count.isdigit():
                totals[kind] = int(count)
    return totals if len(totals) == 3 else Unread("the kernel keeps no error counters for it")


def _iommu(root: str, device: str) -> str | Unread | None:
    if os.path.isdir(f"{device}/iommu_group"):
        return text(f"{device}/iommu_group/type") or Unread("this kernel does not tell the group's type")
    if os.path.isdir(f"{root}/sys/kernel/iommu_groups"):
        return None
    return Unread("no /sys/kernel/iommu_groups")


def _redirected(device: str) -> bool | Unread:
    """Whether any port above the device redirects peer traffic. Beyond byte 64 only root reads configuration
    space."""
    path = os.path.dirname(os.path.realpath(device))
    ports = 0
    while os.path.exists(f"{path}/config"):
        ports += 1
        control = _acs_control(f"{path}/config")
        if isinstance(control, Unread):
            return control
        if control & REDIRECTS:
            return True
        path = os.path.dirname(path)
    return False if ports else Unread("no port above it can be seen")


def _acs_control(path: str) -> int | Unread:
    """The ACS control register, 0 where the port has none."""
    try:
        config = content(path, CONFIG_BYTES)
    except OSError as error:
        return Unread(f"the configuration of the port above it cannot be read: {error.strerror}")
    if len(config) <= EXTENDED:
        return Unread("the extended configuration of the port above it needs root to read")
    offset = EXTENDED
    for _ in range(64):  # a list that runs in circles must end
        if not EXTENDED <= offset <= len(config) - 8:
            break
        (header,) = struct.unpack_from("<I", config, offset)
        if header & 0xFFFF == ACS_CAPABILITY:
            (control,) = struct.unpack_from("<H", config, offset + 6)
            return int(control)
        offset = header >> 20
    return 0
