"""`gpu-tunedctl doctor` as a process, on simulated hosts: folders as /sys and /proc, and the simulated driver."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import gpu_tuned
from tests.conftest import MakeHost
from tests.doctor_host import KERNEL, card, cdi, enable, healthy, kernel_log, process, secure_boot
from tests.init_host import link, put, set_up_by_hand, snapshot
from tests.nvsim import Nvsim

ENTRY = "from gpu_tuned.main import control; control()"
SCHEMA = json.loads((Path(gpu_tuned.__file__).parent / "ctl/doctor.schema.json").read_text())
GPU = "0000:01:00.0"


def doctor(host: Nvsim, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**host.env, "GPU_TUNED_SYSROOT": str(host.root), **env}
    return subprocess.run(
        [sys.executable, "-c", ENTRY, "doctor", *argv], capture_output=True, text=True, timeout=60, env=environment
    )


def found(host: Nvsim, *argv: str) -> dict[str, Any]:
    done = doctor(host, "--json", *argv)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert done.returncode == (1 if document["verdict"] == "trouble" else 0)
    return {finding["id"]: finding for finding in document["findings"]}


@pytest.fixture
def desktop(nvsim: MakeHost) -> Nvsim:
    host = nvsim("rtx-5090-575")
    host.set(0, persistence_mode=True)
    healthy(host.root)
    return host


def keep(host: Nvsim) -> Any:
    """A program that keeps the driver's settings, as on a host in use."""
    return host.client("n.nvmlDeviceSetPersistenceMode(h, 1)", NVSIM_CAP_SYS_ADMIN="1")


def alarms(findings: dict[str, Any]) -> list[str]:
    return [name for name, finding in findings.items() if finding["verdict"] in ("trouble", "warning")]


def test_a_healthy_desktop_under_load_is_healthy_all_through(desktop: Nvsim) -> None:
    with keep(desktop):
        desktop.load(0, 100)
        findings = found(desktop)
    assert {name: f for name, f in findings.items() if f["verdict"] != "ok"} == {}


@pytest.mark.parametrize("boards", [("h100",) * 8, ("rtx-5090-laptop",), ("t4",), ("a100", "l40s"), ("h200",)])
def test_no_alarm_on_healthy_boards_at_rest(nvsim: MakeHost, boards: tuple[str, ...]) -> None:
    host = nvsim(*boards)
    if "laptop" in boards[0]:
        put(host.root, "/sys/class/power_supply/BAT0/type", "Battery\n")
    healthy(host.root)
    with host.client("[n.nvmlDeviceSetPersistenceMode(g, 1) for g in handles]", NVSIM_CAP_SYS_ADMIN="1"):
        assert alarms(found(host)) == []


def test_without_sysfs_nothing_is_said_to_be_well_that_was_not_seen(nvsim: MakeHost, tmp_path: Path) -> None:
    """A sandbox that passes the driver through, and hides the machine."""
    host = nvsim("h200")
    empty = tmp_path / "empty"
    empty.mkdir()
    with keep(host):
        document = json.loads(doctor(host, "--json", "--root", str(empty)).stdout)
    findings = {f["id"]: f for f in document["findings"]}
    assert alarms(findings) == []
    by_driver = {"driver-loaded", "gpus-seen", "recovery", "persistence", "temperature", "held-down", "pcie-width",
                 "pcie-generation", "pcie-errors", "resizable-bar"}  # fmt: skip
    assert {name for name, f in findings.items() if f["verdict"] == "ok"} <= by_driver
    assert findings["xid"]["verdict"] == findings["cdi"]["verdict"] == "unknown"


def test_a_container_does_not_judge_its_host(desktop: Nvsim) -> None:
    put(desktop.root, "/run/.containerenv", "")
    with keep(desktop):
        findings = found(desktop)
    assert alarms(findings) == []
    for name in ("leftovers", "rivals", "start-order", "container-runtime", "cdi", "xid", "iommu"):
        assert findings[name]["verdict"] == "unknown", name
        assert "container" in findings[name]["seen"] or "host" in findings[name]["seen"]


