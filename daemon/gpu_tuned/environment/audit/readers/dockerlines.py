"""The logical lines of a Dockerfile: what is continued is joined, heredocs are taken out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_tuned.environment.audit.model import Place

_HEREDOC = re.compile(r"(?<![<\w])\d*<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_.-]*)\2")
_ESCAPE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*", re.IGNORECASE)


@dataclass(slots=True)
class Line:
    """A logical line: continued lines joined, and where each piece of it came from."""

    text: str
    pieces: list[tuple[int, int]]
    """(offset in text, number of the physical line from 1)"""
    heredocs: str = ""

    def place(self, file: str, at: int) -> Place:
        offset, number = 0, self.pieces[0][1]
        for piece in self.pieces:
            if piece[0] > at:
                break
            offset, number = piece
        return Place(file, number, at - offset + 1)


def lines_of(text: str) -> Iterator[Line]:
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape = "\\"
    number = 0
    while number < len(lines) and lines[number].startswith("#"):
        if found := _ESCAPE.fullmatch(lines[number]):
            escape = found[1]
        number += 1
    number = 0
    while number < len(lines):
        raw = lines[number]
        number += 1
        if not raw or raw.isspace() or raw.lstrip().startswith("#"):
            continue
        line = Line(raw, [(0, number)])
        if raw.rstrip(" \t").endswith(escape):
            number = _continued(line, lines, number, escape)
        if escape == "`":
            line.text = line.text.replace("\\", "\\\\").replace("`", "\\")
        if "<<" in line.text and re.match(r"\s*(ONBUILD\s+)?(RUN|COPY|ADD)\b", line.text, re.IGNORECASE):
            number = _heredocs(line, lines, number)
        yield line


def _continued(line: Line, lines: list[str], number: int, escape: str) -> int:
    parts = [line.text.rstrip(" \t")[:-1]]
    length = len(parts[0])
    while number < len(lines):
        raw = lines[number]
        number += 1
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        line.pieces.append((length, number))
        ends = raw.rstrip(" \t")
        goes_on = ends.endswith(escape)
        parts.append(ends[:-1] if goes_on else raw)
        length += len(parts[-1])
        if not goes_on:
            break
    line.text = "".join(parts)
    return number


def _heredocs(line: Line, lines: list[str], number: int) -> int:
    """Takes the bodies of the heredocs that the line begins; they are no instructions."""
    bodies = []
    for dash, _, name in _HEREDOC.findall(line.text):
        while number < len(lines):
            raw = lines[number]
            number += 1
            if (raw.lstrip("\t") if dash else raw) == name:
                break
            bodies.append(raw)
    line.heredocs = "\n".join(bodies)
    return number
