"""systemd units with their drop-ins, and podman's quadlets (.container)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Mount, Place, Reader, Reading, Trap
from gpu_tuned.environment.audit.readers import dockerrun, envfile
from gpu_tuned.environment.audit.readers.words import (
    Word,
    leading_assignments,
    script_of,
    shell_assignments,
    split,
)

Load = Callable[[str], "str | None"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORM = "Environment={name}={value}"


@dataclass(slots=True)
class Setting:
    """`key = value` of a unit file, continued lines joined."""

    section: str
    key: str
    value: str
    pieces: list[tuple[int, int, int]]
    """(offset in value, physical line from 1, column from 1 of what stands at the offset)"""

    def place(self, file: str, at: int) -> Place:
        begin, line, column = self.pieces[0]
        for piece in self.pieces:
            if piece[0] > at:
                break
            begin, line, column = piece
        return Place(file, line, column + at - begin)


@dataclass(frozen=True, slots=True)
class _Source:
    """One file of a unit, how another is loaded, and where what it says goes."""

    file: str
    load: Load
    environment: Environment
    reading: Reading


def is_unit(text: str) -> bool:
    return re.search(r"^\[(Service|Container|Unit)\]\s*$", text, re.MULTILINE) is not None


def read(text: str, file: str, load: Load, drop_ins: tuple[tuple[str, str], ...] = ()) -> Reading:
    """The environment of the unit; `drop_ins` are (file, text) of what is read after it."""
    reading = Reading()
    name = posixpath.basename(file)
    environment = Environment(name, Place(file, 1, 1))
    for where, content in ((file, text), *drop_ins):
        _one(content, _Source(where, load, environment, reading))
    reading.environments.append(environment)
    return reading


def _one(text: str, source: _Source) -> None:
    file, environment, reading = source.file, source.environment, source.reading
    arguments: tuple[str, ...] = ()
    found = list(settings(text))
    quadlet = any(setting.section == "Container" for setting in found)
    for setting in found:
        where = (setting.section, setting.key)
        if quadlet and setting.section != "Container":
            continue  # for podman itself, not for what it runs
        if setting.key == "Environment":
            _environment(setting, file, environment, reading)
        elif setting.key == "EnvironmentFile":
            # How podman takes quotes has changed between its releases.
            reader = None if quadlet else Reader.SYSTEMD
            _environment_file(setting.value, reader, source)
        elif setting.key == "UnsetEnvironment":
            gone = set(setting.value.split())
            environment.assignments = [one for one in environment.assignments if one.name not in gone]
        elif where == ("Service", "ExecStart"):
            _exec_start(setting, source)
        elif setting.section == "Container":
            arguments += _container(setting, file, environment, reading)
    if arguments:
        environment.command = arguments


def settings(text: str) -> Iterator[Setting]:
    """Every `key=value`, in order. A backslash at the end of a line goes on; comments in between are left out."""
    section = ""
    lines = text.removeprefix("\ufeff").split("\n")
    number = 0
    while number < len(lines):
        line = lines[number].removesuffix("\r")
        number += 1
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if stripped[0] == "[" and stripped[-1] == "]":
            section = stripped[1:-1]
            continue
        key, equals, value = line.partition("=")
        if not equals:
            while line.endswith("\\") and number < len(lines):
                line = lines[number]
                number += 1
            continue
        column = len(key) + 2 + len(value) - len(value.lstrip())
        value = value.strip()
        setting = Setting(section, key.strip(), value, [(0, number, column)])
        if value.endswith("\\"):
            number = _continued(setting, lines, number)
        yield setting


def _continued(setting: Setting, lines: list[str], number: int) -> int:
    parts = [setting.value[:-1] + " "]
    length = len(parts[0])
    while number < len(lines):
        line = lines[number].removesuffix("\r")
        number += 1
        if line.lstrip()[:1] in ("#", ";"):
            continue
        setting.pieces.append((length, number, 1))
        goes_on = line.endswith("\\")
        parts.append(line[:-1] + " " if goes_on else line)
        length += len(parts[-1])
        if not goes_on:
            break
    setting.value = "".join(parts)
    return number


def _environment(setting: Setting, file: str, environment: Environment, reading: Reading) -> None:
    if not setting.value:  # an empty assignment takes back what came before
        environment.assignments = []
        return
    words = split(setting.value)
    last: Assignment | None = None
    for word in words:
        name, equals, value = word.text.partition("=")
        if not equals or not _NAME.fullmatch(name):
            _stray(word, last, setting, environment, reading)
            if word.text.startswith("#"):
                return
            continue
        place = setting.place(file, word.at + (setting.value[word.at] in "'\""))
        known: str | None = value.replace("%%", "%")
        if re.search(r"\$\{?[A-Za-z_]", value):
            message = f"systemd does not expand $ in Environment=: it stays in the value of {name}"
            reading.traps.append(Trap("unit-expansion", name, place, Certainty.LIKELY, message))
            known = None
        elif re.search(r"%[A-Za-z]", value.replace("%%", "")):
            known = None
        last = Assignment(name, known, place, _FORM)
        environment.assignments.append(last)


def _stray(word: Word, last: Assignment | None, setting: Setting, environment: Environment, reading: Reading) -> None:
    """A word that is no NAME=value: a comment behind the value, a value with a space, a space at "="."""
    name = last.name if last else ""
    place = last.place if last else setting.place(environment.place.file, word.at)
    right = f"Environment={last.name}={last.value}" if last and last.value is not None else ""
    if word.text.startswith("#"):
        message = "a comment cannot stand behind a setting: systemd takes its words for variables"
        reading.traps.append(Trap("unit-comment", name, place, Certainty.CERTAIN, message, right))
        return
    message = f'systemd leaves out "{word.text[:40]}": it is no NAME=value; a value with a space needs quotes'
    if right:
        assert last is not None
        # What was meant is not what stands in this word alone.
        environment.assignments[-1] = replace(last, value=None)
        right = f'Environment="{last.name}={last.value} {word.text}"'
    reading.traps.append(Trap("unit-space", name, place, Certainty.CERTAIN, message, right))


def _environment_file(written: str, reader: Reader | None, source: _Source) -> None:
    path = written.strip().removeprefix("-")
    if not path or "%" in path or "*" in path:
        return
    # Beside the unit is where a checkout keeps it.
    beside = posixpath.join(posixpath.dirname(source.file), posixpath.basename(path))
    for where in (path, beside):
        text = source.load(where)
        if reader is not None:
            source.reading.refers[where] = reader
        if text is not None:
            read = envfile.read(text, where, reader)
            source.reading.traps += read.traps
            source.environment.assignments += read.environments[0].assignments
            return


def _exec_start(setting: Setting, source: _Source) -> None:
    file, environment = source.file, source.environment
    if not setting.value:
        environment.command = ()
        return
    words = split(setting.value)
    for name in re.findall(r"\$\{?([A-Za-z_]\w*)", setting.value):
        source.reading.used.add(name)
    if dockerrun.is_run(words):
        # What the unit sets is for the docker command; the container gets what -e and --env-file say.
        _run(dockerrun.parse(words), setting, source)
        return
    before = list(leading_assignments(words))
    for word, name, value in before:
        environment.assignments.append(Assignment(name, value, setting.place(file, word.at), "{name}={value}"))
    taken = {word.at for word, _, _ in before}
    command = tuple(word.text for word in words if word.at not in taken)
    script = script_of(command)
    holder = next((word for word in words if word.text == script), None)
    if holder is not None:
        place = setting.place(file, holder.at)
        environment.assignments += [Assignment(name, value, place) for name, value, _ in shell_assignments(script)]
    environment.command = environment.command or command


def _run(run: dockerrun.Run, setting: Setting, source: _Source) -> None:
    environment, reading = source.environment, source.reading
    host = {one.name: one for one in environment.assignments}
    environment.container = True
    environment.image, environment.command = run.image, run.command
    environment.devices, environment.device_count = run.gpus, run.gpu_count
    environment.published = run.published and not run.on_host
    environment.assignments = []
    for path in run.env_files:
        reading.refers[path] = Reader.DOCKER
        text = source.load(path)
        if text is not None:
            read = envfile.read(text, path, Reader.DOCKER)
            reading.traps += read.traps
            environment.assignments += read.environments[0].assignments
    _take(run, setting, source.file, environment, host)
    environment.complete = True


def _take(
    run: dockerrun.Run, setting: Setting, file: str, environment: Environment, host: dict[str, Assignment]
) -> None:
    for word, name, value in run.env:
        place = setting.place(file, word.at)
        if value is None and name in host:
            environment.assignments.append(host[name])
        elif _NAME.fullmatch(name):
            known = None if value is not None and ("$" in value or "%" in value) else value
            environment.assignments.append(Assignment(name, known, place, "-e {name}={value}"))
    for word, target, tmpfs, noexec in run.mounts:
        environment.mounts.append(Mount(target, tmpfs, noexec, setting.place(file, word.at), word.text))


def _container(setting: Setting, file: str, environment: Environment, reading: Reading) -> tuple[str, ...]:
    """A key of a quadlet's [Container]; the words of Exec=."""
    environment.container = environment.complete = True
    key, value = setting.key, setting.value
    if key == "Image":
        environment.image = value
    elif key == "Exec":
        words = split(value)
        reading.used |= set(re.findall(r"\$\{?([A-Za-z_]\w*)", value))
        return tuple(word.text for word in words)
    elif key in ("Volume", "Mount", "Tmpfs"):
        option = {"Volume": "-v", "Mount": "--mount", "Tmpfs": "--tmpfs"}[key]
        run = dockerrun.options([Word(option, 0), Word(value, 0)], image=False)
        _take(run, setting, file, environment, {})
    elif key == "PublishPort":
        environment.published = True
    elif key == "AddDevice" and value.startswith("nvidia.com/gpu="):
        environment.devices = (*(environment.devices or ()), value.partition("=")[2])
    elif key == "PodmanArgs":
        _take(dockerrun.options(split(value), image=False), setting, file, environment, {})
    return ()