def policy(host_table: str) -> Callable[[Nvsim], Path]:
    return lambda host: put(host.root, "/etc/gpu-tuned/gpu-tuned.toml", f"gpu = []\n[host]\n{host_table}\n")


def narrow(host: Nvsim) -> None:
    host.run("set", 0, "pcie_width=4")


def slow_under_load(host: Nvsim) -> None:
    host.load(0, 100)
    host.run("set", 0, "pcie_gen=3")


def errors(host: Nvsim) -> None:
    put(host.root / "sys/bus/pci/devices" / GPU, "aer_dev_correctable", "RxErr 9\nTOTAL_ERR_COR 90000\n")


def no_address(host: Nvsim) -> None:
    card(host.root, GPU, bar1=(0, 32 << 30))


def unit(name: str, exec_start: str) -> Callable[[Nvsim], None]:
    def add(host: Nvsim) -> None:
        put(host.root, f"/etc/systemd/system/{name}", f"[Service]\nExecStart={exec_start}\n[Install]\nWantedBy=x\n")
        enable(host.root, name)

    return add


def quadlet(host: Nvsim) -> None:
    container = "[Container]\nImage=docker.io/vllm/vllm-openai\nAddDevice=nvidia.com/gpu=all\n"
    put(host.root, "/etc/containers/systemd/llm.container", f"{container}[Install]\nWantedBy=default.target\n")


def another_kernel(host: Nvsim) -> None:
    put(host.root, "/lib/modules/6.99.1-amd64/modules.dep", "kernel/fs/ext4.ko.xz:\n")


def upgraded(host: Nvsim) -> None:
    library = host.root / "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
    library.unlink()
    library.symlink_to("libnvidia-ml.so.595.71.05")


def rival(host: Nvsim) -> None:
    (host.root / "sys/fs/cgroup/system.slice/lactd.service").mkdir()


def old_toolkit(host: Nvsim) -> None:
    library = host.root / "usr/lib/x86_64-linux-gnu/libnvidia-container.so.1"
    library.unlink()
    library.symlink_to("libnvidia-container.so.1.17.4")


def two_nodes(host: Nvsim) -> None:
    put(host.root, "/sys/devices/system/node/has_memory", "0-1\n")
    put(host.root / "sys/bus/pci/devices" / GPU, "numa_node", "-1\n")


ILL: dict[str, tuple[Callable[[Nvsim], object], str, str]] = {
    "pcie-width": (narrow, "warning", "x4 of x16"),
    "pcie-generation": (slow_under_load, "warning", "generation 3 of 5 under load"),
    "pcie-errors": (errors, "warning", "3750 an hour"),
    "above-4g": (no_address, "trouble", "BAR 1 got no address"),
    "xid": (
        lambda host: kernel_log(host.root, f"NVRM: Xid (PCI:{GPU[:-2]}): 79, GPU has fallen off"),
        "trouble",
        "Xid 79",
    ),
    "driver-next-boot": (another_kernel, "warning", "6.99.1-amd64 has no module"),
    "driver-versions": (upgraded, "trouble", "595.71.05"),
    "rivals": (rival, "warning", "LACT"),
    "start-order": (unit("llm.service", "/opt/venv/bin/vllm serve model"), "warning", "llm.service (vLLM)"),
    "open-files": (lambda host: process(host.root, 800, "dockerd", 1073741816), "warning", "dockerd 1073741816"),
    "container-runtime": (old_toolkit, "warning", "legacy hook"),
    "container-toolkit": (old_toolkit, "warning", "1.17.4"),
    "cdi": (lambda host: cdi(host.root, "/var/run/cdi/nvidia.yaml", "570.86.10"), "trouble", "570.86.10"),
    "memory-nodes": (two_nodes, "warning", "no node told"),
    "held-down": (lambda host: host.run("set", 0, "power_limit_w=450"), "ok", "450 W, as asked for"),
    "leftovers": (lambda host: set_up_by_hand(host.root), "warning", "/etc/sysctl.conf"),
    "persistence-services": (lambda host: set_up_by_hand(host.root), "warning", "/etc/systemd/system"),
    "mps": (lambda host: host.set(0, compute_mode="exclusive_process"), "warning", "no MPS control daemon"),
    "temperature": (lambda host: host.run("set", 0, "temperature=89"), "warning", "89 C of 90 C"),
    "recovery": (lambda host: host.run("set", 0, "recovery_action=1"), "trouble", "a GPU reset"),
    "gpus-seen": (policy("gpus = 2"), "trouble", "expects 2"),
}


