"""Other programs that set GPUs, as data: where their configuration lies, which of its lines set what, and which calls
of other languages do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_tuned.core.model import Setting

LIMIT, CLOCK, MEMORY = Setting.POWER_LIMIT, Setting.GPU_CLOCK, Setting.MEMORY_CLOCK


@dataclass(frozen=True, slots=True)
class Rival:
    """A program with a configuration of its own. `keys`: a key in it -> the setting it stands for; `how`: what a
    person can do."""

    name: str
    files: tuple[str, ...]
    keys: Mapping[str, Setting | None]
    unit: str


CONFIGURED = (
    Rival(
        "LACT",
        ("/etc/lact/config.yaml",),
        {
            "power_cap": LIMIT,
            "max_core_clock": CLOCK,
            "min_core_clock": CLOCK,
            "max_memory_clock": MEMORY,
            "min_memory_clock": MEMORY,
            "gpu_clock_offsets": None,
            "mem_clock_offsets": None,
        },
        "lactd.service",
    ),
    Rival(
        "nvidia_oc",
        ("/etc/nvidia_oc.json",),
        {
            "powerLimit": LIMIT,
            "power_limit": LIMIT,
            "maxClock": CLOCK,
            "max_clock": CLOCK,
            "minClock": CLOCK,
            "min_clock": CLOCK,
            "freqOffset": None,
            "memOffset": None,
            "freq_offset": None,
            "mem_offset": None,
        },
        "nvidia_oc.service",
    ),
    Rival(
        "CoolerControl",
        ("/etc/coolercontrol/config.toml", "/etc/coolercontrol/config-ui.json"),
        {"nvidia": None},
        "coolercontrold.service",
    ),
    Rival("GreenWithEnvy", ("/etc/gwe.conf",), {"power_limit": LIMIT}, "gwe.service"),
    Rival("TuxClocker", ("/etc/tuxclocker/settings.conf",), {"PowerLimit": LIMIT}, "tuxclockerd.service"),
)

CALLS: tuple[tuple[re.Pattern[str], Setting | None], ...] = (
    (re.compile(r"(?:nvmlDevice)?SetPowerManagementLimit"), LIMIT),
    (re.compile(r"SetGpuLockedClocks|ResetGpuLockedClocks"), CLOCK),
    (re.compile(r"SetMemoryLockedClocks|ResetMemoryLockedClocks"), MEMORY),
    (re.compile(r"(?:Set|Reset)ApplicationsClocks"), Setting.APPLICATION_CLOCKS),
    (re.compile(r"nvmlDeviceSetPersistenceMode"), Setting.PERSISTENCE_MODE),
    (re.compile(r"nvmlDeviceSetComputeMode"), Setting.COMPUTE_MODE),
    (re.compile(r"nvmlDeviceSet(?:Gpc|Mem)ClkVfOffset|nvmlDeviceSetClockOffsets|nvmlDeviceSetFanSpeed"), None),
)
"""Calls of NVML's setters in any language, and what they set; None for what gpu-tuned does not hold."""
