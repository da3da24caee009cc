"""The units of a host: what each that starts does to GPUs, and what lies in those that do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gpu_tuned.init import nvidia_smi, shell_tests
from gpu_tuned.init.model import UNKNOWN, Doubt, FileKind, Kind
from gpu_tuned.init.nvidia_smi import Said
from gpu_tuned.init.places import FLEETING, OWN_UNITS, SHIPPED
from gpu_tuned.init.reading import Reading, package_of
from gpu_tuned.init.shell_nodes import NotUnderstood, Simple
from gpu_tuned.init.shell_parse import parse
from gpu_tuned.init.shell_run import Walk
from gpu_tuned.init.shell_seen import Seen
from gpu_tuned.init.shell_state import Here
from gpu_tuned.init.shell_values import Variables, many
from gpu_tuned.init.starts import FOLDERS, Start, Units
from gpu_tuned.init.unit_doubts import doubt_of
from gpu_tuned.init.units import (
    NOT_WAITED_FOR,
    OFF,
    PATTERN,
    STARTING,
    STOPPING,
    Command,
    Unit,
    commands,
    environment,
    environment_files,
)

OWN = "gpu-tuned"
_NO_LINK = Doubt(Kind.NOT_STARTED, "systemd reads links here that enable units, and no units")
_DISABLED = Doubt(Kind.NOT_STARTED, "its unit is not enabled")


def read(reading: Reading, units: Units) -> None:
    """Every service that a boot starts."""
    for start in units.started().values():
        unit = units.load(start.name)
        if unit is not None and not start.name.startswith(OWN):
            reading.read.add(unit.file)
            _service(reading, units, unit, start)
    wanted = [name for target in ("multi-user.target", "graphical.target") for name, _ in units.linked(target)]
    reading.mps = reading.mps or any("-mps" in name for name in wanted)


def by_commands(reading: Reading, units: Units) -> None:
    """Services that a script starts with systemctl."""
    started = units.started()
    for name, doubt in list(reading.units):
        service = name if name.endswith(".service") else f"{name}.service"
        unit = units.load(service)
        if unit is not None and unit.file:
            reading.commanded.add(unit.file)
        if unit is not None and service not in started and unit.file not in reading.read:
            reading.read.add(unit.file)
            _service(reading, units, unit, Start(service, doubt))


def passive(reading: Reading, units: Units) -> None:
    """Units below /etc that nothing starts; packages' own are their business."""
    started = units.started()
    for name in units.every():
        unit = units.load(name)
        if name in started or unit is None or name.startswith(OWN) or unit.file in reading.read:
            continue
        if unit.file.startswith(OWN_UNITS) or any(path.startswith(OWN_UNITS) for path in unit.drop_ins):
            _service(reading, units, unit, Start(name, _DISABLED, units.links(name)))
    for folder in units.names(OWN_UNITS):
        for path in reading.files.walk(f"{OWN_UNITS}/{folder}", 0) if folder.endswith(FOLDERS) else ():
            if reading.files.target(path) is None:
                reading.scan_lines(path, _NO_LINK)
        name = folder.removesuffix(".d")
        if folder.endswith(".service.d") and name not in started and name not in units.every():
            unit = units.load(name)
            if unit is not None:
                _service(reading, units, unit, Start(name, _DISABLED))


def _service(reading: Reading, units: Units, unit: Unit, start: Start) -> None:
    if unit.name in SHIPPED and not unit.drop_ins and (not unit.file or package_of(unit.file)):
        return
    known = environment(unit, {path: _texts(reading, path) for path in environment_files(unit)})
    walk = reading.walk(unit.name, known)
    root = unit.last("User") in ("", "root", "0") and unit.last("DynamicUser").lower() in OFF
    doubt = start.doubt or doubt_of(unit, units)
    here = reading.here(unit.file, known, doubt, root=root)
    folder = unit.last("WorkingDirectory").lstrip("-") or "/"
    here.folder = folder if folder.startswith("/") else None
    stays = False
    for command in commands(unit, STARTING, known):
        if not here.left:
            here.root, here.errexit = root or command.privileged, not command.may_fail
            stays |= _run(reading, walk, unit, command, here)
    begun = len(walk.seen.effects)
    stop = Doubt(Kind.STOP, "it runs when the unit stops, and undoes what it set")
    ended = begun
    for command in commands(unit, STOPPING, known):
        aside = reading.here(command.entry.file, known, start.doubt or stop, root=root)
        if command.words is not None:
            reading.run(walk, command.words, aside, command.entry.first)
        ended = ended if command.key == "ExecReload" else len(walk.seen.effects)
    if not stays and unit.last("RemainAfterExit").lower() in OFF:
        _undo(walk.seen, begun, ended)
    reading.add(walk.seen, passive=doubt is _DISABLED)
    if start.doubt and start.doubt.kind in (Kind.TIMER, Kind.HOOK):
        for effect in walk.seen.effects[:begun]:
            reading.writer(effect.file, start.doubt.kind.value, start.doubt.why)
    if walk.seen.effects or walk.seen.programs:
        _files(reading, units, unit, start, walk.seen)


