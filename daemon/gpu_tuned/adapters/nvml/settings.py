"""One row a setting: how NVML is asked whether a board has it, how it is read, and how it is written.

Everything written is range-checked first: ctypes wraps silently (-1 becomes 4294967295), and 0xffffff01 and
0xffffff02 mean something else than a clock to the lock setters. A lock is set over the old one, never reset in order
to set: in between the GPU would run unlocked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pynvml

from gpu_tuned.adapters.nvml import plausible
from gpu_tuned.adapters.nvml.calls import GRAPHICS, MEMORY
from gpu_tuned.adapters.nvml.errors import translated
from gpu_tuned.core.errors import DriverRefused, NotSupported
from gpu_tuned.core.model import (
    NO_GETTER,
    UNLOCKED,
    ApplicationClocks,
    Board,
    ClockLock,
    ComputeMode,
    PowerLimit,
    Reading,
    Setting,
    Unread,
    Value,
    text,
    watts,
)

Ask = Callable[..., Any]
"""Calls a getter: what it answers, or `Unread`."""

FROM_NVML = {
    0: ComputeMode.DEFAULT,
    1: ComputeMode.DEFAULT,  # exclusive thread: gone since CUDA 8, behaves as default
    2: ComputeMode.PROHIBITED,
    3: ComputeMode.EXCLUSIVE_PROCESS,
}
TO_NVML = {ComputeMode.DEFAULT: 0, ComputeMode.PROHIBITED: 2, ComputeMode.EXCLUSIVE_PROCESS: 3}

# Where the driver names no ladder: more than any clock, and far below the ids that are not clocks.
ANY_CLOCK_MHZ = (1, 100_000)


class Row(NamedTuple):
    """`probe`: a getter whose refusal for good says that the board does not have the setting, with its arguments
    after the handle; None where there is none to ask. `read`: by its own call. `write`: raises NVML's errors,
    NotSupported, DriverRefused. `dear`: it costs too much to be read at each look."""

    probe: tuple[str, tuple[int, ...]] | None
    read: Callable[[Ask, Any], Reading]
    write: Callable[[Any, Board, Value], None]
    dear: bool = False


def _no_value(value: Value) -> DriverRefused:
    return DriverRefused(f"{text(value)} is no value of this setting")


def _read_persistence_mode(ask: Ask, handle: Any) -> Reading:
    mode = ask(pynvml.nvmlDeviceGetPersistenceMode, handle)
    if isinstance(mode, Unread):
        return mode
    return bool(mode) if mode in (0, 1) else Unread(f"the driver answers persistence mode {mode}")


def _write_persistence_mode(handle: Any, board: Board, value: Value) -> None:
    if not isinstance(value, bool):
        raise _no_value(value)
    pynvml.nvmlDeviceSetPersistenceMode(handle, int(value))


def _read_power_limit(ask: Ask, handle: Any) -> Reading:
    limit = ask(pynvml.nvmlDeviceGetPowerManagementLimit, handle)
    return limit if isinstance(limit, Unread) else plausible.power_limit(int(limit))


def _write_power_limit(handle: Any, board: Board, value: Value) -> None:
    if not isinstance(value, PowerLimit):
        raise _no_value(value)
    limits = board.power
    if limits is None:
        raise NotSupported("this GPU names no range for it")
    if not limits.min_mw <= value.limit_mw <= limits.max_mw:
        raise DriverRefused(f"out of range, this GPU takes {watts(limits.min_mw)} to {watts(limits.max_mw)} W")
    # The first version of the setter: the binding swallows every error of the second.
    pynvml.nvmlDeviceSetPowerManagementLimit(handle, value.limit_mw)


def _no_getter(ask: Ask, handle: Any) -> Reading:
    return NO_GETTER


def _write_gpu_clock(handle: Any, board: Board, value: Value) -> None:
    if value is UNLOCKED:
        pynvml.nvmlDeviceResetGpuLockedClocks(handle)
    else:
        pynvml.nvmlDeviceSetGpuLockedClocks(handle, *_lock(board.gpu_ladder_mhz, value))


def _write_memory_clock(handle: Any, board: Board, value: Value) -> None:
    if value is UNLOCKED:
        pynvml.nvmlDeviceResetMemoryLockedClocks(handle)
    else:
        pynvml.nvmlDeviceSetMemoryLockedClocks(handle, *_lock(board.memory_ladder_mhz, value))


def _lock(ladder_mhz: tuple[int, ...], value: Value) -> tuple[int, int]:
    """Both ends in MHz. `min_mhz` 0, no minimum asked for, becomes the lowest rung."""
    if not isinstance(value, ClockLock):
        raise _no_value(value)
    lowest, highest = _ends(ladder_mhz)
    low = value.min_mhz or lowest
    if not lowest <= low <= value.max_mhz <= highest:
        raise DriverRefused(f"out of range, this GPU takes {lowest} to {highest} MHz, the lower end first")
    return low, value.max_mhz


def _read_application_clocks(ask: Ask, handle: Any) -> Reading:
    memory = ask(pynvml.nvmlDeviceGetApplicationsClock, handle, MEMORY)
    if isinstance(memory, Unread):
        return memory
    graphics = ask(pynvml.nvmlDeviceGetApplicationsClock, handle, GRAPHICS)
    if isinstance(graphics, Unread):
        return graphics
    if plausible.clock(memory) and plausible.clock(graphics):
        return ApplicationClocks(int(memory), int(graphics))
    return Unread(f"the driver answers application clocks of {memory} and {graphics} MHz, which are none")


def _write_application_clocks(handle: Any, board: Board, value: Value) -> None:
    if value is UNLOCKED:
        pynvml.nvmlDeviceResetApplicationsClocks(handle)
        return
    if not isinstance(value, ApplicationClocks):
        raise _no_value(value)
    lowest, highest = _ends(board.memory_ladder_mhz)
    if not lowest <= value.memory_mhz <= highest:
        raise DriverRefused(f"the memory clock is out of range, this GPU takes {lowest} to {highest} MHz")
    lowest, highest = _ends(board.gpu_ladders_mhz.get(value.memory_mhz) or board.gpu_ladder_mhz)
    if not lowest <= value.gpu_mhz <= highest:
        raise DriverRefused(
            f"the GPU clock is out of range, with the memory at {value.memory_mhz} MHz this GPU takes "
            f"{lowest} to {highest} MHz"
        )
    pynvml.nvmlDeviceSetApplicationsClocks(handle, value.memory_mhz, value.gpu_mhz)  # memory first


def _read_compute_mode(ask: Ask, handle: Any) -> Reading:
    mode = ask(pynvml.nvmlDeviceGetComputeMode, handle)
    if isinstance(mode, Unread):
        return mode
    return FROM_NVML.get(mode) or Unread(f"the driver answers compute mode {mode}, unknown here")


def _write_compute_mode(handle: Any, board: Board, value: Value) -> None:
    if not isinstance(value, ComputeMode):
        raise _no_value(value)
    pynvml.nvmlDeviceSetComputeMode(handle, TO_NVML[value])


def _ends(ladder_mhz: tuple[int, ...]) -> tuple[int, int]:
    return (ladder_mhz[-1], ladder_mhz[0]) if ladder_mhz else ANY_CLOCK_MHZ


ROWS: Mapping[Setting, Row] = {
    Setting.PERSISTENCE_MODE: Row(
        ("nvmlDeviceGetPersistenceMode", ()), _read_persistence_mode, _write_persistence_mode
    ),
    Setting.POWER_LIMIT: Row(
        ("nvmlDeviceGetPowerManagementLimitConstraints", ()), _read_power_limit, _write_power_limit
    ),
    # Locks have no getter to probe; board.py goes by the architecture.
    Setting.GPU_CLOCK: Row(None, _no_getter, _write_gpu_clock),
    Setting.MEMORY_CLOCK: Row(None, _no_getter, _write_memory_clock),
    Setting.APPLICATION_CLOCKS: Row(
        ("nvmlDeviceGetApplicationsClock", (MEMORY,)), _read_application_clocks, _write_application_clocks, dear=True
    ),
    Setting.COMPUTE_MODE: Row(("nvmlDeviceGetComputeMode", ()), _read_compute_mode, _write_compute_mode),
}


def write(handle: Any, board: Board, setting: Setting, value: Value) -> None:
    """Ask for one value. SUCCESS means the request was taken; what was accepted, only a read-back tells.

    Raises NotSupported, DriverRefused, DriverPermission, GpuLost, DriverAbsent, DriverTrouble.
    """
    absent = board.absent.get(setting)
    if absent is not None:
        raise NotSupported(absent)
    row = ROWS.get(setting)
    if row is None:
        raise NotSupported(f"{setting.label} is no setting of a GPU")
    try:
        with translated():
            row.write(handle, board, value)
    except (NotSupported, DriverRefused) as error:
        raise type(error)(f"the {setting.label} cannot be set to {text(value)}: {error}") from None
