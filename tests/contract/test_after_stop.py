"""What a stop, and a removal of the package after it, puts back once the daemon is gone: `gpu-tuned --after-stop`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import BIN, Daemon

UNIT = "gpu-tuned.service"
KEEPING = FAST + rule("power_limit_w = 500\ngpu_clock_mhz = { min = 1200, max = 1500 }")
RESTORING = KEEPING.replace(FAST, FAST + 'on_stop = "restore"\n') + '[host]\nnuma_balancing = "off"\n'
SYSTEMCTL = """#!/bin/sh
case $1 in
  list-jobs) [ -z "{job}" ] || echo "17 gpu-tuned.service {job} running" ;;
  show) echo "LoadState={load}"; echo "ActiveState={active}" ;;
esac
"""


@pytest.fixture
def host(nvsim):
    """An H200 whose owner had set 600 W, with somebody holding the driver so that it forgets nothing."""
    host = nvsim("h200")
    host.set(0, power_limit_w=600, persistence_mode=True)
    return host


@pytest.fixture
def after_stop(tmp_path: Path):
    """after_stop(daemon, active=..., job=..., load=...): what systemd then says, and the process that asked it."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def run(daemon: Daemon, active: str, job: str = "", load: str = "loaded", **environment: str):
        (folder / "systemctl").write_text(SYSTEMCTL.format(job=job, active=active, load=load))
        (folder / "systemctl").chmod(0o755)
        daemon.host.clear_writes()
        command = [
            str(BIN / "gpu-tuned"),
            "--after-stop",
            UNIT,
            "--config",
            str(daemon.config),
            "--state-dir",
            str(daemon.state_dir),
        ]
        path = {"PATH": f"{folder}:{os.environ['PATH']}"}
        return subprocess.run(
            command,
            env={**daemon.env, **path, **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def limit_is(host, watts: int) -> bool:
    return host.gpu()["power_limit_w"] == watts


def saved(daemon: Daemon) -> set[str]:
    """The settings of which the disk says that something of ours may be in force."""
    state = json.loads((daemon.state_dir / "state.json").read_text())["state"]
    (gpu,) = state["gpus"].values()
    return {name for records in (gpu["records"], state["host"]) for name, one in records.items() if one["written"]}


@pytest.mark.parametrize(
    ("said", "back"),
    [
        ({"active": "deactivating", "job": "stop"}, True),
        ({"active": "failed"}, True),
        ({"active": "inactive"}, True),
        ({"active": "inactive", "load": "masked"}, True),
        # ExecStopPost= of a crash, and the pause before systemd starts it again.
        ({"active": "deactivating"}, False),
        ({"active": "activating"}, False),
        ({"active": "deactivating", "job": "restart"}, False),
        ({"active": "inactive", "job": "start"}, False),
        ({"active": "active"}, False),
        ({"active": "inactive", "load": "not-found"}, False),
        ({"active": ""}, False),
    ],
)
def test_a_stopped_service_is_put_back_and_no_other(host, after_stop, said: dict[str, str], back: bool) -> None:
    knob = host.root / "proc/sys/kernel/numa_balancing"
    with Daemon(host, RESTORING).ready() as daemon:
        daemon.kill()
        done = after_stop(daemon, **said)
        assert done.returncode == 0, done.stderr
        assert host.gpu()["power_limit_w"] == (600 if back else 500)
        assert (host.gpu()["gpu_clock_mhz"] is None) == back
        assert knob.read_text().strip() == ("1" if back else "0")
        assert back or daemon.writes() == []


def test_with_keep_nothing_is_written(host, after_stop) -> None:
    with Daemon(host, KEEPING).ready() as daemon:
        daemon.kill()
        done = after_stop(daemon, active="failed")
        assert (done.returncode, done.stderr, daemon.writes()) == (0, "", [])
        assert saved(daemon) >= {"power_limit_w", "gpu_clock_mhz"}


def test_what_was_set_by_hand_after_a_stop_is_not_undone_by_the_removal(host, after_stop) -> None:
    with Daemon(host, RESTORING).ready() as daemon:
        daemon.kill()
        assert after_stop(daemon, active="deactivating", job="stop").returncode == 0
        assert saved(daemon) == set()
        host.set(0, power_limit_w=450, gpu_clock_mhz="900-900")
        done = after_stop(daemon, active="inactive")
        assert (done.returncode, done.stderr, daemon.writes()) == (0, "", [])
        assert host.gpu()["power_limit_w"] == 450
        daemon.start()
        daemon.until(daemon.listens)
        daemon.until(lambda: limit_is(host, 500), "taken up again")
        assert daemon.setting("power_limit_w")["original"] == 600, "the first look's, whoever set 450 since"


def test_what_could_not_be_put_back_is_tried_again(host, after_stop) -> None:
    with Daemon(host, RESTORING).ready() as daemon:
        daemon.kill()
        done = after_stop(daemon, active="failed", NVSIM_CAP_SYS_ADMIN="0")
        assert done.returncode == 5
        assert "not everything could be put back" in done.stderr
        assert saved(daemon) >= {"power_limit_w", "gpu_clock_mhz"}
        assert after_stop(daemon, active="failed").returncode == 0
        assert host.gpu()["power_limit_w"] == 600
        assert saved(daemon) == set()


def test_what_was_set_by_hand_after_a_restore_is_not_undone_by_the_stop(host) -> None:
    with Daemon(host, RESTORING).ready() as daemon:
        assert daemon.ctl("restore").returncode == 0
        assert host.gpu()["power_limit_w"] == 600
        host.set(0, power_limit_w=450, gpu_clock_mhz="900-900")
        daemon.stop()
        assert host.gpu()["power_limit_w"] == 450
        assert host.gpu()["gpu_clock_mhz"] == {"min": 900, "max": 900}


def test_what_a_daemon_in_the_foreground_put_back_is_put_back(host, after_stop) -> None:
    with Daemon(host, RESTORING).ready() as daemon:
        daemon.stop()
        assert host.gpu()["power_limit_w"] == 600
        assert saved(daemon) == set()


def test_state_that_cannot_be_used_is_told_and_no_success(host, after_stop) -> None:
    with Daemon(host, RESTORING).ready() as daemon:
        daemon.kill()
        (daemon.state_dir / "state.json").write_text("garbage")
        done = after_stop(daemon, active="deactivating", job="stop")
        assert done.returncode == 5
        assert "nothing could be put back" in done.stderr
        assert daemon.writes() == []


def test_beside_a_daemon_that_runs_nothing_is_written(host, after_stop) -> None:
    """Somebody runs it by hand, and the unit is down."""
    with Daemon(host, RESTORING).ready() as daemon:
        done = after_stop(daemon, active="inactive")
        assert done.returncode == 5
        assert f"process {daemon.pid} holds" in done.stderr
        assert daemon.writes() == []


def test_a_damaged_last_good_policy_keeps_nothing_from_being_put_back(host, after_stop) -> None:
    with Daemon(host, RESTORING).ready() as daemon:
        daemon.kill()
        (daemon.state_dir / "policy.json").write_text("garbage")
        done = after_stop(daemon, active="deactivating", job="stop")
        assert (done.returncode, host.gpu()["power_limit_w"]) == (0, 600), done.stderr
