"""Good policies over all readable settings, drawn at random: their text, and what they ask of each board."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gpu_tuned.core.model import ApplicationClocks, ComputeMode, PowerLimit, Setting, Value, wire

PAIR = Setting.APPLICATION_CLOCKS
VALUES: Mapping[Setting, tuple[Value, ...]] = {
    Setting.PERSISTENCE_MODE: (True, False),
    Setting.POWER_LIMIT: (PowerLimit(420_000), PowerLimit(450_000), PowerLimit(575_000)),
    PAIR: (ApplicationClocks(3201, 1500), ApplicationClocks(3201, 1200), ApplicationClocks(2619, 1500)),
    Setting.COMPUTE_MODE: tuple(ComputeMode),
}
KINDS = ("none", "enforced", "enforced", "required", "watched", "reported", "original")


@dataclass(frozen=True)
class Wish:
    """What the policy asks of one setting of a board. `value` None: nothing, or, with `original`, what was found."""

    value: Value | None = None
    original: bool = False
    enforced: bool = True
    required: bool = False


@dataclass(frozen=True)
class Settled:
    """A good policy: its text, what it asks of each board and of NUMA balancing, and whether it observes."""

    text: str
    wishes: tuple[Mapping[Setting, Wish], ...]
    numa: str | None
    observing: bool


def toml(value: Value | None) -> str:
    """A value as a policy file has it; None: what was found at first."""
    raw = "original" if value is None else wire(value)
    if isinstance(raw, dict):
        return f"{{ memory = {raw['memory']}, gpu = {raw['gpu']} }}"
    return f'"{raw}"' if isinstance(raw, str) else str(raw).lower()


def settings_policy(random_: random.Random, uuids: Sequence[str]) -> Settled:
    """A rule for every board, and perhaps one for a single board after it; what they come to, key by key."""
    wishes: list[dict[Setting, Wish]] = [{} for _ in uuids]
    observing, numa = random_.random() < 0.15, random_.choice([None, "off", "on"])
    lines = ["[daemon]", "poll_interval_s = 2", *(['mode = "observe"'] if observing else [])]
    lines += ["[host]", f'numa_balancing = "{numa}"'] if numa else []
    rules = [('{ name = "*" }', list(range(len(uuids))))]
    if random_.random() < 0.3:
        only = random_.randrange(len(uuids))
        rules.append((f'{{ uuid = "{uuids[only]}" }}', [only]))
    for match, boards in rules:
        lines += ["[[gpu]]", f"match = {match}"]
        named: dict[str, list[str]] = {"required": [], "watch": []}
        for setting, values in VALUES.items():
            kind = random_.choice(KINDS)
            if kind == "none":
                continue
            value = random_.choice(values) if kind not in ("reported", "original") else None
            if kind != "reported":
                lines.append(f"{setting.value} = {toml(value)}")
            if kind == "required":
                named["required"].append(f'"{setting.value}"')
            if kind in ("watched", "reported"):
                named["watch"].append(f'"{setting.value}"')
            for i in boards:
                before = wishes[i].get(setting, Wish())
                required = before.required or kind == "required"
                if kind == "reported":  # a value that an earlier rule wrote stays, to compare with
                    wishes[i][setting] = replace(before, enforced=False)
                else:
                    wishes[i][setting] = Wish(value, kind == "original", kind != "watched", required)
        lines += [f"{key} = [{', '.join(names)}]" for key, names in named.items() if names]
    return Settled("\n".join([*lines, ""]), tuple(wishes), numa, observing)
