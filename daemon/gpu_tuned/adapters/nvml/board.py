"""What one GPU is and allows. Read once when NVML attaches: some of these calls take milliseconds."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml.calls import GRAPHICS, MEMORY, ask, first, number
from gpu_tuned.adapters.nvml.errors import DEPRECATED, FOR_GOOD, MEANINGS, NOT_SUPPORTED, meaning
from gpu_tuned.adapters.nvml.settings import ROWS
from gpu_tuned.core.model import ApplicationClocks, Board, Gpu, PowerRange, Setting, Unread

# nvmlDeviceArchitecture_t. GPU clock locks came with Volta, memory clock locks with Ampere [nvml.h].
VOLTA, AMPERE, UNKNOWN_ARCHITECTURE = 5, 7, 0xFFFFFFFF

SUPPORTED_REASONS = (
    "nvmlDeviceGetSupportedClocksEventReasons",
    "nvmlDeviceGetSupportedClocksThrottleReasons",
)

_WORDS = {
    Setting.APPLICATION_CLOCKS: {
        NOT_SUPPORTED: "this GPU has no application clocks",
        DEPRECATED: "this driver has given up application clocks (deprecated); lock the clocks instead",
    }
}


def describe(handle: Any, index: int) -> Board:
    """One board. Raises NVML's own errors where not even name, UUID and address can be had; GpuLost."""
    gpu = Gpu(
        uuid=str(pynvml.nvmlDeviceGetUUID(handle)),
        pci=sysfs_address(pynvml.nvmlDeviceGetPciInfo(handle).busId),
        name=str(pynvml.nvmlDeviceGetName(handle)),
    )
    absent, unknown = _probed(handle)
    power = _power(handle, absent, unknown)
    ladders = _ladders(handle)
    _, mask = first(SUPPORTED_REASONS, handle)
    mig = ask(pynvml.nvmlDeviceGetMigMode, handle)
    in_mig = not isinstance(mig, Unread) and mig[0] == 1
    _locks(handle, absent)
    if in_mig and Setting.COMPUTE_MODE not in absent:
        # nvml.h: with MIG on, the setter takes handles of MIG devices only.
        absent[Setting.COMPUTE_MODE] = "MIG is on: the compute mode belongs to the MIG devices, not to the GPU"
    memory = tuple(ladders)
    return Board(
        gpu=gpu,
        index=index,
        power=power,
        memory_ladder_mhz=memory,
        gpu_ladder_mhz=ladders[memory[0]] if memory else (),
        gpu_ladders_mhz=ladders,
        default_application_clocks=_default_application_clocks(handle, absent),
        max_gpu_mhz=number(pynvml.nvmlDeviceGetMaxClockInfo, handle, GRAPHICS) or 0,
        max_memory_mhz=number(pynvml.nvmlDeviceGetMaxClockInfo, handle, MEMORY) or 0,
        reasons_mask=~0 if isinstance(mask, Unread) else int(mask),
        mig=in_mig,
        absent=absent,
        unknown=unknown,
    )


def sysfs_address(bus_id: str | bytes) -> str:
    """NVML's "00000000:01:00.0" as sysfs writes it: "0000:01:00.0", a domain above ffff in full, lower
    case."""
    text = bus_id.decode() if isinstance(bus_id, bytes) else bus_id
    domain, bus, device = text.lower().split(":")
    return f"{int(domain, 16):04x}:{bus}:{device}"


def _probed(handle: Any) -> tuple[dict[Setting, str], dict[Setting, str]]:
    """The settings that the board does not have, and those of which that is not known yet, each with the reason."""
    absent: dict[Setting, str] = {}
    unknown: dict[Setting, str] = {}
    for setting, row in ROWS.items():
        if row.probe is None:
            continue
        name, arguments = row.probe
        code = _refusal(getattr(pynvml, name), handle, *arguments)
        if code in FOR_GOOD:
            absent[setting] = _WORDS.get(setting, {}).get(code) or MEANINGS[code][1]
        elif code and setting is Setting.POWER_LIMIT:
            unknown[setting] = f"its range is not known: {meaning(code)[1]}"
    return absent, unknown


def _power(handle: Any, absent: dict[Setting, str], unknown: dict[Setting, str]) -> PowerRange | None:
    """The range of the power limit. That it can be *set* is not said by it: laptops refuse at the write. A call that
    failed for the moment makes it unknown, and it is asked for again."""
    if Setting.POWER_LIMIT in absent:
        absent[Setting.POWER_LIMIT] = f"no power limit to manage: {absent[Setting.POWER_LIMIT]}"
    if Setting.POWER_LIMIT in absent or Setting.POWER_LIMIT in unknown:
        return None
    limits = ask(pynvml.nvmlDeviceGetPowerManagementLimitConstraints, handle)
    default = ask(pynvml.nvmlDeviceGetPowerManagementDefaultLimit, handle)
    if isinstance(default, Unread) and _refusal(pynvml.nvmlDeviceGetPowerManagementDefaultLimit, handle) in FOR_GOOD:
        absent[Setting.POWER_LIMIT] = f"no power limit to manage: {default.why}"
        return None
    for answer in (limits, default):
        if isinstance(answer, Unread):
            unknown[Setting.POWER_LIMIT] = f"its range is not known: {answer.why}"
            return None
    return PowerRange(min_mw=int(limits[0]), max_mw=int(limits[1]), default_mw=int(default))


def _ladders(handle: Any) -> dict[int, tuple[int, ...]]:
    """Memory clock -> graphics clocks that go with it, both descending; {} where the driver names none."""
    memory = ask(pynvml.nvmlDeviceGetSupportedMemoryClocks, handle)
    ladders = {}
    for clock in sorted(set([] if isinstance(memory, Unread) else memory), reverse=True):
        graphics = ask(pynvml.nvmlDeviceGetSupportedGraphicsClocks, handle, clock)
        rungs = [] if isinstance(graphics, Unread) else graphics
        ladders[int(clock)] = _one(tuple(sorted({int(rung) for rung in rungs}, reverse=True)))
    return ladders


@lru_cache(maxsize=64)
def _one(ladder: tuple[int, ...]) -> tuple[int, ...]:
    """The first of all equal ladders: a 5090 names four times the same 389 rungs, and eight boards 32
    times."""
    return ladder


def _locks(handle: Any, absent: dict[Setting, str]) -> None:
    """Locks have no getter to probe; the architecture decides. Unknown ones are new ones: they have both."""
    architecture = number(pynvml.nvmlDeviceGetArchitecture, handle)
    if architecture is None or architecture == UNKNOWN_ARCHITECTURE:
        return
    if architecture < VOLTA:
        absent[Setting.GPU_CLOCK] = "GPU clock locks came with Volta; this GPU is older"
    if architecture < AMPERE:
        absent[Setting.MEMORY_CLOCK] = "memory clock locks came with Ampere; this GPU is older"


def _default_application_clocks(handle: Any, absent: dict[Setting, str]) -> ApplicationClocks | None:
    """The default pair. GeForce boards have none, and drivers from R595 on give them up for every board."""
    if Setting.APPLICATION_CLOCKS in absent:
        return None
    memory = number(pynvml.nvmlDeviceGetDefaultApplicationsClock, handle, MEMORY)
    graphics = number(pynvml.nvmlDeviceGetDefaultApplicationsClock, handle, GRAPHICS)
    return ApplicationClocks(memory, graphics) if memory and graphics else None


def _refusal(call: Any, *arguments: Any) -> int:
    """The code with which a getter refuses, 0 where it answers."""
    try:
        call(*arguments)
    except pynvml.NVMLError as error:
        return int(error.value)
    return 0
