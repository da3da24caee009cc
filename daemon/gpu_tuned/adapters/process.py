"""Other processes, as /proc has them."""

from __future__ import annotations

from pathlib import Path


def was_killed(pid: int) -> bool:
    """Whether `pid` was ended, and is only kept by a thread in a system call that no signal interrupts.

    The first thread is then a zombie; it keeps locks and sockets until the other thread's call comes back. False for
    a process that is not there. Field 3 of /proc/PID/stat, after the name in brackets: proc_pid_stat(5)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
