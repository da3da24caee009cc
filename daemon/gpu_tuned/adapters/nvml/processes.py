"""Which processes the driver lists on the GPUs."""

from __future__ import annotations

import contextlib

import pynvml

from gpu_tuned.adapters.nvml.calls import MOST_GPUS, ask, first
from gpu_tuned.adapters.nvml.errors import translated
from gpu_tuned.core.errors import DriverError, DriverTrouble, GpuLost
from gpu_tuned.core.model import Unread

LISTS = {
    "compute": ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"),
    "graphics": ("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"),
    "mps": ("nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v2"),
}
"""What a process does with a GPU -> the calls that list such, the newest first: a library before R510 lacks it, and
one before R460 both. A client of MPS stands in the last list alone; in the first is its server."""


def gpu_pids() -> tuple[int, ...]:
    """Of every GPU, each once, in order. Ids are those of the driver's own PID namespace: the host's.

    Raises DriverAbsent, DriverMismatch, DriverTrouble where the driver does not answer, or lists none for it cannot;
    a GPU that is lost counts for none.
    """
    found: set[int] = set()
    unlisted: Unread | None = None
    with translated():
        pynvml.nvmlInit()
    try:
        with translated():
            count = pynvml.nvmlDeviceGetCount()
        for index in range(min(count, MOST_GPUS)):
            with contextlib.suppress(GpuLost):
                handle = ask(pynvml.nvmlDeviceGetHandleByIndex, index)
                if isinstance(handle, Unread):
                    continue
                listed = {kind: first(names, handle)[1] for kind, names in LISTS.items()}
                found |= {int(p.pid) for every in listed.values() if not isinstance(every, Unread) for p in every}
                unlisted = listed["compute"] if isinstance(listed["compute"], Unread) else unlisted
    finally:
        with contextlib.suppress(DriverError), translated():
            pynvml.nvmlShutdown()
    if unlisted is not None and not found:
        raise DriverTrouble(f"the driver does not tell which processes use its GPUs: {unlisted.why}")
    return tuple(sorted(found))
