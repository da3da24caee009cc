"""The driver: which one is loaded, whether library and module fit together, and what keeps it from loading."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_tuned.core.host_view import HostView, Place
from gpu_tuned.core.model import Unread
from gpu_tuned.core.verdict import Finding
from gpu_tuned.core.words import listed, short_pci
from gpu_tuned.doctor.say import Check

LOADED = Check("driver-loaded", "driver")
VERSIONS = Check("driver-versions", "driver versions")
NEXT = Check("driver-next-boot", "driver at the next boot")

KEY_REJECTED = (
    "Key was rejected by service",
    "Loading of unsigned module",
    "Loading of module with unavailable key",
    "unsigned module loading is restricted",
)
"""What kernels say who refuse a module; "module verification failed" comes from one that takes it, and is tainted."""
HANDED_ON = frozenset({"vfio-pci", "pci-stub"})
"""Drivers that keep a device for a virtual machine."""


def loaded(host: HostView) -> Finding:
    """The NVIDIA module is loaded and has the GPUs; if not, what keeps it away."""
    driver = host.driver
    if isinstance(driver.loaded, str):
        if not isinstance(host.pci, Unread) and (foreign := _foreign(host)):
            names = listed(f"{short_pci(pci)} ({name})" for pci, name in foreign.items())
            if "nouveau" in foreign.values():
                return _nouveau(names)
            return LOADED.ok(f"{driver.loaded} is loaded; other drivers have {names}", foreign)
        return LOADED.ok(f"{driver.loaded} is loaded")
    if host.place is Place.WSL and isinstance(driver.answered, str):
        return LOADED.ok(f"{driver.answered}, Windows' own driver through WSL")
    if isinstance(driver.loaded, Unread):
        if isinstance(driver.answered, str):
            return _answers(driver.answered)
        return LOADED.unknown(driver.loaded)
    if isinstance(driver.answered, str):
        return _answers(driver.answered)
    if isinstance(host.pci, tuple) and not host.pci:
        return LOADED.unknown("no NVIDIA GPU is on the PCI bus, and no driver is loaded")
    if isinstance(host.pci, tuple) and "nouveau" in _foreign(host).values():
        return _nouveau(listed(short_pci(pci) for pci in _foreign(host)))
    if isinstance(host.pci, tuple) and all(device.driver in HANDED_ON for device in host.pci):
        return LOADED.ok(
            "not loaded, and not needed: every GPU is kept for virtual machines (vfio-pci)", _foreign(host)
        )
    return _absent(host)


def _answers(version: str) -> Finding:
    """Sandboxes hide /sys/module and /proc/driver, and pass the driver's device files through."""
    return LOADED.ok(f"the driver library {version} answers; the module itself cannot be seen from here")


def _foreign(host: HostView) -> Mapping[str, str]:
    if isinstance(host.pci, Unread):
        return {}
    return {device.pci: device.driver for device in host.pci if device.driver not in (None, "nvidia")}


def _nouveau(names: str) -> Finding:
    return LOADED.trouble(
        f"nouveau has {names}",
        "The kernel's own driver holds the GPU; NVIDIA's cannot take it, and CUDA sees no device.",
        "Blacklist nouveau, make the initial ramdisk anew, reboot.",
        (
            "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' > /etc/modprobe.d/blacklist-nouveau.conf",
            "update-initramfs -u || dracut --force",
            "reboot",
        ),
    )


def _absent(host: HostView) -> Finding:
    """Not loaded although a GPU is there, or may be. What the host shows decides which cause is told."""
    driver, why = host.driver, "Without the module nothing can use the GPU."
    if not isinstance(host.log, Unread):
        rejected = next((line.text for line in host.log if any(word in line.text for word in KEY_REJECTED)), None)
        if rejected is not None:
            return LOADED.trouble(
                f"not loaded; the kernel said: {rejected}",
                "Secure Boot is on and takes no module whose key it does not know. " + why,
                "Enrol the key that DKMS signs with (at the next boot the firmware asks for the password), or use "
                "the distribution's signed modules.",
                (
                    "mokutil --import /var/lib/dkms/mok.pub || mokutil --import /var/lib/shim-signed/mok/MOK.der",
                    "reboot",
                ),
            )
    if not isinstance(driver.kernels, Unread) and isinstance(driver.kernel, str):
        if not driver.kernels.get(driver.kernel, False):
            return _not_built(host, driver.kernel, why)
        signed = "; Secure Boot is on, so an unsigned one is refused" if driver.secure_boot is True else ""
        return LOADED.trouble(
            f"not loaded, although a module for {driver.kernel} is installed{signed}", why,
            "Load it and read what the kernel says.", ("modprobe nvidia", "journalctl -k -b -g 'NVRM|nvidia'"),
        )  # fmt: skip
    if isinstance(host.pci, Unread):
        return LOADED.unknown(f"no driver is seen, and neither is the PCI bus ({host.pci.why})")
    return LOADED.trouble("not loaded", why, "Load it and read what the kernel says.", ("modprobe nvidia",))