@pytest.mark.parametrize("check", ILL)
def test_each_illness_is_found(desktop: Nvsim, check: str) -> None:
    make_ill, verdict, words = ILL[check]
    with keep(desktop):
        make_ill(desktop)
        finding = found(desktop)[check]
    assert (finding["verdict"], words in finding["seen"]) == (verdict, True), finding


def test_a_quadlet_starts_in_order_or_is_told(desktop: Nvsim) -> None:
    quadlet(desktop)
    finding = found(desktop)["start-order"]
    assert finding["verdict"] == "warning"
    assert "llm.service" in finding["seen"]
    (command,) = [c for c in finding["commands"] if "llm" in c]
    assert "/etc/containers/systemd/llm.container.d/gpu-tuned.conf" in command
    put(desktop.root, "/etc/containers/systemd/llm.container.d/gpu-tuned.conf", "[Unit]\nAfter=gpu-tuned.target\n")
    assert found(desktop)["start-order"]["verdict"] == "ok"


def test_instances_and_units_of_packages_are_looked_at(desktop: Nvsim) -> None:
    put(desktop.root, "/etc/systemd/system/llm@.service", "[Service]\nExecStart=/usr/bin/llama-server -m %i\n")
    put(
        desktop.root,
        "/usr/lib/systemd/system/sglang.service",
        "[Service]\nExecStart=/usr/bin/python -m sglang.launch\n",
    )
    put(
        desktop.root,
        "/usr/lib/systemd/system/idle.service",
        "[Service]\nExecStart=/usr/bin/python -m sglang.launch\n",
    )
    assert found(desktop)["start-order"]["verdict"] == "ok"
    link(
        desktop.root,
        "/etc/systemd/system/multi-user.target.wants/llm@large.service",
        "/etc/systemd/system/llm@.service",
    )
    enable(desktop.root, "sglang.service", "/usr/lib/systemd/system")
    seen = found(desktop)["start-order"]["seen"]
    assert "llm@.service (llama.cpp)" in seen and "sglang.service (SGLang)" in seen and "idle" not in seen


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/proc/cpuinfo", "flags\t\t: fpu hypervisor lahf_lm\n"),
        ("/sys/class/dmi/id/sys_vendor", "QEMU\n"),
        ("/sys/class/dmi/id/product_name", "Google Compute Engine\n"),
    ],
)
def test_a_virtual_machine_is_known_for_one(desktop: Nvsim, path: str, text: str) -> None:
    assert "the host below" not in found(desktop)["iommu"]["seen"]
    put(desktop.root, path, text)
    assert "the host below" in found(desktop)["iommu"]["seen"]


