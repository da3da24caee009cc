"""Every check of the doctor: right on a healthy host, right on an ill one, and unknown where it cannot see."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.adapters.kernel_log import ABOUT_GPUS
from gpu_tuned.core.host_view import Bar, CdiSpec, HostView, Late, LinkSample, Place
from gpu_tuned.core.model import ComputeMode, Gpu, PowerRange, Unread
from gpu_tuned.core.policy import Expected
from gpu_tuned.core.policy.expected import CHECK_IDS
from gpu_tuned.core.verdict import Finding, Verdict
from gpu_tuned.doctor.driver import KEY_REJECTED
from gpu_tuned.doctor.examine import examine
from tests.doctor_views import (
    DESKTOP,
    DRIVER,
    DYNAMIC_BOOST,
    HEALTHY,
    HIDDEN,
    KERNEL,
    NOTHING,
    OURS,
    RACK,
    VM,
    busy,
    containers,
    device,
    driver,
    gpu,
    gpus,
    h100,
    log,
    pci,
    services,
    t4,
    unit,
)

T, W, U, K = Verdict.TROUBLE, Verdict.WARNING, Verdict.UNKNOWN, Verdict.OK
OTHER = "6.19.2-amd64"
NOT_LOADED = driver(loaded=None, answered=Unread("the NVIDIA driver is not loaded"))
GONE = replace(NOT_LOADED, gpus=Unread("the NVIDIA driver is not loaded"), pci=(device(driver=None),))
KEY = "Loading of module nvidia is rejected: Key was rejected by service"
HANDED_ON = device(driver="vfio-pci", iommu="DMA")
RESET_154 = "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from {} to {}"
TWO = replace(DESKTOP, gpus=(gpu(), gpu(1)), pci=(device(), device(1)))


def two(**changes: Any) -> HostView:
    return replace(TWO, pci=(device(**changes), device(1, **changes)))


def expecting(host: HostView, **changes: Any) -> HostView:
    return replace(host, expected=Expected(**changes))


# id of the check, host, verdict, words that the finding must hold
ROWS: list[tuple[str, HostView, Verdict, str]] = [
    ("driver-loaded", DESKTOP, K, DRIVER),
    ("driver-loaded", NOTHING, U, "not looked at"),
    ("driver-loaded", replace(GONE, pci=(device(driver="nouveau"),)), T, "nouveau has 01:00.0"),
    ("driver-loaded", replace(DESKTOP, pci=(device(), device(1, driver="nouveau"))), T, "nouveau has 02:00.0"),
    ("driver-loaded", replace(DESKTOP, pci=(device(), device(1, driver="vfio-pci"))), K, "02:00.0 (vfio-pci)"),
    ("driver-loaded", replace(GONE, log=log(KEY).log), T, "Key was rejected by service"),
    ("driver-loaded", replace(GONE, driver=replace(GONE.driver, kernels={KERNEL: False, OTHER: True})), T, "no module built"),
    ("driver-loaded", replace(GONE, driver=replace(GONE.driver, kernels={KERNEL: False}, dkms={})), T, "no module nvidia.ko"),
    ("driver-loaded", replace(GONE, log=log("nvidia: module verification failed: signature missing").log), T, "although"),
    ("driver-loaded", replace(GONE, log=log("Loading of module with unavailable key is rejected").log), T, "is rejected"),
    ("driver-loaded", GONE, T, "although a module"),
    ("driver-loaded", replace(GONE, pci=(HANDED_ON, HANDED_ON)), K, "kept for virtual machines"),
    ("driver-loaded", replace(GONE, pci=(HANDED_ON, device(1, driver=None))), T, "although a module"),
    ("driver-loaded", replace(GONE, driver=replace(GONE.driver, secure_boot=True)), T, "Secure Boot is on"),
    ("driver-loaded", replace(GONE, pci=()), U, "no NVIDIA GPU is on the PCI bus"),
    ("driver-loaded", replace(GONE, pci=HIDDEN, driver=replace(GONE.driver, kernels=HIDDEN)), U, "hidden here"),
    ("driver-versions", DESKTOP, K, "module and library are both"),
    ("driver-versions", driver(library="595.71.05"), T, "library 595.71.05 is installed"),
    ("driver-versions", driver(library="595.71.05", answered=Unread("mismatch")), T, "595.71.05"),
    ("driver-versions", driver(library=None, answered=HIDDEN), T, "no driver library"),
    ("driver-versions", driver(loaded=HIDDEN), U, "hidden here"),
    ("driver-versions", NOT_LOADED, U, "no module is loaded"),
    ("driver-next-boot", DESKTOP, K, KERNEL),
    ("driver-next-boot", driver(kernels={KERNEL: True, OTHER: False}), W, f"{OTHER} has no module"),
    ("driver-next-boot", driver(kernels={"6.9.1-amd64": False, KERNEL: True}), K, KERNEL),
    ("driver-next-boot", driver(kernels=HIDDEN), U, "hidden here"),
    ("driver-next-boot", driver(kernels={KERNEL: False}), U, "comes from elsewhere"),
    ("gpus-seen", DESKTOP, K, "1"),
    ("gpus-seen", gpus(gpu(), pci=(device(), device(1))), T, "not named by the driver: 0000:02:00.0"),
    ("gpus-seen", gpus(gpu(), pci=(device(), device(1)), root=False), U, "open what this user is not"),
    ("gpus-seen", gpus(gpu(), pci=(device(), device(1, excluded=True))), K, "1"),
    ("gpus-seen", gpus(gpu(), pci=tuple(device(i) for i in range(8)), place=Place.CONTAINER), K, "1"),
    ("gpus-seen", replace(GONE, driver=DESKTOP.driver, place=Place.CONTAINER), U, "not loaded"),
    ("gpus-seen", gpus(gpu(), pci=(device(), device(1, asleep=True))), K, "1"),
    ("gpus-seen", expecting(TWO, gpus=1), K, "2"),
    ("gpus-seen", replace(TWO, gpus=(gpu(),), left_out={1: "the GPU is lost"}), T, "the GPU is lost"),
    ("gpus-seen", expecting(DESKTOP, gpus=2), T, "expects 2"),
    ("gpus-seen", expecting(DESKTOP, named=("0000:41:00.0",)), T, "named by the policy, and not here: 0000:41:00.0"),
    ("gpus-seen", expecting(DESKTOP, named=(gpu().gpu.uuid.upper(),), gpus=1), K, "1"),
    ("gpus-seen", replace(GONE, driver=DESKTOP.driver), T, "the driver does not answer"),
    ("gpus-seen", NOTHING, U, "not looked at"),
    ("gpus-seen", replace(DESKTOP, gpus=Late("the driver has not answered within 1.5 s")), W, "1.5 s"),
    ("gpus-seen", gpus(pci=()), U, "names no GPU"),
    ("recovery", DESKTOP, K, "nothing"),
    ("recovery", gpus(gpu(recovery_action=2)), T, "a reboot"),
    ("recovery", gpus(gpu(recovery_action=7)), T, "action 7"),
    ("recovery", gpus(gpu(recovery_action=HIDDEN)), U, "hidden here"),
    ("persistence", DESKTOP, K, "on"),
    ("persistence", gpus(gpu(persistence=False)), W, "off"),
    ("persistence", gpus(gpu(persistence=False, display=True)), K, "display"),
    ("persistence", gpus(gpu(persistence=HIDDEN)), U, "hidden here"),
    ("temperature", DESKTOP, K, "41 C of 90 C"),
    ("temperature", gpus(gpu(temperature_c=87)), W, "87 C of 90 C"),
    ("temperature", gpus(gpu(temperature_c=84)), K, "84 C"),
    ("temperature", gpus(busy(), replace(busy(1), temperature_c=92, reasons=0x48)), T, "02:00.0: slowed down now: heat"),
    ("temperature", gpus(replace(busy(), reasons=0x80)), T, "power brake"),
    ("temperature", gpus(gpu(temperature_c=HIDDEN)), U, "hidden here"),
    ("temperature", gpus(gpu(max_operating_c=HIDDEN, slowdown_c=HIDDEN)), U, "limit is not told"),
    ("temperature", gpus(gpu(max_operating_c=0)), K, "of 92 C"),
    ("held-down", DESKTOP, K, "575 W, as asked for; default limit and highest clock are the model's"),
    ("held-down", gpus(gpu(gpu=Gpu("GPU-1", "0000:01:00.0", "NVIDIA RTX 9999"))), K, "the model has is not known here"),
    ("held-down", gpus(gpu(enforced_mw=500_000)), W, "500 W in force"),
    ("held-down", gpus(h100(power=PowerRange(200_000, 500_000, 500_000), requested_mw=500_000, enforced_mw=500_000)), W,
     "default limit 500 W, where the model has 700 W"),
    ("held-down", gpus(h100(max_gpu_mhz=1410)), W, "highest clock 1410 MHz"),
    ("held-down", gpus(h100(utilization_percent=99, reasons=0, gpu_clock_mhz=1200)), W, "a clock lock"),
    ("held-down", gpus(h100(utilization_percent=99, reasons=4, gpu_clock_mhz=1200)), K, "as asked for"),
    ("held-down", expecting(gpus(h100(utilization_percent=99, reasons=0, gpu_clock_mhz=1200)), locks_clocks=True), K, "as"),
    ("held-down", gpus(t4(utilization_percent=99, reasons=2, gpu_clock_mhz=585)), K, "70 W, as asked for"),
    ("held-down", gpus(t4(utilization_percent=99, reasons=0x200, gpu_clock_mhz=900)), K, "70 W, as asked for"),
    ("held-down", gpus(t4(utilization_percent=99, reasons=0, gpu_clock_mhz=1192)), W, "1192 of 1590 MHz"),
    ("held-down", gpus(t4(utilization_percent=99, reasons=0, gpu_clock_mhz=1193)), K, "70 W, as asked for"),
    ("held-down", gpus(t4(utilization_percent=89, reasons=0, gpu_clock_mhz=585)), K, "70 W, as asked for"),
    ("held-down", DYNAMIC_BOOST, K, "as the laptop's firmware shares"),
    ("held-down", gpus(gpu(requested_mw=450_000, enforced_mw=450_000)), K, "450 W, as asked for"),
    ("held-down", gpus(gpu(requested_mw=HIDDEN)), U, "does not tell limits"),
    ("xid", DESKTOP, K, "none"),
    ("xid", log("NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', GPU has fallen off the bus."), T, "fell off the bus"),
    ("xid", log("NVRM: Xid (PCI:0000:01:00): 63, pid=1896, Row Remapper"), W, "1x Xid 63 at 01:00.0"),
    ("xid", log("NVRM: Xid (0000:01:00): 999, something new"), W, "Xid 999"),
    ("xid", log(*["NVRM: Xid (PCI:0000:01:00): 31, pid=77, name=python"] * 3), K, "3x Xid 31"),
    ("xid", log(RESET_154.format("0x1 (GPU Reset Required)", "0x0 (None)")), K, "none"),
    ("xid", log(RESET_154.format("0x0 (None)", "0x1 (GPU Reset Required)")), T, "a recovery"),
    ("xid", replace(DESKTOP, log=HIDDEN), U, "hidden here"),
    ("xid", replace(DESKTOP, log_from_s=7200.0), U, "begins 2.0 h after boot"),
    ("xid", log("NVRM: Xid (PCI:0000:01:00): 79, x", log_from_s=7200.0), T, "79"),
    ("pcie-width", DESKTOP, K, "x16"),
    ("pcie-width", gpus(gpu(links=(LinkSample(5, 4, True),) * 5)), W, "x4 of x16"),
    ("pcie-width", gpus(gpu(links=(LinkSample(1, 8, False),) * 5, max_width=8)), W, "x8 of x16"),
    ("pcie-width", expecting(gpus(gpu(links=(LinkSample(1, 8, False),) * 5)), pcie_width=8), K, "expected x8"),
    ("pcie-width", expecting(gpus(gpu(links=(LinkSample(1, 4, False),) * 5)), pcie_width=8), W, "expects x8"),
    ("pcie-width", gpus(gpu(links=HIDDEN)), U, "hidden here"),
    ("pcie-generation", gpus(busy()), K, "generation 5"),
    ("pcie-generation", DESKTOP, U, "while idle, which is normal"),
    ("pcie-generation", gpus(busy(generation=3)), W, "generation 3 of 5 under load, in 5 samples"),
    ("pcie-generation", gpus(gpu(links=(LinkSample(1, 16, True), *(LinkSample(1, 16, False),) * 4))), U, "idle"),
    ("pcie-generation", gpus(replace(busy(), links=(LinkSample(1, 16, True), *(LinkSample(5, 16, True),) * 4))), K, "generation 5"),
    ("pcie-generation", gpus(replace(busy(generation=4), max_generation=4)), K, "the slot cannot"),
    ("pcie-generation", gpus(gpu(links=HIDDEN)), U, "hidden here"),
    ("pcie-errors", DESKTOP, K, "no replay"),
    ("pcie-errors", gpus(gpu(replays=(10, 40))), W, "30 replays"),
    ("pcie-errors", gpus(gpu(replays=(5000, 5000))), K, "no replay"),
    ("pcie-errors", pci(device(errors={"correctable": 9000, "nonfatal": 0, "fatal": 0})), W, "375 an hour"),
    ("pcie-errors", pci(device(errors={"correctable": 24, "nonfatal": 0, "fatal": 0})), K, "24 corrected"),
    ("pcie-errors", pci(device(errors={"correctable": 0, "nonfatal": 1, "fatal": 0})), T, "1 other uncorrected"),
    ("pcie-errors", replace(pci(device(errors=HIDDEN)), gpus=(gpu(replays=HIDDEN),)), U, "counts errors"),
    ("resizable-bar", DESKTOP, K, "on: BAR1 32 GiB"),
    ("resizable-bar", gpus(gpu(bar1_mib=256)), W, "the board can do 32 GiB"),
    ("resizable-bar", gpus(gpu(bar1_mib=256), pci=(device(resize_mib=HIDDEN),)), W, "off"),
    ("resizable-bar", gpus(gpu(bar1_mib=256, architecture=6), pci=(device(resize_mib=HIDDEN),)), K, "before Ampere"),
    ("resizable-bar", gpus(gpu(bar1_mib=256), pci=(device(resize_mib=()),)), K, "largest"),
    ("resizable-bar", gpus(gpu(bar1_mib=256, architecture=None), pci=(device(resize_mib=HIDDEN),)), U, "not told"),
    ("resizable-bar", gpus(gpu(bar1_mib=HIDDEN)), U, "hidden here"),
    ("resizable-bar", replace(VM, gpus=(h100(bar1_mib=256),), pci=(device(resize_mib=HIDDEN),)), U, "virtual machine"),
    ("above-4g", DESKTOP, K, "lies above 4 GiB"),
    ("above-4g", pci(device(bars=(Bar(0, 0x80000000, 64 << 20), Bar(1, 0, 0)))), T, "BAR 1 got no address"),
    ("above-4g", pci(device(bars=(Bar(1, 0xC0000000, 256 << 20),))), W, "below 4 GiB"),
    ("above-4g", pci(device(bars=(Bar(1, 0xC0000000, 256 << 20),), resize_mib=())), K, "not needed"),
    ("above-4g", pci(device(bars=HIDDEN)), U, "hidden here"),
    ("memory-nodes", DESKTOP, K, "one"),
    ("memory-nodes", RACK, K, "node 1 of 2"),
    ("memory-nodes", replace(TWO, memory_nodes=2, pci=(device(), device(1, numa_node=-1))), W, "02:00.0: no node told"),
    ("memory-nodes", replace(DESKTOP, memory_nodes=HIDDEN), U, "hidden here"),
    ("memory-nodes", VM, U, "does not tell"),
    ("iommu", DESKTOP, K, "off"),
    ("iommu", two(iommu="DMA-FQ"), W, "translates"),
    ("iommu", two(iommu="identity"), K, "passes through"),
    ("iommu", pci(device(iommu="DMA")), K, "does not mind"),
    ("iommu", RACK, K, "NVLink joins"),
    ("iommu", pci(device(iommu="DMA"), device(1, driver="vfio-pci", iommu="DMA")), K, "does not mind"),
    ("iommu", pci(device(driver="vfio-pci", iommu="DMA")), K, "which need it"),
    ("iommu", replace(two(iommu="DMA"), gpus=(gpu(nvlinks=HIDDEN), gpu(1, nvlinks=HIDDEN))), U, "whether NVLink"),
    ("iommu", VM, U, "the host below"),
    ("iommu", pci(device(iommu=HIDDEN)), U, "hidden here"),
    ("acs", TWO, K, "no port redirects"),
    ("acs", two(redirected=True), W, "redirects traffic"),
    ("acs", two(redirected=HIDDEN), U, "hidden here"),
    ("acs", pci(device(redirected=True)), K, "one GPU"),
    ("acs", pci(device(redirected=True), device(1, driver="vfio-pci", redirected=True)), K, "one GPU"),
    ("acs", pci(device(driver="vfio-pci", redirected=True)), K, "which need it"),
    ("persistence-services", DESKTOP, K, "nvidia-persistenced.service runs"),
    ("persistence-services",
     services(running=frozenset({"nvidia-persistenced.service", "gpu-tuned-persistenced.service"})), W, "both run"),
    ("persistence-services", services(units=(*OURS, unit("nvidia-persistenced.service", ""))), W, "takes the place"),
    ("persistence-services", services(running=HIDDEN), U, "hidden here"),
    ("persistence-services", services(units=HIDDEN), U, "hidden here"),
    ("rivals", DESKTOP, K, "none"),
    ("rivals", services(running=frozenset({"lactd.service"})), W, "LACT"),
    ("rivals", services(running=frozenset({"nvidia-dcgm.service"})), K, "only when asked"),
    ("rivals", services(running=HIDDEN), U, "hidden here"),
    ("start-order", DESKTOP, K, "docker.service and vllm.service after"),
    ("start-order", services(units=(*OURS, unit("vllm.service", "vLLM"))), W, "vllm.service (vLLM) may start before"),
    ("start-order", services(units=(*OURS, unit("vllm.service", "vLLM", enabled=False))), K, "no enabled"),
    ("start-order", services(units=(*OURS, unit("chat.service", "", unread=True))), U, "may use the GPUs: chat.service"),
    ("start-order", services(units=(*OURS, unit("chat.service", "", unread=True, enabled=False))), K, "no enabled"),
    ("start-order", services(units=(unit("vllm.service", "vLLM"),)), K, "not enabled here"),
    ("start-order",
     services(units=(OURS[0], replace(OURS[1], before=frozenset({"vllm.service"})), unit("vllm.service", "vLLM"))), K, "after"),
    ("start-order", services(units=HIDDEN), U, "hidden here"),
    ("open-files", DESKTOP, K, "1024"),
    ("open-files", services(nofile={"dockerd": 1 << 30}), W, "dockerd 1073741824"),
    ("open-files", services(nofile={"dockerd": 1 << 30}, persistenced_socket=False), K, "harmless"),
    ("open-files", services(nofile=HIDDEN), U, "hidden here"),
    ("leftovers", DESKTOP, K, "no unit"),
    ("leftovers", services(leftovers=("/scripts/setup-gpu.sh",)), W, "/scripts/setup-gpu.sh"),
    ("leftovers", services(leftovers=HIDDEN), U, "hidden here"),
    ("mps", DESKTOP, K, "not in use"),
    ("mps", gpus(gpu(compute_mode=ComputeMode.EXCLUSIVE_PROCESS)), W, "no MPS control daemon"),
    ("mps", replace(services(mps_runs=True), gpus=(gpu(compute_mode=ComputeMode.EXCLUSIVE_PROCESS),)), K, "runs"),
    ("mps", gpus(gpu(compute_mode=ComputeMode.EXCLUSIVE_PROCESS, compute_processes=1)), W, "1 of them taken"),
    ("mps", gpus(gpu(compute_processes=2), gpu(1, compute_processes=1)), K, "1 with several processes"),
    ("mps", gpus(gpu(compute_processes=HIDDEN)), K, "not in use"),
    ("mps", services(mps_pipe="/tmp/nvidia-mps/control"), W, "/tmp/nvidia-mps/control is there"),
    ("mps", services(mps_runs=HIDDEN), U, "hidden here"),
    ("mps", gpus(gpu(compute_mode=HIDDEN)), U, "compute mode"),
    ("container-runtime", DESKTOP, K, "which is CDI"),
    ("container-runtime", containers(toolkit="1.17.8"), W, "legacy hook"),
    ("container-runtime", containers(mode="legacy"), W, "legacy hook"),
    ("container-runtime", containers(mode="cdi", toolkit="1.17.8"), K, '"cdi"'),
    ("container-runtime", containers(toolkit="1.17.8", systemd_cgroups=False), K, "harmless"),
    ("container-runtime", containers(toolkit="1.17.8", char_links=True), K, "harmless"),
    ("container-runtime", containers(engines=frozenset()), K, "no container engine"),
    ("container-runtime", containers(toolkit=None), K, "without NVIDIA's toolkit"),
    ("container-runtime", containers(engines=HIDDEN), U, "hidden here"),
    ("container-runtime", containers(engines=frozenset({"containerd"})), U, "only Docker's"),
    ("container-runtime", containers(nvidia_runtime=False), U, "--gpus uses the legacy hook"),
    ("container-runtime", containers(nvidia_runtime=False, char_links=True), K, "harmless"),
    ("container-runtime", containers(toolkit="1.17.8", char_links=HIDDEN), U, "hidden here"),
    ("container-toolkit", DESKTOP, K, "1.18.2"),
    ("container-toolkit", containers(toolkit="1.17.7"), W, "1.17.7"),
    ("container-toolkit", containers(toolkit="1.9.0"), W, "1.9.0"),
    ("container-toolkit", containers(toolkit=HIDDEN), U, "hidden here"),
    ("cdi", DESKTOP, K, "/var/run/cdi/nvidia.yaml"),
    ("cdi", containers(cdi=(CdiSpec("/etc/cdi/nvidia.yaml", "nvidia.com/gpu", frozenset({"570.86.10"})),)), T, "570.86.10"),
    ("cdi", containers(cdi=tuple(CdiSpec(f"/{at}/cdi/nvidia.yaml", "nvidia.com/gpu", frozenset({DRIVER}))
                                 for at in ("etc", "var/run"))), W, "is described by"),
    ("cdi", containers(cdi=(), mode="cdi"), T, "no CDI file"),
    ("cdi", containers(cdi=()), K, "none"),
    ("cdi", containers(cdi=HIDDEN), U, "hidden here"),
    ("cdi", containers(cdi=(CdiSpec("/etc/cdi/n.yaml", "nvidia.com/gpu", frozenset()),)), U, "no library"),
]  # fmt: skip


def finding(host: HostView, check: str) -> Finding:
    (found,) = [found for found in examine(host).findings if found.check == check]
    return found


@pytest.mark.parametrize(("check", "host", "verdict", "words"), ROWS, ids=[f"{row[0]}-{row[3]}" for row in ROWS])
def test_verdict(check: str, host: HostView, verdict: Verdict, words: str) -> None:
    found = finding(host, check)
    assert (found.verdict, words in found.seen) == (verdict, True), found
    if verdict in (T, W):
        assert found.why and found.advice
    else:
        assert not found.commands


def test_every_check_was_seen_healthy_ill_and_blind() -> None:
    """And the policy's `accept` knows the same checks as the doctor."""
    assert tuple(found.check for found in examine(DESKTOP).findings) == CHECK_IDS
    for check in CHECK_IDS:
        verdicts = {row[2] for row in ROWS if row[0] == check}
        assert K in verdicts and U in verdicts and verdicts & {T, W}, check


