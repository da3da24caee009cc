"""Command lines taken apart: as a shell would, as systemd would, and what an `env A=b` before a command sets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Word:
    """One word without its quotes, and where it begins in the text (from 0)."""

    text: str
    at: int
    quoted: bool = False


def split(text: str, *, escapes: bool = True) -> list[Word]:
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


# The beginning of a shell statement, then assignments: exported, or before a command.
_STATEMENT = re.compile(
    r"""(?:^|[;&|\n("'])[ \t]*(?:(?:exec|then|do|env)[ \t]+)*(?P<export>export[ \t]+)?"""
    r"""(?P<all>(?:[A-Za-z_][A-Za-z0-9_]*=(?:"[^"\n]*"|'[^'\n]*'|[^\s;&|"'()]*)[ \t]*)+)(?P<command>[^\s;&|)]?)"""
)
_EACH = re.compile(r"""([A-Za-z_][A-Za-z0-9_]*)=("[^"\n]*"|'[^'\n]*'|[^\s;&|"'()]*)""")


def shell_assignments(text: str) -> Iterator[tuple[str, str | None, int]]:
    """What a shell script exports or sets for one command: (name, value, place in the text). The value is None where
    the shell works it out."""
    if "=" not in text:
        return
    for statement in _STATEMENT.finditer(text):
        if statement["export"] or statement["command"]:
            for match in _EACH.finditer(statement["all"]):
                value = match[2]
                quoted = value[:1] == "'"
                plain = value.strip("'") if quoted else value.strip('"')
                known = plain if quoted or not re.search(r"[$`\\]", plain) else None
                yield match[1], known, statement.start("all") + match.start()


def script_of(words: Sequence[str]) -> str:
    """The script of `sh -c SCRIPT`, "" where the words are none."""
    for at, word in enumerate(words[:-1]):
        if word.startswith("-") and not word.startswith("--") and word.endswith("c"):
            shell = words[at - 1].rsplit("/", 1)[-1] if at else ""
            return words[at + 1] if shell in ("sh", "bash", "dash", "ash", "zsh") else ""
    return ""