def test_peer_traffic(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575", "rtx-5090-575")
    healthy(host.root)
    assert found(host)["acs"]["verdict"] == "ok"
    for device in (host.root / "sys/bus/pci/devices").iterdir():
        card(host.root, device.name, port_acs=0x1D)
        group = host.root / "sys/kernel/iommu_groups/7"
        put(group, "type", "DMA-FQ\n")
        link(host.root, f"/sys/bus/pci/devices/{device.name}/iommu_group", str(group))
    findings = found(host)
    # The simulated driver lacks the call that tells of NVLink, so what it would mean is not known.
    assert findings["acs"]["verdict"] == findings["iommu"]["verdict"] == "unknown"
    assert "redirects" in findings["acs"]["seen"] and "DMA-FQ" in findings["iommu"]["seen"]
    for device in (host.root / "sys/bus/pci/devices").iterdir():
        card(host.root, device.name, port_acs=None)
    assert "needs root" in found(host)["acs"]["seen"]


def test_no_driver(desktop: Nvsim) -> None:
    desktop.run("unload")
    findings = found(desktop)
    assert findings["driver-loaded"]["verdict"] == "trouble"
    assert f"a module for {KERNEL} is installed" in findings["driver-loaded"]["seen"]
    secure_boot(desktop.root, True)
    kernel_log(desktop.root, "Loading of module with unavailable key is rejected", "Key was rejected by service")
    finding = found(desktop)["driver-loaded"]
    assert "key is rejected" in finding["seen"] and any("mokutil" in c for c in finding["commands"])
    put(desktop.root, f"/lib/modules/{KERNEL}/modules.dep", "kernel/fs/ext4.ko.xz:\n")
    kernel_log(desktop.root, "usb 1-1: new device")
    assert "DKMS has" in found(desktop)["driver-loaded"]["seen"]
    link(desktop.root / "sys/bus/pci/devices" / GPU, "driver", "../../../bus/pci/drivers/nouveau")
    assert "nouveau has 01:00.0" in found(desktop)["driver-loaded"]["seen"]


def test_a_log_that_lost_its_head_does_not_prove_that_nothing_happened(desktop: Nvsim) -> None:
    kernel_log(desktop.root, "usb 1-1: new device", first=90_000)
    assert "begins 1.0 h after boot" in found(desktop)["xid"]["seen"]


def test_a_hanging_driver_costs_two_seconds_and_is_told(desktop: Nvsim) -> None:
    desktop.hang("nvmlInitWithFlags", 30)
    began = time.monotonic()
    findings = found(desktop)
    assert time.monotonic() - began < 4  # the doctor's two, and what a busy machine adds
    assert findings["gpus-seen"]["verdict"] == "warning"  # a slow start of many GPUs looks the same
    assert "has not answered within" in findings["gpus-seen"]["seen"]
    assert findings["persistence"]["verdict"] == findings["temperature"]["verdict"] == "unknown"


def test_a_sleeping_gpu_is_left_asleep(desktop: Nvsim) -> None:
    put(desktop.root / "sys/bus/pci/devices" / GPU, "power/runtime_status", "suspended\n")
    before = desktop.calls()
    findings = found(desktop)
    assert desktop.calls() == before
    assert "would wake it up" in findings["persistence"]["seen"]
    assert alarms(findings) == []


def test_a_lost_gpu_does_not_cost_the_others(nvsim: MakeHost) -> None:
    host = nvsim("h100", "h100")
    healthy(host.root)
    host.lose(1)
    finding = found(host)["gpus-seen"]
    assert finding["verdict"] == "trouble"
    assert "1" in finding["seen"]


def test_it_writes_nothing_and_fix_runs_nothing(desktop: Nvsim) -> None:
    set_up_by_hand(desktop.root)
    before, writes = snapshot(desktop.root), desktop.writes(strangers=True)
    done = doctor(desktop, "--fix")
    assert done.returncode == 0
    assert "gpu-tunedctl init --write" in done.stdout.splitlines()
    assert all(line.startswith("# ") or not line or line[0].isalpha() for line in done.stdout.splitlines())
    after = {path: what for path, what in snapshot(desktop.root).items() if path in before}
    assert after == before
    assert desktop.writes(strangers=True) == writes


def test_the_policy_says_what_is_meant_and_what_is_accepted(desktop: Nvsim) -> None:
    with keep(desktop):
        desktop.run("set", 0, "pcie_width=8")
        desktop.set(0, compute_mode="exclusive_process")
        assert sorted(alarms(found(desktop))) == ["mps", "pcie-width"]
        put(desktop.root, "/etc/gpu-tuned/gpu-tuned.toml", 'gpu = []\n[host]\npcie_width = 8\naccept = ["mps"]\n')
        findings = found(desktop)
    assert alarms(findings) == []
    assert "mps" not in findings and "expected x8" in findings["pcie-width"]["seen"]


def test_the_whole_takes_two_seconds_at_most(nvsim: MakeHost) -> None:
    host = nvsim(*["h100"] * 8)
    healthy(host.root)
    document = json.loads(doctor(host, "--json").stdout)
    assert document["took_s"] < 2


def test_text_fits_into_eighty_columns(desktop: Nvsim) -> None:
    set_up_by_hand(desktop.root)
    done = doctor(desktop, NO_COLOR="1")
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    assert done.stdout.startswith("WARNINGS  ")
