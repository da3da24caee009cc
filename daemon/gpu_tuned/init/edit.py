"""Which files `init --write` changes, and their new text. Pure: the files' texts come in, texts go out.

A file is changed only where every line of it that sets something is taken over, and nothing else needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from gpu_tuned.init.commands import IDLE, PREFIXES, SHELLS
from gpu_tuned.init.decision import Decision
from gpu_tuned.init.model import Effect, File, FileKind, Kind, Scan
from gpu_tuned.init.shell_nodes import AndOr, Command, Function, Group, NotUnderstood, Simple, While
from gpu_tuned.init.shell_parse import parse
from gpu_tuned.init.shell_tests import bodies, commands
from gpu_tuned.init.units import entries

MARK = "gpu-tuned holds this now"


class Action(str, Enum):
    """What becomes of a file."""

    MOVE = "move"  # the whole file goes to the backup, with the links that enable it
    EDIT = "edit"  # some lines become comments; the original goes to the backup
    LEAVE = "leave"  # nothing


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file. `lines` are those that go; `content` is the new content (EDIT); `links` go with the
    file (MOVE); `unit`: its name where it is a unit; `restart`: services that go on as before until started anew."""

    action: Action
    path: str
    why: str
    lines: tuple[int, ...] = ()
    content: str = ""
    links: tuple[str, ...] = ()
    unit: str = ""
    restart: tuple[str, ...] = ()
    started_by: tuple[str, ...] = ()
    before: str = ""


def changes(scan: Scan, decision: Decision) -> list[Change]:
    """What becomes of every file."""
    setting = {effect.file for effect in scan.effects}
    return [_change(file, scan.effects, decision, scan.busy) for file in scan.files if file.path in setting]


def _change(file: File, effects: Sequence[Effect], decision: Decision, busy: frozenset[tuple[str, int]]) -> Change:
    mine = [effect for effect in effects if effect.file == file.path]
    stops = [effect for effect in mine if effect.doubt and effect.doubt.kind is Kind.STOP]
    covered = {effect.line for effect in mine if effect.number in decision.covered}
    open_ = sorted({effect.line for effect in mine if effect.number not in decision.covered and effect not in stops})
    if not covered:
        return _left(file, "nothing of it is taken over")
    if open_:
        numbers = ", ".join(map(str, open_[:6]))
        return _left(file, f"not all of it is taken over (line{'s' if len(open_) > 1 else ''} {numbers})")
    if file.keeps:
        return _left(file, file.keeps)
    if file.kind is FileKind.UNIT and file.only_sets:
        return Change(
            Action.MOVE,
            file.path,
            "it does nothing but set GPUs",
            links=file.links,
            unit=file.unit,
            restart=file.restart,
        )
    if stops:
        return _left(file, f"line {stops[0].line} undoes it when the unit stops")
    if any((file.path, line) in busy for line in covered):
        return _left(file, "a line does more than set what gpu-tuned holds")
    edited = _EDITS[file.kind](file.text, covered)
    if isinstance(edited, str):
        return _left(file, edited)
    content, lines = edited
    why = "these lines become comments; nothing else in the file changes"
    return Change(Action.EDIT, file.path, why, tuple(lines), content, restart=file.restart, before=file.text)


def _left(file: File, why: str) -> Change:
    return Change(Action.LEAVE, file.path, why, unit=file.unit, started_by=file.started_by)


Edited = tuple[str, list[int]]
"""The new text, and the lines that are comments now."""


def _unit(text: str, covered: set[int]) -> Edited | str:
    """The unit with these commands turned into comments. One that has none left could not be loaded."""
    found = list(entries(text, ""))
    starts = [entry for entry in found if entry.key == "ExecStart" and entry.value]
    if starts and all(entry.first in covered for entry in starts):
        return "the unit does other things as well, and has nothing to start without it"
    lines = [n for entry in found if entry.first in covered for n in range(entry.first, entry.last + 1)]
    return _commented(text, lines), lines


def _table(text: str, covered: set[int]) -> Edited | str:
    return _commented(text, sorted(covered)), sorted(covered)


def _commented(text: str, lines: Sequence[int]) -> str:
    rows = text.split("\n")
    for number in lines:
        rows[number - 1] = f"# {MARK}: {rows[number - 1].strip()}"
    return "\n".join(rows)


