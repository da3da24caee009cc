"""What the doctor asks the driver: a few looks at every GPU within half a second. Reads only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml.board import describe
from gpu_tuned.adapters.nvml.calls import GRAPHICS, MAX_OPERATING, MIB, MOST_GPUS, SLOWDOWN, ask, fields, first, words
from gpu_tuned.adapters.nvml.errors import NOT_SUPPORTED, translated, unread
from gpu_tuned.adapters.nvml.fields import RECOVERY_ACTION
from gpu_tuned.adapters.nvml.processes import LISTS
from gpu_tuned.adapters.nvml.reads import CURRENT_REASONS, GPU_SENSOR, TEMPERATURES
from gpu_tuned.adapters.nvml.settings import FROM_NVML
from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverMismatch, DriverTrouble
from gpu_tuned.core.host_view import GpuView, LinkSample
from gpu_tuned.core.model import Unread

SAMPLES = 5
BETWEEN_S = 0.1
"""Seconds between two samples of the links: long enough for a link that just woke up, short enough for the doctor."""
BUSY_PERCENT = 5
MOST_LINKS = 18  # NVML_NVLINK_MAX_LINKS


@dataclass(frozen=True, slots=True)
class Inspection:
    """Every GPU that answers, the library's version, and why others do not (by index)."""

    version: str
    gpus: tuple[GpuView, ...]
    left_out: Mapping[int, str] = field(default_factory=dict)


def inspect(sleep: Callable[[float], None] = time.sleep, samples: int = SAMPLES) -> Inspection:
    """Attach, look `samples` times, let go. Wakes sleeping GPUs, so ask sysfs first. Raises DriverError."""
    with translated():
        pynvml.nvmlInit()
    try:
        with translated():
            version, count = words(pynvml.nvmlSystemGetDriverVersion), int(pynvml.nvmlDeviceGetCount())
        return _inspect(version, count, sleep, samples)
    except (DriverAbsent, DriverMismatch, DriverTrouble):
        raise
    except DriverError as error:
        raise DriverTrouble(str(error)) from None
    finally:
        with translated():
            pynvml.nvmlShutdown()


def _inspect(version: str, count: int, sleep: Callable[[float], None], samples: int) -> Inspection:
    handles: dict[int, Any] = {}
    left_out: dict[int, str] = {}
    if count > MOST_GPUS:
        left_out[MOST_GPUS] = f"the driver counts {count} GPUs; {MOST_GPUS} are looked at"
    links: dict[int, list[LinkSample]] = {}
    lost: dict[int, Unread] = {}
    replays: dict[int, list[int | Unread]] = {}
    for index in range(min(count, MOST_GPUS)):
        try:
            with translated():
                handles[index] = pynvml.nvmlDeviceGetHandleByIndex(index)
                replays[index] = [ask(pynvml.nvmlDeviceGetPcieReplayCounter, handles[index])]
        except (DriverAbsent, DriverMismatch):
            raise
        except DriverError as error:
            handles.pop(index, None)
            left_out[index] = str(error)
    began = time.monotonic()
    for turn in range(samples):
        if turn:
            sleep(BETWEEN_S)
        for index, handle in handles.items():
            try:
                with translated():
                    sample = _sample(handle)
            except DriverError as error:
                left_out.setdefault(index, str(error))
                continue
            if isinstance(sample, Unread):
                lost[index] = sample
            else:
                links.setdefault(index, []).append(sample)
    looked_s = time.monotonic() - began
    gpus = []
    for index, handle in handles.items():
        if index in left_out:
            continue
        try:
            with translated():
                replays[index].append(ask(pynvml.nvmlDeviceGetPcieReplayCounter, handle))
                seen = tuple(links.get(index, ())) or lost.get(index, Unread("no sample"))
                gpus.append(_view(handle, index, seen, _pair(replays[index]), looked_s))
        except DriverError as error:
            left_out[index] = str(error)
    return Inspection(version, tuple(gpus), left_out)


def _sample(handle: Any) -> LinkSample | Unread:
    generation = ask(pynvml.nvmlDeviceGetCurrPcieLinkGeneration, handle)
    width = ask(pynvml.nvmlDeviceGetCurrPcieLinkWidth, handle)
    for answer in (generation, width):
        if isinstance(answer, Unread):
            return answer
    use = ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    busy = None if isinstance(use, Unread) else max(int(use.gpu), int(use.memory)) >= BUSY_PERCENT
    return LinkSample(int(generation), int(width), busy)


