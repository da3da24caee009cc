"""One value for one setting, as the driver takes it.

Everything is range-checked first: ctypes wraps silently (-1 becomes 4294967295), and 0xffffff01 and
0xffffff02 mean something else than a clock to the lock setters. A lock is set over the old one, never reset
in order to set: in between the GPU would run unlocked.
"""

from __future__ import annotations

from typing import Any

import pynvml

from gpu_tuned.adapters.nvml.errors import translated
from gpu_tuned.core.errors import DriverRefused, NotSupported
from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    Board,
    ClockLock,
    ComputeMode,
    PowerLimit,
    Setting,
    Value,
    text,
    watts,
)

COMPUTE_MODES = {ComputeMode.DEFAULT: 0, ComputeMode.PROHIBITED: 2, ComputeMode.EXCLUSIVE_PROCESS: 3}

# Where the driver names no ladder: more than any clock, and far below the ids that are not clocks.
ANY_CLOCK_MHZ = (1, 100_000)


def write(handle: Any, board: Board, setting: Setting, value: Value) -> None:
    """Ask for one value. SUCCESS means the request was taken; what was accepted, only a read-back tells.

    Raises NotSupported, DriverRefused, DriverPermission, GpuLost, DriverAbsent, DriverTrouble.
    """
    absent = board.absent.get(setting)
    if absent is not None:
        raise NotSupported(absent)
    try:
        _write(handle, board, setting, value)
    except (NotSupported, DriverRefused) as error:
        raise type(error)(f"the {setting.label} cannot be set to {text(value)}: {error}") from None


def _write(handle: Any, board: Board, setting: Setting, value: Value) -> None:
    with translated():
        if setting is Setting.PERSISTENCE_MODE and isinstance(value, bool):
            pynvml.nvmlDeviceSetPersistenceMode(handle, int(value))
        elif setting is Setting.POWER_LIMIT and isinstance(value, PowerLimit):
            # The first version of the setter: the binding swallows every error of the second.
            pynvml.nvmlDeviceSetPowerManagementLimit(handle, _power(board, value))
        elif setting is Setting.GPU_CLOCK and isinstance(value, ClockLock):
            pynvml.nvmlDeviceSetGpuLockedClocks(handle, *_lock(board.gpu_ladder_mhz, value))
        elif setting is Setting.GPU_CLOCK and value is UNLOCKED:
            pynvml.nvmlDeviceResetGpuLockedClocks(handle)
        elif setting is Setting.MEMORY_CLOCK and isinstance(value, ClockLock):
            pynvml.nvmlDeviceSetMemoryLockedClocks(handle, *_lock(board.memory_ladder_mhz, value))
        elif setting is Setting.MEMORY_CLOCK and value is UNLOCKED:
            pynvml.nvmlDeviceResetMemoryLockedClocks(handle)
        elif setting is Setting.APPLICATION_CLOCKS and isinstance(value, ApplicationClocks):
            pynvml.nvmlDeviceSetApplicationsClocks(handle, *_pair(board, value))  # memory first
        elif setting is Setting.APPLICATION_CLOCKS and value is UNLOCKED:
            pynvml.nvmlDeviceResetApplicationsClocks(handle)
        elif setting is Setting.COMPUTE_MODE and isinstance(value, ComputeMode):
            pynvml.nvmlDeviceSetComputeMode(handle, COMPUTE_MODES[value])
        else:
            raise DriverRefused("that is no value of this setting")


def _power(board: Board, value: PowerLimit) -> int:
    limits = board.power
    if limits is None:
        raise NotSupported("this GPU names no range for it")
    if not limits.min_mw <= value.limit_mw <= limits.max_mw:
        raise DriverRefused(f"out of range, this GPU takes {watts(limits.min_mw)} to {watts(limits.max_mw)} W")
    return value.limit_mw


def _lock(ladder_mhz: tuple[int, ...], value: ClockLock) -> tuple[int, int]:
    """Both ends in MHz. `min_mhz` 0, no minimum asked for, becomes the lowest rung."""
    lowest, highest = _ends(ladder_mhz)
    low = value.min_mhz or lowest
    if not lowest <= low <= value.max_mhz <= highest:
        raise DriverRefused(f"out of range, this GPU takes {lowest} to {highest} MHz, the lower end first")
    return low, value.max_mhz


def _pair(board: Board, value: ApplicationClocks) -> tuple[int, int]:
    lowest, highest = _ends(board.memory_ladder_mhz)
    if not lowest <= value.memory_mhz <= highest:
        raise DriverRefused(f"the memory clock is out of range, this GPU takes {lowest} to {highest} MHz")
    lowest, highest = _ends(board.gpu_ladders_mhz.get(value.memory_mhz) or board.gpu_ladder_mhz)
    if not lowest <= value.gpu_mhz <= highest:
        raise DriverRefused(
            f"the GPU clock is out of range, with the memory at {value.memory_mhz} MHz this GPU takes "
            f"{lowest} to {highest} MHz"
        )
    return value.memory_mhz, value.gpu_mhz


def _ends(ladder_mhz: tuple[int, ...]) -> tuple[int, int]:
    return (ladder_mhz[-1], ladder_mhz[0]) if ladder_mhz else ANY_CLOCK_MHZ
