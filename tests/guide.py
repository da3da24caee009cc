"""What the widely copied RTX 5090 guide says, taken apart: headings, commands, variables, lists, promises."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

GUIDE = Path(__file__).parent / "unit" / "data" / "guide" / "gpu-optimizations.md"
_HEADING = re.compile(r"^#{1,6} (.+)$")
_ENV = re.compile(r"^\s*(?:ENV |- )([A-Z][A-Z0-9_]+)=")
_ITEM = re.compile(r"^\s*(?:-|\d+\.) (.+)$")
_NOISE = re.compile(r"#|set -e$|echo \"[^|]*$")


@dataclass(slots=True)
class Guide:
    """Each list in the order of the document, without repeats."""

    headings: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    promises: list[str] = field(default_factory=list)


def read(text: str | None = None) -> Guide:
    """Take the guide apart; `text` for another one of its kind."""
    guide, fence, heredoc = Guide(), "", ""
    for line in (GUIDE.read_text() if text is None else text).splitlines():
        if line.startswith("```"):
            fence = "" if fence else line[3:] or "text"
            continue
        if not fence:
            _prose(guide, line)
        elif heredoc:
            heredoc = "" if line == heredoc else heredoc
        elif fence == "bash":
            command = re.split(r"\s#\s", line)[0].strip()
            if line.startswith("# sudo "):  # the alternative that it offers
                _add(guide.commands, line[2:].strip())
            elif command and not _NOISE.match(command):
                _add(guide.commands, command.split(" << ")[0])
            if mark := re.search(r"<< '?(\w+)'?$", line):
                heredoc = mark[1]
        elif match := _ENV.match(line):
            _add(guide.variables, match[1])
        elif fence == "yaml" and line.strip() and not line.strip().startswith("#") and not line.endswith(":"):
            _add(guide.options, line.strip().split("  #")[0])
    return guide


def _prose(guide: Guide, line: str) -> None:
    if match := _HEADING.match(line):
        _add(guide.headings, match[1])
    elif line.startswith("| ") and not line.startswith("| Optimization"):
        _add(guide.promises, line.split("|")[1].strip())
    elif match := _ITEM.match(line):
        text = re.sub(r"\*\*|\[|\]\([^)]*\)|`", "", match[1]).strip()
        _add(guide.items, text)


def _add(to: list[str], text: str) -> None:
    if text not in to:
        to.append(text)
