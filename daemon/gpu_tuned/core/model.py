"""The words of the domain: a GPU, its settings and their values, what a board allows, what was seen.

Values are what the driver takes: power in milliwatts, clocks in MHz. Watts appear at the edges only, where a
policy file is read and where a person or a client reads an answer (`wire`, `text`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Setting(str, Enum):
    """One thing that can be declared, named as its policy key; the key carries the unit of its value on the wire."""

    PERSISTENCE_MODE = "persistence_mode"
    POWER_LIMIT = "power_limit_w"
    GPU_CLOCK = "gpu_clock_mhz"
    MEMORY_CLOCK = "memory_clock_mhz"
    APPLICATION_CLOCKS = "application_clocks_mhz"
    COMPUTE_MODE = "compute_mode"
    NUMA_BALANCING = "numa_balancing"

    @property
    def readable(self) -> bool:
        """False for clock locks: NVML has no getter for them, nor has nvidia-smi."""
        return self not in (Setting.GPU_CLOCK, Setting.MEMORY_CLOCK)

    @property
    def label(self) -> str:
        """The words for a person: `power_limit_w` is "power limit"."""
        return self.value.removesuffix("_w").removesuffix("_mhz").replace("_", " ")


LOCKS = tuple(s for s in Setting if not s.readable)
GPU_SETTINGS = tuple(s for s in Setting if s is not Setting.NUMA_BALANCING)


class ComputeMode(str, Enum):
    """NVML's compute modes 0, 3 and 2; 1 (exclusive thread) is gone since CUDA 8 and reads as default."""

    DEFAULT = "default"
    EXCLUSIVE_PROCESS = "exclusive_process"
    PROHIBITED = "prohibited"


class NumaBalancing(str, Enum):
    """kernel.numa_balancing: 0 is off; 1 and the bit field above it are on."""

    OFF = "off"
    ON = "on"


@dataclass(frozen=True, slots=True)
class PowerLimit:
    """A board power limit, in milliwatts as NVML takes it."""

    limit_mw: int


@dataclass(frozen=True, slots=True)
class ClockLock:
    """A locked range in MHz, both ends included; `min_mhz` 0 means no minimum was asked for."""

    min_mhz: int
    max_mhz: int


class Unlocked(Enum):
    """No clock lock; the only value of its type."""

    UNLOCKED = "unlocked"


UNLOCKED = Unlocked.UNLOCKED


@dataclass(frozen=True, slots=True)
class ApplicationClocks:
    """Application clocks: memory and graphics, MHz, always set as a pair."""

    memory_mhz: int
    gpu_mhz: int


Value = bool | PowerLimit | ClockLock | Unlocked | ApplicationClocks | ComputeMode | NumaBalancing


def watts(milliwatts: int) -> int | float:
    """Milliwatts as watts for the wire: an int where it is whole, so that 450000 is 450 and not 450.0."""
    return milliwatts // 1000 if milliwatts % 1000 == 0 else milliwatts / 1000


def wire(value: Value | None) -> Any:
    """A value as JSON, in the unit of its setting's key; None stays None."""
    if isinstance(value, PowerLimit):
        return watts(value.limit_mw)
    if isinstance(value, ClockLock):
        return {"min": value.min_mhz, "max": value.max_mhz}
    if isinstance(value, ApplicationClocks):
        return {"memory": value.memory_mhz, "gpu": value.gpu_mhz}
    if isinstance(value, Enum):
        return value.value
    return value