def _pair(counts: list[int | Unread]) -> tuple[int, int] | Unread:
    before, after = counts
    if isinstance(before, Unread):
        return before
    return after if isinstance(after, Unread) else (int(before), int(after))


def _view(
    handle: Any,
    index: int,
    links: tuple[LinkSample, ...] | Unread,
    replays: tuple[int, int] | Unread,
    looked_s: float,
) -> GpuView:
    board = describe(handle, index)
    architecture = _whole(ask(pynvml.nvmlDeviceGetArchitecture, handle))
    use = ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    mode = ask(pynvml.nvmlDeviceGetComputeMode, handle)
    code, action = fields(handle, (RECOVERY_ACTION,))[RECOVERY_ACTION]
    return GpuView(
        gpu=board.gpu,
        index=index,
        architecture=architecture if isinstance(architecture, int) else None,
        persistence=_flag(ask(pynvml.nvmlDeviceGetPersistenceMode, handle)),
        compute_mode=mode if isinstance(mode, Unread) else FROM_NVML.get(mode, Unread(f"mode {mode} is new")),
        display=_flag(ask(pynvml.nvmlDeviceGetDisplayActive, handle)),
        compute_processes=_count(first(LISTS["compute"], handle)[1]),
        links=links,
        max_generation=_whole(ask(pynvml.nvmlDeviceGetMaxPcieLinkGeneration, handle)),
        board_generation=_whole(_named("nvmlDeviceGetGpuMaxPcieLinkGeneration", handle)),
        max_width=_whole(ask(pynvml.nvmlDeviceGetMaxPcieLinkWidth, handle)),
        replays=replays,
        looked_s=looked_s,
        bar1_mib=_mib(ask(pynvml.nvmlDeviceGetBAR1MemoryInfo, handle), "bar1Total"),
        memory_mib=_mib(ask(pynvml.nvmlDeviceGetMemoryInfo, handle), "total"),
        temperature_c=_whole(first(TEMPERATURES, handle, GPU_SENSOR)[1]),
        max_operating_c=_whole(ask(pynvml.nvmlDeviceGetTemperatureThreshold, handle, MAX_OPERATING)),
        slowdown_c=_whole(ask(pynvml.nvmlDeviceGetTemperatureThreshold, handle, SLOWDOWN)),
        power=board.power,
        requested_mw=_whole(ask(pynvml.nvmlDeviceGetPowerManagementLimit, handle)),
        enforced_mw=_whole(ask(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
        power_mw=_whole(ask(pynvml.nvmlDeviceGetPowerUsage, handle)),
        gpu_clock_mhz=_whole(ask(pynvml.nvmlDeviceGetClockInfo, handle, GRAPHICS)),
        max_gpu_mhz=_whole(ask(pynvml.nvmlDeviceGetMaxClockInfo, handle, GRAPHICS)),
        utilization_percent=use if isinstance(use, Unread) else int(use.gpu),
        reasons=_whole(first(CURRENT_REASONS, handle)[1]),
        nvlinks=_nvlinks(handle),
        recovery_action=unread(code) if code else action,
    )


def _named(name: str, *arguments: Any) -> Any:
    """`ask` of a call that older bindings lack."""
    call = getattr(pynvml, name, None)
    return Unread("the installed nvidia-ml-py lacks this call") if call is None else ask(call, *arguments)


def _whole(answer: Any) -> int | Unread:
    return answer if isinstance(answer, Unread) else int(answer)


def _flag(answer: Any) -> bool | Unread:
    return answer if isinstance(answer, Unread) else bool(answer)


def _count(answer: Any) -> int | Unread:
    return answer if isinstance(answer, Unread) else len(answer)


def _mib(answer: Any, member: str) -> int | Unread:
    return answer if isinstance(answer, Unread) else int(getattr(answer, member)) // MIB


def _nvlinks(handle: Any) -> int | Unread:
    """Active links; 0 where the board has none."""
    active = 0
    for link in range(MOST_LINKS):
        try:
            active += pynvml.nvmlDeviceGetNvLinkState(handle, link) == 1
        except pynvml.NVMLError as error:
            if link or error.value == NOT_SUPPORTED:
                break
            return unread(error.value)
    return active