def _texts(reading: Reading, path: str) -> list[str] | None:
    """The files of variables that a path or a pattern stands for; None where a boot may find others."""
    found = [(each, reading.files.text(each)) for each in reading.globbed(path)]
    unread = any(text is None and reading.files.there(each) for each, text in found)
    if UNKNOWN in path or PATTERN.search(path.rpartition("/")[0]) or path.startswith(FLEETING) or unread:
        return None
    return [text for _, text in found if text is not None]


def _undo(seen: Seen, begun: int, ended: int) -> None:
    """A service that ends by itself, and does not count as active then, runs ExecStop= at once: systemd.service(5)
    of Type=oneshot."""
    undone = {effect.setting for effect in seen.effects[begun:ended] if effect.setting}
    for at, effect in enumerate(seen.effects[:begun]):
        if effect.setting in undone:
            seen.effects[at] = replace(effect, undone=True)
    seen.effects[begun:ended] = [replace(effect, undone=True) for effect in seen.effects[begun:ended]]


def _run(reading: Reading, walk: Walk, unit: Unit, command: Command, here: Here) -> bool:
    """One command of a unit, and what its failure would mean for those after it. Whether it goes on for ever."""
    here.file = command.entry.file
    line = command.entry.first
    if command.words is None:
        if "nvidia-smi" in command.entry.value:
            why = Doubt(
                Kind.UNREADABLE,
                "systemd makes no command of it: its quotes do not end where the line ends, or a sign stands alone",
            )
            for said in nvidia_smi.mentioned(command.entry.value):
                walk.seen.say(here, line, replace(said, doubt=why))
        return False
    kind = unit.last("Type") or "simple"
    beside = command.key == "ExecStart" and kind in NOT_WAITED_FOR
    place = here
    if beside:
        place = here.aside() if unit.listed("ExecStartPost") else here.fork()
    first = command.words[0].text if command.words else ""
    runs = not first.startswith("/") or reading.begins_as_program(first)
    if not runs:
        bare = f"{first} does not begin with #!, so that systemd cannot run it"
        place = place.fork(place.way.doubted(Kind.BRANCH, bare))
    status = reading.run(walk, command.words, place, line)
    for_ever = place.left == "never"
    if beside:
        return for_ever
    if here.left == "exit" or (for_ever and command.key == "ExecStart" and kind != "oneshot"):
        here.left = ""
    if command.may_fail:
        return for_ever
    if status.ok is None or not runs:
        here.doubt_rest("script", f"{command.key}= in line {line} may fail, and what follows it is not run then")
    elif status.needs:
        here.add_flow("script", here.way.needing(status.needs))
    return for_ever


def _files(reading: Reading, units: Units, unit: Unit, start: Start, seen: Seen) -> None:
    """What may become of the unit's files."""
    own = {effect.file for effect in seen.effects} & {unit.file, *unit.drop_ins}
    for path in own:
        reading.file(path, FileKind.UNIT)
    scripts = set(seen.files)
    kind = unit.last("Type") or "simple"
    running = unit.name if kind != "oneshot" and start.doubt is None else ""
    for path in scripts:
        file = reading.kinds[path]
        again = (*file.restart, running) if running and running not in file.restart else file.restart
        by = (*file.started_by, unit.name) if start.doubt is None else file.started_by
        reading.file(path, FileKind.SCRIPT, restart=again, started_by=by)
    if unit.file not in own or not unit.file:
        return
    links = start.links
    if not unit.file.startswith(OWN_UNITS) and f"{OWN_UNITS}/{unit.name}" and unit.name in units.names(OWN_UNITS):
        links = (*links, f"{OWN_UNITS}/{unit.name}")  # `systemctl link`
    only = (
        not scripts
        and not seen.programs
        and not unit.drop_ins
        and not (seen.others & {(unit.file, n) for n in _lines(unit)})
    )
    needed = units.needed_by(unit.name)
    keeps = reading.kinds[unit.file].keeps or needed
    if unit.file in reading.commanded:
        keeps = keeps or "a script starts it with systemctl"
    if unit.instance is not None:
        keeps = keeps or "other instances of this template may need it"
    reading.file(
        unit.file,
        FileKind.UNIT,
        unit=unit.name,
        links=links,
        only_sets=only,
        keeps=keeps,
        restart=(running,) if running else (),
        started_by=(*reading.kinds[unit.file].started_by, unit.name) if start.doubt is None else (),
    )


def _lines(unit: Unit) -> Iterator[int]:
    for entry in unit.entries:
        if entry.key in STARTING:
            yield entry.first


def calls(text: str) -> Iterator[tuple[int, tuple[Said, ...]]]:
    """Every call of nvidia-smi that stands in a script, reached or not."""
    try:
        body = parse(text)
    except NotUnderstood:
        return
    for node in shell_tests.commands(body):
        if isinstance(node, Simple) and node.words:
            words = [word.text for word in many(node.words, Variables())]
            at = next((n for n, word in enumerate(words) if word.rpartition("/")[2] == "nvidia-smi"), None)
            if at is None or words[0] in ("echo", "printf", "grep", "which", "command", "type"):
                continue
            yield node.first, tuple(said for said in nvidia_smi.call(words[at + 1 :]) if said.setting or said.doubt)
