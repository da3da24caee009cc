"""A healthy host as the doctor sees it, by kind; tests make it ill in one place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpu_tuned.core.host_view import (
    Bar,
    CdiSpec,
    ContainersView,
    DriverView,
    GpuView,
    HostView,
    LinkSample,
    LogLine,
    PciGpu,
    Place,
    ServicesView,
    UnitView,
)
from gpu_tuned.core.model import ComputeMode, Gpu, PowerRange, Unread

DRIVER = "580.159.04"
KERNEL = "6.12.48-amd64"
GIB = 1 << 30
HIDDEN = Unread("hidden here")
AFTER = frozenset({"gpu-tuned.target"})


def gpu(index: int = 0, **changes: Any) -> GpuView:
    """A 5090 at rest, as its driver tells."""
    rtx = GpuView(
        gpu=Gpu(
            f"GPU-0000000{index}-1111-2222-3333-444444444444", f"0000:{index + 1:02x}:00.0", "NVIDIA GeForce RTX 5090"
        ),
        index=index,
        architecture=10,
        persistence=True,
        compute_mode=ComputeMode.DEFAULT,
        display=False,
        compute_processes=0,
        links=(LinkSample(1, 16, False),) * 5,
        max_generation=5,
        board_generation=5,
        max_width=16,
        replays=(0, 0),
        looked_s=0.4,
        bar1_mib=32768,
        memory_mib=32607,
        temperature_c=41,
        max_operating_c=90,
        slowdown_c=92,
        power=PowerRange(400_000, 575_000, 575_000),
        requested_mw=575_000,
        enforced_mw=575_000,
        power_mw=24_000,
        gpu_clock_mhz=22,
        max_gpu_mhz=3090,
        utilization_percent=0,
        reasons=0x4,
        nvlinks=0,
        recovery_action=0,
    )
    return replace(rtx, **changes)


def busy(index: int = 0, generation: int = 5, **changes: Any) -> GpuView:
    links = (LinkSample(generation, 16, True),) * 5
    return gpu(index, links=links, utilization_percent=99, gpu_clock_mhz=2850, reasons=0, temperature_c=71, **changes)


def h100(index: int = 0, **changes: Any) -> GpuView:
    module = {
        "architecture": 9, "links": (LinkSample(5, 16, False),) * 5, "bar1_mib": 131072, "memory_mib": 81559,
        "max_operating_c": 87, "slowdown_c": 89, "power": PowerRange(200_000, 700_000, 700_000), "power_mw": 72_000,
        "requested_mw": 700_000, "enforced_mw": 700_000, "max_gpu_mhz": 1980, "gpu_clock_mhz": 345, "reasons": 1,
        "nvlinks": 18,
    }  # fmt: skip
    found = gpu(index, **{**module, **changes})
    return replace(found, gpu=replace(found.gpu, name="NVIDIA H100 80GB HBM3"))


def t4(index: int = 0, **changes: Any) -> GpuView:
    """A board of Turing's, whose clocks stand at the application clocks."""
    card = {
        "architecture": 6, "links": (LinkSample(3, 16, False),) * 5, "max_generation": 3, "board_generation": 3,
        "bar1_mib": 256, "memory_mib": 15360, "max_operating_c": 85, "slowdown_c": 93, "power_mw": 31_000,
        "power": PowerRange(60_000, 70_000, 70_000), "requested_mw": 70_000, "enforced_mw": 70_000,
        "max_gpu_mhz": 1590, "gpu_clock_mhz": 585, "reasons": 2, "nvlinks": Unread("not supported by this GPU"),
        "recovery_action": Unread("not supported by this GPU"),
    }  # fmt: skip
    found = gpu(index, **{**card, **changes})
    return replace(found, gpu=replace(found.gpu, name="Tesla T4"))


def device(index: int = 0, **changes: Any) -> PciGpu:
    """The same board in sysfs."""
    card = PciGpu(
        pci=f"0000:{index + 1:02x}:00.0",
        driver="nvidia",
        numa_node=0,
        board_width=16,
        bars=(Bar(0, 0x80000000, 64 << 20), Bar(1, 0x4000000000, 32 * GIB), Bar(3, 0x4800000000, 32 << 20)),
        resize_mib=(64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768),
        errors={"correctable": 0, "nonfatal": 0, "fatal": 0},
        iommu=None,
        redirected=False,
    )
    return replace(card, **changes)


def unit(
    name: str, gpu_user: str, *, path: str = "/etc/systemd/system", enabled: bool = True, **changes: Any
) -> UnitView:
    return UnitView(name, f"{path}/{name}", enabled, gpu_user, **changes)


