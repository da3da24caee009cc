"""Lengths of time as people type them."""

from __future__ import annotations

import argparse

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration_s(text: str) -> float:
    """A length of time ("90s", "10m", "1h30m", "2d", up to 366 days) in seconds. Raises ArgumentTypeError; also for a
    number alone, for want of a unit."""
    total, digits = 0.0, ""
    for letter in text:
        if letter in "0123456789.":
            digits += letter
        elif letter in _UNITS_S and digits.strip(".") and digits.count(".") < 2:
            total += float(digits) * _UNITS_S[letter]
            digits = ""
        else:
            digits = "?"
            break
    if digits or not 0 < total <= 366 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time; write 90s, 10m, 1h30m or 2d")
    return total


def seconds_or_duration_s(text: str) -> float:
    """The same, and a number alone, which is seconds. Raises ArgumentTypeError."""
    return duration_s(f"{text}s" if text[-1:].isdigit() else text)
