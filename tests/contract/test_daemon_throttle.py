"""Throttling in seconds from the driver's counters: what our own cap costs kept apart from faults."""

from __future__ import annotations

import json

from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon
from tests.nvsim import SIMULATOR


def reasons(daemon: Daemon) -> dict[str, dict[str, object]]:
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
