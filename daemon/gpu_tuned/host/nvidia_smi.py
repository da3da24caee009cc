"""nvidia-smi's options for the settings that gpu-tuned holds: words of a command line to what they ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    ClockLock,
    ComputeMode,
    PowerLimit,
    Setting,
)
from gpu_tuned.core.wish import Symbol, Target

_TAKING = {
    "-pm": Setting.PERSISTENCE_MODE,
    "--persistence-mode": Setting.PERSISTENCE_MODE,
    "-pl": Setting.POWER_LIMIT,
    "--power-limit": Setting.POWER_LIMIT,
    "-lgc": Setting.GPU_CLOCK,
    "--lock-gpu-clocks": Setting.GPU_CLOCK,
    "-lmc": Setting.MEMORY_CLOCK,
    "--lock-memory-clocks": Setting.MEMORY_CLOCK,
    "-lmcd": Setting.MEMORY_CLOCK,
    "--lock-memory-clocks-deferred": Setting.MEMORY_CLOCK,
    "-ac": Setting.APPLICATION_CLOCKS,
    "--applications-clocks": Setting.APPLICATION_CLOCKS,
    "-c": Setting.COMPUTE_MODE,
    "--compute-mode": Setting.COMPUTE_MODE,
}
_RESETTING: dict[str, tuple[Setting, Target]] = {
    "-rgc": (Setting.GPU_CLOCK, UNLOCKED),
    "--reset-gpu-clocks": (Setting.GPU_CLOCK, UNLOCKED),
    "-rmc": (Setting.MEMORY_CLOCK, UNLOCKED),
    "--reset-memory-clocks": (Setting.MEMORY_CLOCK, UNLOCKED),
    "-rmcd": (Setting.MEMORY_CLOCK, UNLOCKED),
    "--reset-memory-clocks-deferred": (Setting.MEMORY_CLOCK, UNLOCKED),
    "-rac": (Setting.APPLICATION_CLOCKS, Symbol.DEFAULT),
    "--reset-applications-clocks": (Setting.APPLICATION_CLOCKS, Symbol.DEFAULT),
}
_WHICH = ("-i", "--id")
# They say how a setting is meant and set nothing: the scope of a power limit, the mode of a clock lock.
_MANNERS = ("-sc", "--scope", "-m", "--mode")
SETS = re.compile(
    r"(?:^|\s)(?:-(?:pm|pl|lgc|lmcd?|ac|c|rgc|rmcd?|rac)|"
    r"--(?:persistence-mode|power-limit|lock-gpu-clocks|lock-memory-clocks(?:-deferred)?|applications-clocks|"
    r"compute-mode|reset-gpu-clocks|reset-memory-clocks(?:-deferred)?|reset-applications-clocks))(?=[\s=]|$)"
)
"""Text in which such an option stands, whoever is meant by it."""

_MODES = {"0": ComputeMode.DEFAULT, "2": ComputeMode.PROHIBITED, "3": ComputeMode.EXCLUSIVE_PROCESS}
_MODES |= {mode.value: mode for mode in ComputeMode}
_SWITCHES = {"1": True, "enabled": True, "0": False, "disabled": False}


@dataclass(frozen=True, slots=True)
class Said:
    """One setting that a command line sets. `target` is None where the words do not tell the value; `gpus` as written
    after -i, () for all."""

    setting: Setting
    target: Target | None
    words: str
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of nvidia-smi. `more`: it does something besides."""

    said: tuple[Said, ...]
    more: bool = False


def call(words: list[str]) -> Call:
    """What the words after "nvidia-smi" ask for; `said` is () for a call that only reads."""
    said: list[Said] = []
    gpus: tuple[str, ...] = ()
    more = False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if option in _RESETTING:
            setting, target = _RESETTING[option]
            said.append(Said(setting, target, option))
        elif option in _TAKING or option in _WHICH or option in _MANNERS:
            if not equals:
                value = rest.pop(0) if rest else ""
            if option in _WHICH:
                gpus = tuple(part.strip() for part in value.split(",") if part.strip())
            elif option in _TAKING:
                setting = _TAKING[option]
                quoted = word if equals else f"{word} {value}".rstrip()
                said.append(Said(setting, _target(setting, value), quoted))
        else:
            more = True
    return Call(tuple(replace(each, gpus=gpus) for each in said), more)


def _target(setting: Setting, value: str) -> Target | None:
    value = value.strip().lower()
    if setting is Setting.PERSISTENCE_MODE:
        return _SWITCHES.get(value)
    if setting is Setting.COMPUTE_MODE:
        return _MODES.get(value)
    if setting is Setting.POWER_LIMIT:
        return PowerLimit(round(float(value) * 1000)) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", value) else None
    clocks = re.fullmatch(r"([0-9]{1,6})(?:\s*,\s*([0-9]{1,6}))?", value)
    if clocks is None:
        return None
    first, second = int(clocks[1]), int(clocks[2] or clocks[1])
    if setting is Setting.APPLICATION_CLOCKS:
        return ApplicationClocks(first, second) if clocks[2] else None
    return ClockLock(first, second)
