"""Which processes the driver lists on the GPUs."""

from __future__ import annotations

import contextlib

import pynvml

from gpu_tuned.adapters.nvml.calls import ask, first
from gpu_tuned.adapters.nvml.errors import translated
from gpu_tuned.core.errors import DriverError, GpuLost
from gpu_tuned.core.model import Unread

# The newest of each first: an older library lacks it.
_LISTS = (
    ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses"),
    ("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses"),
    ("nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses"),
)


def gpu_pids() -> tuple[int, ...]:
    """Of every GPU, each once, in order. Ids are those of the driver's own PID namespace: the host's.

    Raises DriverAbsent, DriverMismatch, DriverTrouble where the driver does not answer; a GPU that is lost counts for
    none.
    """
    found: set[int] = set()
    with translated():
        pynvml.nvmlInit()
    try:
        with translated():
            count = pynvml.nvmlDeviceGetCount()
        for index in range(count):
            with contextlib.suppress(GpuLost):
                handle = ask(pynvml.nvmlDeviceGetHandleByIndex, index)
                if not isinstance(handle, Unread):
                    found |= {pid for names in _LISTS for pid in _listed(names, handle)}
    finally:
        with contextlib.suppress(DriverError), translated():
            pynvml.nvmlShutdown()
    return tuple(sorted(found))


def _listed(names: tuple[str, ...], handle: object) -> list[int]:
    _, processes = first(names, handle)
    return [] if isinstance(processes, Unread) else [int(process.pid) for process in processes]
