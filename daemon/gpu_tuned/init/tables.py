"""Files of one entry a line: crontabs, sysctl settings, udev rules, desktop entries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LONGEST = 8192
_AT = re.compile(r"\s*@(\w+)\s+(.*)$")
_FIELDS = re.compile(r"\s*-?[0-9*~][\w*/,~-]*\s+(?:[\w*/,~-]+\s+){4}(.*)$")
_ASSIGNED = re.compile(r"\s*(?:([A-Za-z_]\w*)|[\"']([A-Za-z_]\w*)[\"'])\s*=\s*(.*?)\s*")
_PERIODIC = re.compile(r"\s*(?:[0-9]+|@\w+)\s+[0-9]+\s+\S+\s+(.*)$")
_WANTS = re.compile(r"ENV\{SYSTEMD_WANTS\}\s*\+?=\s*\"([^\"]*)\"")
_RUN = re.compile(r"(?:RUN(?:\{\w+\})?|PROGRAM|IMPORT\{program\})\s*[+:=]*=\s*\"([^\"]*)\"")


@dataclass(frozen=True, slots=True)
class Job:
    """A line of a crontab. `at_boot`: @reboot; `user`: whose, "" where it is the crontab's owner; `environment`: the
    variables that stand above it."""

    line: int
    command: str
    at_boot: bool
    user: str
    environment: Mapping[str, str]


def jobs(text: str, *, with_user: bool) -> Iterator[Job]:
    """The jobs of a crontab; `%` is cron's line end. `with_user`: /etc/crontab and cron.d name a user before it."""
    known: dict[str, str] = {}
    for number, row in enumerate(text.split("\n"), 1):
        if row.lstrip().startswith("#") or len(row) > LONGEST:
            continue
        if given := _ASSIGNED.fullmatch(row):
            known = {**known, given[1] or given[2]: _unquoted(given[3])}
            continue
        timed = _AT.match(row)
        command = timed[2] if timed else (entry[1] if (entry := _FIELDS.match(row)) else "")
        user = ""
        if with_user and command:
            user, command = [*command.split(None, 1), ""][:2]
        command = re.sub(r"\\%", "%", re.split(r"(?<!\\)%", command)[0]).strip()
        if command:
            yield Job(number, command, bool(timed and timed[1] == "reboot"), user, known)


def anacron_jobs(text: str) -> Iterator[Job]:
    """The jobs of anacron's table, which has a period, a delay and a name before each command (anacrontab(5))."""
    for number, row in enumerate(text.split("\n"), 1):
        if len(row) <= LONGEST and (entry := _PERIODIC.match(row)):
            yield Job(number, entry[1].strip(), at_boot=False, user="root", environment={})


def _unquoted(value: str) -> str:
    """A value as cron takes it: quotes around all of it go."""
    quoted = re.fullmatch(r"([\"'])(.*)\1", value)
    return quoted[2] if quoted else value


def udev_commands(text: str) -> Iterator[tuple[int, str]]:
    """Line and command of every RUN, PROGRAM and IMPORT{program} of a udev rule."""
    for number, row in _rules(text):
        for found in _RUN.finditer(row):
            yield number, found[1]


def udev_wants(text: str) -> Iterator[str]:
    """The units that udev's rules start."""
    for _, row in _rules(text):
        for found in _WANTS.finditer(row):
            yield from found[1].split()


def _rules(text: str) -> Iterator[tuple[int, str]]:
    """Each rule with its first line; a line that ends in a backslash goes on (udev(7))."""
    kept, first = "", 0
    for number, row in enumerate(text.split("\n"), 1):
        if row.lstrip().startswith("#"):
            continue
        first = first or number
        if row.endswith("\\"):
            kept += row[:-1]
            continue
        if len(kept) + len(row) <= LONGEST:
            yield first, kept + row
        kept, first = "", 0


def desktop_commands(text: str) -> Iterator[tuple[int, str]]:
    """Line and command of a desktop entry's Exec."""
    for number, row in enumerate(text.split("\n"), 1):
        if row.startswith("Exec=") and len(row) <= LONGEST:
            yield number, row.removeprefix("Exec=")
