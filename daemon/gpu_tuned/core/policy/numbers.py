"""Numbers in a policy: as they were written, inside their bounds, and a guess at what a wrong one meant."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from gpu_tuned.core.policy.words import Spot, plain

_QUANTITY = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)\s*")
_FACTORS: dict[str, int | Decimal] = {"": 1, "w": 1, "watt": 1, "watts": 1, "mw": Decimal("0.001"), "kw": 1000}
_FACTORS |= {"mhz": 1, "ghz": 1000, "s": 1, "sec": 1, "seconds": 1, "ms": Decimal("0.001")}


def number(raw: object) -> Decimal | None:
    """A finite number as it was written, None for anything else. In TOML, true is no number."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return None
    if isinstance(raw, int) and raw.bit_length() > 256:
        return Decimal("1e77") if raw > 0 else Decimal("-1e77")
    value = Decimal(repr(raw))  # repr gives the digits of the file: 450.001 and not 450.00099999999998
    return value if value.is_finite() else None


def quantity(raw: object, least: float, most: float) -> str | None:
    """What to write instead of a number given as text, such as "450W"; None where nothing can be made of it."""
    found = _QUANTITY.fullmatch(raw) if isinstance(raw, str) else None
    factor = _FACTORS.get(found[2].lower()) if found else None
    if found is None or factor is None:
        return None
    value = float(Decimal(found[1]) * factor)
    if not least <= value <= most:
        return None
    return f"write {plain(value)}" + (", the unit is in the key" if found[2] else " without quotes")


class Bounds(NamedTuple):
    """Which numbers a key takes: from `least` to `most` with at most `places` decimals; `allowed` says so in words.
    `unit` names a thousandth of the key's unit and `small` a thousandfold, for hints."""

    least: float
    most: float
    allowed: str
    unit: str = ""
    small: str = ""
    places: int = 3


def numeric(spot: Spot, bounds: Bounds) -> Decimal | None:
    """A number within its bounds."""
    least, most, allowed, places = bounds.least, bounds.most, bounds.allowed, bounds.places
    value = number(spot.raw)
    if value is None:
        spot.bad(f"must be {allowed}", quantity(spot.raw, least, most))
        return None
    thousandfold = value * 1000
    if bounds.small and value < 100 and least <= thousandfold <= most and round(thousandfold) == thousandfold:
        guess = f"if that is {bounds.small}, write {plain(float(thousandfold))}"
    else:
        guess = ""
    # A bound such as 0.1 is a float a little above its own digits, which the number in the file is not.
    if Decimal(repr(least)) <= value <= Decimal(repr(most)):
        if round(value, places) == value:
            return value
        decimals = f"at most {places} decimals are allowed" if places else "must be a whole number"
        spot.bad(decimals, guess or f"nearest: {plain(round(float(value), places))}")
        return None
    if value > most and bounds.unit and value <= most * 1000:
        guess = f"if that is {bounds.unit}, write {plain(float(value) / 1000)}"
    spot.bad(f"must be {allowed}", guess or f"nearest: {plain(least if value < least else most)}")
    return None


def watts_of(spot: Spot, most_w: int, allowed: str) -> int | None:
    """A number of watts as milliwatts."""
    value = numeric(spot, Bounds(1, most_w, allowed, unit="milliwatts", small="kilowatts"))
    return None if value is None else int(value * 1000)
