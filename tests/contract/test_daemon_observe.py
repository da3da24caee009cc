"""Observe mode writes nothing, whatever happens; and two daemons never write to one driver."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.contract.test_daemon_drift import WISH
from tests.contract.test_daemon_settings import BOARDS, FAST, rule
from tests.daemon import Daemon

EVERYTHING = """
persistence_mode = true
power_limit_w = "80%"
gpu_clock_mhz = "unlocked"
memory_clock_mhz = "unlocked"
application_clocks_mhz = "default"
compute_mode = "exclusive_process"
required = ["power_limit_w"]
"""


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("how", ["flag", "file"])
def test_nothing_is_written_whatever_happens(nvsim, board, how):
    host = nvsim(board)
    policy = FAST + ('mode = "observe"\n' if how == "file" else "") + 'on_stop = "restore"\n' + rule(EVERYTHING)
    with Daemon(host, policy, *(["--observe"] if how == "flag" else [])).ready() as daemon:
        assert daemon.status()["policy"]["mode"] == "observe"
        host.set(0, compute_mode="prohibited")
        daemon.until(lambda: daemon.setting("compute_mode").get("observed") == "prohibited", "seen")
        assert daemon.state("compute_mode") == "watched"
        for verb in ("apply", "reload", "restore"):
            daemon.ctl(verb, check=False)
        daemon.ctl("release", "0")
        daemon.ctl("resume", "0")
        daemon.turns(2)
        assert daemon.ctl("verify").returncode == 1, "what differs is reported"
        assert daemon.ctl("plan").returncode in (0, 1)
        assert daemon.stop() == 0
        assert daemon.writes() == []


def test_plan_needs_no_daemon_no_root_and_writes_nothing(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH, root=False) as daemon:
        daemon.kill()
        plan = daemon.ctl("plan", "--config", str(daemon.config))
        assert plan.returncode == 1
        assert "500 W" in plan.stdout
        assert host.gpu()["power_limit_w"] == 700
        assert all(result != "SUCCESS" for _, _, result in daemon.writes())


def test_a_second_daemon_refuses_to_start_and_may_observe(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as first:
        second = Daemon(host, WISH, folder=first.folder.parent / "second")
        assert second.process is not None
        assert second.process.wait(10) == 5
        assert f"process {first.pid}" in second.said
        observer = Daemon(host, WISH, "--observe", folder=first.folder.parent / "observer").ready()
        assert observer.status()["policy"]["mode"] == "observe"
        observer.kill()


class Nobodys(Daemon):
    """A daemon without root: in a user namespace where it is nobody, and owns its files all the same."""

    prefix = ("unshare", "--user")


nobody = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode != 0,
    reason="no user namespaces here",
)


@nobody
def test_a_second_one_without_root_observes_by_itself_and_says_so(nvsim):
    host = nvsim("h200")
    with (
        Daemon(host, WISH).ready() as first,
        Nobodys(host, WISH, folder=first.folder.parent / "second").ready() as second,
    ):
        assert second.status()["policy"]["mode"] == "observe"
        assert "observing, as with --observe, and writing nothing: another gpu-tuned writes" in second.said
        assert f"process {first.pid}" in second.said
        host.set(0, power_limit_w=600)
        first.until(lambda: host.gpu()["power_limit_w"] == 500, "put back by the first")
        assert first.status()["policy"]["mode"] == "enforce"


@nobody
def test_one_without_root_that_may_not_take_the_lock_observes(nvsim):
    host = nvsim("h200")
    folder = host.root / "run/gpu-tuned"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o555)
    with Nobodys(host, WISH, root=False).ready() as daemon:
        assert daemon.status()["policy"]["mode"] == "observe"
        assert "observing, as with --observe, and writing nothing: the writer's lock" in daemon.said
        daemon.turns(1)
        assert daemon.writes() == []
