"""Refuses to go on where libnvidia-ml.so.1 is not the simulated driver.

Tests write settings. Wherever they run, a real card may be present, and no test of ours ever writes to it:
so before anything else, the library that the loader would give to a daemon must carry the marker.

Used by tests/conftest.py (`require_simulator()`) and, as a script, by packaging/demo and packaging/test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

LIBRARY = "libnvidia-ml.so.1"
MARKER = "nvsimMarker"

# In a process of its own: the loader reads LD_LIBRARY_PATH once, when a process starts, and a library that is
# loaded stays. Exit status 3: no such library. 4: it lacks the marker.
_PROBE = f"""
import ctypes, sys
try:
    library = ctypes.CDLL({LIBRARY!r})
except OSError as error:
    print(error)
    sys.exit(3)
sys.exit(0 if hasattr(library, {MARKER!r}) else 4)
"""


class NotTheSimulator(RuntimeError):
    """The loader would give a program something else than the simulated driver."""


def require_simulator(environment: Mapping[str, str] | None = None) -> None:
    """Raises NotTheSimulator unless `environment` (default: this process's) leads to the simulated driver."""
    environment = dict(os.environ if environment is None else environment)
    found = subprocess.run(
        [sys.executable, "-I", "-c", _PROBE], env=environment, capture_output=True, text=True, timeout=30
    )
    if found.returncode == 0:
        return
    path = environment.get("LD_LIBRARY_PATH", "not set")
    if found.returncode == 3:
        what = f"{LIBRARY} cannot be loaded ({found.stdout.strip()})"
    elif found.returncode == 4:
        what = f"{LIBRARY} lacks the simulator's symbol {MARKER}: it may drive a real GPU"
    else:
        what = f"looking for {LIBRARY} failed: {found.stderr.strip()}"
    raise NotTheSimulator(f"refusing to run: {what}. LD_LIBRARY_PATH is {path}; packaging/test sets it.")


if __name__ == "__main__":
    try:
        require_simulator()
    except NotTheSimulator as refusal:
        sys.exit(str(refusal))
