"""A driver that hangs costs a command half a minute and not its life: no signal ends a call into it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gpu_tuned.adapters.patience import in_time
from gpu_tuned.core.errors import DriverTrouble, UsageError
from tests.conftest import MakeHost
from tests.contract.nvml_child import play

VERBS = """
from gpu_tuned import main
from gpu_tuned.adapters import patience
patience.LOOK_S = 0.2
host.hang("all", 30)
out["plan"] = outcome(main.offline_plan, {policy!r})
out["check"] = main.policy_problems({policy!r})[1]
out["probe"] = outcome(lambda: list(main.probe("0")))
out["env audit"] = outcome(main.gpu_pids)
out["init"] = outcome(lambda: main._Looks().first_policy({root!r}))
"""
LATE = "the driver has not answered within 0.2 s"


def test_every_verb_that_looks_by_itself_gives_up(nvsim: MakeHost, tmp_path: Path) -> None:
    policy = tmp_path / "gpu-tuned.toml"
    policy.write_text('[host]\ngpu_power_budget_w = 900\n[[gpu]]\nmatch = { name = "*" }\npower_limit_w = 450\n')
    host = nvsim("h200")
    out = play(host, VERBS.format(policy=str(policy), root=str(host.root)))
    told = f"DriverTrouble: {LATE}"
    assert out == {"plan": told, "check": LATE, "probe": told, "env audit": told, "init": told}


def test_what_comes_in_time_is_what_was_asked_for_an_error_too() -> None:
    assert in_time(5.0, lambda: 7) == 7
    with pytest.raises(UsageError, match="no GPU"):
        in_time(5.0, _refuse)
    with pytest.raises(DriverTrouble, match=r"within 0\.01 s"):
        in_time(0.01, lambda: threading.Event().wait(30))


def _refuse() -> None:
    raise UsageError("no GPU 9 here")
