"""The kernel's files, read below a folder that looks like a machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gpu_tuned.adapters.kernel import SystemKernel
from gpu_tuned.core.errors import DriverError, NotSupported
from gpu_tuned.core.model import NumaBalancing


class Machine:
    """A folder that looks like / to the adapter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kernel = SystemKernel(root)

    def put(self, path: str, content: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def bind(self, pci: str) -> None:
        link = self.root / "sys/bus/pci/drivers/nvidia" / pci
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../../../devices/{pci}")

    def unbind(self, pci: str) -> None:
        (self.root / "sys/bus/pci/drivers/nvidia" / pci).unlink()

    def install(self, folder: str, version: str) -> None:
        link = self.root / folder / "libnvidia-ml.so.1"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(f"libnvidia-ml.so.{version}")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_an_empty_root_says_that_there_is_nothing(machine: Machine) -> None:
    kernel = machine.kernel
    assert kernel.boot_id() == "unknown"
    assert kernel.driver_loaded() is None
    assert kernel.driver_installed() is None
    assert kernel.bound_gpus() == {}
    assert not kernel.on_battery_host()
    assert kernel.memory_nodes() == 1
    assert kernel.numa_balancing() is None
    assert not kernel.asleep("0000:01:00.0")


def test_the_loaded_version_comes_from_sysfs_or_from_proc(machine: Machine) -> None:
    proc = machine.put(
        "proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build  (root@host)\n"
        "GCC version:  gcc version 12.2.0\n",
    )
    assert machine.kernel.driver_loaded() == "575.57.08"
    proc.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65  Sun Jul 20 2025\n")
    assert machine.kernel.driver_loaded() == "580.65"
    machine.put("sys/module/nvidia/version", "580.159.04\n")
    assert machine.kernel.driver_loaded() == "580.159.04"


def test_the_installed_version_is_the_newest_library_and_is_looked_up_each_time(machine: Machine) -> None:
    machine.install("usr/lib/x86_64-linux-gnu", "580.95.05")
    assert machine.kernel.driver_installed() == "580.95.05"
    machine.install("usr/lib64", "580.159.04")
    assert machine.kernel.driver_installed() == "580.159.04"
    machine.install("usr/lib64", "simulated")
    assert machine.kernel.driver_installed() == "580.95.05"


def test_binding_anew_shows_and_staying_bound_does_not(machine: Machine) -> None:
    for pci in ("0000:01:00.0", "0001:c3:00.0"):
        machine.bind(pci)
    machine.put("sys/bus/pci/drivers/nvidia/new_id", "")
    machine.put("sys/bus/pci/drivers/nvidia/module", "")
    before = machine.kernel.bound_gpus()
    assert set(before) == {"0000:01:00.0", "0001:c3:00.0"}
    assert machine.kernel.bound_gpus() == before
    machine.unbind("0000:01:00.0")
    assert set(machine.kernel.bound_gpus()) == {"0001:c3:00.0"}
    machine.bind("0000:01:00.0")
    after = machine.kernel.bound_gpus()
    assert after["0000:01:00.0"] != before["0000:01:00.0"]
    assert after["0001:c3:00.0"] == before["0001:c3:00.0"]


def test_a_sleeping_gpu_is_known_without_waking_it(machine: Machine) -> None:
    status = machine.put("sys/bus/pci/devices/0000:01:00.0/power/runtime_status", "active\n")
    assert not machine.kernel.asleep("0000:01:00.0")
    status.write_text("suspended\n")
    assert machine.kernel.asleep("0000:01:00.0")


def test_a_laptop_has_a_battery_a_wireless_mouse_makes_none(machine: Machine) -> None:
    machine.put("sys/class/power_supply/AC/type", "Mains\n")
    machine.put("sys/class/power_supply/hidpp_battery_0/type", "Battery\n")
    machine.put("sys/class/power_supply/hidpp_battery_0/scope", "Device\n")
    assert not machine.kernel.on_battery_host()
    machine.put("sys/class/power_supply/BAT0/type", "Battery\n")
    assert machine.kernel.on_battery_host()


@pytest.mark.parametrize(
    ("online", "count"),
    [("0\n", 1), ("0-1\n", 2), ("0-1,3\n", 3), ("", 1), ("rubbish\n", 1), ("0,2-3,8\n", 4)],
)
def test_memory_nodes_are_counted(machine: Machine, online: str, count: int) -> None:
    machine.put("sys/devices/system/node/online", online)
    assert machine.kernel.memory_nodes() == count


def test_a_node_without_memory_is_no_memory_node(machine: Machine) -> None:
    machine.put("sys/devices/system/node/online", "0-2\n")
    machine.put("sys/devices/system/node/has_memory", "0\n")
    assert machine.kernel.memory_nodes() == 1


def test_numa_balancing_reads_and_writes(machine: Machine) -> None:
    knob = machine.put("proc/sys/kernel/numa_balancing", "1\n")
    assert machine.kernel.numa_balancing() is NumaBalancing.ON
    machine.kernel.set_numa_balancing(NumaBalancing.OFF)
    assert machine.kernel.numa_balancing() is NumaBalancing.OFF
    machine.kernel.set_numa_balancing(NumaBalancing.ON)
    assert machine.kernel.numa_balancing() is NumaBalancing.ON
    for mode in (NumaBalancing.TIERING, NumaBalancing.BOTH):  # the other bit of the field, alone and with the first
        machine.kernel.set_numa_balancing(mode)
        assert machine.kernel.numa_balancing() is mode
    assert knob.read_text() == "3\n"
    knob.write_text("what\n")
    assert machine.kernel.numa_balancing() is None


def test_a_missing_knob_is_refused_by_name_and_not_created(machine: Machine) -> None:
    with pytest.raises(NotSupported, match="numa_balancing"):
        machine.kernel.set_numa_balancing(NumaBalancing.OFF)
    assert not (machine.root / "proc").exists()


def test_a_knob_that_cannot_be_written_raises_our_own_error(machine: Machine) -> None:
    (machine.root / "proc/sys/kernel/numa_balancing").mkdir(parents=True)
    with pytest.raises(DriverError, match=r"numa_balancing cannot be written: Is a directory"):
        machine.kernel.set_numa_balancing(NumaBalancing.OFF)


def test_this_machine_answers() -> None:
    kernel = SystemKernel()
    assert re.fullmatch(r"[0-9a-f-]{36}", kernel.boot_id())
    assert kernel.memory_nodes() >= 1
    assert isinstance(kernel.on_battery_host(), bool)
    bound = kernel.bound_gpus()
    assert all(os.path.lexists(f"/sys/bus/pci/drivers/nvidia/{pci}") for pci in bound)


def test_no_text_of_the_kernels_steers_a_terminal(machine: Machine) -> None:
    text = "Model: \t NV\x1b]0;owned\x07\u202e RTX\nIRQ: 1\nGPU UUID: \t GPU-\x1b[31m1\n"
    machine.put("proc/driver/nvidia/gpus/0000:01:00.0/information", text)
    machine.put("sys/module/nvidia/version", "580.\x1b[31m159\n")
    gpu = machine.kernel.identity("0000:01:00.0")
    assert gpu is not None
    for found in (gpu.name, gpu.uuid, machine.kernel.driver_loaded() or ""):
        assert found
        assert found.isprintable()
    assert "RTX" in gpu.name
