"""What one GPU is and allows. Read once when NVML attaches: some of these calls take milliseconds."""

from __future__ import annotations

import ctypes
import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml import plausible
from gpu_tuned.adapters.nvml.calls import GRAPHICS, MEMORY, SM, alone, clean, clocks, first, number, words
from gpu_tuned.adapters.nvml.errors import DEPRECATED, FOR_GOOD, MEANINGS, NOT_SUPPORTED, meaning
from gpu_tuned.adapters.nvml.events import WAIT, XID
from gpu_tuned.adapters.nvml.settings import ROWS
from gpu_tuned.core.errors import DriverTrouble
from gpu_tuned.core.ladder import every_rung
from gpu_tuned.core.model import LOCKS, NO_ADDRESS, ApplicationClocks, Board, Gpu, PowerRange, Setting, Unread

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

CLOCKS = (*LOCKS, Setting.APPLICATION_CLOCKS)

MOST_MEMORY_CLOCKS = 32
"""A board has a handful, and each of them a list of GPU clocks."""
_BUS_ID = re.compile(r"([0-9a-f]{1,8}):([0-9a-f]{2}):([0-9a-f]{2}\.[0-7])")


def describe(handle: Any, index: int) -> Board:
    """One board. Raises NVML's own errors where its UUID, or its name, by which rules match, cannot be had;
    DriverTrouble. Any other call's failure costs what that call would have told."""
    gpu = Gpu(
        uuid=words(pynvml.nvmlDeviceGetUUID, handle),
        pci=address(handle),
        name=words(pynvml.nvmlDeviceGetName, handle) or "a GPU without a name",
    )
    if not gpu.uuid:
        raise DriverTrouble(f"the driver names no UUID for the GPU with index {index}")
    absent, unknown = _probed(handle)
    power = _power(handle, absent, unknown)
    ladders, why_none = _ladders(handle)
    _, mask = first(SUPPORTED_REASONS, handle)
    mig = alone(pynvml.nvmlDeviceGetMigMode, handle)
    in_mig = not isinstance(mig, Unread) and mig[0] == 1
    _locks(handle, ladders, absent)
    if why_none is not None:
        # A range means the rungs inside it, and a clock that is none of the board's must not be asked for.
        unknown |= {setting: why_none for setting in CLOCKS if setting not in absent}
    if in_mig and Setting.COMPUTE_MODE not in absent:
        # nvml.h: with MIG on, the setter takes handles of MIG devices only.
        absent[Setting.COMPUTE_MODE] = "MIG is on: the compute mode belongs to the MIG devices, not to the GPU"
    return Board(
        gpu=gpu,
        index=index,
        power=power,
        memory_ladder_mhz=tuple(ladders),
        gpu_ladder_mhz=every_rung(ladders.values()),
        gpu_ladders_mhz=ladders,
        default_application_clocks=_default_application_clocks(handle, absent),
        max_gpu_mhz=plausible.clock(number(pynvml.nvmlDeviceGetMaxClockInfo, handle, GRAPHICS)) or 0,
        max_memory_mhz=plausible.clock(number(pynvml.nvmlDeviceGetMaxClockInfo, handle, MEMORY)) or 0,
        # None at all is no board's answer: better a reason that cannot be than one that is never told.
        reasons_mask=~0 if isinstance(mask, Unread) or not mask else int(mask),
        mig=in_mig,
        absent=absent,
        unknown=unknown,
        no_xids=_no_xids(handle),
    )


def with_ladders_read_again(handle: Any, board: Board) -> Board:
    """The board with the ladders of now: clock offsets move them. The same one where nothing moved."""
    ladders, why_none = _ladders(handle)
    if why_none is not None or not ladders or ladders == board.gpu_ladders_mhz:
        return board
    return replace(
        board, memory_ladder_mhz=tuple(ladders), gpu_ladder_mhz=every_rung(ladders.values()), gpu_ladders_mhz=ladders
    )


