"""The environment that a running process was started with: /proc/PID/environ.

What the process changes in it later is not there. Values of names that may hold a secret are dropped at once.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from gpu_tuned.environment.audit import secrets
from gpu_tuned.environment.audit.model import Assignment, Environment, Place, Unreadable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read(pid: int, proc: Path = Path("/proc")) -> Environment:
    """Raises Unreadable where there is no such process, or it is somebody else's and this is not root."""
    folder = proc / str(pid)
    place = Place(str(folder / "environ"), 0, 0)
    try:
        data = (folder / "environ").read_bytes()
        words = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except PermissionError:
        needed = "CAP_SYS_PTRACE" if os.geteuid() == 0 else "root"
        raise Unreadable(place.file, f"not permitted: the process is somebody else's, which needs {needed}") from None
    except (FileNotFoundError, ProcessLookupError):
        raise Unreadable(place.file, f"there is no process {pid}") from None
    except OSError as error:
        raise Unreadable(place.file, error.strerror or str(error)) from None
    assignments = []
    for entry in data.decode(errors="replace").split("\0"):
        name, equals, value = entry.partition("=")
        if equals and _NAME.fullmatch(name):
            hidden = secrets.holds_secret(name, value)
            assignments.append(Assignment(name, None if hidden else value, place))
    name = Path(words[0]).name if words and words[0] else "?"
    return Environment(f"process {pid} ({name})", place, assignments, command=tuple(words))
