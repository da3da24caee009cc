"""Why a unit that a boot starts may not run its commands, or not as root on the host's own files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from gpu_tuned.init import shell_tests
from gpu_tuned.init.model import UNKNOWN, Doubt, Kind
from gpu_tuned.init.places import EVERYWHERE
from gpu_tuned.init.rooted import Rooted
from gpu_tuned.init.starts import Units
from gpu_tuned.init.units import (
    CONFINING,
    NOT_WAITED_FOR,
    OFF,
    PATTERN,
    SIGNS,
    STARTING,
    Unit,
    environment_files,
)

_GONE = Doubt(Kind.NOT_STARTED, "its unit lies in /run, which is empty after a boot")
DEFAULT_TIMEOUT_S = 90
"""How long systemd waits for a start that is no oneshot's (systemd-system.conf(5))."""
_SLEEP = re.compile(r"\bsleep\s+([0-9.]+[smhd]?)\b")
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)")
_UNITS_S = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("ms", "msec"), 0.001),
}
_OUTPUT = re.compile(r"(file|append|truncate):(/.*)")


def doubt_of(unit: Unit, units: Units) -> Doubt | None:
    """The first reason; None where nothing speaks against it."""
    return next(_doubts(unit, units), None)


def _doubts(unit: Unit, units: Units) -> Iterator[Doubt]:
    if unit.file.startswith("/run/"):
        yield _GONE
    yield from _refused(unit)
    yield from conditions(unit)
    yield from _confined(unit)
    yield from _without_files(unit, units.files)
    yield from _too_slow(unit)
    for name in sorted(unit.names("Requires", "BindsTo", "Requisite")):
        if units.masked(name):
            yield Doubt(Kind.NOT_STARTED, f"it needs {name}, which is masked")
        elif units.missing(name):
            yield Doubt(Kind.NOT_STARTED, f"it needs {name}, which is not there")
    for name in units.against(unit):
        yield Doubt(Kind.BRANCH, f"it and {name} cannot run at the same time (Conflicts=), and a boot starts both")


def _refused(unit: Unit) -> Iterator[Doubt]:
    kind = unit.last("Type") or "simple"
    started = len(unit.listed("ExecStart"))
    if unit.file and kind != "oneshot" and started > 1:
        yield Doubt(Kind.NOT_STARTED, f"systemd refuses it: more than one ExecStart= needs Type=oneshot, not {kind}")
    only_stops = unit.listed("ExecStop") and unit.last("RemainAfterExit").lower() not in OFF
    if unit.file and not started and not only_stops:
        yield Doubt(Kind.NOT_STARTED, "systemd refuses it: it has no ExecStart= in its section [Service]")


def conditions(unit: Unit) -> Iterator[Doubt]:
    """Condition...= and Assert...=, but for the driver's own files and those that it runs: without these nothing is
    set in any case."""
    run = {entry.value.split()[0].lstrip(SIGNS) for key in STARTING for entry in unit.listed(key)}
    for entry in unit.entries:
        if not entry.key.startswith(("Condition", "Assert")) or not entry.value:
            continue
        looks = entry.key.endswith(("PathExists", "PathExistsGlob", "FileIsExecutable", "PathIsDirectory"))
        present = shell_tests.PRESENT.fullmatch(entry.value) or entry.value in run
        if not (looks and present):
            yield Doubt(Kind.BRANCH, f"{entry.key}= in line {entry.first} of {unit.name} decides whether it runs")


def _confined(unit: Unit) -> Iterator[Doubt]:
    for entry in unit.entries:
        if entry.section == "Service" and entry.key in CONFINING and entry.value.lower() not in OFF:
            yield Doubt(Kind.BRANCH, f"{entry.key}= in line {entry.first} of its unit may keep it from the GPU")
    hidden = unit.last("ProtectHome").lower()
    if hidden not in OFF and hidden != "read-only":
        for entry in (each for key in STARTING for each in unit.listed(key)):
            if re.search(r"/(?:home|root|run/user)/", entry.value):
                yield Doubt(Kind.BRANCH, f"ProtectHome= hides what {entry.key}= in line {entry.first} of it runs")


def _too_slow(unit: Unit) -> Iterator[Doubt]:
    """Commands that sleep for longer than systemd waits for them."""
    kind = unit.last("Type") or "simple"
    given = next((each.value for each in reversed(unit.entries) if each.key in ("TimeoutStartSec", "TimeoutSec")), "")
    waits_s = _seconds(given) if given else (None if kind == "oneshot" else DEFAULT_TIMEOUT_S)
    runs_s = _seconds(unit.last("RuntimeMaxSec")) if kind != "oneshot" else None
    for key in STARTING:
        most_s = runs_s if key == "ExecStart" and kind in NOT_WAITED_FOR else waits_s
        for entry in unit.listed(key) if most_s else ():
            sleeps_s = sum(_seconds(each) or 0 for each in _SLEEP.findall(entry.value))
            if most_s and sleeps_s >= most_s:
                yield Doubt(Kind.BRANCH, f"{key}= in line {entry.first} sleeps longer than systemd lets it run")


def _seconds(text: str) -> float | None:
    """A time span of systemd.time(7); None for none, for an end that never comes, and for what is none."""
    parts = _SPAN.findall(text)
    total = sum(float(number) * _UNITS_S.get(unit, 0) for number, unit in parts)
    return total or None


def _without_files(unit: Unit, files: Rooted) -> Iterator[Doubt]:
    """Files and folders that have to be there for systemd to start it at all."""
    for path in environment_files(unit, needed=True):
        folder, _, name = path.rpartition("/")
        fits = any(fnmatchcase(each, name) for each in files.names(folder)) if PATTERN.search(name) else False
        if path.startswith("/") and UNKNOWN not in path and not fits and files.text(path) is None:
            yield Doubt(Kind.BRANCH, f"EnvironmentFile={path} is not there, and the unit fails without it")
    folder = unit.last("WorkingDirectory")
    if folder.startswith("/") and not _folder(folder, files):
        yield Doubt(Kind.BRANCH, f"WorkingDirectory={folder} is not there, and the unit fails without it")
    for key in ("StandardInput", "StandardOutput", "StandardError"):
        found = _OUTPUT.fullmatch(unit.last(key))
        if found and not _folder(found[2].rpartition("/")[0], files):
            yield Doubt(Kind.BRANCH, f"{key}= writes where no folder is, and the unit fails")


def _folder(path: str, files: Rooted) -> bool:
    where = files.resolve(path)
    return "%" in path or path.rstrip("/") in EVERYWHERE or (where is not None and files.is_folder(where))
