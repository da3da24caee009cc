"""Every error code of NVML's at every call that the daemon makes, at start and while running: nothing untrue is said,
and what failed is over when it is over. every_code.py plays them; this reads what came of it."""

from __future__ import annotations

import json
import sys

from gpu_tuned.adapters.nvml.errors import MEANINGS
from tests.contract.nvml_child import TOP

PLAY = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
runpy.run_module("tests.contract.every_code", run_name="__main__")
"""


def test_every_code_at_every_call(nvsim):
    host = nvsim("h200", "h200")
    played = json.loads(host.python(PLAY, str(TOP), timeout=115, env={"NVSIM_CAP_SYS_ADMIN": "1"}))
    assert played["wrong"] == []
    used = set(played["calls"])
    assert {"nvmlDeviceSetPowerManagementLimit", "nvmlDeviceResetGpuLockedClocks", "nvmlDeviceGetUUID"} <= used
    assert played["pairs"] == 2 * len(MEANINGS) * len(used)
    print(f"{played['pairs']} pairs, {played['looks']} looks", file=sys.stderr)