@pytest.mark.parametrize("name", HEALTHY)
def test_no_alarm_on_a_healthy_host(name: str) -> None:
    alarms = [found for found in examine(HEALTHY[name]).findings if found.verdict in (T, W)]
    assert alarms == []


@pytest.mark.parametrize("place", Place)
def test_nothing_is_ok_without_having_been_seen(place: Place) -> None:
    found = examine(replace(NOTHING, place=place)).findings
    assert [(one.check, one.verdict) for one in found] == [(check, U) for check in CHECK_IDS]
    assert all(one.seen for one in found)


def test_the_log_is_kept_of_every_way_to_refuse_a_module() -> None:
    assert [words for words in KEY_REJECTED if not ABOUT_GPUS.search(words)] == []


def test_what_is_under_load_and_healthy_raises_no_alarm() -> None:
    host = replace(RACK, gpus=tuple(replace(h100(i), utilization_percent=100, reasons=4, gpu_clock_mhz=1400, temperature_c=66,
                                            links=(LinkSample(5, 16, True),) * 5) for i in range(8)))  # fmt: skip
    assert [found for found in examine(host).findings if found.verdict in (T, W)] == []


def test_a_worse_gpu_is_told_first_and_named() -> None:
    host = replace(RACK, gpus=tuple(h100(i, temperature_c=85 if i == 3 else 60) for i in range(8)))
    found = finding(host, "temperature")
    assert found.seen.startswith("04:00.0: 85 C of 87 C; 01:00.0")
    assert found.gpus == ("0000:04:00.0",)


def test_an_unknown_gpu_beside_a_healthy_one_is_not_ok() -> None:
    assert finding(replace(TWO, gpus=(gpu(), gpu(1, persistence=HIDDEN))), "persistence").verdict is U


def test_the_page_of_checks_has_each_of_them_in_order() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    assert tuple(re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE)) == CHECK_IDS


def test_accepted_checks_are_not_told() -> None:
    host = expecting(gpus(gpu(persistence=False)), accepted=frozenset({"persistence"}))
    assert "persistence" not in {found.check for found in examine(host).findings}


def test_docker_is_a_matter_of_gpus_only_with_the_toolkit() -> None:
    units = (*OURS, unit("docker.service", "starts containers"))
    assert finding(services(units=units), "start-order").verdict is W
    without = replace(services(units=units), containers=replace(DESKTOP.containers, toolkit=None))
    assert finding(without, "start-order").verdict is K
