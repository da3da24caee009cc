"""Throttling in seconds from the driver's counters: what our own cap costs kept apart from faults."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon
from tests.nvsim import SIMULATOR


def reasons(daemon: Daemon) -> dict[str, dict[str, Any]]:
    throttle = json.loads(daemon.ctl("throttle", "--json").stdout)
    return {row["reason"]: row for row in throttle["gpus"][0]["throttle"]["reasons"]}


def test_the_recorded_load_gives_its_seconds_of_power_cap_and_no_alarm(nvsim):
    host = nvsim("h200")
    trace = next((SIMULATOR / "data").glob("*load*"))
    with Daemon(host, FAST + rule("persistence_mode = true")).ready() as daemon:
        daemon.turns(1)
        host.speed(5)
        host.run("replay", 0, trace)
        daemon.until(
            lambda: host.gpu()["counters_ns"]["74"] > 15.2e9 and not host.gpu()["reasons"] & 4, "played", timeout_s=30
        )
        daemon.turns(12)  # counters take turns
        cap = reasons(daemon)["sw_power_cap"]
        assert abs(cap["start_s"] - 15.36) < 0.15, daemon.ctl("throttle", "--json").stdout
        assert (cap["kind"], cap["sampled"]) == ("limit", False)
        assert daemon.status()["gpus"][0]["throttle"]["fault"] is None
        assert "fault" not in daemon.said
        assert not [line for line in daemon.said.splitlines() if "warning" in line]


def test_a_cap_is_shown_at_once_and_marked_until_the_counter_is_read(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 400")).ready() as daemon:
        host.load(0, 100)
        looks = []

        def uncounted():
            looks.append(reasons(daemon)["sw_power_cap"])
            return looks[-1]["uncounted_s"]

        daemon.until(uncounted, "seen")
        shown = looks[-1]
        assert (shown["kind"], shown["limiter"], shown["sampled"]) == ("own", "own", False)
        assert shown["start_s"] >= shown["uncounted_s"] > 0
        host.load(0, 0)
        daemon.until(lambda: not reasons(daemon)["sw_power_cap"]["uncounted_s"], "counted")
        assert reasons(daemon)["sw_power_cap"]["start_s"] > 0


def test_a_cap_of_ours_is_called_ours(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 400")).ready() as daemon:
        host.load(0, 100)
        host.speed(10)
        daemon.until(lambda: reasons(daemon)["sw_power_cap"]["start_s"], "capped", timeout_s=20)
        assert reasons(daemon)["sw_power_cap"]["kind"] == "own"
        assert "fault" not in daemon.said


def test_a_fault_is_told_when_it_begins_and_when_it_ends_with_its_duration(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + rule("persistence_mode = true")).ready() as daemon:
        host.load(0, 100)
        host.set(0, reasons="0x48")
        daemon.until(lambda: daemon.status()["gpus"][0]["throttle"]["fault"], "begins")
        assert daemon.status()["gpus"][0]["throttle"]["fault"]["reason"] == "hw_thermal"
        assert daemon.ctl("status").returncode in (0, 5)
        host.set(0, reasons="0")
        daemon.until(lambda: "fault over" in daemon.said, "ends", timeout_s=30)
        assert daemon.said.count("slowed by a fault") == 1
        assert reasons(daemon)["hw_thermal"]["start_s"] > 0


def caps(daemon: Daemon) -> dict[tuple[str, str | None], dict[str, Any]]:
    """The rows of the power cap, by kind and limiter."""
    throttle = json.loads(daemon.ctl("throttle", "--json").stdout)
    rows = throttle["gpus"][0]["throttle"]["reasons"]
    return {(row["kind"], row["limiter"]): row for row in rows if row["reason"] == "sw_power_cap"}


def test_a_limit_below_the_one_requested_is_anothers_and_what_was_ours_stays_ours(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 600")).ready() as daemon:
        host.load(0, 100)
        host.speed(10)
        daemon.until(lambda: caps(daemon)["own", "own"]["start_s"], "capped by us", timeout_s=20)
        host.set(0, enforced_limit_w=500)
        daemon.until(
            lambda: caps(daemon).get(("limit", "other"), {}).get("start_s"), "capped by another", timeout_s=20
        )
        found = caps(daemon)
        assert found["limit", "other"]["active"] and not found["own", "own"]["active"]
        assert found["own", "own"]["start_s"] > 0
        shown = daemon.ctl("status").stdout
        assert "held to 500 W by another's limit, below the 600 W set here" in shown
        assert "power limit  600 W   600 W  held" in shown
        assert "(other's)" in daemon.ctl("throttle").stdout


def test_an_idle_5090_that_shows_the_bit_was_not_capped(nvsim):
    host = nvsim("rtx-5090-575")
    with Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 450")).ready() as daemon:
        daemon.until(lambda: caps(daemon).get(("benign", None), {}).get("start_s"), "idle")
        assert caps(daemon)["own", "own"]["start_s"] == 0
        assert "own cap 0s" in daemon.ctl("status").stdout


def test_seconds_survive_a_restart_and_those_between_are_counted(nvsim):
    host = nvsim("h200")
    daemon = Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 400")).ready()
    host.load(0, 100)
    host.speed(10)
    daemon.until(lambda: caps(daemon)["own", "own"]["start_s"] > 20, "capped", timeout_s=20)
    daemon.stop()
    kept = daemon.folder
    with Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 400"), folder=kept).ready() as again:
        again.turns(12)
        found = caps(again)
        assert found["own", "own"]["hour_s"] > 20
        assert ("limit", "other") not in found and ("limit", "board") not in found
