"""systemd units as text: which of their lines call nvidia-smi, and whether they do anything else."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gpu_tuned.core.model import Setting
from gpu_tuned.host import shell
from gpu_tuned.host.nvidia_smi import Said
from gpu_tuned.host.shell import Line

_EXEC = re.compile(r"\s*(Exec\w+)\s*=\s*(.*)$")
_DOING = ("ExecStart", "ExecStartPre", "ExecStartPost")  # what stops or reloads a unit goes with it
_IDLE = re.compile(r"\S*(?:sleep|true|nvidia-modprobe|nvidia-smi|echo)(?:\s|$)(?!.*[;&|])")
_SIGNS = re.compile(r"^[-+@:!|]*")


@dataclass(frozen=True, slots=True)
class Unit:
    """What one unit or drop-in does to GPUs. `only`: its commands do nothing else, so the whole unit can go.
    `programs` are the absolute paths that it runs, and those it hands to a shell."""

    lines: tuple[Line, ...]
    only: bool
    programs: tuple[str, ...]
    mps: bool


def read(text: str) -> Unit:
    """Every line of a unit's text that sets a GPU, and what else the unit is for."""
    lines: list[Line] = []
    programs: list[str] = []
    started = setting = others = 0  # ExecStart= lines; those that only set GPUs; lines that do something else
    mps = False
    for first, last, code in _lines(text):
        found = _EXEC.match(code)
        command = _SIGNS.sub("", found[2]) if found else ""
        if not found or not command:
            continue
        mps = mps or "nvidia-cuda-mps-control" in command
        programs += re.findall(r"(?:^|[\s'\"])(/[\w./+@-]+)", command)
        line = persistence_daemon(command, first, last) or shell.one(command, first, last)
        started += found[1] == "ExecStart"
        if line is not None:
            lines.append(line)
            setting += found[1] == "ExecStart" and line.whole
        if not (line and line.whole) and found[1] in _DOING and not _IDLE.match(command):
            others += 1
    if started and setting == started and others:
        why = "the unit does other things as well, and has nothing to start without it"
        lines = [replace(line, whole=False, unclear=line.unclear or why) for line in lines]
    return Unit(tuple(lines), bool(setting) and not others, tuple(dict.fromkeys(programs)), mps)


def persistence_daemon(command: str, first: int, last: int) -> Line | None:
    """`nvidia-persistenced`, which turns persistence mode on unless told not to."""
    words = command.split()
    if not words or words[0].rpartition("/")[2] != "nvidia-persistenced" or "--no-persistence-mode" in words:
        return None
    return Line(first, last, (Said(Setting.PERSISTENCE_MODE, True, "nvidia-persistenced"),))


def commented(text: str, lines: list[Line], mark: str) -> str:
    """The unit with these lines turned into comments."""
    rows = text.split("\n")
    for line in lines:
        for number in range(line.first, line.last + 1):
            rows[number - 1] = f"# {mark}: {rows[number - 1].strip()}"
    return "\n".join(rows)


def _lines(text: str) -> list[tuple[int, int, str]]:
    """First line, last line and text; a line that ends in a backslash goes on, comments in between do not count."""
    found = []
    kept, start = "", 0
    for number, row in enumerate(text.split("\n"), 1):
        if row.lstrip().startswith(("#", ";")):
            continue
        start = start or number
        if row.endswith("\\"):
            kept += row[:-1] + " "
            continue
        code = kept + row
        if len(code) <= shell.LONGEST:
            found.append((start, number, code))
        kept, start = "", 0
    return found
