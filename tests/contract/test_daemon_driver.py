"""The driver comes, goes, hangs and returns: status always answers, the other GPUs go on, everything comes back."""

from __future__ import annotations

import signal
import time

from tests.contract.test_daemon_drift import WISH
from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon


def test_a_lost_gpu_waits_and_the_other_goes_on(nvsim):
    host = nvsim("h200", "h200")
    with Daemon(host, WISH).ready() as daemon:
        host.lose(0)
        daemon.until(lambda: daemon.status()["gpus"][0]["state"] == "lost", "lost")
        assert daemon.state("power_limit_w") == "absent"
        assert daemon.status()["gpus"][0]["message"]
        host.set(1, power_limit_w=450)
        daemon.until(lambda: host.gpu(1)["power_limit_w"] == 500, "the other GPU goes on")
        assert daemon.ctl("status").returncode == 5
        applied = daemon.ctl("apply", check=False)
        assert (applied.returncode, "not in order" in applied.stdout) == (5, True)
        host.restore(0)
        daemon.until(lambda: daemon.ctl("verify", check=False).returncode == 0, "back by itself")
        assert (host.gpu(0)["power_limit_w"], host.gpu(1)["power_limit_w"]) == (500, 500)


def test_an_xid_is_told_and_kept_in_status(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        host.xid(0, 31)
        daemon.until(lambda: daemon.status()["gpus"][0]["last_xid"], "xid")
        assert daemon.status()["gpus"][0]["last_xid"]["xid"] == 31
        assert "Xid 31 (caused by a program)" in daemon.said


def test_a_storm_of_xids_is_one_line(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        for _ in range(5):
            host.xid(0, 13)
            daemon.turns(1)
        host.xid(0, 79)
        daemon.until(lambda: "Xid 79" in daemon.said, "another one told at once")
        assert daemon.said.count("Xid 13") == 1
        daemon.until(lambda: daemon.status()["gpus"][0]["last_xid"]["xid"] == 79, "status tells it after that turn")


def test_a_driver_that_comes_late_is_waited_for(nvsim):
    host = nvsim("h200")
    host.run("unload")
    with Daemon(host, WISH).ready(timeout_s=5) as daemon:
        assert daemon.status()["driver"]["state"] == "absent"
        assert any("driver absent" in line for line in daemon.manager.lines() if line.startswith("STATUS="))
        assert daemon.ctl("status").returncode == 5
        host.run("load-driver")
        daemon.until(lambda: daemon.state("power_limit_w") == "held", "applied")
        assert host.gpu()["power_limit_w"] == 500
        assert daemon.ctl("verify").returncode == 0


def test_a_released_driver_can_be_reloaded_and_everything_comes_back(nvsim):
    host = nvsim("h200", "h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.turns(1)
        released = daemon.ctl("release", "0")
        assert released.returncode == 0, released.stderr
        assert host.clients() == []
        assert [gpu["state"] for gpu in daemon.status()["gpus"]] == ["released", "waiting"]
        host.reload()
        host.clear_writes()
        assert daemon.ctl("resume", "0").returncode == 0
        assert [host.gpu(i)["power_limit_w"] for i in (0, 1)] == [500, 500]
        assert {f for f, _, _ in daemon.writes()} == {
            "nvmlDeviceSetPersistenceMode",
            "nvmlDeviceSetPowerManagementLimit",
            "nvmlDeviceSetGpuLockedClocks",
        }
        assert daemon.ctl("verify").returncode == 0


def test_release_for_a_time_ends_by_itself(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.ctl("release", "0", "--for", "1s")
        assert host.clients() == []
        daemon.until(lambda: daemon.state("power_limit_w") == "held", "taken back")


def test_a_gpu_that_is_added_is_wished_for(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        host.run("add", "h200")
        daemon.until(lambda: len(daemon.status()["gpus"]) == 2, "seen")
        daemon.until(lambda: daemon.state("power_limit_w", gpu=1) == "held", "applied")


def test_a_library_that_does_not_match_the_module_is_waited_out(nvsim):
    host = nvsim("h200")
    host.run("mismatch", "on")
    with Daemon(host, WISH) as daemon:
        daemon.until(lambda: daemon.listens() and daemon.status()["driver"]["state"] == "mismatch", "mismatch")
        host.run("mismatch", "off")
        daemon.until(lambda: daemon.state("power_limit_w") == "held", "applied", timeout_s=15)


def test_a_driver_that_hangs_holds_readiness_up_for_20_s_at_most(nvsim):
    host = nvsim("h200")
    host.hang("all", 60)
    with Daemon(host, WISH, WATCHDOG_USEC="3000000") as daemon:
        daemon.ready(timeout_s=25)
        waited_s = next(at for at, text in daemon.manager.told if "READY=1" in text) - daemon.began_s
        assert 19 < waited_s < 23
        assert "STATUS=the driver does not answer yet" in daemon.manager.lines()
        # A new process would hang as well, so this one is let live.
        fed = daemon.manager.lines().count("WATCHDOG=1")
        assert fed >= 10, "told at each third of the watchdog's time"
        daemon.until(lambda: daemon.manager.lines().count("WATCHDOG=1") > fed + 1, "and after READY=1")


def test_a_release_for_a_time_ends_by_the_clock_also_where_the_machine_slept(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        assert daemon.ctl("release", "--all", "--for", "1h").returncode == 0
        host.suspend(7200)
        daemon.until(lambda: daemon.status()["driver"]["state"] == "ok", "taken back")
        assert "its time is over" in daemon.said


def test_resume_from_suspend_puts_everything_back(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.turns(1)
        host.clear_writes()
        host.suspend(3600)
        driver = daemon.status()["driver"]
        assert (driver["state"], "not looked at since" in driver["message"]) == ("starting", True), "not of before"
        verified = daemon.ctl("verify")
        assert (verified.returncode, verified.stdout.splitlines()[0]) == (1, "NOT VERIFIED")
        daemon.until(lambda: len(daemon.writes()) >= 2, "limit and lock after the resume")
        assert ("nvmlDeviceSetGpuLockedClocks", [1200, 1500], "SUCCESS") in daemon.writes()
        assert host.gpu()["power_limit_w"] == 500
        assert "slept 3600" in daemon.said
        daemon.until(lambda: daemon.status()["driver"]["state"] == "ok", "looked at")
        assert daemon.ctl("verify").returncode == 0


def test_status_answers_while_the_driver_hangs_and_says_since_when(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.turns(1)
        host.hang("all", 60)
        daemon.until(lambda: daemon.status()["driver"]["state"] == "not_answering", "told", timeout_s=15)
        status = daemon.ctl("status")
        assert status.returncode == 5
        assert "not answered" in status.stdout
        for verb in ("plan", "throttle"):
            old = daemon.ctl(verb)
            assert (old.returncode, "not answered" in old.stdout) == (5, True), verb
        began = time.monotonic()
        daemon.status()
        assert time.monotonic() - began < 0.5
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < 2.2, "ends in time although a call hangs"


def test_a_hang_that_ends_is_recovered_from(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        host.hang("all", 60)
        daemon.until(lambda: daemon.status()["driver"]["state"] == "not_answering", "told", timeout_s=15)
        host.set(0, power_limit_w=450)
        host.hang("all", 0)
        daemon.until(lambda: daemon.state("power_limit_w") == "held", "answering again")
        daemon.until(lambda: host.gpu()["power_limit_w"] == 500, "put right")


def test_the_watchdog_is_fed_from_the_loop_alone(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH, WATCHDOG_USEC="10000000").ready() as daemon:
        daemon.turns(2)
        assert "WATCHDOG=1" in daemon.manager.lines()
        host.hang("all", 60)
        daemon.until(lambda: daemon.status()["driver"]["state"] == "not_answering", "hanging", timeout_s=15)
        fed = daemon.manager.lines().count("WATCHDOG=1")
        for _ in range(50):
            daemon.status()  # a turn of the control thread, in which it would have fed it
        assert daemon.manager.lines().count("WATCHDOG=1") == fed


def test_an_older_driver_without_new_calls_is_held_all_the_same(nvsim):
    host = nvsim("h200")
    host.run("missing", "nvmlDeviceGetFieldValues", "nvmlDeviceGetCurrentClocksEventReasons")
    with Daemon(host, WISH).ready() as daemon:
        daemon.turns(2)
        assert daemon.state("power_limit_w") == "held"


def test_a_storm_of_events_costs_few_looks(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        before = daemon.status()["host"]["sequence"]
        host.run("storm", 0, 4000)
        daemon.turns(3)
        assert daemon.status()["host"]["sequence"] - before < 60


def test_index_order_does_not_matter(nvsim):
    host = nvsim("h200", "rtx-5090-575")
    policy = (
        FAST + rule("power_limit_w = 500", 'name = "NVIDIA H200"') + rule("power_limit_w = 450", 'name = "*5090"')
    )
    with Daemon(host, policy).ready() as daemon:
        daemon.ctl("release", "0")
        host.run("order", 1, 0)
        host.reload()
        daemon.ctl("resume", "0")
        by_name = {g["name"]: g["settings"][1]["observed"] for g in daemon.status()["gpus"]}
        assert by_name == {"NVIDIA H200": 500, "NVIDIA GeForce RTX 5090": 450}


def test_sighup_is_a_reload(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.config.write_text(WISH.replace("= 500", "= 550"))
        daemon.signal(signal.SIGHUP)
        daemon.until(lambda: host.gpu()["power_limit_w"] == 550, "reloaded")
        lines = daemon.manager.lines()
        assert "RELOADING=1" in lines
        assert lines.index("RELOADING=1") < len(lines) - 1 - lines[::-1].index("READY=1")
