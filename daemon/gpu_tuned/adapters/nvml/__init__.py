"""NVML, the driver's management library: the only place that imports pynvml.

    driver.py   attach, detach and the port's methods
    board.py    what one GPU is and allows, read once when attaching
    settings.py one row a setting: probe, read, write
    reads.py    what one GPU says now
    events.py   waiting for the driver's events
    errors.py   NVML's errors -> core.errors

No NVML type, constant, handle or error leaves this package. NVML's own numbers that are used in here are
written as numbers of ours: older releases of the binding do not name all of them, and the numbers are ABI.
"""

from gpu_tuned.adapters.nvml.driver import Nvml

__all__ = ["Nvml"]
