"""What each key of a policy can take, and what it means: raw TOML values to targets.

Every function reads the value at one spot and returns it, or reports what is wrong there and returns None. Limits
here only catch what no board could mean; what a given board allows is judged when the board is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    ClockLock,
    ComputeMode,
    NumaBalancing,
    PowerLimit,
)
from gpu_tuned.core.policy.numbers import Bounds, number, numeric, quantity, watts_of
from gpu_tuned.core.policy.words import Spot, plain, shown
from gpu_tuned.core.wish import Auto, Ceiling, Percent, Symbol, Target

MOST_W = 10_000
MOST_BUDGET_W = 1_000_000
MOST_MHZ = 100_000

_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(\s*)%")
_RANGE = re.compile(r"\s*([0-9]{1,6})\s*[-,]\s*([0-9]{1,6})\s*(?:[Mm][Hh][Zz])?\s*")
E = TypeVar("E", bound=Enum)


class Leave(Enum):
    """The word for no wish at all; it takes back what an earlier file said."""

    LEAVE = "leave"


def word(spot: Spot, words: type[E], allowed: str | None = None) -> E | None:
    """One of a closed set of words."""
    known = {str(member.value): member for member in words}
    if isinstance(spot.raw, str) and spot.raw in known:
        return known[spot.raw]
    spot.bad_word(known, allowed)
    return None


_POWER = (
    f'a number of watts from 1 to {MOST_W}, "max", "default", "original", a share of the maximum such as "80%", '
    "or a ceiling such as { max = 450 }"
)
_SYMBOLS = {symbol.value: symbol for symbol in Symbol}


def power_limit(spot: Spot) -> Target | None:
    """A limit, or a word for one; W in the file, mW from here on. As every reader here it reports anything else, and
    gives None."""
    raw = spot.raw
    if isinstance(raw, Mapping):
        return _ceiling(spot)
    if not isinstance(raw, str):
        limit_mw = watts_of(spot, MOST_W, _POWER)
        return None if limit_mw is None else PowerLimit(limit_mw)
    if raw in _SYMBOLS:
        return _SYMBOLS[raw]
    share = _PERCENT.fullmatch(raw)
    if share:
        percent = float(share[1])
        if 1 <= percent <= 100 and not share[2]:
            return Percent(percent)
        nearest_share = f'nearest: "{plain(min(max(percent, 1), 100))}%"'
        spot.bad('a share of the maximum is written "1%" to "100%"', nearest_share)
        return None
    hint = quantity(raw, 1, MOST_W)
    if hint:
        spot.bad(f"must be {_POWER}", hint)
    else:
        spot.bad_word(_SYMBOLS, _POWER)
    return None


def _ceiling(spot: Spot) -> Ceiling | None:
    for key in spot.raw:
        if key == "min":
            spot.at(key).missing("a power limit is one number and has no minimum; leave min out")
        elif key != "max":
            spot.at(key).unknown(("max",), {})
    if "max" not in spot.raw:
        spot.bad("a ceiling needs max, such as { max = 450 }")
        return None
    allowed = f"a number of watts from 1 to {MOST_W}"
    limit_mw = watts_of(spot.at("max"), MOST_W, allowed)
    return None if limit_mw is None or len(spot.raw) > 1 else Ceiling(PowerLimit(limit_mw))


def _mhz(spot: Spot, allowed: str, least_mhz: int = 1) -> int | None:
    value = numeric(spot, Bounds(least_mhz, MOST_MHZ, allowed, unit="kHz", small="GHz", places=0))
    return None if value is None else int(value)


_MHZ = f"a whole number of MHz from 1 to {MOST_MHZ}"
_CLOCK = (
    f"{_MHZ}, a range such as {{ min = 2400, max = 2550 }}, a maximum such as {{ max = 2550 }}, "
    '"unlocked" or "original"'
)
_CLOCK_WORDS: dict[str, Target] = {"unlocked": UNLOCKED, "original": Symbol.ORIGINAL}
_MEANS_UNLOCKED = ("default", "reset", "none", "off", "unlock", "no", "max", "auto")


def clock_lock(spot: Spot) -> Target | None:
    """One clock, a range, or a word; MHz."""
    raw = spot.raw
    if isinstance(raw, Mapping):
        return _clock_range(spot)
    if isinstance(raw, str) and raw in _CLOCK_WORDS:
        return _CLOCK_WORDS[raw]
    pair = _pair_of(raw)
    if pair:
        spot.bad(f"must be {_CLOCK}", f"write {{ min = {min(pair)}, max = {max(pair)} }}")
        return None
    if isinstance(raw, str) and quantity(raw, 1, MOST_MHZ) is None:
        meant = "unlocked" if raw.strip().lower() in _MEANS_UNLOCKED else None
        spot.bad_word(_CLOCK_WORDS, _CLOCK, meant)
        return None
    mhz = _mhz(spot, _CLOCK)
    return None if mhz is None else ClockLock(mhz, mhz)


def _pair_of(raw: object) -> tuple[int, int] | None:
    """Two clocks written as nvidia-smi takes them ("2400,2550") or as a list."""
    if isinstance(raw, str):
        found = _RANGE.fullmatch(raw)
        return (int(found[1]), int(found[2])) if found else None
    if isinstance(raw, list) and len(raw) == 2:
        low, high = (number(item) for item in raw)
        if low is not None and high is not None and 0 < low <= MOST_MHZ and 0 < high <= MOST_MHZ:
            return int(low), int(high)
    return None


def _clock_range(spot: Spot) -> ClockLock | None:
    for key in spot.raw:
        if key not in ("min", "max"):
            spot.at(key).unknown(("min", "max"), {})
    max_mhz = _mhz(spot.at("max"), _MHZ) if "max" in spot.raw else None
    min_mhz = 0
    if "min" in spot.raw:
        asked_mhz = _mhz(spot.at("min"), f"a whole number of MHz from 0 to {MOST_MHZ}, 0 for no minimum", 0)
        if asked_mhz is None:
            return None
        min_mhz = asked_mhz
    if "max" not in spot.raw:
        spot.bad("a range needs max, for the driver takes both ends", "write { min = 2400, max = 2550 }")
    if max_mhz is None or not set(spot.raw) <= {"min", "max"}:
        return None
    if min_mhz > max_mhz:
        spot.bad("min is above max", f"write {{ min = {max_mhz}, max = {min_mhz} }}")
        return None
    return ClockLock(min_mhz, max_mhz)


_APPLICATION = 'a pair such as { memory = 2619, gpu = 1755 }, "default" or "original"'
_APPLICATION_WORDS = {"default": Symbol.DEFAULT, "original": Symbol.ORIGINAL}


def application_clocks(spot: Spot) -> Target | None:
    """A pair, memory and GPU, MHz; or a word."""
    raw = spot.raw
    if isinstance(raw, str) and raw in _APPLICATION_WORDS:
        return _APPLICATION_WORDS[raw]
    if isinstance(raw, str):
        spot.bad_word(_APPLICATION_WORDS, _APPLICATION)
        return None
    if not isinstance(raw, Mapping):
        spot.bad(f"must be {_APPLICATION}, for the driver sets both clocks together")
        return None
    for key in raw:
        if key not in ("memory", "gpu"):
            spot.at(key).unknown(("memory", "gpu"), {})
    for key in ("memory", "gpu"):
        if key not in raw:
            spot.bad(f"{key} is missing, and the driver sets both clocks together", f"write {_APPLICATION}")
    clocks = {key: _mhz(spot.at(key), _MHZ) for key in ("memory", "gpu") if key in raw}
    memory_mhz, gpu_mhz = clocks.get("memory"), clocks.get("gpu")
    if memory_mhz is None or gpu_mhz is None or len(raw) > 2:
        return None
    return ApplicationClocks(memory_mhz, gpu_mhz)


_MODES: dict[str, Target] = {**{mode.value: mode for mode in ComputeMode}, "original": Symbol.ORIGINAL}
_NVML_MODES = {0: ComputeMode.DEFAULT, 2: ComputeMode.PROHIBITED, 3: ComputeMode.EXCLUSIVE_PROCESS}


def compute_mode(spot: Spot) -> Target | None:
    """A mode by its name; NVML's numbers are told by the name that they stand for."""
    if isinstance(spot.raw, str) and spot.raw in _MODES:
        return _MODES[spot.raw]
    meant = None if isinstance(spot.raw, (bool, float, list)) else _nvml_mode(spot.raw)
    spot.bad_word(_MODES, meant=meant)
    return None


