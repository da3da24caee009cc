"""Which processes the driver lists on the GPUs."""

from __future__ import annotations

import contextlib

import pynvml

from gpu_tuned.adapters.nvml.calls import ask, first
from gpu_tuned.adapters.nvml.errors import translated
from gpu_tuned.core.errors import DriverError, GpuLost
from gpu_tuned.core.model import Unread

LISTS = {
    "compute": ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses"),
    "graphics": ("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses"),
    "mps": ("nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses"),
}
"""What a process does with a GPU -> the calls that list such, the newest first: an older library lacks it. A client
of MPS stands in the last list alone; in the first is its server."""


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
                    found |= {pid for names in LISTS.values() for pid in _listed(names, handle)}
    finally:
        with contextlib.suppress(DriverError), translated():
            pynvml.nvmlShutdown()
    return tuple(sorted(found))


def _listed(names: tuple[str, ...], handle: object) -> list[int]:
    _, processes = first(names, handle)
    return [] if isinstance(processes, Unread) else [int(process.pid) for process in processes]