def _no_xids(handle: Any) -> str | None:
    """Why nothing will be heard of this GPU's Xid errors; None where it will."""
    if not hasattr(pynvml.nvmlLib, WAIT):
        return f"this driver's library is too old to hand out events ({WAIT} came with R450)"
    types = alone(pynvml.nvmlDeviceGetSupportedEventTypes, handle)
    if isinstance(types, Unread):
        for_good = _refusal(pynvml.nvmlDeviceGetSupportedEventTypes, handle) in FOR_GOOD
        return f"this GPU hands out no events: {types.why}" if for_good else None
    return None if types & XID else "this GPU does not hand out Xid errors as events"


def address(handle: Any) -> str:
    """Where a GPU is on the bus, as sysfs writes it; `NO_ADDRESS` where the driver does not say."""
    info = alone(pynvml.nvmlDeviceGetPciInfo, handle)
    # Past the binding's own attribute, which decodes strictly.
    raw = b"" if isinstance(info, Unread) else ctypes.Structure.__getattribute__(info, "busId")
    return sysfs_address(raw) or NO_ADDRESS


def sysfs_address(bus_id: str | bytes) -> str | None:
    """NVML's "00000000:01:00.0" as sysfs writes it: "0000:01:00.0", a domain above ffff in full, lower case. None for
    what is no address: it would name some other file below /sys."""
    found = _BUS_ID.fullmatch(clean(bus_id).lower())
    return f"{int(found[1], 16):04x}:{found[2]}:{found[3]}" if found else None


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
    limits = alone(pynvml.nvmlDeviceGetPowerManagementLimitConstraints, handle)
    default = alone(pynvml.nvmlDeviceGetPowerManagementDefaultLimit, handle)
    if isinstance(default, Unread) and _refusal(pynvml.nvmlDeviceGetPowerManagementDefaultLimit, handle) in FOR_GOOD:
        absent[Setting.POWER_LIMIT] = f"no power limit to manage: {default.why}"
        return None
    for answer in (limits, default):
        if isinstance(answer, Unread):
            unknown[Setting.POWER_LIMIT] = f"its range is not known: {answer.why}"
            return None
    found = plausible.power_range(int(limits[0]), int(limits[1]), int(default))
    if isinstance(found, str):
        absent[Setting.POWER_LIMIT] = f"no power limit to manage: {found}"
        return None
    return found


def _ladders(handle: Any) -> tuple[dict[int, tuple[int, ...]], str | None]:
    """Memory clock -> graphics clocks that go with it, both descending, {} where the driver names none; and why they
    are not known for the moment."""
    memory, why = _rungs("nvmlDeviceGetSupportedMemoryClocks", handle)
    if len(memory) > MOST_MEMORY_CLOCKS:
        return {}, f"its clocks are not known: the driver names {len(memory)} memory clocks"
    ladders = {}
    for clock in memory:
        ladders[clock], failed = _rungs("nvmlDeviceGetSupportedGraphicsClocks", handle, ctypes.c_uint(clock))
        why = why or failed
    return ladders, why


def _rungs(name: str, *arguments: Any) -> tuple[tuple[int, ...], str | None]:
    """One list of clocks, descending, () where there is none; and why it is not known for the moment."""
    found = alone(clocks, name, *arguments)
    if isinstance(found, Unread):
        for_good = _refusal(clocks, name, *arguments) in FOR_GOOD
        return (), None if for_good else f"its clocks are not known: {found.why}"
    return _one(tuple(sorted({int(mhz) for mhz in found if _rung(mhz)}, reverse=True))), None


def _rung(mhz: int) -> bool:
    return bool(plausible.clock(mhz))


@lru_cache(maxsize=64)
def _one(ladder: tuple[int, ...]) -> tuple[int, ...]:
    """The first of all equal ladders: a 5090 names four times the same 389 rungs, and eight boards 32
    times."""
    return ladder


def _locks(handle: Any, ladders: dict[int, tuple[int, ...]], absent: dict[Setting, str]) -> None:
    """Locks have no getter to probe; the architecture decides. Unknown ones are new ones: they have both."""
    architecture = number(pynvml.nvmlDeviceGetArchitecture, handle)
    if architecture is None and not ladders and number(pynvml.nvmlDeviceGetClockInfo, handle, SM) is None:
        # A Jetson: its clocks are not NVML's.
        absent |= dict.fromkeys(LOCKS, "this GPU names no clocks: there is nothing to lock")
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