def _nvml_mode(raw: object) -> str | None:
    mode = _NVML_MODES.get(raw) if isinstance(raw, int) else None
    return mode.value if mode else None


_SWITCH_WORDS: dict[str, Target] = {"auto": Auto.AUTO, "original": Symbol.ORIGINAL}
_MEANS_TRUE = ("on", "yes", "true", "enabled", "1")
_MEANS_FALSE = ("off", "no", "false", "disabled", "0")


def switch(spot: Spot) -> Target | None:
    """true, false, or a word for what the machine or the past decides."""
    if isinstance(spot.raw, bool):
        return spot.raw
    if isinstance(spot.raw, str) and spot.raw in _SWITCH_WORDS:
        return _SWITCH_WORDS[spot.raw]
    allowed = 'true, false, "auto" (on where the machine has no battery) or "original"'
    said = shown(spot.raw).strip('"').lower()
    if said in _MEANS_TRUE or said in _MEANS_FALSE:
        spot.bad(f"must be {allowed}", f"write {'true' if said in _MEANS_TRUE else 'false'}")
    else:
        spot.bad_word(_SWITCH_WORDS, allowed)
    return None


def numa_balancing(spot: Spot) -> Target | Leave | None:
    """A word; `Leave.LEAVE` wishes nothing."""
    words: dict[str, Target | Leave] = {Leave.LEAVE.value: Leave.LEAVE}
    words |= {mode.value: mode for mode in (NumaBalancing.OFF, NumaBalancing.ON)}
    words |= {Auto.AUTO.value: Auto.AUTO, Symbol.ORIGINAL.value: Symbol.ORIGINAL}
    if isinstance(spot.raw, str) and spot.raw in words:
        return words[spot.raw]
    is_switch = isinstance(spot.raw, int) and spot.raw in (0, 1)
    spot.bad_word(words, meant=("on" if spot.raw else "off") if is_switch else None)
    return None
