"""Command lines taken apart: as a shell would, as systemd would, and what an `env A=b` before a command sets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Word:
    """One word without its quotes, and where it begins in the text (from 0)."""

    text: str
    at: int
    quoted: bool = False


def split(text: str, escapes: bool = True) -> list[Word]:
    """Words between white space; quotes hold them together wherever they stand. Never fails: an open quote ends
    with the text."""
    words: list[Word] = []
    parts: list[str] = []
    start, quote, quoted, at = -1, "", False, 0
    while at < len(text):
        letter = text[at]
        if quote:
            if letter == quote:
                quote = ""
            elif letter == "\\" and quote == '"' and escapes and at + 1 < len(text):
                at += 1
                parts.append(text[at] if text[at] in '"\\$`\n' else "\\" + text[at])
            else:
                parts.append(letter)
        elif letter.isspace():
            if start >= 0:
                words.append(Word("".join(parts), start, quoted))
                parts, start, quoted = [], -1, False
        else:
            start = at if start < 0 else start
            if letter in "'\"":
                quote, quoted = letter, True
            elif letter == "\\" and escapes and at + 1 < len(text):
                at += 1
                parts.append(text[at])
            else:
                parts.append(letter)
        at += 1
    if start >= 0:
        words.append(Word("".join(parts), start, quoted))
    return words


def command_of(text: str) -> tuple[str, ...]:
    """CMD, ENTRYPOINT, `command:` or `args:` as one string: JSON where it is, else shell words."""
    text = text.strip()
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return tuple(str(word) for word in found)
    return tuple(word.text for word in split(text))


def leading_assignments(words: list[Word]) -> Iterator[tuple[Word, str, str]]:
    """`NAME=value` before the command itself, also behind `env` with its options; as (word, name, value)."""
    behind_env = False
    skip = False
    for word in words:
        if skip:
            skip = False
        elif match := _ASSIGNMENT.fullmatch(word.text):
            yield word, match[1], match[2]
        elif word.text.lstrip("-@+!:").rsplit("/", 1)[-1] == "env":
            behind_env = True
        elif behind_env and word.text.startswith("-"):
            skip = word.text in ("-u", "-C", "-S", "--unset", "--chdir")
        else:
            return
