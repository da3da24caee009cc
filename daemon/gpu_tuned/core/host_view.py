"""What the doctor looks at: one look at a host, gathered by adapters, judged by pure checks.

Every fact is its value or `Unread` with the reason. A gatherer never fills in what it did not see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from gpu_tuned.core.model import ComputeMode, Gpu, PowerRange, Unread
from gpu_tuned.core.policy import Expected

NOTHING_EXPECTED = Expected()
NOT_LOOKED = Unread("it was not looked at")


class Late(Unread):
    """Not known because the answer had not come when the time was over: it may come yet."""

    __slots__ = ()


class Place(str, Enum):
    """Where this process runs; what lies outside of a container cannot be judged from within."""

    METAL = "metal"
    VM = "vm"
    CONTAINER = "container"
    WSL = "wsl"


@dataclass(frozen=True, slots=True)
class LinkSample:
    """One sample of a PCIe link. `busy`: the GPU worked at that moment; None where it does not say."""

    generation: int
    width: int
    busy: bool | None


@dataclass(frozen=True, slots=True)
class GpuView:
    """One GPU by the driver's word (NVML), within one short look.

    `links`: samples over `looked_s` seconds. `max_generation` is what board and slot can do together,
    `board_generation` what the board alone can. `replays`: the replay counter at the first and at the last sample.
    Memory and BAR1 in MiB, temperatures in degrees Celsius, limits in milliwatts, clocks in MHz. `architecture`:
    nvmlDeviceArchitecture_t (Turing is 6, Ampere 7). `reasons`: NVML's clocks event reasons, a bit mask. `nvlinks`:
    active links.
    """

    gpu: Gpu
    index: int = 0
    architecture: int | None = None
    persistence: bool | Unread = NOT_LOOKED
    compute_mode: ComputeMode | Unread = NOT_LOOKED
    display: bool | Unread = NOT_LOOKED
    compute_processes: int | Unread = NOT_LOOKED
    links: tuple[LinkSample, ...] | Unread = NOT_LOOKED
    max_generation: int | Unread = NOT_LOOKED
    board_generation: int | Unread = NOT_LOOKED
    max_width: int | Unread = NOT_LOOKED
    replays: tuple[int, int] | Unread = NOT_LOOKED
    looked_s: float = 0.0
    bar1_mib: int | Unread = NOT_LOOKED
    memory_mib: int | Unread = NOT_LOOKED
    temperature_c: int | Unread = NOT_LOOKED
    max_operating_c: int | Unread = NOT_LOOKED
    slowdown_c: int | Unread = NOT_LOOKED
    power: PowerRange | None = None
    requested_mw: int | Unread = NOT_LOOKED
    enforced_mw: int | Unread = NOT_LOOKED
    power_mw: int | Unread = NOT_LOOKED
    gpu_clock_mhz: int | Unread = NOT_LOOKED
    max_gpu_mhz: int | Unread = NOT_LOOKED
    utilization_percent: int | Unread = NOT_LOOKED
    reasons: int | Unread = NOT_LOOKED
    nvlinks: int | Unread = NOT_LOOKED
    recovery_action: int | Unread = NOT_LOOKED


@dataclass(frozen=True, slots=True)
class Bar:
    """One memory region of a PCI device: number, first address, size in bytes. `start` 0: no address assigned."""

    number: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class PciGpu:
    """One NVIDIA display device as sysfs shows it. `driver`: name of the kernel driver that has it, None for none.
    `excluded`: that driver was told not to use it (NVreg_ExcludedGpus).

    `board_width`: lanes that the board has; `resize_mib`: sizes that BAR1 can take, () for a board without Resizable
    BAR. `errors`: the kernel's AER totals since boot by kind (correctable, nonfatal, fatal). `iommu`: type of its
    IOMMU domain ("DMA", "DMA-FQ", "identity"), None where it is in none. `redirected`: some port above it has ACS
    redirect peer traffic to the root.
    """

    pci: str
    driver: str | None
    asleep: bool = False
    excluded: bool = False
    numa_node: int | Unread = NOT_LOOKED
    board_width: int | Unread = NOT_LOOKED
    bars: tuple[Bar, ...] | Unread = NOT_LOOKED
    resize_mib: tuple[int, ...] | Unread = NOT_LOOKED
    errors: Mapping[str, int] | Unread = NOT_LOOKED
    iommu: str | Unread | None = NOT_LOOKED
    redirected: bool | Unread = NOT_LOOKED


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the kernel's log of this boot. `at_s`: seconds after boot."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class DriverView:
    """Versions by source: `loaded` (kernel module; None: not loaded), `library` (installed user space; None: none
    found), `answered` (the version that the driver library itself told, or why it did not attach).

    `kernels`: release of each installed kernel -> whether a module nvidia.ko is there for it. `dkms`: version that
    DKMS has sources of -> kernels it is built for.
    """

    loaded: str | Unread | None = NOT_LOOKED
    library: str | Unread | None = NOT_LOOKED
    answered: str | Unread = NOT_LOOKED
    kernel: str | Unread = NOT_LOOKED
    kernels: Mapping[str, bool] | Unread = NOT_LOOKED
    dkms: Mapping[str, tuple[str, ...]] | Unread = NOT_LOOKED
    secure_boot: bool | Unread = NOT_LOOKED


@dataclass(frozen=True, slots=True)
class UnitView:
    """A systemd unit with its drop-ins. `path` is the main file's; `gpu_user`: what makes it one that uses GPUs ("",
    where nothing does). `after` and `before`: the units it is ordered with. `unread`: the file or a drop-in is there
    and cannot be read, so none of these three is known for certain."""

    name: str
    path: str
    enabled: bool
    gpu_user: str = ""
    after: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()
    unread: bool = False


@dataclass(frozen=True, slots=True)
class ServicesView:
    """`running`: system services with a control group. `nofile`: soft limit of open files by process name."""

    running: frozenset[str] | Unread = NOT_LOOKED
    units: tuple[UnitView, ...] | Unread = NOT_LOOKED
    nofile: Mapping[str, int] | Unread = NOT_LOOKED
    persistenced_socket: bool | Unread = NOT_LOOKED
    mps_pipe: str | Unread | None = NOT_LOOKED
    mps_runs: bool | Unread = NOT_LOOKED
    leftovers: tuple[str, ...] | Unread = NOT_LOOKED


@dataclass(frozen=True, slots=True)
class CdiSpec:
    """A CDI file: its path, its kind, and the driver versions that names of libraries in it carry."""

    path: str
    kind: str
    versions: frozenset[str]


@dataclass(frozen=True, slots=True)
class ContainersView:
    """Engines that are installed ("docker", "podman", "containerd", "k8s"); the toolkit's version (None: not
    installed) and the mode in its configuration; Docker's own settings; CDI files of NVIDIA's kinds.

    `systemd_cgroups`: Docker leaves control groups to systemd. `char_links`: /dev/char has links to NVIDIA's device
    files.
    """

    engines: frozenset[str] | Unread = NOT_LOOKED
    toolkit: str | Unread | None = NOT_LOOKED
    mode: str | Unread = NOT_LOOKED
    nvidia_runtime: bool | Unread = NOT_LOOKED
    systemd_cgroups: bool | Unread = NOT_LOOKED
    char_links: bool | Unread = NOT_LOOKED
    cdi: tuple[CdiSpec, ...] | Unread = NOT_LOOKED


@dataclass(frozen=True, slots=True)
class HostView:
    """One look at one host. `left_out`: index -> why, of GPUs that the driver counts and that do not answer.
    `log`: the kernel's lines about GPUs; `log_from_s`: seconds after boot from which on it is kept, 0 for all."""

    place: Place = Place.METAL
    root: bool = True
    laptop: bool = False
    uptime_s: float | Unread = NOT_LOOKED
    pci: tuple[PciGpu, ...] | Unread = NOT_LOOKED
    gpus: tuple[GpuView, ...] | Unread = NOT_LOOKED
    left_out: Mapping[int, str] = field(default_factory=dict)
    driver: DriverView = DriverView()
    services: ServicesView = ServicesView()
    containers: ContainersView = ContainersView()
    memory_nodes: int | Unread = NOT_LOOKED
    log: tuple[LogLine, ...] | Unread = NOT_LOOKED
    log_from_s: float = 0.0
    expected: Expected = NOTHING_EXPECTED