OURS = (
    unit("gpu-tuned.service", "", path="/usr/lib/systemd/system"),
    unit("gpu-tuned.target", "", path="/usr/lib/systemd/system", enabled=False),
)
SHIPPED_KEEPER = unit("nvidia-persistenced.service", "", path="/usr/lib/systemd/system", enabled=False)
DESKTOP = HostView(
    uptime_s=86_400.0,
    pci=(device(),),
    gpus=(gpu(),),
    driver=DriverView(DRIVER, DRIVER, DRIVER, KERNEL, {KERNEL: True}, {DRIVER: (KERNEL,)}, False),
    services=ServicesView(
        running=frozenset({"ssh.service", "docker.service", "gpu-tuned.service", "nvidia-persistenced.service"}),
        units=(*OURS, SHIPPED_KEEPER, unit("docker.service", "starts containers", after=AFTER),
               unit("vllm.service", "vLLM", after=AFTER)),
        nofile={"gpu-tuned": 1024, "dockerd": 1024, "nvidia-persistenced": 1024},
        persistenced_socket=True,
        mps_pipe=None,
        mps_runs=False,
        leftovers=(),
    ),
    containers=ContainersView(
        engines=frozenset({"docker"}), toolkit="1.18.2", mode="auto", nvidia_runtime=True, systemd_cgroups=True,
        char_links=False, cdi=(CdiSpec("/var/run/cdi/nvidia.yaml", "nvidia.com/gpu", frozenset({DRIVER})),),
    ),
    memory_nodes=1,
    log=(LogLine(4.2, f"NVRM: loading NVIDIA UNIX x86_64 Kernel Module  {DRIVER}"),),
)  # fmt: skip
RACK = replace(
    DESKTOP,
    pci=tuple(device(i, numa_node=i // 4, bars=(Bar(2, 0x40000000000 * (i + 1), 128 * GIB),), iommu="DMA-FQ",
                     redirected=True) for i in range(8)),
    gpus=tuple(h100(i) for i in range(8)),
    memory_nodes=2,
)  # fmt: skip
LAPTOP = replace(
    DESKTOP,
    laptop=True,
    pci=(device(board_width=16),),
    gpus=(gpu(persistence=False, links=(LinkSample(1, 8, False),) * 5, max_width=8, power=None,
              requested_mw=Unread("not supported by this GPU"), enforced_mw=150_000),),
    containers=replace(DESKTOP.containers, engines=frozenset(), toolkit=None, cdi=()),
)  # fmt: skip
_MOBILE = gpu(persistence=False, links=(LinkSample(1, 8, False),) * 5, max_width=8, requested_mw=150_000,
              enforced_mw=95_000, power=PowerRange(5_000, 150_000, 80_000))  # fmt: skip
DYNAMIC_BOOST = replace(
    LAPTOP, gpus=(replace(_MOBILE, gpu=replace(_MOBILE.gpu, name="NVIDIA GeForce RTX 5090 Laptop GPU")),)
)
VM = replace(
    DESKTOP,
    place=Place.VM,
    pci=(device(numa_node=-1, board_width=Unread("the link's capability is not told"), errors=HIDDEN, iommu=None,
                redirected=Unread("no port above it can be seen")),),
    gpus=(h100(),),
    memory_nodes=2,
)  # fmt: skip
NOTHING = HostView()
OLD_BOARDS = replace(
    DESKTOP,
    pci=tuple(device(i, bars=(Bar(0, 0x80000000, 16 << 20), Bar(1, 0x4000000000, 256 << 20)), resize_mib=())
              for i in (0, 1)),
    gpus=tuple(t4(i, utilization_percent=99, links=(LinkSample(3, 16, True),) * 5) for i in (0, 1)),
)  # fmt: skip
WSL = replace(
    NOTHING,
    place=Place.WSL,
    gpus=(gpu(persistence=HIDDEN, links=HIDDEN, max_generation=HIDDEN, bar1_mib=HIDDEN, replays=HIDDEN,
              recovery_action=HIDDEN),),
    driver=DriverView(Unread("no /sys/module here"), None, DRIVER, "6.6.87.2-microsoft-standard-WSL2"),
)  # fmt: skip
CONTAINER = replace(
    NOTHING, place=Place.CONTAINER, root=False, gpus=(gpu(),), uptime_s=86_400.0,
    pci=tuple(device(i, redirected=HIDDEN) for i in range(8)),  # the host's bus, with the GPUs of others
    memory_nodes=1, driver=DriverView(DRIVER, DRIVER, DRIVER, KERNEL),
)  # fmt: skip
SANDBOX = replace(NOTHING, root=False, gpus=(h100(),), driver=replace(NOTHING.driver, answered=DRIVER))
HEALTHY = {"desktop": DESKTOP, "rack": RACK, "laptop": LAPTOP, "dynamic boost": DYNAMIC_BOOST,
           "old boards": OLD_BOARDS, "vm": VM, "wsl": WSL, "container": CONTAINER,
           "sandbox": SANDBOX}  # fmt: skip


def driver(**changes: Any) -> HostView:
    return replace(DESKTOP, driver=replace(DESKTOP.driver, **changes))


def services(**changes: Any) -> HostView:
    return replace(DESKTOP, services=replace(DESKTOP.services, **changes))


def containers(**changes: Any) -> HostView:
    return replace(DESKTOP, containers=replace(DESKTOP.containers, **changes))


def gpus(*which: GpuView, **changes: Any) -> HostView:
    return replace(DESKTOP, gpus=which, **changes)


def pci(*which: PciGpu, **changes: Any) -> HostView:
    return replace(DESKTOP, pci=which, **changes)


def log(*lines: str, **changes: Any) -> HostView:
    return replace(DESKTOP, log=tuple(LogLine(60.0 * i, line) for i, line in enumerate(lines)), **changes)
