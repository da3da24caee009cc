"""How the policy's parser speaks: one sentence a problem, with file, key, what was found and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpu_tuned.core.errors import PolicyError

SHOWN_AT_MOST = 60
"""Characters of a value or key that a message repeats: a message is for reading, the file has the rest."""

REPORTED_AT_MOST = 50
"""Problems spelled out; of a file that is wrong throughout the rest is only counted."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
_UNIT = re.compile(r"_(?:mw|kw|w|watts?|khz|mhz|ghz|hz|ms|s|sec|seconds)$")


def shown(raw: object, depth: int = 2) -> str:
    """A value as TOML writes it, on one line and cut to a length that can be read."""
    text = _toml(raw, depth)
    return text if len(text) <= SHOWN_AT_MOST else text[: SHOWN_AT_MOST - 3] + "..."


def shown_line(text: str, number: int) -> str:
    """The line of this number (from 1) as a message repeats it; "" of an empty one."""
    line = "".join(text.split("\n", number)[number - 1 : number]).strip()
    line = "".join(c if c.isprintable() else " " for c in line[: SHOWN_AT_MOST + 1])
    return line if len(line) <= SHOWN_AT_MOST else line[: SHOWN_AT_MOST - 3] + "..."


def _toml(raw: object, depth: int) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int):
        # Python refuses to spell integers of thousands of digits, which TOML's hexadecimal can bring.
        return str(raw) if raw.bit_length() <= 256 else f"an integer of {raw.bit_length()} bits"
    if isinstance(raw, str):
        return '"' + "".join(_character(c) for c in raw[: SHOWN_AT_MOST + 1]) + '"'
    if isinstance(raw, Mapping):
        if not raw or not depth:
            return "{ ... }" if raw else "{}"
        inside = [f"{_key(k)} = {_toml(raw[k], depth - 1)}" for k in list(raw)[:5]]
        return "{ " + ", ".join(inside) + " }"
    if isinstance(raw, list):
        if not raw or not depth:
            return "[...]" if raw else "[]"
        return "[" + ", ".join(_toml(item, depth - 1) for item in raw[:5]) + "]"
    return str(raw)[: SHOWN_AT_MOST + 1]


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\u{ord(character):04X}"


def _key(key: object) -> str:
    return key if isinstance(key, str) and _BARE_KEY.fullmatch(key) else shown(key)


def plain(number: float) -> str:
    """A number without an exponent or trailing zeros: 450.0 is "450"."""
    return f"{number:.3f}".rstrip("0").rstrip(".")


def nearest(word: object, known: Collection[str]) -> str | None:
    """The known word that `word` most likely meant, or None where none is close."""
    if not isinstance(word, str):
        return None
    meant = word[:SHOWN_AT_MOST].strip().lower().replace("-", "_").replace(" ", "_")
    if meant in known:
        return meant
    from difflib import get_close_matches  # a policy without a fault does not pay for it

    return next(iter(get_close_matches(meant, sorted(known), 1, 0.6)), None)


def either(words: Collection[str]) -> str:
    """'"keep" or "restore"', in the order given."""
    quoted = [f'"{word}"' for word in words]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]


@dataclass(slots=True)
class Problems:
    """The sentences gathered while one policy is parsed."""

    sentences: list[str] = field(default_factory=list)
    uncounted: int = 0

    def add(self, sentence: Callable[[], str]) -> None:
        """`sentence` is called only if it will be shown: nearest words for a file broken throughout take minutes."""
        if len(self.sentences) < REPORTED_AT_MOST:
            self.sentences.append(sentence())
        else:
            self.uncounted += 1

    def raise_if_any(self) -> None:
        """Raises PolicyError with everything found."""
        if self.uncounted:
            raise PolicyError((*self.sentences, f"and {self.uncounted} more problems like these"))
        if self.sentences:
            raise PolicyError(tuple(self.sentences))


@dataclass(frozen=True, slots=True)
class Spot:
    """One place in one file and the value that stands there. `where` is the key path ("gpu[0].match"), "" for the
    whole file."""

    file: str
    where: str
    raw: Any
    problems: Problems
    key: str = ""

    def at(self, key: str) -> Spot:
        """The spot of one key of this table."""
        path = f"{self.where}.{_key(key)}" if self.where else _key(key)
        return Spot(self.file, path, self.raw[key], self.problems, key)

    def item(self, index: int) -> Spot:
        """The spot of one item of this list."""
        return Spot(self.file, f"{self.where}[{index}]", self.raw[index], self.problems)

    def bad(self, allowed: str, hint: str | None = None) -> None:
        """Report that this value is not what is allowed."""
        tail = f"; {hint}" if hint else ""
        self.problems.add(lambda: f"{self.file}: {self.where} = {shown(self.raw)}: {allowed}{tail}")

    def missing(self, what: str) -> None:
        """Report something that should stand here and does not."""
        self.problems.add(lambda: f"{self.file}: {self.where + ': ' if self.where else ''}{what}")

    def bad_word(self, known: Collection[str], allowed: str | None = None, meant: str | None = None) -> None:
        """Report a word that is none of the known ones, with the nearest of them (or with `meant`)."""

        def sentence() -> str:
            near = meant or nearest(self.raw, known)
            tail = f'; nearest: "{near}"' if near else ""
            return f"{self.file}: {self.where} = {shown(self.raw)}: must be {allowed or either(known)}{tail}"

        self.problems.add(sentence)

    def unknown(self, known: Collection[str], elsewhere: Mapping[str, str]) -> None:
        """Report a key that does not belong here. `elsewhere`: where a key known to us does belong."""
        self.problems.add(lambda: f"{self.file}: {self.where}: {self._unknown(known, elsewhere)}")

    def _unknown(self, known: Collection[str], elsewhere: Mapping[str, str]) -> str:
        if self.key in elsewhere:
            return f"does not belong here, but {elsewhere[self.key]}"
        stem = _UNIT.sub("", self.key[:SHOWN_AT_MOST].lower())
        for name in known:
            if _UNIT.sub("", name) == stem and name != stem:
                unit = _UNIT.search(name)
                if stem == self.key.lower() or unit is None:
                    return f"no such key; write {name}, the unit is in the key"
                return f"no such key; write {name}, its unit is {_UNITS[unit.group()]}"
        near = nearest(self.key, known)
        if near:
            return f"no such key; nearest: {near}"
        return f"no such key; known here: {', '.join(known)}"


_UNITS = {"_w": "watts", "_mhz": "MHz", "_s": "seconds"}
Reader = Callable[[Spot], Any]
"""Reads one value. Reports to the spot and returns None where the key cannot take it."""


def read_table(spot: Spot, readers: Mapping[str, Reader], elsewhere: Mapping[str, str]) -> dict[str, Any]:
    """Read a table key by key; keys that are unknown or whose value is bad are reported and left out."""
    if not isinstance(spot.raw, Mapping):
        spot.bad("must be a table")
        return {}
    values = {}
    for key in spot.raw:
        reader = readers.get(key)
        if reader is None:
            spot.at(key).unknown(readers, elsewhere)
        else:
            value = reader(spot.at(key))
            if value is not None:
                values[key] = value
    return values
