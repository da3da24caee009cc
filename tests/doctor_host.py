"""A host's files as the doctor reads them, laid out below a folder: beside what the simulated driver puts there."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

from tests.init_host import link, put

DRIVER = "580.159.04"
KERNEL = "6.12.48+deb13-amd64"
BAR = "0x{:016x} 0x{:016x} 0x{:016x}"
MEMORY, UNSET = 0x140204, 0x20000000  # IORESOURCE_MEM and what comes with a 64-bit BAR; IORESOURCE_UNSET
ACS = 0x000D


def settle(root: Path) -> None:
    """What every machine has: a kernel, a process 1, systemd with its services, an empty log."""
    put(root, "/proc/sys/kernel/osrelease", f"{KERNEL}\n")
    put(root, "/proc/uptime", "86400.12 600000.00\n")
    put(root, "/proc/cpuinfo", "flags\t\t: fpu vme de pse\n")
    process(root, 1, "systemd", 1024)
    process(root, 800, "dockerd", 1024)
    process(root, 801, "gpu-tuned", 1024)
    for unit in ("ssh", "docker", "gpu-tuned", "nvidia-persistenced"):
        (root / f"sys/fs/cgroup/system.slice/{unit}.service").mkdir(parents=True, exist_ok=True)
    put(root, "/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n")
    put(root, f"/lib/modules/{KERNEL}/modules.dep", "kernel/fs/ext4.ko.xz:\nupdates/dkms/nvidia.ko.xz:\n")
    (root / f"var/lib/dkms/nvidia/{DRIVER}/{KERNEL}/x86_64").mkdir(parents=True, exist_ok=True)
    (root / "sys/firmware/efi/efivars").mkdir(parents=True, exist_ok=True)
    secure_boot(root, False)
    (root / "sys/kernel/iommu_groups").mkdir(parents=True, exist_ok=True)
    kernel_log(root, f"NVRM: loading NVIDIA UNIX x86_64 Kernel Module  {DRIVER}")
    shipped = "/usr/lib/systemd/system"
    put(root, f"{shipped}/gpu-tuned.service", "[Service]\nExecStart=/usr/bin/gpu-tuned\n")
    put(root, f"{shipped}/gpu-tuned.target", "[Unit]\nAfter=gpu-tuned-wait.service\n")
    put(
        root,
        f"{shipped}/docker.service",
        "[Unit]\nAfter=network-online.target\n[Service]\nExecStart=/usr/bin/dockerd\n",
    )
    put(root, "/etc/systemd/system/docker.service.d/gpu-tuned.conf", "[Unit]\nAfter=gpu-tuned.target\n")
    for unit in ("docker", "gpu-tuned"):
        enable(root, f"{unit}.service", shipped)
    put(root, "/usr/bin/dockerd", "")
    link(root, "/usr/lib/x86_64-linux-gnu/libnvidia-container.so.1", "libnvidia-container.so.1.18.2")
    put(root, "/etc/nvidia-container-runtime/config.toml", '[nvidia-container-runtime]\nmode = "auto"\n')
    put(root, "/etc/docker/daemon.json", json.dumps({"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}))
    (root / "dev/char").mkdir(parents=True, exist_ok=True)
    cdi(root, "/var/run/cdi/nvidia.yaml", DRIVER)
    put(root, "/run/nvidia-persistenced/socket", "")


def process(root: Path, pid: int, comm: str, files: int | str) -> None:
    put(root, f"/proc/{pid}/comm", f"{comm}\n")
    put(
        root,
        f"/proc/{pid}/limits",
        f"Limit    Soft Limit  Hard Limit  Units\nMax open files    {files}    {files}    files\n",
    )


def enable(root: Path, unit: str, folder: str = "/etc/systemd/system") -> None:
    link(root, f"/etc/systemd/system/multi-user.target.wants/{unit}", f"{folder}/{unit}")


def secure_boot(root: Path, on: bool) -> None:
    name = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    (root / name).write_bytes(bytes((6, 0, 0, 0, on)))


def kernel_log(root: Path, *lines: str, first: int = 0) -> None:
    """Records as /dev/kmsg gives them; `first` is the number of the oldest that is kept."""
    rows = [f"6,{first + i},{1_000_000 * (4 + i + 3600 * bool(first))},-;{line}\n" for i, line in enumerate(lines)]
    put(root, "/dev/kmsg", "".join(rows))


def cdi(root: Path, path: str, driver: str) -> None:
    put(root, path, f"""cdiVersion: 0.7.0
kind: nvidia.com/gpu
containerEdits:
  mounts:
  - hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.{driver}
    containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.{driver}
""")  # fmt: skip


def card(
    root: Path,
    pci: str,
    *,
    bar1: tuple[int, int] = (0x4000000000, 32 << 30),
    port_acs: int | None = 0,
    resizable: bool = True,
) -> None:
    """Completes a GPU's folder in sysfs: BARs, sizes, error counters; below a port whose ACS control register holds
    `port_acs`, None for a port that shows 64 bytes as to anybody but root."""
    device = root / "sys/bus/pci/devices" / pci
    home = root / "sys/devices/pci0000:00/0000:00:01.0" / pci
    if not device.is_symlink():
        home.parent.mkdir(parents=True, exist_ok=True)
        device.rename(home)
        device.symlink_to(os.path.relpath(home, device.parent))
    start, size = bar1
    unset = 0 if start else UNSET
    rows = [BAR.format(0x80000000, 0x83FFFFFF, 0x40200), BAR.format(start, start + size - 1, MEMORY | unset)]
    (home / "resource").write_text("\n".join([*rows, BAR.format(0, 0, 0)]) + "\n")
    if resizable:
        (home / "resource1_resize").write_text("000000000000ffc0\n")
    for kind, key in (("correctable", "COR"), ("nonfatal", "NONFATAL"), ("fatal", "FATAL")):
        (home / f"aer_dev_{kind}").write_text(f"RxErr 0\nTOTAL_ERR_{key} 0\n")
    config = bytearray(64 if port_acs is None else 4096)
    if port_acs is not None:
        struct.pack_into("<IHH", config, 0x100, 0x150 << 20 | 1 << 16 | 0x0001, 0, 0)  # AER first, then ACS
        struct.pack_into("<IHH", config, 0x150, 1 << 16 | ACS, 0x5F, port_acs)
    (home.parent / "config").write_bytes(config)


def healthy(root: Path) -> None:
    """A machine in order, around the GPUs that the simulated driver shows."""
    settle(root)
    for device in sorted((root / "sys/bus/pci/devices").iterdir()):
        turing = (device / "device").read_text().startswith("0x1e")
        card(root, device.name, resizable=not turing)
