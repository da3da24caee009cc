"""Fills in packaging/deb/copyright.in and holds it against what is carried.

    copyright.py TEMPLATE CARRIED > copyright

@text FILE@ becomes that file's text, @header FILE@ the comment that FILE begins with; both are below CARRIED. A file
that no paragraph but the first is about is an error, and so is a pattern that matches none.
"""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path


def main(template: Path, carried: Path) -> None:
    text = template.read_text()
    patterns = [p for line in re.findall(r"^Files: (.*)$", text, re.MULTILINE) for p in line.split() if p != "*"]
    files = [f"carried/{path.relative_to(carried)}" for path in carried.rglob("*") if path.is_file()]
    untold = [file for file in files if not any(fnmatchcase(file, pattern) for pattern in patterns)]
    idle = [pattern for pattern in patterns if not any(fnmatchcase(file, pattern) for file in files)]
    if untold or idle:
        raise SystemExit(f"copyright: nothing is said of {untold[:5]}; these match nothing: {idle}")
    print(
        re.sub(r"^@(text|header) (.*)@$", lambda found: _licence(found[1], carried / found[2]), text, flags=re.M),
        end="",
    )


def _licence(kind: str, path: Path) -> str:
    lines = path.read_text().splitlines()
    if kind == "header":
        header = takewhile(lambda line: line.startswith("#"), lines)
        lines = [line.lstrip("#").removeprefix(" ") for line in header]
        while lines and not lines[0].strip():
            lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(f" {line.rstrip()}" if line.strip() else " ." for line in lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
