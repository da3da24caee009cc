"""The plan of a running daemon: of the files as they lie on the disk, and without a write."""

from __future__ import annotations

import json

import pytest

from tests.contract.test_daemon_drift import WISH
from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon


def plan(daemon: Daemon) -> dict:
    return json.loads(daemon.ctl("plan", "--json").stdout)


def test_what_is_in_order_needs_no_writing(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.turns(1)
        assert daemon.ctl("plan").returncode == 0
        assert plan(daemon)["changes"] == plan(daemon)["refusals"] == plan(daemon)["left"] == []


def test_an_edited_file_is_planned_before_it_is_loaded(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.turns(1)
        host.clear_writes()
        edited = FAST + rule('power_limit_w = 550\nmemory_clock_mhz = 3000\ncompute_mode = "prohibited"')
        daemon.config.write_text(edited)
        daemon.until(lambda: plan(daemon)["pending"], "noticed")
        told = plan(daemon)
        assert [(row["setting"], row["found"], row["wanted"]) for row in told["changes"]] == [
            ("power_limit_w", 500, 550),
            ("compute_mode", "default", "prohibited"),
        ]
        assert [row["setting"] for row in told["refusals"]] == ["memory_clock_mhz"]
        assert [row["setting"] for row in told["left"]] == ["persistence_mode", "gpu_clock_mhz"]
        page = daemon.ctl("plan").stdout
        assert "500 W -> 550 W" in page
        assert "not loaded yet" in page
        daemon.until(lambda: "not loaded yet" in daemon.ctl("status").stdout, "status says so too")
        assert daemon.writes() == []
        daemon.ctl("reload")
        assert plan(daemon)["pending"] is False
        assert host.gpu()["power_limit_w"] == 550


def test_a_share_of_the_maximum_above_the_default_is_said_to_raise(nvsim):
    host = nvsim("rtx-4090")
    with Daemon(host, FAST + rule('power_limit_w = "80%"')).ready() as daemon:
        daemon.until(lambda: host.gpu()["power_limit_w"] == 480, "80 % of 600 W")
        daemon.config.write_text(FAST + rule('power_limit_w = "90%"'))
        daemon.until(lambda: plan(daemon)["pending"], "noticed")
        (change,) = plan(daemon)["changes"]
        assert change["why"] == "RAISES the limit above the board's default of 450 W: a share is of the maximum"
        daemon.config.write_text(FAST + rule('power_limit_w = "70%"'))
        daemon.until(lambda: [row["wanted"] for row in plan(daemon)["changes"]] == [420], "noticed")
        assert "RAISES" not in plan(daemon)["changes"][0]["why"]


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("nonsense"), lambda path: path.unlink()])
def test_a_file_that_cannot_be_used_is_told_by_the_plan(nvsim, spoil):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        spoil(daemon.config)
        told = daemon.ctl("plan", check=False)
        assert told.returncode == 2
        assert str(daemon.config) in told.stderr
        assert daemon.status()["policy"]["error"] is None, "nobody asked to load it"


def test_what_is_only_watched_is_never_planned(nvsim):
    host = nvsim("h200")
    policy = FAST + rule('persistence_mode = true\npower_limit_w = 500\nwatch = ["power_limit_w"]')
    with Daemon(host, policy).ready() as daemon:
        daemon.turns(1)
        assert plan(daemon)["changes"] == []


def test_a_gpu_that_will_forget_is_told_of(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + rule("power_limit_w = 500")).ready() as daemon:
        daemon.turns(1)
        assert "persistence mode is off" in plan(daemon)["notes"][0]
        assert "persistence mode is off" in daemon.ctl("plan").stdout
        daemon.config.write_text(WISH)
        daemon.until(lambda: plan(daemon)["pending"], "noticed")
        assert plan(daemon)["notes"] == []
