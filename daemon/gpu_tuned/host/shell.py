"""Shell scripts as text: which lines call nvidia-smi or set numa_balancing, and with what. Nothing is executed.

Only what can be told from the text is told. Variables are followed where they are given one literal value; a line
that does more than set a GPU, or that depends on what only a shell can know, is left to a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_tuned.core.model import NumaBalancing, Setting
from gpu_tuned.host import nvidia_smi
from gpu_tuned.host.nvidia_smi import Said
from gpu_tuned.host.words import Command, bare, pipelines

LONGEST = 4096
"""Characters of a command line that is looked into: nobody wrote a longer one by hand."""
DEEPEST = 3
"""Shells inside shells (`sh -c "bash -c ..."`) that are looked into."""

_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "su"}
_READERS = {"logger", "grep", "cat", "tail", "head", "systemd-cat"}  # at the end of a pipe they change nothing
_OTHERS = {"ssh", "docker", "podman", "kubectl", "man", "which", "alias", "grep", "echo", "printf", "logger"}
_ASSIGNMENT = re.compile(
    r"\s*(?:(?:export|readonly|local)\s+)?([A-Za-z_]\w*)(\+?)=(\"[^\"]*\"|'[^']*'|\S*)\s*(?:#.*)?$"
)
_LOOP = re.compile(r"\bfor\s+([A-Za-z_]\w*)\s+in\s+([^;]*?)\s*(?:;|$)")
_COUNT = re.compile(r"(?:\{([0-9]{1,2})\.\.([0-9]{1,2})\}|\$\(seq\s+([0-9]{1,2})\s+([0-9]{1,2})\))")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")
_GOES_ON = re.compile(r"(?:\||&&)\s*$")
_NUMA_FILE = "/proc/sys/kernel/numa_balancing"
_NUMA_LINE = re.compile(r"-?kernel[./]numa_balancing\s*=\s*([0-9]+)")


@dataclass(frozen=True, slots=True)
class Line:
    """One command line that speaks of a setting. `first` to `last` are its lines in the file. `whole`: the line does
    nothing else, so that without it the script is as before in all else. `unclear` says what a person must look at,
    "" where all is understood."""

    first: int
    last: int
    said: tuple[Said, ...]
    whole: bool = True
    unclear: str = ""


def read(text: str) -> list[Line]:
    """Every such line of a script."""
    lines = list(logical_lines(text))
    known = _variables([code for _, _, code in lines if len(code) <= LONGEST])
    return [found for first, last, code in lines if (found := one(code, first, last, known))]


def one(code: str, first: int = 1, last: int = 0, known: dict[str, str] | None = None) -> Line | None:
    """The same for one command line by itself, such as a cron job's or a unit's; None where it sets nothing."""
    if len(code) > LONGEST:
        found = "nvidia-smi" in code and nvidia_smi.SETS.search(code)
        return Line(first, last or first, (), False, "the line is too long to be read") if found else None
    code = _VARIABLE.sub(lambda found: (known or {}).get(found[1] or found[2], found[0]), code)
    if "nvidia-smi" not in code and "numa_balancing" not in code:
        return None
    reader = _Reader()
    reader.line(code, 0)
    if not reader.said and not reader.unclear:
        return None
    whole = reader.whole and not reader.unclear
    return Line(first, last or first, tuple(reader.said), whole, reader.unclear)


def numa_said(text: str) -> Said | None:
    """What a sysctl line ("kernel.numa_balancing = 0") asks for."""
    found = _NUMA_LINE.match(text.strip())
    return _numa(found[1], " ".join(text.split())) if found else None


def commented(text: str, lines: list[Line], mark: str) -> str:
    """The script with these lines turned into comments; a `:` keeps their place in loops and functions."""
    rows = text.split("\n")
    for line in lines:
        for number in range(line.first, line.last + 1):
            row = rows[number - 1]
            indent = row[: len(row) - len(row.lstrip())]
            rows[number - 1] = f"{indent}{': ' if number == line.first else ''}# {mark}: {row.strip()}"
            if number < line.last:
                rows[number - 1] = rows[number - 1].removesuffix("\\").rstrip()
    return "\n".join(rows)


def logical_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """First line, last line and text of every command line: continued lines are joined, here-documents left out."""
    document: list[str] = []
    kept, start = "", 0
    for number, row in enumerate(text.split("\n"), 1):
        if document:
            if row.strip() == document[0]:
                document.pop(0)
            continue
        comment = not kept and row.lstrip().startswith("#")
        start = start or number
        if not comment and row.endswith("\\"):
            kept += row[:-1] + " "
            continue
        kept += row
        if not comment and _GOES_ON.search(row):
            kept += " "
            continue
        if not comment:
            document = [found[2] for found in _HEREDOC.finditer(kept)] if "<<<" not in kept else []
            yield start, number, kept
        kept, start = "", 0
    if kept:
        yield start, text.count("\n") + 1, kept


def _variables(codes: list[str]) -> dict[str, str]:
    """Variables that are given one literal value, and loop variables over literal words, as "0,1,2"."""
    values: dict[str, set[str]] = {}
    for code in codes:
        assigned = _ASSIGNMENT.match(code)
        if assigned:
            literal = assigned[3].strip("\"'")
            values.setdefault(assigned[1], set()).add("$" if assigned[2] else literal)
        for name, words in _LOOP.findall(code):
            values.setdefault(name, set()).add(_counted(words))
    single = {name: next(iter(said)) for name, said in values.items() if len(said) == 1}
    return {name: said for name, said in single.items() if not re.search(r"[$`;|&()<>*]", said)}


def _counted(words: str) -> str:
    found = _COUNT.fullmatch(words.strip())
    if found:
        low, high = int(found[1] or found[3]), int(found[2] or found[4])
        return ",".join(str(number) for number in range(low, high + 1))
    return ",".join(words.split())


def _numa(value: str, words: str) -> Said:
    return Said(Setting.NUMA_BALANCING, NumaBalancing.OFF if int(value) == 0 else NumaBalancing.ON, words)


class _Reader:
    """Gathers what the commands of one line say."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.whole, self.unclear = True, ""

    def line(self, code: str, depth: int) -> None:
        parts = pipelines(code)
        if parts is None:
            if nvidia_smi.SETS.search(code):
                self.unclear = "its quotes do not end where the line ends"
            return
        for commands, simple in parts:
            self.whole = self.whole and simple
            self._pipeline(commands, depth)

    def _pipeline(self, commands: list[Command], depth: int) -> None:
        if (numa := self._numa(commands)) is not None:
            self.said.append(numa)
            return
        for position, command in enumerate(commands):
            words, plain = bare(command.words)
            self.whole = self.whole and plain
            name = words[0].rpartition("/")[2] if words else ""
            if name == "nvidia-smi":
                self._call(words[1:])
            elif name in _SHELLS and (script := _inline(words)) is not None and depth < DEEPEST:
                self.line(script, depth + 1)
            elif name not in ("true", ":") and not (position and name in _READERS):
                self.whole = False
                joined = " ".join(words)
                if name not in _OTHERS and "nvidia-smi" in joined and nvidia_smi.SETS.search(joined):
                    self.unclear = f"{name} runs it"

    def _call(self, words: list[str]) -> None:
        call = nvidia_smi.call(words)
        if not call.said:
            self.whole = False
            return
        self.said += call.said
        self.whole = self.whole and not call.more
        if any(sign in text for said in call.said for text in (said.words, *said.gpus) for sign in "$`"):
            self.unclear = "a variable decides what it sets"

    def _numa(self, commands: list[Command]) -> Said | None:
        """`echo 0 | tee FILE`, `echo 0 > FILE`, `sysctl -w kernel.numa_balancing=0`, or a line for sysctl.conf."""
        first, _ = bare(commands[0].words)
        last, _ = bare(commands[-1].words)
        if first and first[0] == "sysctl" and len(commands) == 1:
            return next(filter(None, map(numa_said, first[1:])), None)
        if not first or first[0] not in ("echo", "printf") or len(commands) > 2:
            return None
        echoed = " ".join(word for word in first[1:] if not word.startswith("-")).replace("\\n", "").strip()
        targets = [*commands[-1].into, *(last[1:] if len(commands) == 2 and last and last[0] == "tee" else [])]
        if _NUMA_FILE in targets and echoed.isdigit():
            return _numa(echoed, f"{echoed} into {_NUMA_FILE}")
        return numa_said(echoed) if any("sysctl" in target for target in targets) else None


def _inline(words: list[str]) -> str | None:
    """The script of `sh -c SCRIPT`."""
    at = next((i for i, word in enumerate(words) if re.fullmatch(r"-[a-z]*c", word)), len(words))
    return words[at + 1] if at + 1 < len(words) else None
