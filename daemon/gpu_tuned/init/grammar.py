"""nvidia-smi's command line as data: every option and subcommand, and what each writes.

From the help of three generations of the driver, 418.67, 520 and 550, and from nvidia-smi(1) of 550: an option is
here with every spelling that one of them prints. What stands in none of them is not understood, and never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from gpu_tuned.core.model import ComputeMode, Setting


class Role(Enum):
    """What an option does in a call."""

    SETS = "sets"  # one of our settings, to the value that follows
    RESETS = "resets"  # one of our settings, to what the driver starts with
    OTHER = "other"  # changes the GPU in a way that gpu-tuned does not hold
    LOSES = "loses"  # a reset of the GPU: what was set before it is gone
    WHICH = "which"  # selects GPUs
    MANNER = "manner"  # qualifies a setting
    READS = "reads"  # the call only reads, or prints
    QUIET = "quiet"  # changes how the call ends or prints, nothing else


@dataclass(frozen=True, slots=True)
class Option:
    """One option with all its spellings. `takes`: a value follows; `plain` are the values of a MANNER that leave the
    setting what it is; `what` names in words what an OTHER changes."""

    names: tuple[str, ...]
    role: Role
    takes: bool = True
    setting: Setting | None = None
    plain: frozenset[str] = frozenset()
    what: str = ""


def _other(what: str, *names: str, takes: bool = True) -> Option:
    return Option(names, Role.OTHER, takes, what=what)


def _reads(*names: str, takes: bool = True) -> Option:
    return Option(names, Role.READS, takes)


_OPTIONS = (
    Option(("-pm", "--persistence-mode"), Role.SETS, setting=Setting.PERSISTENCE_MODE),
    Option(("-pl", "--power-limit"), Role.SETS, setting=Setting.POWER_LIMIT),
    Option(("-lgc", "--lock-gpu-clocks"), Role.SETS, setting=Setting.GPU_CLOCK),
    Option(("-lmc", "--lock-memory-clocks"), Role.SETS, setting=Setting.MEMORY_CLOCK),
    Option(("-ac", "--applications-clocks"), Role.SETS, setting=Setting.APPLICATION_CLOCKS),
    Option(("-c", "--compute-mode"), Role.SETS, setting=Setting.COMPUTE_MODE),
    Option(("-rgc", "--reset-gpu-clocks"), Role.RESETS, takes=False, setting=Setting.GPU_CLOCK),
    Option(("-rmc", "--reset-memory-clocks"), Role.RESETS, takes=False, setting=Setting.MEMORY_CLOCK),
    Option(("-rac", "--reset-applications-clocks"), Role.RESETS, takes=False, setting=Setting.APPLICATION_CLOCKS),
    Option(("-i", "--id"), Role.WHICH),
    # The scope of a power limit: 1 is the whole module of a Grace Hopper, processor included.
    Option(("-sc", "--scope"), Role.MANNER, plain=frozenset({"0", "gpu"})),
    Option(("-m", "--mode"), Role.MANNER, plain=frozenset({"0"})),
    Option(("-eow", "--error-on-warning"), Role.QUIET, takes=False),
    Option(("-r", "--gpu-reset"), Role.LOSES, takes=False),
    # Applied when the GPU is initialised the next time, and kept over reboots: no lock of the running GPU.
    _other("a deferred memory clock", "-lmcd", "--lock-memory-clocks-deferred"),
    _other("a deferred memory clock", "-rmcd", "--reset-memory-clocks-deferred", takes=False),
    _other("ECC", "-e", "--ecc-config"),
    _other("the ECC error counts", "-p", "--reset-ecc-errors"),
    _other("the driver model", "-dm", "--driver-model"),
    _other("the driver model", "-fdm", "--force-driver-model"),
    _other("the GPU operation mode", "--gom"),
    _other("the virtualisation mode", "-vm", "--virt-mode"),
    _other("who may set application clocks", "-acp", "--applications-clocks-permission"),
    _other("the CUDA clocks", "-cc", "--cuda-clocks"),
    _other("accounting mode", "-am", "--accounting-mode"),
    _other("the accounted processes", "-caa", "--clear-accounted-apps", takes=False),
    _other("auto boost", "--auto-boost-default"),
    _other("who may set auto boost", "--auto-boost-permission"),
    _other("MIG mode", "-mig", "--multi-instance-gpu"),
    _other("the target temperature", "-gtt", "--gpu-target-temp"),
    _other("the LED of a unit", "-t", "--toggle-led"),
    _reads("-h", "--help", takes=False),
    _reads("-v", "--version", takes=False),
    _reads("-L", "--list-gpus", takes=False),
    _reads("-B", "--list-excluded-gpus", "--list-blacklist-gpus", takes=False),
    _reads("-q", "--query", takes=False),
    _reads("-x", "--xml-format", takes=False),
    _reads("-u", "--unit", takes=False),
    _reads("--dtd", takes=False),
    _reads("-f", "--filename"),
    _reads("-d", "--display"),
    _reads("-l", "--loop"),
    _reads("-lms", "--loop-ms"),
    _reads("--format"),
    _reads("--debug"),
)
OPTIONS: Mapping[str, Option] = {name: option for option in _OPTIONS for name in option.names}

SHARED = frozenset({"-c"})
"""Options of ours that shells, greps and servers have too, with a meaning of their own."""

READING = ("--query-", "--help-query-")
"""Beginnings of long options that only read."""

_WATCHING = "dmon pmon topo stats daemon replay encodersessions fbcsessions gpm pci"
_CHANGING = "mig vgpu nvlink boost-slider power-hint power-smoothing power-profiles drain clocks compute-policy"
SUBCOMMANDS: Mapping[str, bool] = {
    **dict.fromkeys(_WATCHING.split(), False),
    **dict.fromkeys([*_CHANGING.split(), "conf-compute", "c2c"], True),
}
"""Subcommand -> whether it can change something. Their options are their own: `dmon -c 2` sets no compute mode."""

COMPUTE_MODES: Mapping[str, ComputeMode] = {
    "0": ComputeMode.DEFAULT,
    "2": ComputeMode.PROHIBITED,
    "3": ComputeMode.EXCLUSIVE_PROCESS,
    **{mode.value: mode for mode in ComputeMode},
}
"""1 is missing: older help gives it to EXCLUSIVE_THREAD, newer help to EXCLUSIVE_PROCESS."""

SWITCHES: Mapping[str, bool] = {"1": True, "enabled": True, "0": False, "disabled": False}
