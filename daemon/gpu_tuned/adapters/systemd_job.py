"""Which job systemd is at for a unit: the only way to tell a stop from a restart, which send the same signal."""

from __future__ import annotations

import subprocess

ASK_S = 5.0
"""How long systemd may take to answer; it is asked while it waits for us, and answers at once or not at all."""


def job_of(unit: str) -> str | None:
    """The type of the job that is queued or running for `unit` ("stop", "restart", "start" ...), None where there is
    none (the process ended by itself) and where systemd cannot be asked.

    From `systemctl list-jobs`: a table of job number, unit, type and state, the same since systemd 183."""
    command = ["systemctl", "list-jobs", "--no-legend", "--no-pager", "--plain", "--full", unit]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parsed(done.stdout, unit)


def parsed(table: str, unit: str) -> str | None:
    """The job's type for `unit` from what list-jobs prints."""
    for line in table.splitlines():
        words = line.split()
        if len(words) >= 4 and words[1] == unit:
            return words[2]
    return None
