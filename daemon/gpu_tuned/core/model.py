"""The words of the domain: a GPU, its settings and their values, what a board allows, what was seen.

Values are what the driver takes: power in milliwatts, clocks in MHz. Watts appear at the edges only, where a
policy file is read and where a person or a client reads an answer (`wire`, `text`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


class Setting(str, Enum):
    """One thing that can be declared, named as its policy key; the key carries the unit of its value on the wire.

    The order is that in which settings are written: persistence mode first, so that the others last. What else is
    known of each is one row in core/settings.py, and how it is read and written one in adapters/nvml/settings.py.
    `readable`: False for clock locks, for NVML has no getter for them, nor has nvidia-smi. `of_host`: a knob of the
    kernel's, not of a GPU.
    """

    PERSISTENCE_MODE = ("persistence_mode",)
    POWER_LIMIT = ("power_limit_w",)
    GPU_CLOCK = ("gpu_clock_mhz", False)
    MEMORY_CLOCK = ("memory_clock_mhz", False)
    APPLICATION_CLOCKS = ("application_clocks_mhz",)
    COMPUTE_MODE = ("compute_mode",)
    NUMA_BALANCING = ("numa_balancing", True, True)

    readable: bool
    of_host: bool

    # Enum hands on what a member is made of by position.
    def __new__(cls, key: str, readable: bool = True, of_host: bool = False) -> Setting:  # noqa: FBT001, FBT002
        setting = str.__new__(cls, key)
        setting._value_, setting.readable, setting.of_host = key, readable, of_host
        return setting

    @property
    def label(self) -> str:
        """The words for a person: `power_limit_w` is "power limit"."""
        return str(self.value).removesuffix("_w").removesuffix("_mhz").replace("_", " ")


LOCKS = tuple(s for s in Setting if not s.readable)
GPU_SETTINGS = tuple(s for s in Setting if not s.of_host)


class Word(str, Enum):
    """A value that is one word, on the wire and in a policy file."""

    def wire(self) -> str:
        return str(self.value)

    def __str__(self) -> str:
        return str(self.value).replace("_", " ")


class ComputeMode(Word):
    """NVML's compute modes 0, 3 and 2; 1 (exclusive thread) is gone since CUDA 8 and reads as default."""

    DEFAULT = "default"
    EXCLUSIVE_PROCESS = "exclusive_process"
    PROHIBITED = "prohibited"


class NumaBalancing(Word):
    """kernel.numa_balancing: 0 is off, 1 on, 2 moves pages between tiers of memory alone, 3 is both."""

    OFF = "off"
    ON = "on"
    TIERING = "tiering"
    BOTH = "on, with tiering"


@dataclass(frozen=True, slots=True)
class PowerLimit:
    """A board power limit, in milliwatts as NVML takes it."""

    limit_mw: int

    def wire(self) -> int | float:
        return watts(self.limit_mw)

    def __str__(self) -> str:
        return f"{watts(self.limit_mw)} W"


@dataclass(frozen=True, slots=True)
class ClockLock:
    """A locked range in MHz, both ends included; `min_mhz` 0 means no minimum was asked for."""

    min_mhz: int
    max_mhz: int

    def wire(self) -> dict[str, int]:
        return {"min": self.min_mhz, "max": self.max_mhz}

    def __str__(self) -> str:
        if self.min_mhz == self.max_mhz:
            return f"{self.max_mhz} MHz"
        return f"{self.min_mhz}-{self.max_mhz} MHz" if self.min_mhz else f"<= {self.max_mhz} MHz"


class Unlocked(Word):
    """No clock lock; the only value of its type."""

    UNLOCKED = "unlocked"


UNLOCKED = Unlocked.UNLOCKED


@dataclass(frozen=True, slots=True)
class ApplicationClocks:
    """Application clocks: memory and graphics, MHz, always set as a pair."""

    memory_mhz: int
    gpu_mhz: int

    def wire(self) -> dict[str, int]:
        return {"memory": self.memory_mhz, "gpu": self.gpu_mhz}

    def __str__(self) -> str:
        return f"memory {self.memory_mhz}, gpu {self.gpu_mhz} MHz"


