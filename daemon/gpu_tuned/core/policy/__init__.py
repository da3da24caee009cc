"""A policy that was understood: rules in order, and which wishes they come to for one GPU."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from gpu_tuned.core.model import GPU_SETTINGS, Gpu, Setting
from gpu_tuned.core.wish import Match, MatchBy, Origin, Symbol, Wish


class Mode(str, Enum):
    """Whether the daemon writes at all."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class OnStop(str, Enum):
    """What a stop leaves behind: the settings as they are, or what was found at first."""

    KEEP = "keep"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """The [daemon] table. `poll_interval_s`: 0.1 to 3600 seconds."""

    mode: Mode = Mode.ENFORCE
    poll_interval_s: float = 2.0
    on_stop: OnStop = OnStop.KEEP


@dataclass(frozen=True, slots=True)
class Rule:
    """One [[gpu]] table with its profile merged in: at most one wish a setting.

    A wish without a target says that the rule watches the setting and writes no value for it. `required` may name
    settings whose value another rule writes. `accept`: ids of advice that the owner has read and lives with.
    """

    match: Match
    wishes: tuple[Wish, ...]
    origin: Origin
    required: frozenset[Setting] = frozenset()
    accept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Expected:
    """What the policy says of the host: how many GPUs, how wide their links, and the rules that name one GPU.
    `named` is what each rule by uuid or pci names; `locks_clocks`: some rule locks GPU clocks; `accepted`: checks and
    advice that the owner has silenced. `problem`: why there is no policy to go by, None where there is one."""

    gpus: int | None = None
    pcie_width: int | None = None
    named: tuple[str, ...] = ()
    locks_clocks: bool = False
    accepted: frozenset[str] = frozenset()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the policy files say. `gpus`: how many GPUs the host must have, `pcie_width`: lanes that their links
    are meant to have, None where nothing is said. `accept`: ids of advice and of the doctor's checks that are not to
    be told. `files` are all files read, profiles included; `digest` is 6 hex digits that change with them."""

    daemon: DaemonOptions = field(default_factory=DaemonOptions)
    numa_balancing: Wish | None = None
    gpu_power_budget_mw: int | None = None
    gpus: int | None = None
    pcie_width: int | None = None
    accept: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    files: tuple[str, ...] = ()
    digest: str = ""

    def wishes_for(self, gpu: Gpu) -> dict[Setting, Wish]:
        """What the rules want of one GPU; later rules win key by key.

        A later value replaces value, origin and reason, and ends an earlier `watch` unless its own rule watches the
        key as well. A later `watch` without a value keeps an earlier value for comparison. `required` adds up: a
        later rule cannot make a safety limit optional by not repeating the word. What is required and has no value
        here is a wish without a target: it cannot be met, and is not forgotten.
        """
        wishes: dict[Setting, Wish] = {}
        required: dict[Setting, Origin] = {}
        for rule in self.rules:
            if not rule.match.matches(gpu):
                continue
            for setting in rule.required:
                required[setting] = replace(rule.origin, path=f"{rule.origin.path}.{setting.value}")
            for wish in rule.wishes:
                earlier = wishes.get(wish.setting)
                if wish.target is None and earlier is not None and earlier.target is not None:
                    wishes[wish.setting] = replace(earlier, watched=True, reason=wish.reason or earlier.reason)
                else:
                    wishes[wish.setting] = wish
        wishes |= {s: Wish(s, None, origin) for s, origin in required.items() if s not in wishes}
        return {s: replace(wishes[s], required=s in required) for s in GPU_SETTINGS if s in wishes}

    def names(self, gpu: Gpu) -> bool:
        """Whether a rule names this very GPU, by UUID or PCI address: then it must be here."""
        return any(rule.match.by is not MatchBy.NAME and rule.match.matches(gpu) for rule in self.rules)

    def asks_for_original(self, setting: Setting) -> bool:
        """Whether some rule wishes for what was found at first, which only the daemon in charge knows."""
        wishes = (wish for rule in self.rules for wish in rule.wishes)
        return any(wish.setting is setting and wish.target is Symbol.ORIGINAL for wish in wishes)

    def accepted_for(self, gpu: Gpu) -> frozenset[str]:
        """Ids of advice that is silenced for one GPU: the host's and those of every rule that speaks of it."""
        return self.accept.union(*(rule.accept for rule in self.rules if rule.match.matches(gpu)))

    def expected(self) -> Expected:
        """What the doctor may hold the host against."""
        locks = any(wish.setting is Setting.GPU_CLOCK for rule in self.rules for wish in rule.wishes)
        named = tuple(rule.match.pattern for rule in self.rules if rule.match.by is not MatchBy.NAME)
        return Expected(self.gpus, self.pcie_width, named, locks, self.accept)

    def unmatched(self, gpus: Iterable[Gpu]) -> tuple[Rule, ...]:
        """The rules that speak of none of these GPUs."""
        present = tuple(gpus)
        return tuple(rule for rule in self.rules if not any(map(rule.match.matches, present)))
