"""Files of one entry a line, as text: crontabs and sysctl settings."""

from __future__ import annotations

import re

from gpu_tuned.host import shell
from gpu_tuned.host.shell import Line

_AT = re.compile(r"\s*@(\w+)\s+(.*)$")
_FIELDS = re.compile(r"\s*(?:[0-9*][\w*/,-]*\s+)(?:[\w*/,-]+\s+){4}(.*)$")


def cron(text: str, with_user: bool) -> list[Line]:
    """The jobs of a crontab that set a GPU. `with_user`: /etc/crontab and cron.d name a user before the command."""
    return [line for number, job in jobs(text, with_user) if (line := shell.one(job, number))]


def jobs(text: str, with_user: bool) -> list[tuple[int, str]]:
    """Line number and command of every job; `%` is cron's line end."""
    found = []
    for number, row in enumerate(text.split("\n"), 1):
        if row.lstrip().startswith("#") or len(row) > shell.LONGEST:
            continue
        timed = _AT.match(row)
        command = timed[2] if timed else (entry[1] if (entry := _FIELDS.match(row)) else "")
        if with_user:
            command = re.sub(r"^\S+\s*", "", command)
        if command.strip():
            found.append((number, command.strip().partition("%")[0]))
    return found


def sysctl(text: str) -> list[Line]:
    """The lines that set kernel.numa_balancing."""
    found = []
    for number, row in enumerate(text.split("\n"), 1):
        said = shell.numa_said(row)
        if said is not None:
            found.append(Line(number, number, (said,)))
    return found


def commented(text: str, lines: list[Line], mark: str) -> str:
    """The file with these lines turned into comments."""
    rows = text.split("\n")
    for line in lines:
        rows[line.first - 1] = f"# {mark}: {rows[line.first - 1].strip()}"
    return "\n".join(rows)
