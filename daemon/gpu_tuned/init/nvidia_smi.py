"""One call of nvidia-smi: its words to what it sets, by the table in grammar.py."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpu_tuned.core.model import UNLOCKED, ApplicationClocks, ClockLock, PowerLimit, Setting
from gpu_tuned.core.wish import Symbol, Target
from gpu_tuned.init.grammar import COMPUTE_MODES, OPTIONS, READING, SUBCOMMANDS, SWITCHES, Option, Role
from gpu_tuned.init.model import UNKNOWN, Doubt, Kind

SETS = re.compile(
    r"(?:^|[\s\"',\[(])(?:"
    + "|".join(re.escape(name) for name, option in OPTIONS.items() if option.role in (Role.SETS, Role.RESETS))
    + r")(?=[\s=\"',\])]|$)"
)
"""Text in which an option for one of our settings stands, whoever is meant by it."""
_WATTS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?")
_CLOCKS = re.compile(r"([0-9]{1,6})(?:\s*,\s*([0-9]{1,6}))?")


@dataclass(frozen=True, slots=True)
class Said:
    """One setting that a call sets; see model.Effect for what None means. `loses`: a reset of the GPU."""

    setting: Setting | None
    target: Target | None
    words: str
    gpus: tuple[str, ...] | None = ()
    doubt: Doubt | None = None
    loses: bool = False


def call(words: Sequence[str], varying: frozenset[int] = frozenset()) -> tuple[Said, ...]:
    """What the words after "nvidia-smi" ask for; () for a call that only reads.

    `varying` are the positions of words that a loop over several values gives.
    """
    first = next((word for word in words if word), "")
    if re.fullmatch(r"[a-z][a-z0-9-]*", first):
        return _subcommand(words) if SUBCOMMANDS.get(first, True) else ()
    parsed = _parse(words, varying)
    if isinstance(parsed, Doubt):
        return _not_understood(words, parsed)
    return parsed


def _subcommand(words: Sequence[str]) -> tuple[Said, ...]:
    if not any(word.startswith("-") for word in words[1:]):
        return ()
    why = f"`nvidia-smi {words[0]}` changes something that gpu-tuned does not hold, if it changes anything"
    return (Said(None, None, shown(words), None, Doubt(Kind.SUBCOMMAND, why)),)


def _not_understood(words: Sequence[str], doubt: Doubt) -> tuple[Said, ...]:
    names = [word.partition("=")[0] for word in words]
    sets = [OPTIONS[name] for name in names if name in OPTIONS]
    settings = dict.fromkeys(option.setting for option in sets if option.role in (Role.SETS, Role.RESETS))
    if settings:
        return tuple(Said(setting, None, shown(words), None, doubt) for setting in settings)
    reads = any(_reading(name) for name in names)
    return () if reads and doubt.kind is not Kind.COMPUTED else (Said(None, None, shown(words), None, doubt),)


def _parse(words: Sequence[str], varying: frozenset[int]) -> tuple[Said, ...] | Doubt:
    said: list[Said] = []
    gpus: tuple[str, ...] | None = ()
    reads, manner, selected = False, "", False
    rest = list(enumerate(words))
    while rest:
        at, word = rest.pop(0)
        name, equals, value = word.partition("=")
        option = OPTIONS.get(name)
        if option is None and _reading(name):
            reads = True
            continue
        if option is None or (equals and not option.takes):
            return _strange(word)
        if option.takes and not equals:
            if not rest:
                return Doubt(Kind.UNREADABLE, f"{name} has no value")
            at, value = rest.pop(0)
        if option.role is Role.WHICH:
            if selected:
                return Doubt(Kind.GPU_UNKNOWN, "two -i in one call")
            gpus, selected = _selectors(value), True
        elif option.role is Role.MANNER and value.lower() not in option.plain:
            manner = f"{name} {shown([value])} makes it something else than the GPU's own setting"
        elif option.role is Role.READS:
            reads = True
        elif option.role in (Role.SETS, Role.RESETS, Role.OTHER, Role.LOSES):
            quoted = shown([word] if equals or not option.takes else [name, value])
            said.append(_said(option, value, quoted, varying=at in varying))
    if len({each.setting for each in said if each.setting}) < sum(each.setting is not None for each in said):
        return Doubt(Kind.UNREADABLE, "one call sets the same twice")
    if reads:
        return Doubt(Kind.UNREADABLE, "one call reads and sets; what comes of it is not known") if said else ()
    if manner:
        said = [replace(each, doubt=Doubt(Kind.UNSUPPORTED, manner)) for each in said]
    return tuple(replace(each, gpus=gpus) for each in said)


def _reading(name: str) -> bool:
    return name.startswith(READING)


def _strange(word: str) -> Doubt:
    if UNKNOWN in word:
        return Doubt(Kind.COMPUTED, "what the call says is not written in the file")
    return Doubt(Kind.UNREADABLE, f"nvidia-smi has no option {shown([word])} that is known here")


def _said(option: Option, value: str, quoted: str, *, varying: bool) -> Said:
    if option.role is Role.LOSES:
        why = "a reset of the GPU takes back what was set before it"
        return Said(None, None, quoted, doubt=Doubt(Kind.UNSUPPORTED, why), loses=True)
    if option.role is Role.OTHER:
        return Said(None, None, quoted, doubt=Doubt(Kind.UNSUPPORTED, f"gpu-tuned does not hold {option.what}"))
    assert option.setting is not None
    if option.role is Role.RESETS:
        target = Symbol.DEFAULT if option.setting is Setting.APPLICATION_CLOCKS else UNLOCKED
        return Said(option.setting, target, quoted)
    if UNKNOWN in value:
        return Said(option.setting, None, quoted, doubt=Doubt(Kind.COMPUTED, "the value is not written in the file"))
    found = _target(option.setting, value)
    if found is None:
        return Said(
            option.setting, None, quoted, doubt=Doubt(Kind.UNREADABLE, f"{value!r} is no value of {option.names[0]}")
        )
    doubt = Doubt(Kind.LOOP, "a loop tries several values") if varying else None
    return Said(option.setting, found, quoted, doubt=doubt)


def mentioned(text: str) -> tuple[Said, ...]:
    """The settings whose options stand in a text, whoever is meant by them; nothing more is known."""
    found: dict[Setting | None, str] = {}
    for match in SETS.finditer(text, max(0, text.find("nvidia-smi"))):
        name = match[0].lstrip(" \t\"',[(")
        found.setdefault(OPTIONS[name].setting, name)
    return tuple(Said(setting, None, name, None) for setting, name in found.items())


def _selectors(value: str) -> tuple[str, ...] | None:
    """None: not known which. An empty selector selects nothing that can be told."""
    parts = tuple(part.strip() for part in value.split(","))
    return None if UNKNOWN in value or "%" in value or not all(parts) else parts


def _target(setting: Setting, value: str) -> Target | None:
    value = value.strip().lower()
    if setting is Setting.PERSISTENCE_MODE:
        return SWITCHES.get(value)
    if setting is Setting.COMPUTE_MODE:
        return COMPUTE_MODES.get(value)
    if setting is Setting.POWER_LIMIT:
        return PowerLimit(round(float(value) * 1000)) if _WATTS.fullmatch(value) else None
    clocks = _CLOCKS.fullmatch(value)
    if clocks is None:
        return None
    low_mhz, high_mhz = int(clocks[1]), int(clocks[2] or clocks[1])
    if setting is Setting.APPLICATION_CLOCKS:
        return ApplicationClocks(low_mhz, high_mhz) if clocks[2] else None
    return ClockLock(low_mhz, high_mhz)


def shown(words: Sequence[str]) -> str:
    """Words for a person; what is not known is an ellipsis."""
    return re.sub(f"{UNKNOWN}+", "...", " ".join(words))[:120]
