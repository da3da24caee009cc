"""What a policy asks for: one wish a setting, each with the file and key it comes from.

A wish may be symbolic ("max", "80%", "original"); `plan.target_of` turns it into a value once a board is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from gpu_tuned.core.model import Gpu, PowerLimit, Setting, Value, text, wire


class Symbol(str, Enum):
    """A value that only a board can tell."""

    DEFAULT = "default"  # what the board starts with
    MAX = "max"  # the most the board allows
    ORIGINAL = "original"  # what was found at first


@dataclass(frozen=True, slots=True)
class Percent:
    """A share of the board's maximum power limit, 1 to 100 %."""

    percent: float


@dataclass(frozen=True, slots=True)
class Ceiling:
    """At most this; a lower value of somebody else's is left alone."""

    limit: PowerLimit


class Auto(Enum):
    """What suits this host: kernel.numa_balancing off where there is one memory node, persistence mode on where
    there is no battery; left alone elsewhere."""

    AUTO = "auto"


class Elsewhere(Enum):
    """What was found at first, for a process that keeps nothing: it came later, and the daemon that writes knows."""

    ORIGINAL = Symbol.ORIGINAL.value


Target = Value | Symbol | Percent | Ceiling | Auto | Elsewhere


def target_text(target: Target | None) -> str:
    """A target as a person wrote it: "450 W", "max", "80 %", "<= 450 W"; that there is none."""
    if target is None:
        return "without a value"
    if isinstance(target, Percent):
        return f"{target.percent:g} %"
    if isinstance(target, Ceiling):
        return f"<= {text(target.limit)}"
    if isinstance(target, (Symbol, Auto, Elsewhere)):
        return str(target.value)
    return text(target)


def target_wire(target: Target | None) -> object:
    """A target as JSON: a value in the unit of its setting's key, {"max": 450} for a ceiling; what only a board can
    tell the value of as the word that it is."""
    if isinstance(target, Ceiling):
        return {"max": wire(target.limit)}
    return target_text(target) if isinstance(target, (Symbol, Percent, Auto, Elsewhere)) else wire(target)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a wish was written. `file` as a person would say it ("gpu-tuned.toml", "20-psu.toml", "profile
    rtx-5090-inference"), `path` the key path in it ("gpu[1].power_limit_w"). `shipped`: the value stands in a file
    of ours, not of the owner's, and therefore may not raise a power limit."""

    file: str
    path: str
    shipped: bool = False

    def __str__(self) -> str:
        return f"{self.file} {self.path}"


@dataclass(frozen=True, slots=True)
class Wish:
    """One setting of one GPU, as the policy wants it.

    `target` is None where no value was written for it: the setting is only watched, or required and refused.
    `required`: the machine must not run without it. `watched`: observed and reported, never written.
    """

    setting: Setting
    target: Target | None
    origin: Origin
    required: bool = False
    watched: bool = False
    reason: str | None = None


class MatchBy(str, Enum):
    UUID = "uuid"
    PCI = "pci"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Match:
    """Which GPUs a rule speaks of. A name pattern (shell wildcards) must match the whole name, case included."""

    by: MatchBy
    pattern: str

    def matches(self, gpu: Gpu) -> bool:
        if self.by is MatchBy.UUID:
            return gpu.uuid.lower() == self.pattern.lower()
        if self.by is MatchBy.PCI:
            return gpu.pci == self.pattern  # normalised by the parser to sysfs' form
        return fnmatchcase(gpu.name, self.pattern)

    def __str__(self) -> str:
        return f"{self.by.value} {self.pattern!r}"
