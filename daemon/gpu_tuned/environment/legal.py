"""Whether a value is one that the reader takes.

The rules lean towards letting through (packaging/environment/legal.txt): False means that the reader is known to
refuse the value, to ignore it, or to take it for something else.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.environment.facts import Value

_RANGE = re.compile(r"(?P<above>\(?)(?P<low>-?[\d.]*?)\.\.(?P<high>-?[\d.]*)(?: (?P<words>\S+))?")


def is_legal(value: Value, text: str) -> bool | None:
    """Whether `text`, as the process gets it, is legal for the variable; None where no rule is known.

    A presence variable takes any text, so it is always legal; that "0" switches it on is for the caller to say.
    """
    words = value.argument.split("|")
    if value.rule == "one-of":
        return text in words
    if value.rule == "any-case":
        return text.lower() in {word.lower() for word in words}
    if value.rule == "items":
        known = {word.lower() for word in words}
        return all(item.strip().lower() in known for item in text.removeprefix("^").split(","))
    if value.rule == "match":
        return re.fullmatch(value.argument, text) is not None
    if value.rule in ("integer", "number"):
        return _within(value.argument, text, whole=value.rule == "integer")
    return True if value.rule == "presence" else None


def illegal_items(value: Value, text: str) -> list[str]:
    """For an "items" rule: those of `text` that are no legal word."""
    known = {word.lower() for word in value.argument.split("|")}
    return [item.strip() for item in text.removeprefix("^").split(",") if item.strip().lower() not in known]


def nearest(value: Value, text: str) -> str:
    """The legal value nearest to `text` where a rule knows one, else ""."""
    if value.rule in ("one-of", "any-case"):
        from difflib import get_close_matches

        words = value.argument.split("|")
        folded = {word.lower(): word for word in reversed(words)}
        near = get_close_matches(text.lower(), folded, 1, 0.5)
        if near:
            return folded[near[0]]
        switches = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}
        switch = switches.get(text.lower(), "")
        return switch if switch in words else ""
    if value.rule in ("integer", "number"):
        match = _RANGE.fullmatch(value.argument)
        number = _number(text, whole=False)
        if match and number is not None:
            if match["high"] and number > float(match["high"]):
                return match["high"]
            if match["low"] and number < float(match["low"]) and not match["above"]:
                return match["low"]
    return ""


def _within(argument: str, text: str, *, whole: bool) -> bool:
    match = _RANGE.fullmatch(argument)
    assert match is not None, argument
    if text in (match["words"] or "").split("|") and text:
        return True
    number = _number(text, whole=whole)
    if number is None:
        return False
    low, high = match["low"], match["high"]
    above = not low or (number > float(low) if match["above"] else number >= float(low))
    return above and (not high or number <= float(high))


def _number(text: str, *, whole: bool) -> float | None:
    pattern = r"\s*[+-]?\d+\s*" if whole else r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
    return float(text) if re.fullmatch(pattern, text) else None
