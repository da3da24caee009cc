"""Rivals that fight longer, wishes that are met in another way, and time that runs oddly."""

from __future__ import annotations

import signal

from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon

RESET_LOCK = "n.nvmlDeviceResetGpuLockedClocks(h)"


def test_a_lock_beside_a_contested_limit_is_written_again_too(nvsim):
    """Whoever resets the limit for the fifth time may reset the lock for the fifth time; it is told no more often
    than the contest is."""
    host = nvsim("rtx-5090-575")
    host.set(0, persistence_mode=True)
    wish = rule('power_limit_w = 450\ngpu_clock_mhz = { max = 2550 }\nrequired = ["power_limit_w"]')
    with Daemon(host, FAST + wish).ready() as daemon:
        for _ in range(6):
            host.ask(RESET_LOCK, NVSIM_CAP_SYS_ADMIN="1")
            host.set(0, power_limit_w=575)
            daemon.until(lambda: host.gpu()["power_limit_w"] == 450, "put back")
            daemon.turns(1)
        assert daemon.state("power_limit_w") == "contested"
        assert host.gpu()["gpu_clock_mhz"] == {"min": 180, "max": 2550}
        assert daemon.state("gpu_clock_mhz") == "requested"
        assert daemon.said.count("counts as lost") == 3
        assert daemon.said.count("requested (") == 4


def test_a_limit_below_a_ceiling_is_in_order_also_for_who_only_watches(nvsim):
    host = nvsim("rtx-5090-575")
    host.set(0, persistence_mode=True, power_limit_w=420)
    ceiling = rule("power_limit_w = { max = 450 }")
    with Daemon(host, FAST + ceiling, "--observe").ready() as daemon:
        assert daemon.setting("power_limit_w")["in_order"] is True
        assert daemon.ctl("verify").returncode == 0
        assert "policy says" not in daemon.said
        host.set(0, power_limit_w=500)
        daemon.until(lambda: not daemon.setting("power_limit_w")["in_order"], "500 W are too much")
        assert daemon.ctl("verify").returncode == 1


def test_a_release_ends_in_time_whatever_the_interval(nvsim):
    host = nvsim("rtx-5090-575")
    slow = "[daemon]\npoll_interval_s = 3600\n"
    with Daemon(host, slow + rule("power_limit_w = 450")).ready() as daemon:
        assert daemon.ctl("release", "0", "--for", "1s").returncode == 0
        assert not host.clients()
        daemon.until(lambda: host.clients(), "taken back", 6)
        daemon.until(lambda: daemon.state("power_limit_w") == "held", "held")


def test_a_resume_is_noticed_whatever_the_interval(nvsim):
    host = nvsim("rtx-5090-575")
    slow = "[daemon]\npoll_interval_s = 3600\n"
    with Daemon(host, slow + rule("power_limit_w = 450")).ready() as daemon:
        host.suspend(60)
        daemon.until(lambda: host.gpu()["power_limit_w"] == 450, "put back after the resume", 12)


def test_a_policy_over_budget_is_refused_also_when_the_boards_come_later(nvsim):
    host = nvsim("rtx-5090-575", "rtx-5090-575")
    host.run("unload")
    fits = FAST + "[host]\ngpu_power_budget_w = 900\n" + rule("power_limit_w = 450")
    with Daemon(host, fits) as daemon:
        daemon.until(lambda: "In force" in daemon.said or "not loaded" in daemon.said, "no driver")
        daemon.config.write_text(fits.replace("450", "500"))
        daemon.ctl("reload", check=False)
        host.run("load-driver")
        daemon.until(lambda: "add up to 1000 W" in daemon.said, "refused")
        daemon.turns(2)
        assert [w for w in daemon.writes() if w[1] == [500_000]] == []


def test_readiness_waits_for_the_first_pass_also_when_a_reload_comes_first(nvsim):
    host = nvsim("rtx-5090-575")
    host.hang("all", 3)
    with Daemon(host, FAST + rule("power_limit_w = 450")) as daemon:
        daemon.until(daemon.listens, "socket")
        for _ in range(20):
            daemon.signal(signal.SIGHUP)
        daemon.ready()
        assert host.gpu()["power_limit_w"] == 450
        ready = [line for line in daemon.manager.lines() if line.startswith(("READY", "STATUS"))]
        assert "1 of 1" in ready[ready.index("READY=1") + 1]


def contest(host, daemon: Daemon) -> None:
    """Revert the limit until the daemon holds back, and leave it at 300 W."""
    for _ in range(6):
        host.set(0, power_limit_w=300)
        daemon.turns(4)
    assert daemon.state("power_limit_w") == "contested"
    host.set(0, power_limit_w=300)
    daemon.turns(2)
    assert host.gpu()["power_limit_w"] == 300, "held back"


def test_a_resume_ends_the_pause_of_a_contest(nvsim):
    """What the sleep undid is no rival's doing, and nobody's cap stays away for minutes because of it."""
    host = nvsim("h200")
    with Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 500")).ready() as daemon:
        contest(host, daemon)
        host.suspend(30)
        daemon.until(lambda: host.gpu()["power_limit_w"] == 500, "put back after the settling", 5)


def test_a_gpu_that_comes_back_is_not_held_back_from(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 500")).ready() as daemon:
        contest(host, daemon)
        assert daemon.ctl("release", "0").returncode == 0
        assert daemon.ctl("resume", "0").returncode == 0
        assert host.gpu()["power_limit_w"] == 500


def test_sigterm_ends_within_two_seconds_also_while_the_first_init_hangs(nvsim):
    host = nvsim("h200")
    host.hang("all", 60)
    with Daemon(host, FAST + rule("power_limit_w = 500")) as daemon:
        daemon.until(lambda: "in force" in daemon.said, "policy read")
        daemon.stop(2.4)
        assert daemon.writes() == []


def test_a_service_manager_that_never_reads_holds_up_nobody(nvsim):
    """Its socket takes so many datagrams, and then a sender waits."""
    host = nvsim("h200")
    with Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 500")) as daemon:
        daemon.until(lambda: "power limit set to 500 W" in daemon.said, "applied")
        for watts in range(501, 521):
            daemon.config.write_text(FAST + rule(f"power_limit_w = {watts}"))
            assert daemon.ctl("reload").returncode == 0
        assert host.gpu()["power_limit_w"] == 520
        daemon.stop(2.4)


def test_plan_speaks_of_the_files_as_they_are_whatever_the_interval(nvsim):
    host = nvsim("h200")
    slow = "[daemon]\npoll_interval_s = 3600\n"
    with Daemon(host, slow + rule("power_limit_w = 500")).ready() as daemon:
        daemon.config.write_text(slow + rule("power_limit_w = 510"))
        daemon.until(lambda: "510 W" in daemon.ctl("plan").stdout, "planned", 8)
        assert host.gpu()["power_limit_w"] == 500


def test_without_a_driver_nothing_is_planned_and_no_rule_is_blamed(nvsim):
    host = nvsim("h200")
    host.run("unload")
    with Daemon(host, FAST + rule("power_limit_w = 500")) as daemon:
        daemon.until(lambda: "Waiting for the driver" in daemon.said, "no driver")
        daemon.turns(1)
        done = daemon.ctl("plan", check=False)
        assert done.returncode == 5
        assert "not loaded" in done.stderr
        assert "matches no GPU" not in daemon.ctl("status", check=False).stdout
