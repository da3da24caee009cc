"""Colour and the width of a line. Nothing here knows what is being said."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

WIDTH = 80  # the narrowest terminal that people still have; wider ones get the same, so that pasted text looks so too

_CODES = {"good": "1;32", "bad": "1;31", "warn": "33", "dim": "2", "bold": "1"}


class Colour:
    """Paints words where colour is wanted, and leaves them alone elsewhere."""

    __slots__ = ("on",)

    def __init__(self, *, on: bool) -> None:
        self.on = on

    def __call__(self, style: str, text: str) -> str:
        """`text` in `style` ("good", "bad", "warn", "dim", "bold", or "" for none)."""
        code = _CODES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and code and text.strip() else text


def colour_for(stream: TextIO, *, no_color: bool) -> Colour:
    """Colour on a terminal only, and not where --no-color, NO_COLOR (https://no-color.org) or TERM=dumb speak."""
    plain = no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Colour(on=not plain and stream.isatty())


def clean(text: str) -> str:
    """Free text from elsewhere, on one line: a policy's `reason` must not be able to steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def wrap(text: str, first: str = "", rest: str | None = None, width: int = WIDTH) -> list[str]:
    """`text` in lines of at most `width` columns; the first begins with `first`, the others with `rest`."""
    rest = " " * len(first) if rest is None else rest
    lines: list[str] = []
    line, empty = first, True
    for word in _together(clean(text)):
        while True:
            gap = "" if empty else " "
            if len(line) + len(gap) + len(word) <= width:
                line, empty = line + gap + word, False
                break
            if not empty:
                lines.append(line)
                line, empty = rest, True
            else:  # longer than a whole line: cut, for a line that runs over breaks everything below it
                room = max(1, width - len(line))
                lines.append(line + word[:room])
                word, line = word[room:], rest
    if not empty or not lines:
        lines.append(line)
    return [line.rstrip() for line in lines]


def _together(text: str) -> list[str]:
    """The words of a text, with those as one that are read or copied as one: "11 %", "`gpu-tunedctl apply`"."""
    words = text.split()
    if "`" not in text and " %" not in text:
        return words
    found: list[str] = []
    for at, word in enumerate(words):
        if found and (word.startswith("%") or (found[-1].count("`") % 2 and "`" in " ".join(words[at : at + 4]))):
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def complain(text: str) -> None:
    """A line on standard error; dropped where that is closed or full: the exit code must come out all the same."""
    try:
        if sys.stderr is not None:
            print(clean(text), file=sys.stderr)
    except (OSError, ValueError):
        pass


def say(lines: list[str]) -> None:
    """Print to standard output in one write."""
    sys.stdout.write("\n".join(lines) + "\n" if lines else "")
