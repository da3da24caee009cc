"""Other processes, as /proc has them."""

from __future__ import annotations

from pathlib import Path
from signal import SIGKILL

_SIGKILL = 1 << (SIGKILL - 1)


def was_killed(pid: int) -> bool:
    """Whether `pid` was ended, and is only kept by a thread in a system call that no signal interrupts.

    Where that is its first thread, SIGKILL is pending; where it is another, the first one is a zombie. Until the call
    comes back the process keeps its locks and sockets. False for one that is not there. From proc_pid_status(5)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return False
    fields = dict(line.partition(":\t")[::2] for line in status.splitlines())
    pending = int(fields.get("SigPnd", "0"), 16) | int(fields.get("ShdPnd", "0"), 16)
    return fields.get("State", "").startswith("Z") or bool(pending & _SIGKILL)
