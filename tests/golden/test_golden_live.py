"""A living daemon on simulated boards: what it publishes follows the schema, and every page of it can be read."""

from __future__ import annotations

import json

import pytest

from tests.daemon import Daemon
from tests.golden.test_golden_schema import VALIDATOR

POLICY = """
[daemon]
poll_interval_s = 0.2
[[gpu]]
match = { name = "*" }
persistence_mode = true
power_limit_w = "80%"
gpu_clock_mhz = { max = 1500 }
compute_mode = "default"
application_clocks_mhz = "default"
watch = ["compute_mode"]
[[gpu]]
match = { uuid = "GPU-00000000-1111-2222-3333-444444444444" }
power_limit_w = { max = 100 }
"""
VERBS = [["status"], ["status", "--all"], ["verify"], ["plan"], ["throttle"]]


def look(daemon: Daemon) -> dict:
    """One document, held against the schema; every reading verb is run, and none trips."""
    found = json.loads(daemon.ctl("status", "--json").stdout)
    assert [f"{list(e.absolute_path)}: {e.message}" for e in VALIDATOR.iter_errors(found)] == []
    for verb in VERBS:
        done = daemon.ctl(*verb, check=False)
        told = 2 if verb == ["plan"] and found["policy"]["error"] else None  # the plan is the file's
        assert done.returncode in ((0, 1, 5) if told is None else (told,)), done.stderr
        assert (done.stderr == "") == (told is None)
        assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    return found


def test_every_stage_of_a_life_can_be_read(nvsim) -> None:
    host = nvsim("rtx-5090-575", "h200", "a100", "t4")
    with Daemon(host, POLICY).ready() as daemon:
        found = look(daemon)
        assert [gpu["state"] for gpu in found["gpus"]] == ["ok"] * 4
        assert daemon.ctl("verify").returncode == 1  # for the rule that names a GPU that is not there
        host.set(0, power_limit_w=500, compute_mode="prohibited")
        daemon.turns(2)
        look(daemon)
        host.run("lose", "1")
        daemon.until(lambda: daemon.status()["gpus"][1]["state"] == "lost", "lost")
        look(daemon)
        assert daemon.ctl("status").returncode == 5
        daemon.config.write_text("garbage")
        assert daemon.ctl("reload", check=False).returncode == 2
        assert look(daemon)["policy"]["error"]
        daemon.config.write_text(POLICY)
        daemon.ctl("reload")
        daemon.ctl("release", "--all")
        assert look(daemon)["driver"]["state"] == "released"
        assert daemon.ctl("status").stdout.startswith("RELEASED")
        daemon.ctl("resume")
        look(daemon)


@pytest.mark.parametrize("boards", [(), ("h100",)])
def test_without_a_gpu_and_with_mig(nvsim, boards: tuple[str, ...]) -> None:
    host = nvsim(*boards) if boards else nvsim("t4")
    if boards:
        host.run("mig", "0", "on")
    else:
        host.run("remove", "0")
    with Daemon(host, POLICY).ready() as daemon:
        found = look(daemon)
        assert len(found["gpus"]) == len(boards)


def test_the_page_says_since_when_the_driver_hangs(nvsim) -> None:
    with Daemon(nvsim("h200"), POLICY).ready() as daemon:
        daemon.host.run("hang", "all", "60")
        daemon.until(lambda: daemon.status()["driver"]["state"] == "not_answering", "not answering", 15)
        look(daemon)
        done = daemon.ctl("status")
        assert done.returncode == 5
        assert done.stdout.startswith("DRIVER NOT ANSWERING")
        assert "driver has not answered since" in done.stdout
        daemon.host.run("hang", "all", "0")
