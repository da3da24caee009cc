"""The words that systemd makes of a line: its quotes, and C's escapes in and outside of them (systemd.syntax(7))."""

from __future__ import annotations

import re
from typing import NamedTuple

_WHITESPACE = " \t\n\r"
_LETTERS = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "s": " ", **dict.fromkeys("\\\"'")}
_ESCAPE = re.compile(
    r"(?P<letter>[abfnrtvs\\\"'])|x(?P<byte>[0-9A-Fa-f]{2})|(?P<octal>[0-3][0-7]{2})"
    r"|u(?P<short>[0-9A-Fa-f]{4})|U(?P<long>[0-9A-Fa-f]{8})"
)


class Word(NamedTuple):
    """One word; `raw`: as it stands there, so that a quoted semicolon is told from one that ends a command; `known`:
    whether systemd knows every escape in it."""

    text: str
    raw: str
    known: bool = True


def split(line: str) -> list[Word] | None:
    """The words of a line; None where its quotes do not end. An escape that systemd does not know stays as it is, as
    it does in a command."""
    words: list[Word] = []
    at = 0
    while at < len(line):
        if line[at] in _WHITESPACE:
            at += 1
            continue
        end, word = _word(line, at)
        if word is None:
            return None
        words.append(word)
        at = end
    return words


def _word(line: str, begin: int) -> tuple[int, Word | None]:
    """The word that begins there, and where it ends."""
    made, quote, known, at = bytearray(), "", True, begin
    while at < len(line) and (quote or line[at] not in _WHITESPACE):
        char = line[at]
        at += 1
        if char == "\\":
            taken, value = _escape(line, at)
            if value is None:
                known = False
                value = f"\\{line[at : at + 1]}".encode("utf-8", "surrogateescape")
            made += value
            at += taken
        elif char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
        else:
            made += char.encode("utf-8", "surrogateescape")
    text = made.decode("utf-8", "surrogateescape")
    return at, None if quote else Word(text, line[begin:at], known)


def _escape(line: str, at: int) -> tuple[int, bytes | None]:
    """How many characters behind a backslash belong to it, and what they stand for; None: systemd does not know."""
    found = _ESCAPE.match(line, at)
    if found is None:
        return 1, None
    if found["letter"]:
        return 1, (_LETTERS[found["letter"]] or found["letter"]).encode()
    code = int(found["octal"], 8) if found["octal"] else int(found["byte"] or found["short"] or found["long"], 16)
    if code == 0 or code > 0x10FFFF:
        return 1, None
    one = found["byte"] or found["octal"]
    return len(found[0]), bytes([code]) if one else chr(code).encode("utf-8", "surrogatepass")
