"""Profiles: what one kind of program should have in its environment, each line with its reason.

A profile is a TOML file NAME.toml, looked for in /etc/gpu-tuned/environment, then among those that came along. This
module turns documents into values; environment/profile_folders.py finds and reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gpu_tuned.core.errors import UsageError
from gpu_tuned.core.words import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FILE = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
"""What a profile may be called: it becomes a service, a ConfigMap and a CDI device of that name."""
PLACES = ("cache", "models")
"""What a value may hold in braces: a folder for what was compiled, and one for models. Each format has its own."""


@dataclass(frozen=True, slots=True)
class Line:
    """One variable with its value, or one option of the program's command line (`name` is "" then)."""

    name: str
    value: str
    """May hold "{cache}" or "{models}". For an option the option itself."""
    why: str
    since: str
    """"vLLM 0.5.5"; "": every version that was looked at has it."""
    source: str
    instead_of: tuple[str, ...]
    """What people set in its place, and what does nothing, or something else."""
    active: bool
    """Whether it is set; else it is offered, for a reason that the reader may have."""
    container: bool = False
    """Whether it is for containers alone (an address to listen on, say)."""

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(place for place in PLACES if f"{{{place}}}" in self.value)


@dataclass(frozen=True, slots=True)
class Left:
    """Names that are best left alone, and why."""

    names: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile with what it includes, in the order in which it is printed."""

    name: str
    title: str
    component: str
    """An id of the catalogue."""
    checked: str
    """The version of it that the lines were held against."""
    lines: tuple[Line, ...]
    left: tuple[Left, ...] = field(default=())
    ipc: str = ""
    """"host" where the processes share memory with others."""
    mount: str = ""
    """A folder of the host that must be there under the same name."""
    stage: str = "run"
    """"build" for a Dockerfile's building stage."""

    @property
    def variables(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.name and line.active)

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(place for place in PLACES if any(place in line.places for line in self.variables))


Read = Callable[[str], "Mapping[str, Any]"]
"""The document of a profile by its name."""


def profile(name: str, read: Read, paths: Mapping[str, str]) -> Profile:
    """The profile `name` with everything it includes. `paths` says where each profile there is lies.

    Raises UsageError with every problem found: a file, a key, what was found, what is allowed.
    """
    return _made(name, read, paths, ())


def _made(name: str, read: Read, paths: Mapping[str, str], within: tuple[str, ...]) -> Profile:
    said = f"{paths[within[-1]]}: include: " if within else ""
    if name in within:
        raise UsageError(f"{said}{' includes '.join([*within, name])}; a profile cannot include itself")
    if name not in paths:
        raise UsageError(f"{said}there is no profile {name!r}; {did_you_mean(name, sorted(paths))}")
    if not FILE.fullmatch(name):
        raise UsageError(f"{paths[name]}: a profile is called by lower-case letters, digits and -, found {name!r}")
    found = _Checked(read(name), paths[name])
    lines: dict[str, Line] = {}
    left: list[Left] = []
    ipc, mount = found.text("ipc", ("", "host")), found.text("mount")
    for other in found.texts("include"):
        part = _made(other, read, paths, (*within, name))
        lines.update((line.name or line.value, line) for line in part.lines)
        left.extend(part.left)
        ipc, mount = ipc or part.ipc, mount or part.mount
    for without in found.texts("without"):
        if lines.pop(without, None) is None:
            found.problem("without", f"{without!r} is in no profile that it includes")
    said_here: set[str] = set()
    for key, active in (("set", True), ("offer", False), ("option", True)):
        for line in found.lines(key, active=active):
            called = line.name or line.value
            if called in said_here:
                found.problem(key, f"says {called} twice")
            said_here.add(called)
            lines.pop(called, None)  # one that is said anew stands where it is said last
            lines[called] = line
    left.extend(found.left())
    made = Profile(
        name=name,
        title=found.needed("title"),
        component=found.needed("component"),
        checked=found.needed("checked"),
        lines=tuple(lines.values()),
        left=tuple(left),
        ipc=ipc,
        mount=mount,
        stage=found.text("stage", ("run", "build")) or "run",
    )
    found.raise_problems()
    return made


