"""Originals and restores at awkward moments: nothing is claimed that was not done, nothing is put back that we did
not change."""

from __future__ import annotations

import json
import re

import pytest

from tests.contract.test_daemon_drift import WISH
from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon

SET_POWER = "nvmlDeviceSetPowerManagementLimit"
RESTORING = FAST + 'on_stop = "restore"\n' + rule("power_limit_w = 500")


@pytest.fixture
def host(nvsim):
    host = nvsim("h200")
    host.set(0, power_limit_w=600, persistence_mode=True)
    host.clear_writes()
    return host


def limit_w(host) -> float:
    return host.gpu()["power_limit_w"]


def stopped(daemon: Daemon) -> str:
    return next(line for line in reversed(daemon.said.splitlines()) if "put back to what was found" in line)


def test_restore_of_a_gpu_that_is_lost_is_no_success(host):
    with Daemon(host, WISH).ready() as daemon:
        host.lose(0)
        daemon.until(lambda: daemon.state("power_limit_w") == "absent", "lost")
        done = daemon.ctl("restore", check=False)
        assert done.returncode == 5
        assert "power limit" in done.stderr and "lost" in done.stderr


def test_a_stop_while_released_says_what_it_could_not_put_back(host):
    with Daemon(host, RESTORING).ready() as daemon:
        assert daemon.ctl("release", "0").returncode == 0
        assert daemon.stop() == 5
        assert limit_w(host) == 500
        assert "0 settings put back to what was found, 1 failed" in stopped(daemon)


def test_a_restore_that_failed_is_not_told_as_restored(host):
    with Daemon(host, WISH).ready() as daemon:
        host.run("answer", SET_POWER, 999)
        assert daemon.ctl("restore", "0", "power_limit_w", check=False).returncode == 5
        host.run("answer", SET_POWER, "none")
        daemon.turns(2)
        row = daemon.setting("power_limit_w")
        assert limit_w(host) == 500
        assert "failed" in row["message"], row
        assert row["observed"] == 500


def test_what_was_handed_back_is_still_looked_at(host):
    with Daemon(host, WISH).ready() as daemon:
        assert daemon.ctl("restore", "0", "power_limit_w").returncode == 0
        host.set(0, power_limit_w=550)
        daemon.until(lambda: daemon.setting("power_limit_w")["observed"] == 550, "550 W seen")
        assert limit_w(host) == 550


def test_a_write_that_the_driver_refused_leaves_nothing_to_restore(host):
    """Somebody sets 550 W after our write failed: 600 W was never ours to put back."""
    host.run("answer", SET_POWER, 4)
    with Daemon(host, WISH).ready() as daemon:
        assert daemon.state("power_limit_w") == "refused"
        host.run("answer", SET_POWER, "none")
        host.set(0, power_limit_w=550)
        daemon.ctl("restore", check=False)
        assert limit_w(host) == 550


def test_the_original_is_what_the_first_look_found_also_where_it_could_not_be_saved(host):
    """What a stranger set between the first look and the first write is no original."""
    folder = host.directory.parent / "daemon-host1"
    folder.mkdir()
    (folder / "state").write_text("a file where the folder should be")
    with Daemon(host, WISH) as daemon:
        daemon.until(lambda: daemon.listens() and daemon.state("power_limit_w") == "refused", "refused")
        host.set(0, power_limit_w=550)
        (folder / "state").unlink()
        daemon.until(lambda: daemon.ctl("apply").returncode == 0, "applied")
        assert limit_w(host) == 500
        assert daemon.setting("power_limit_w")["original"] == 600


def test_the_original_of_a_setting_that_was_not_wished_for_is_the_first_looks_too(host):
    """Application clocks are dear to read and looked at only while wished for, but for the first look."""
    default = host.gpu()["application_clocks_mhz"]
    with Daemon(host, FAST + rule("persistence_mode = true")).ready() as daemon:
        daemon.turns(2)
        host.set(0, application_clocks_mhz="3201,1500")
        daemon.config.write_text(FAST + rule("application_clocks_mhz = { memory = 3201, gpu = 1200 }"))
        assert daemon.ctl("reload").returncode == 0
        row = daemon.setting("application_clocks_mhz")
        assert row["state"] == "held"
        assert row["original"] == default


def test_held_is_said_of_what_was_read_now(host):
    """The wish is what lay there at the start, and somebody has changed it since."""
    default = host.gpu()["application_clocks_mhz"]
    with Daemon(host, FAST + rule("persistence_mode = true")).ready() as daemon:
        daemon.turns(2)
        host.set(0, application_clocks_mhz="3201,1200")
        text = f"application_clocks_mhz = {{ memory = {default['memory']}, gpu = {default['gpu']} }}"
        daemon.config.write_text(FAST + rule(text))
        assert daemon.ctl("reload").returncode == 0
        assert host.gpu()["application_clocks_mhz"] == default
        assert daemon.setting("application_clocks_mhz")["original"] == default


def test_two_states_on_disk_never_lose_the_original(host):
    """Killed again and again between the write and its record."""
    for turn in range(5):
        host.slow(SET_POWER, 300)
        with Daemon(host, WISH.replace("500", str(500 + turn))) as daemon:
            daemon.until(lambda: any(w[0] == SET_POWER for w in daemon.writes()), "written")
            daemon.kill()
        host.clear_writes()
    host.slow(SET_POWER, 0)
    saved = json.loads((host.directory.parent / "daemon-host1/state/state.json").read_text())
    (gpu,) = saved["state"]["gpus"].values()
    assert re.fullmatch(r"600(\.0)?", str(gpu["records"]["power_limit_w"]["original"]))


def test_a_stop_says_where_the_driver_may_forget_what_stays(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + rule("power_limit_w = 500")).ready() as daemon:
        daemon.stop()
        assert limit_w(host) == 700
        assert "with persistence mode off NVIDIA H200 0000:01:00.0 may forget them" in daemon.said
    kept = FAST + rule("persistence_mode = true\npower_limit_w = 500")
    with Daemon(host, kept, folder=daemon.folder / "kept").ready() as other:
        other.stop()
        assert limit_w(host) == 500
        assert "may forget" not in other.said
