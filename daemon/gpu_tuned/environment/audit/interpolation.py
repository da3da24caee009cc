"""`${NAME}` in Compose files and in the env files that Compose reads.

What a name stands for is not in the file, so a value with one is known only as far as its default goes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_EMPTY: Mapping[str, str] = {}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_DEEP = 20


def interpolate(text: str, known: Mapping[str, str] = _EMPTY) -> tuple[str | None, set[str]]:
    """The text with what it refers to put in, as far as `known` (the .env file) or a default says; None where
    that is not far enough. And the names that it refers to."""
    expanding = _Expanding(text, known)
    value, end = expanding.expand(0, "", 0)
    return (value if end == len(text) else None), expanding.used


class _Expanding:
    def __init__(self, text: str, known: Mapping[str, str]) -> None:
        self._text, self._known = text, known
        self.used: set[str] = set()

    def expand(self, at: int, until: str, depth: int) -> tuple[str | None, int]:
        """Expands from `at` to the first unnested `until` ("": to the end)."""
        text = self._text
        parts: list[str | None] = []
        while at < len(text) and text[at] != until:
            if text[at] != "$":
                following = re.compile(r"[^$}]+|\}").match(text, at)
                parts.append(following[0] if following else text[at])
                at += len(following[0]) if following else 1
                continue
            if text[at + 1 : at + 2] == "$":
                parts.append("$")
                at += 2
                continue
            braced = text[at + 1 : at + 2] == "{"
            name = _NAME.match(text, at + 1 + braced)
            if not name or depth > _MOST_DEEP:
                parts.append(None)
                at += 1
                continue
            self.used.add(name[0])
            at = name.end()
            value = self._known.get(name[0])
            if braced:
                value, at = self._with_default(at, value, depth)
            parts.append(value)
        whole = None if None in parts else "".join(part for part in parts if part is not None)
        return whole, at

    def _with_default(self, at: int, value: str | None, depth: int) -> tuple[str | None, int]:
        """Behind the name in braces: `}`, `:-default}`, `-default}`, `:?error}`, `:+other}`."""
        operator = re.compile(r":?[-?+]").match(self._text, at)
        if not operator:
            return value, self._text.find("}", at) + 1 or len(self._text)
        word, at = self.expand(operator.end(), "}", depth + 1)
        at = min(at + 1, len(self._text))
        if operator[0].endswith("-"):
            unset = value is None or (value == "" and operator[0] == ":-")
            return (word if unset else value), at
        if operator[0].endswith("+"):
            return (word if value else None), at
        return value, at


def names_in(text: str) -> set[str]:
    """Names that a shell, Compose or a Dockerfile would expand in `text`."""
    return set(re.findall(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)", text)) if "$" in text else set()