KEYS = (
    *("title", "component", "checked", "include", "without", "ipc", "mount", "stage"),
    *("set", "offer", "option", "leave"),
)
LINE_KEYS = ("name", "value", "text", "why", "since", "source", "instead_of", "container")


NEEDED = {
    "title": 'is missing: what it is for, such as "our chat server"',
    "component": 'is missing: whose variables they are, such as "vllm" (gpu-tunedctl env list --json)',
    "checked": 'is missing: the version that the lines were held against, such as "0.33.0"',
}


class _Checked:
    """A document that is asked key by key, and remembers everything that was wrong."""

    def __init__(self, document: Mapping[str, Any], path: str) -> None:
        self._document, self._path = document, path
        self._problems: list[str] = []
        self._no_other_key("", document, KEYS)

    def problem(self, key: str, text: str) -> None:
        self._problems.append(f"{self._path}: {key}: {text}")

    def raise_problems(self) -> None:
        if self._problems:
            raise UsageError("\n".join(self._problems))

    def text(self, key: str, allowed: tuple[str, ...] = ()) -> str:
        found = self._text(self._document, key, key)
        if allowed and found not in ("", *allowed):
            self.problem(key, f"must be {' or '.join(map(repr, filter(None, allowed)))}, found {found!r}")
        return found

    def needed(self, key: str) -> str:
        found = self.text(key)
        if not found and isinstance(self._document.get(key, ""), str):
            self.problem(key, NEEDED[key])
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        return self._texts(self._document, key, key)

    def lines(self, key: str, *, active: bool) -> list[Line]:
        made = []
        for where, row in self._tables(key):
            self._no_other_key(where, row, LINE_KEYS)
            name, value = self._text(row, "name", where), self._text(row, "value", where)
            text = self._text(row, "text", where)
            if bool(name) == bool(text):
                self.problem(where, "must have name and value, for a variable, or text, for an option")
            elif name and not NAME.fullmatch(name):
                self.problem(f"{where}.name", f"must be a variable's name (letters, digits, _), found {name!r}")
            places = re.findall(r"\{(\w*)\}", value)
            if any(place not in PLACES for place in places):
                self.problem(f"{where}.value", f"may hold {{cache}} and {{models}} in braces, found {value!r}")
            if any(ord(letter) < 32 for letter in value + text):
                self.problem(where, "must be on one line")
            why = self._text(row, "why", where)
            if not why:
                self.problem(f"{where}.why", "is missing: a line without a reason helps nobody")
            since, source = self._text(row, "since", where), self._text(row, "source", where)
            instead = self._texts(row, "instead_of", where)
            container = row.get("container", False)
            if not isinstance(container, bool):
                self.problem(f"{where}.container", f"must be true or false, found {container!r}")
            made.append(Line(name, value or text, why, since, source, instead, active, container is True))
        return made

    def left(self) -> list[Left]:
        rows = [(row, where) for where, row in self._tables("leave")]
        for row, where in rows:
            self._no_other_key(where, row, ("names", "why"))
        return [Left(self._texts(row, "names", where), self._text(row, "why", where)) for row, where in rows]

    def _tables(self, key: str) -> list[tuple[str, Mapping[str, Any]]]:
        found = self._document.get(key, [])
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            self.problem(key, f"must be tables, [[{key}]], found {found!r}")
            return []
        return [(f"{key}[{number}]", row) for number, row in enumerate(found)]

    def _text(self, table: Mapping[str, Any], key: str, where: str) -> str:
        found = table.get(key, "")
        if not isinstance(found, str):
            self.problem(where if where == key else f"{where}.{key}", f"must be a text, found {found!r}")
            return ""
        return found

    def _texts(self, table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        found = table.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            self.problem(where if where == key else f"{where}.{key}", f"must be a list of texts, found {found!r}")
            return ()
        return tuple(found)

    def _no_other_key(self, where: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
        for key in table:
            if key not in allowed:
                self.problem(f"{where}.{key}".lstrip("."), f"is no key; {did_you_mean(key, allowed)}")
