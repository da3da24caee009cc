"""Whether systemd stopped a unit: the only way to tell a stop from a restart, which send the same signal, and a
service that stays down from one that systemd is about to start again."""

from __future__ import annotations

import subprocess

ASK_S = 5.0
"""How long systemd may take to answer; it is asked while it waits for us, and answers at once or not at all."""
DOWN = ("failed", "inactive")
"""States in which nothing runs and nothing is about to. While ExecStopPost= of a crash runs it is `deactivating`, and
until the restart that follows `activating`."""


def stopped(unit: str) -> bool:
    """Whether `unit` is being stopped, or is down and stays so. False for a restart, for a crash that systemd has not
    finished with, for a unit it does not know, and where it cannot be asked."""
    job = job_of(unit)
    return job == "stop" if job is not None else _is_down(unit)


def job_of(unit: str) -> str | None:
    """The type of the job that is queued or running for `unit` ("stop", "restart", "start" ...), None where there is
    none (the process ended by itself) and where systemd cannot be asked.

    From `systemctl list-jobs`: a table of job number, unit, type and state, the same since systemd 183."""
    return parsed(_ask("list-jobs", "--no-legend", "--no-pager", "--plain", "--full", unit), unit)


def parsed(table: str, unit: str) -> str | None:
    """The job's type for `unit` from what list-jobs prints."""
    for line in table.splitlines():
        words = line.split()
        if len(words) >= 4 and words[1] == unit:
            return words[2]
    return None


def _is_down(unit: str) -> bool:
    answer = _ask("show", "--no-pager", "--property=LoadState,ActiveState", unit)
    found = dict(line.partition("=")[::2] for line in answer.splitlines())
    # A unit that does not exist is "inactive" too.
    return found.get("ActiveState") in DOWN and found.get("LoadState") != "not-found"


def _ask(*words: str) -> str:
    """What systemctl prints, "" where it cannot be asked."""
    try:
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
