"""Somebody changes a setting: seen within one interval, put right, told with its cause, and fought over with care."""

from __future__ import annotations

import json

from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon

WISH = FAST + rule("persistence_mode = true\npower_limit_w = 500\ngpu_clock_mhz = { min = 1200, max = 1500 }")


def events(daemon: Daemon) -> list[str]:
    return [line for line in daemon.said.splitlines() if line.strip()]


def test_only_what_changed_is_put_back_within_one_interval(nvsim):
    host = nvsim("h200")
    policy = FAST.replace("0.2", "1") + rule('persistence_mode = true\npower_limit_w = 500\ncompute_mode = "default"')
    with Daemon(host, policy).ready() as daemon:
        daemon.turns(1)
        host.clear_writes()
        host.set(0, power_limit_w=450)
        daemon.until(lambda: host.gpu()["power_limit_w"] == 500, "put back")
        every = host.writes(strangers=True)
        mine = [w for w in every if not w["stranger"]]
        assert [(w["function"], w["args"]) for w in mine] == [("nvmlDeviceSetPowerManagementLimit", [500000])]
        stranger = next(w for w in every if w["stranger"])
        took_s = (mine[0]["monotonic_ns"] - stranger["monotonic_ns"]) / 1e9
        assert took_s < 1.0 + 0.5, "an interval, and time for a busy test machine"
        daemon.turns(1)
        gpu = daemon.status()["gpus"][0]
        assert gpu["put_back"]["count"] == 1
        assert gpu["put_back"]["last"]["found"] == 450
        assert gpu["put_back"]["last"]["cause"] == "somebody's value"


def test_the_factory_default_is_told_from_somebodys_value(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        host.set(0, power_limit_w=700)
        daemon.until(lambda: host.gpu()["power_limit_w"] == 500)
        daemon.turns(1)
        assert "factory default" in daemon.status()["gpus"][0]["put_back"]["last"]["cause"]


def test_losing_anything_readable_makes_the_locks_count_as_lost(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.turns(1)
        host.clear_writes()
        host.set(0, power_limit_w=700, gpu_clock_mhz="unlocked")
        daemon.until(lambda: len(daemon.writes()) >= 2, "limit and lock")
        assert {function for function, _, _ in daemon.writes()} == {
            "nvmlDeviceSetPowerManagementLimit",
            "nvmlDeviceSetGpuLockedClocks",
        }
        daemon.turns(1)
        assert daemon.state("gpu_clock_mhz") == "requested"


def test_a_lock_broken_under_load_is_noticed_although_it_cannot_be_read(nvsim):
    host = nvsim("rtx-5090-575")
    policy = FAST + rule("persistence_mode = true\ngpu_clock_mhz = { min = 1500, max = 1807 }")
    with Daemon(host, policy).ready() as daemon:
        host.load(0, 60)
        daemon.until(lambda: daemon.setting("gpu_clock_mhz")["confirmed_at"], "confirmed under load")
        host.clear_writes()
        host.set(0, gpu_clock_mhz="unlocked")
        daemon.until(lambda: daemon.writes(), "requested again")
        assert daemon.writes() == [("nvmlDeviceSetGpuLockedClocks", [1500, 1807], "SUCCESS")]
        assert "under load" in daemon.said


def test_somebody_who_keeps_changing_it_is_named_and_given_way_to(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        for _ in range(3):
            host.set(0, power_limit_w=450)
            daemon.until(lambda: host.gpu()["power_limit_w"] == 500)
        daemon.turns(1)
        row = daemon.setting("power_limit_w")
        assert row["state"] == "contested"
        assert row["put_back"] == 3
        assert row["every_s"] > 0
        host.clear_writes()
        for _ in range(20):
            host.set(0, power_limit_w=450)
            daemon.turns(1)
        assert 0 < len(daemon.writes()) < 8, "written less and less often"
        assert daemon.said.count("is contested") == 1, "said once"
        assert daemon.ctl("verify").returncode == 1


def test_a_required_setting_never_yields(nvsim):
    host = nvsim("h200")
    policy = FAST + rule('power_limit_w = 500\nrequired = ["power_limit_w"]')
    with Daemon(host, policy).ready() as daemon:
        for _ in range(8):
            host.set(0, power_limit_w=450)
            daemon.until(lambda: host.gpu()["power_limit_w"] == 500, timeout_s=2)
        assert daemon.state("power_limit_w") == "contested"
        assert daemon.setting("power_limit_w")["required"] is True


def test_a_watched_setting_is_told_about_and_never_written(nvsim):
    host = nvsim("h200")
    policy = FAST + rule('persistence_mode = true\npower_limit_w = 500\nwatch = ["power_limit_w", "compute_mode"]')
    with Daemon(host, policy).ready() as daemon:
        daemon.turns(1)
        host.set(0, power_limit_w=450, compute_mode="prohibited")
        daemon.until(lambda: daemon.setting("compute_mode").get("observed") == "prohibited")
        assert daemon.state("power_limit_w") == daemon.state("compute_mode") == "watched"
        assert [function for function, _, _ in daemon.writes()] == ["nvmlDeviceSetPersistenceMode"]
        assert "watched, not written" in daemon.said


def test_watchers_see_each_event_with_its_fields(nvsim):
    import subprocess

    from tests.daemon import BIN

    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        command = [str(BIN / "gpu-tunedctl"), "watch", "--json"]
        watch = subprocess.Popen(command, env=daemon.env, stdout=subprocess.PIPE, text=True)
        assert watch.stdout is not None
        try:
            daemon.turns(3)
            host.set(0, power_limit_w=450)
            seen = {}
            while "put_back" not in seen:
                line = json.loads(watch.stdout.readline())
                event = line.get("event", line)
                seen[event["kind"]] = event
        finally:
            watch.terminate()
            watch.wait(5)
        drifted = seen["drifted"]
        assert (drifted["setting"], drifted["wanted"], drifted["found"]) == ("power_limit_w", 500, 450)
        assert drifted["cause"] == "somebody's value"
        assert drifted["origin"] == "gpu-tuned.toml gpu[0].power_limit_w"
        assert drifted["gpu_uuid"] == host.gpu()["uuid"]


def test_the_owners_command_is_not_a_rivals(nvsim):
    """Changing the policy and reloading is no drift, whatever it changes."""
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        for limit_w in (450, 550, 460, 560, 470):
            daemon.config.write_text(WISH.replace("= 500", f"= {limit_w}"))
            assert daemon.ctl("reload").returncode == 0
            assert host.gpu()["power_limit_w"] == limit_w
        assert daemon.state("power_limit_w") == "held"
        assert daemon.setting("power_limit_w")["put_back"] == 0


def test_application_clocks_are_dear_to_read_so_a_lower_one_shows_late_or_when_somebody_asks(nvsim):
    host = nvsim("h200")
    policy = FAST + rule("persistence_mode = true\napplication_clocks_mhz = { memory = 3201, gpu = 1500 }")
    with Daemon(host, policy).ready() as daemon:
        daemon.turns(1)
        host.set(0, application_clocks_mhz="3201,1200")
        assert daemon.ctl("apply").returncode == 0
        assert host.gpu()["application_clocks_mhz"] == {"memory": 3201, "gpu": 1500}
        assert daemon.setting("application_clocks_mhz")["put_back"] == 1