def _not_built(host: HostView, kernel: str, why: str) -> Finding:
    dkms = host.driver.dkms
    if not isinstance(dkms, Unread) and dkms:
        version = list(dkms)[-1]
        return LOADED.trouble(
            f"not loaded: DKMS has {version} and no module built for the running kernel {kernel}", why,
            "Install this kernel's headers, then let DKMS build.",
            (f"apt-get install linux-headers-{kernel} || dnf install kernel-devel-{kernel}",
             f"dkms autoinstall -k {kernel}", "modprobe nvidia"),
        )  # fmt: skip
    return LOADED.trouble(
        f"not loaded: no module nvidia.ko is installed for the running kernel {kernel}", why,
        "Install the driver for this kernel, or boot the kernel that it was installed for.",
    )  # fmt: skip


def versions(host: HostView) -> Finding:
    """The loaded module and the library that programs load must be of one version."""
    driver = host.driver
    if host.place is Place.WSL:
        return VERSIONS.unknown("under WSL the kernel's side of the driver is Windows'")
    if not isinstance(driver.loaded, str):
        why = driver.loaded.why if isinstance(driver.loaded, Unread) else "no module is loaded"
        return VERSIONS.unknown(f"there is nothing to compare: {why}")
    library = driver.answered if isinstance(driver.answered, str) else driver.library
    if isinstance(library, Unread):
        return VERSIONS.unknown(library)
    if library is None:
        return VERSIONS.trouble(
            f"module {driver.loaded} is loaded, no driver library is installed",
            "Programs find no libnvidia-ml.so.1 or libcuda.so.1: no CUDA, no nvidia-smi.",
            f"Install the user-space packages of version {driver.loaded}.",
        )
    installed = driver.library if isinstance(driver.library, str) else library
    if driver.loaded == library == installed:
        return VERSIONS.ok(f"module and library are both {library}")
    other = installed if installed != driver.loaded else library
    return VERSIONS.trouble(
        f"module {driver.loaded} is loaded, library {other} is installed",
        "The driver was upgraded under a running one. What runs goes on; every new CUDA program fails "
        "(driver/library version mismatch).",
        "Load the new module: reboot, or stop what uses the GPUs and reload it.",
        ("gpu-tunedctl release --all", "modprobe -r nvidia_drm nvidia_modeset nvidia_uvm nvidia", "modprobe nvidia",
         "gpu-tunedctl resume"),
    )  # fmt: skip


def next_boot(host: HostView) -> Finding:
    """A kernel that is installed and newer than the running one will boot next; it needs a module too."""
    driver = host.driver
    if host.place in (Place.WSL, Place.CONTAINER):
        return NEXT.unknown("installed kernels are the host's, and this is not the host")
    if isinstance(driver.kernels, Unread):
        return NEXT.unknown(driver.kernels)
    if isinstance(driver.kernel, Unread):
        return NEXT.unknown(driver.kernel)
    if not driver.kernels:
        return NEXT.unknown("no kernel's modules are installed below /lib/modules")
    newest = max(driver.kernels, key=release_key)
    if driver.kernels[newest]:
        return NEXT.ok(f"kernel {newest} has its module")
    if not any(driver.kernels.values()):
        return NEXT.unknown("no installed kernel has a module nvidia.ko, so the driver comes from elsewhere")
    return NEXT.warning(
        f"the newest kernel {newest} has no module nvidia.ko; {driver.kernel} runs now",
        "After the next reboot there would be no driver.",
        "Build it now.",
        (
            f"apt-get install linux-headers-{newest} || dnf install kernel-devel-{newest}",
            f"dkms autoinstall -k {newest}",
        ),
    )


def release_key(release: str) -> tuple[tuple[int, int | str], ...]:
    """Kernel releases in the order of their numbers: 6.9 before 6.10."""
    parts = release.replace("-", ".").replace("+", ".").split(".")
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in parts)


CHECKS = (loaded, versions, next_boot)
