"""One process on a simulated host, with an adapter in it: the library is chosen before a process starts, so every
test of the NVML adapter runs its code in a process of its own and gets back, as JSON, what that one saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.nvsim import Nvsim

TOP = Path(__file__).parents[2]

PRELUDE = """
import json, os, sys, threading, time
from pathlib import Path
sys.path.insert(0, {top!r})
from tests.nvsim import Nvsim, wait_for
from gpu_tuned.adapters.nvml import Nvml
from gpu_tuned.core.errors import DriverError
from gpu_tuned.core.model import *
from gpu_tuned.ports import Look

host = Nvsim(Path({state!r}))
nvml = Nvml()
out = {{}}

def outcome(call, *arguments):
    "The answer as text, or the name and words of the error of ours; any other error fails the test."
    try:
        return repr(call(*arguments))
    except DriverError as error:
        return f"{{type(error).__name__}}: {{error}}"

def plain(value):
    return value.why if isinstance(value, Unread) else wire(value)

def inside(thread):
    "Whether that thread waits inside the driver's library."
    frame = sys._current_frames().get(thread.ident)
    return frame is not None and frame.f_code.co_name == "nvmlEventSetWait_v2"

def readings(seen):
    return {{setting.value: plain(reading) for setting, reading in seen.readings.items()}}
"""


def play(host: Nvsim, code: str, **env: str) -> Any:
    """Run `code` on the host after the prelude; what it leaves in `out`."""
    prelude = PRELUDE.format(top=str(TOP), state=str(host.directory))
    printed = host.python(f"{prelude}\n{code}\nprint(json.dumps(out))", env=env)
    return json.loads(printed.splitlines()[-1])
