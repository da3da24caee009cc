"""Which installed kernels have the driver's module, by the names that distributions give it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.adapters import host_files
from gpu_tuned.core.model import Unread

DEPENDENCIES = {
    "updates/dkms/nvidia.ko.xz:\n": True,
    "kernel/nvidia-580/nvidia.ko: kernel/drivers/acpi/video.ko\n": True,
    "extra/nvidia.ko.zst:\n": True,
    "updates/dkms/nvidia-current.ko.xz:\n": True,
    "updates/dkms/nvidia-current-drm.ko.xz: updates/dkms/nvidia-current.ko.xz\n": False,
    "updates/dkms/nvidia-current-open.ko.xz:\n": True,
    "updates/dkms/nvidia-tesla-535.ko:\n": True,
    "updates/dkms/nvidia-legacy-390xx.ko:\n": True,
    "updates/dkms/nvidia-tesla-535-uvm.ko:\nupdates/dkms/nvidia-current-open-modeset.ko:\n": False,
    "updates/dkms/nvidia-current-drm.ko.xz: kernel/drivers/gpu/drm/drm.ko.xz\n": False,
    "updates/dkms/nvidia-fs.ko:\nupdates/dkms/nvidia-peermem.ko:\nupdates/dkms/nvidia-uvm.ko:\n": False,
    "kernel/drivers/platform/x86/nvidia-wmi-ec-backlight.ko.xz:\n": False,
    "kernel/drivers/gpu/drm/nouveau/nouveau.ko.xz:\n": False,
}


@pytest.mark.parametrize("text", DEPENDENCIES)
def test_a_kernel_has_the_module_under_any_of_its_names(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "lib/modules/6.12.48-amd64"
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text(f"kernel/fs/ext4.ko.xz:\n{text}")
    kernels = host_files.look(str(tmp_path)).driver.kernels
    assert not isinstance(kernels, Unread)
    assert kernels == {"6.12.48-amd64": DEPENDENCIES[text]}


def test_what_is_no_driver_is_none_of_dkms_s_versions(tmp_path: Path) -> None:
    for name, version in (("nvidia-current", "550.163.01"), ("nvidia-fs", "2.26.6")):
        (tmp_path / f"var/lib/dkms/{name}/{version}/6.12.48-amd64").mkdir(parents=True)
    assert host_files.look(str(tmp_path)).driver.dkms == {"550.163.01": ("6.12.48-amd64",)}
