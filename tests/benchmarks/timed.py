"""Runs the daemon with a stopwatch around every call into the driver library.

    python timed.py TOTALS gpu-tuned's arguments ...

At SIGRTMIN it writes to the file TOTALS, as JSON: {"calls": {call: [seconds, ...]}, "modules": [...]}, every call
since the last time, and what is imported. A call is its function's name; batches of fields are told apart by their
length. Not in it: waiting for events, which is rest and not work.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

import pynvml

WAITS = ("nvmlEventSetWait", "nvmlEventSetWait_v2", "nvmlSystemEventSetWait")
TOTALS = sys.argv.pop(1)
calls: dict[str, list[float]] = {}
find = pynvml._nvmlGetFunctionPointer


def timed(name: str) -> Any:
    call = find(name)
    if name in WAITS:
        return call

    def run(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            took = time.perf_counter() - began
            what = f"{name} of {arguments[1].value}" if name == "nvmlDeviceGetFieldValues" else name
            calls.setdefault(what, []).append(took)

    return run


def tell(*_: object) -> None:
    global calls
    told, calls = calls, {}
    with open(TOTALS + ".new", "w") as file:
        json.dump({"calls": told, "modules": sorted(sys.modules)}, file)
    os.replace(TOTALS + ".new", TOTALS)


pynvml._nvmlGetFunctionPointer = timed
signal.signal(signal.SIGRTMIN, tell)

from gpu_tuned.main import daemon  # noqa: E402

daemon()
