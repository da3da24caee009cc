"""A policy that was understood: rules in order, and which wishes they come to for one GPU."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from gpu_tuned.core.model import GPU_SETTINGS, Gpu, Setting
from gpu_tuned.core.wish import Match, MatchBy, Origin, Wish


class Mode(str, Enum):
    """Whether the daemon writes at all."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class OnStop(str, Enum):
    """What a stop leaves behind: the settings as they are, or what was found before the first write."""

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
    settings whose value another rule writes.
    """

    match: Match
    wishes: tuple[Wish, ...]
    origin: Origin
    required: frozenset[Setting] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the policy files say. `gpus`: how many GPUs the host must have, None where nothing is said. `files`
    are all files read, profiles included; `digest` is 6 hex digits of the SHA-256 over their contents."""

    daemon: DaemonOptions = field(default_factory=DaemonOptions)
    numa_balancing: Wish | None = None
    gpu_power_budget_mw: int | None = None
    gpus: int | None = None
    rules: tuple[Rule, ...] = ()
    files: tuple[str, ...] = ()
    digest: str = ""

    def wishes_for(self, gpu: Gpu) -> dict[Setting, Wish]:
        """What the rules want of one GPU; later rules win key by key.

        A later value replaces value, origin and reason, and ends an earlier `watch` unless its own rule watches the
        key as well. A later `watch` without a value keeps an earlier value for comparison. `required` adds up: a
        later rule cannot make a safety limit optional by not repeating the word.
        """
        wishes: dict[Setting, Wish] = {}
        required: set[Setting] = set()
        for rule in self.rules:
            if not rule.match.matches(gpu):
                continue
            required |= rule.required
            for wish in rule.wishes:
                earlier = wishes.get(wish.setting)
                if wish.target is None and earlier is not None and earlier.target is not None:
                    wishes[wish.setting] = replace(earlier, watched=True, reason=wish.reason or earlier.reason)
                else:
                    wishes[wish.setting] = wish
        return {s: replace(wishes[s], required=s in required) for s in GPU_SETTINGS if s in wishes}

    def names(self, gpu: Gpu) -> bool:
        """Whether a rule names this very GPU, by UUID or PCI address: then it must be here."""
        return any(rule.match.by is not MatchBy.NAME and rule.match.matches(gpu) for rule in self.rules)

    def unmatched(self, gpus: Iterable[Gpu]) -> tuple[Rule, ...]:
        """The rules that speak of none of these GPUs."""
        present = tuple(gpus)
        return tuple(rule for rule in self.rules if not any(map(rule.match.matches, present)))
