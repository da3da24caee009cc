"""Answers that no board can mean: a driver that says SUCCESS and garbage costs one reading, never the daemon."""

from __future__ import annotations

import math

from gpu_tuned.core.model import PowerLimit, PowerRange, Unread, watts

MOST_MW = 100_000_000
"""100 kW: more than any board, and below what an unsigned -1 reads as."""
MOST_MHZ = 100_000
LONGEST_NS = 10**18
"""31 years: no counter since the driver was loaded."""


def power_limit(milliwatts: int) -> PowerLimit | Unread:
    """A limit in mW as the driver answered it; `Unread` where it is no limit."""
    if 0 < milliwatts <= MOST_MW:
        return PowerLimit(milliwatts)
    return Unread(f"the driver answers {watts(milliwatts)} W, which is no limit")


def power_range(least_mw: int, most_mw: int, default_mw: int) -> PowerRange | str:
    """The range, or what is wrong with it."""
    if 0 < least_mw <= most_mw <= MOST_MW and 0 < default_mw <= MOST_MW:
        return PowerRange(min_mw=least_mw, max_mw=most_mw, default_mw=default_mw)
    named = f"{watts(least_mw)} to {watts(most_mw)} W, default {watts(default_mw)} W"
    return f"the driver names an impossible range ({named})"


def clock(mhz: int | None) -> int | None:
    """0 is a clock: an RTX 3090 idles at it."""
    return within(mhz, 0, MOST_MHZ)


def within(value: int | None, least: int, most: int) -> int | None:
    """The value; None for one that lies outside."""
    return value if value is not None and least <= value <= most else None


def whole(value: float) -> int | None:
    """A whole number; None for NaN and infinity."""
    return int(value) if math.isfinite(value) else None