def from_wire(setting: Setting, raw: Any) -> Value:
    """The inverse of `wire` for one setting. Raises ValueError for anything `wire` never wrote."""
    try:
        if setting is Setting.PERSISTENCE_MODE:
            if isinstance(raw, bool):
                return raw
        elif setting is Setting.POWER_LIMIT:
            if not isinstance(raw, bool) and isinstance(raw, (int, float)):
                return PowerLimit(round(raw * 1000))
        elif setting in (Setting.GPU_CLOCK, Setting.MEMORY_CLOCK):
            return UNLOCKED if raw == UNLOCKED.value else ClockLock(int(raw["min"]), int(raw["max"]))
        elif setting is Setting.APPLICATION_CLOCKS:
            return ApplicationClocks(int(raw["memory"]), int(raw["gpu"]))
        elif setting is Setting.COMPUTE_MODE:
            return ComputeMode(raw)
        else:
            return NumaBalancing(raw)
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{raw!r} is no value of {setting.value}") from error
    raise ValueError(f"{raw!r} is no value of {setting.value}")


def text(value: Value | None) -> str:
    """A value for a person, with its unit: "450 W", "2400-2550 MHz", "on"."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, PowerLimit):
        return f"{watts(value.limit_mw)} W"
    if isinstance(value, ClockLock):
        if value.min_mhz == value.max_mhz:
            return f"{value.max_mhz} MHz"
        return f"<= {value.max_mhz} MHz" if not value.min_mhz else f"{value.min_mhz}-{value.max_mhz} MHz"
    if isinstance(value, ApplicationClocks):
        return f"memory {value.memory_mhz}, gpu {value.gpu_mhz} MHz"
    return str(value.value).replace("_", " ")


@dataclass(frozen=True, slots=True)
class Gpu:
    """Who a GPU is. The UUID is the key everywhere; the index is not stable and appears for people only."""

    uuid: str
    pci: str  # "0000:01:00.0", lower case, four digits of domain as sysfs has it
    name: str


@dataclass(frozen=True, slots=True)
class PowerRange:
    """What the board's power limit can be, milliwatts: NVML's constraints and its default."""

    min_mw: int
    max_mw: int
    default_mw: int


@dataclass(frozen=True, slots=True)
class Board:
    """What one GPU allows: read when NVML attaches; ladders again where a look shows that they moved.

    `memory_ladder_mhz` and `gpu_ladder_mhz` (of all memory clocks together) are NVML's supported clocks,
    descending; empty where the driver names none. `gpu_ladders_mhz` has the rungs by memory clock.
    `reasons_mask` is which event reasons it can report. `no_xids` says why its Xid errors will not be heard of.
    `absent` says, for a setting the board does not have, why (the driver's answer).
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
    no_xids: str | None = None

    def factory_default(self, setting: Setting) -> Value | None:
        """What a fresh driver initialisation gives this setting, None where that is not known."""
        if setting is Setting.PERSISTENCE_MODE:
            return False
        if setting is Setting.POWER_LIMIT:
            return PowerLimit(self.power.default_mw) if self.power else None
        if setting is Setting.APPLICATION_CLOCKS:
            return self.default_application_clocks
        if setting is Setting.COMPUTE_MODE:
            return ComputeMode.DEFAULT
        if setting in (Setting.GPU_CLOCK, Setting.MEMORY_CLOCK):
            return UNLOCKED
        return None


@dataclass(frozen=True, slots=True)
class Unread:
    """A reading that could not be had, and why; for a clock lock always `NO_GETTER`."""

    why: str


NO_GETTER = Unread("no getter")
Reading = Value | Unread


def reading_text(reading: Reading | None) -> str:
    """A reading for a person: the value, or why there is none."""
    return reading.why if isinstance(reading, Unread) else text(reading)


@dataclass(frozen=True, slots=True)
class Telemetry:
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


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at one GPU. A setting missing from `readings` was not looked at in this pass (costly getters rotate).

    `counters_ns`: the driver's cumulative nanoseconds by field id; None where not looked at in this pass; a field
    the board does not have is missing. `board`: what the board allows now, where this look showed that it moved.
    """

    readings: Mapping[Setting, Reading]
    telemetry: Telemetry
    counters_ns: Mapping[int, int] | None = None
    board: Board | None = None