Value = bool | PowerLimit | ClockLock | Unlocked | ApplicationClocks | ComputeMode | NumaBalancing


def watts(milliwatts: int) -> int | float:
    """Milliwatts as watts for the wire: an int where it is whole, so that 450000 is 450 and not 450.0."""
    return milliwatts // 1000 if milliwatts % 1000 == 0 else milliwatts / 1000


def wire(value: Value | None) -> Any:
    """A value as JSON, in the unit of its setting's key; None stays None. settings.from_wire is the inverse."""
    return value if value is None or isinstance(value, bool) else value.wire()


def text(value: Value | None) -> str:
    """A value for a person, with its unit: "450 W", "2400-2550 MHz", "on"."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unknown" if value is None else str(value)


NO_ADDRESS = "-"
"""The address of a GPU on no PCI bus (a Jetson's), or of one whose address makes no sense."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """Who a GPU is. The UUID is the key everywhere; the index is not stable and appears for people only."""

    uuid: str
    pci: str  # "0000:01:00.0", lower case, four digits of domain as sysfs has it; NO_ADDRESS
    name: str

    @property
    def place(self) -> str:
        """Where it is, in a line about it: its address, or the beginning of its UUID where it has none."""
        return self.pci if self.pci not in ("", NO_ADDRESS) else self.uuid[:12]

    @property
    def title(self) -> str:
        """What a person calls it: name and place."""
        return f"{self.name} {self.place}".strip()


class PowerRange(NamedTuple):
    """What the board's power limit can be, milliwatts: NVML's constraints and its default."""

    min_mw: int
    max_mw: int
    default_mw: int


NO_INDEX = -1


@dataclass(frozen=True, slots=True)
class Board:
    """What one GPU allows: read when NVML attaches; ladders again where a look shows that they moved.

    `memory_ladder_mhz` and `gpu_ladder_mhz` (of all memory clocks together) are NVML's supported clocks,
    descending; empty where the driver names none. `gpu_ladders_mhz` has the rungs by memory clock.
    `reasons_mask` is which event reasons it can report. `no_xids` says why its Xid errors will not be heard of.
    `absent` says, for a setting the board does not have, why (the driver's answer); `unknown`, for one that the
    driver could not describe for the moment, why not yet. `index`: NO_INDEX where the driver does not list it.
    """

    gpu: Gpu
    index: int
    power: PowerRange | None = None
    memory_ladder_mhz: tuple[int, ...] = ()
    gpu_ladder_mhz: tuple[int, ...] = ()
    gpu_ladders_mhz: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    default_application_clocks: ApplicationClocks | None = None
    max_gpu_mhz: int = 0
    max_memory_mhz: int = 0
    reasons_mask: int = ~0
    mig: bool = False
    absent: Mapping[Setting, str] = field(default_factory=dict)
    unknown: Mapping[Setting, str] = field(default_factory=dict)
    no_xids: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A reading that could not be had, and why; for a clock lock always `NO_GETTER`."""

    why: str


NO_GETTER = Unread("no getter")
Reading = Value | Unread


def reading_text(reading: Reading | None) -> str:
    """A reading for a person: the value, or why there is none."""
    return reading.why if isinstance(reading, Unread) else text(reading)


class Telemetry(NamedTuple):
    """What a GPU was doing at one instant. None: the board or the driver does not say."""

    power_mw: int | None = None
    enforced_limit_mw: int | None = None
    gpu_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    temperature_c: int | None = None
    utilization_percent: int | None = None
    pstate: int | None = None
    reasons: int | None = None  # NVML's clocks event reasons, a bit mask
    recovery_action: str | None = None  # what the driver asks for to get this GPU well again, in words


class Seen(NamedTuple):
    """One look at one GPU. A setting missing from `readings` was not looked at in this pass (costly getters rotate).

    `counters_ns`: the driver's cumulative nanoseconds by field id; None where not looked at in this pass; a field
    the board does not have is missing. `mig`: whether MIG is on, None where not looked at or not known. `board`: what
    the board allows now, where this look showed that it moved.
    """

    readings: Mapping[Setting, Reading]
    telemetry: Telemetry
    counters_ns: Mapping[int, int] | None = None
    mig: bool | None = None
    board: Board | None = None