def _script(text: str, covered: set[int]) -> Edited | str:
    """The script with these commands turned into comments; a `:` keeps their place in loops and functions."""
    try:
        body = parse(text)
    except NotUnderstood as problem:
        return str(problem)
    groups: list[tuple[int, int]] = []
    if not _gather(body, covered, groups):
        return "a line does more than set what gpu-tuned holds"
    rows = text.split("\n")
    lines = []
    for first, last in groups:
        for number in range(first, last + 1):
            row = rows[number - 1]
            end = "\r" if row.endswith("\r") else ""
            indent = row[: len(row) - len(row.lstrip())]
            rest = row.strip().removesuffix("\\").rstrip()
            rows[number - 1] = f"{indent}{': ' if number == first else ''}# {MARK}: {rest}{end}"
            lines.append(number)
    content = "\n".join(rows)
    try:
        parse(content)
    except NotUnderstood:
        return "without these lines the script would not be understood any more"
    return content, lines


def _gather(body: Sequence[AndOr | Command], covered: set[int], groups: list[tuple[int, int]]) -> bool:
    """Find the lines that can go. False where a command that has to go shares a line with one that has to stay."""
    items = sorted(body, key=lambda item: item.first)
    at = 0
    while at < len(items):
        end, last = at + 1, items[at].last
        while end < len(items) and items[end].first <= last:
            last = max(last, items[end].last)
            end += 1
        row, at = items[at:end], end
        inner = list(commands(row))
        if not any(isinstance(each, Simple) and each.first in covered for each in inner):
            continue
        if any(isinstance(item, AndOr) and _negated(item, covered) for item in row):
            return False
        compound = any(not isinstance(each, Simple) for each in inner)
        if any(isinstance(each, Function) and each.first == each.last for each in inner):
            return False  # what calls it would find no such command
        if (
            all(_goes(each, covered) for each in inner)
            and (not compound or last == row[0].first)
            and not _lasting(inner)
        ):
            groups.append((row[0].first, last))
            continue
        if not compound:
            return False
        for each in row:
            parts = [each.head.commands, *(p.commands for _, p in each.rest)] if isinstance(each, AndOr) else [[each]]
            for command in (command for part in parts for command in part):
                if isinstance(command, Simple) and command.first in covered:
                    return False
                for part in bodies(command):
                    if _on_line_of_keyword(command, part, covered) or not _gather(part, covered, groups):
                        return False
    return True


def _negated(item: AndOr, covered: set[int]) -> bool:
    """Whether `!` makes a failure of what would go: without it the script would end otherwise."""
    pipelines = [pipeline for pipeline in (item.head, *(pipeline for _, pipeline in item.rest)) if pipeline.negated]
    inner = [each for pipeline in pipelines for each in commands(pipeline.commands)]
    return any(isinstance(each, Simple) and each.first in covered for each in inner)


def _on_line_of_keyword(command: Command, body: Sequence[AndOr | Command], covered: set[int]) -> bool:
    """Whether a command that has to go stands on a line where the loop or the condition itself begins or ends."""
    if not isinstance(command, Group) and not body:
        return False
    return any(
        each.first in covered and (each.first == command.first or each.last == command.last)
        for each in commands(body)
    )


def _lasting(inner: Sequence[Command]) -> bool:
    """A service whose endless loop is gone would end."""
    return any(isinstance(each, While) for each in inner)


def _goes(each: Command, covered: set[int]) -> bool:
    """Whether a command sets what is taken over, or nothing: `exit`, `exec` and their like do more than that."""
    if not isinstance(each, Simple) or not each.words:
        return not isinstance(each, Simple)
    name = each.words[0].literal
    if name is None:
        return each.first in covered
    name = name.rpartition("/")[2]
    return name in _NOTHING or (each.first in covered and name in _SETTING)


_NOTHING = IDLE - {"exec", "umask"}
_SETTING = PREFIXES | SHELLS | {"env", "nvidia-smi", "nvidia-persistenced", "sysctl"}

_EDITS: Mapping[FileKind, Callable[[str, set[int]], Edited | str]] = {
    FileKind.UNIT: _unit,
    FileKind.SCRIPT: _script,
    FileKind.TABLE: _table,
    FileKind.OTHER: lambda text, covered: "it is no file that is understood here",
}
