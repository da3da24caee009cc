"""What was found before the first write: saved before it, never overwritten, put back when asked and only then."""

from __future__ import annotations

import json
import re

import pytest

from tests.contract.test_daemon_drift import WISH
from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon

RESTORING = FAST + 'on_stop = "restore"\n' + rule("power_limit_w = 500\ngpu_clock_mhz = { min = 1200, max = 1500 }")


@pytest.fixture
def host(nvsim):
    """An H200 whose owner had set 600 W, with somebody holding the driver so that it forgets nothing."""
    host = nvsim("h200")
    host.set(0, power_limit_w=600, persistence_mode=True)
    host.clear_writes()
    return host


def limit_w(host) -> float:
    return host.gpu()["power_limit_w"]


def test_stop_keeps_every_setting(host):
    with Daemon(host, WISH).ready() as daemon:
        host.clear_writes()
        assert daemon.stop() == 0
        assert limit_w(host) == 500
        assert daemon.writes() == []
        assert not daemon.socket.exists()


def test_on_stop_restore_puts_back_exactly_what_was_found(host):
    with Daemon(host, RESTORING).ready() as daemon:
        assert limit_w(host) == 500
        assert daemon.stop() == 0
        assert limit_w(host) == 600
        assert host.gpu()["gpu_clock_mhz"] is None


def test_a_stop_that_could_not_put_everything_back_says_so_with_its_exit_code(host):
    with Daemon(host, RESTORING).ready() as daemon:
        host.answer("nvmlDeviceSetPowerManagementLimit", 4)
        assert daemon.stop() == 5
        assert "1 failed" in daemon.said
    host.answer("nvmlDeviceSetPowerManagementLimit", "none")
    with Daemon(host, RESTORING).ready() as daemon:
        host.run("hang", "nvmlDeviceSetPowerManagementLimit", "20")
        assert daemon.stop() == 5
        assert "did not put everything back" in daemon.said
    host.run("hang", "nvmlDeviceSetPowerManagementLimit", "0")
    with Daemon(host, RESTORING).ready() as daemon:
        assert daemon.stop() == 0
    assert limit_w(host) == 600


def test_restore_after_a_crash_and_ten_restarts(host):
    for turn in range(10):
        with Daemon(host, RESTORING.replace("500", str(500 + turn))).ready() as daemon:
            daemon.kill()
            assert limit_w(host) == 500 + turn
    with Daemon(host, RESTORING).ready() as daemon:
        assert daemon.setting("power_limit_w")["original"] == 600
        assert daemon.ctl("restore").returncode == 0
        assert limit_w(host) == 600
        daemon.turns(3)
        assert limit_w(host) == 600, "restored stays restored"
        assert daemon.state("power_limit_w") == "restored"
        assert daemon.ctl("apply").returncode == 0
        assert limit_w(host) == 500


def test_restore_of_one_setting_leaves_the_others(host):
    with Daemon(host, WISH).ready() as daemon:
        assert daemon.ctl("restore", "0", "power_limit_w").returncode == 0
        assert limit_w(host) == 600
        assert daemon.state("power_limit_w") == "restored"
        assert daemon.state("gpu_clock_mhz") == "requested"


def test_a_new_driver_initialisation_ends_the_originals(host):
    with Daemon(host, WISH).ready() as daemon:
        daemon.stop()
    host.reload()
    with Daemon(host, WISH).ready() as daemon:
        assert daemon.setting("power_limit_w")["original"] == 700, "the driver's default is what was found now"


def test_a_reboot_ends_the_originals(host):
    with Daemon(host, WISH).ready() as daemon:
        daemon.stop()
    host.run("reboot")
    with Daemon(host, WISH).ready() as daemon:
        assert daemon.setting("power_limit_w")["original"] == 700


def test_the_original_is_on_disk_before_the_write(host):
    """The first write hangs in the driver; what it would replace can already be read from the disk."""
    host.hang("nvmlDeviceSetPowerManagementLimit", 30)
    with Daemon(host, FAST + rule("power_limit_w = 500")) as daemon:
        state = daemon.state_dir / "state.json"
        daemon.until(
            lambda: state.exists() and '"original": 600' in re.sub(r":(?! )", ": ", state.read_text()), "saved"
        )
        daemon.kill()
        host.hang("all", 0)
        assert limit_w(host) == 600


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 99}', "\x00\x01", '{"format":1,"crc32":0,"state":{}}'])
def test_a_damaged_state_file_is_set_aside_reported_and_never_fatal(host, damage):
    folder = host.directory.parent / "daemon-host1"
    (folder / "state").mkdir(parents=True)
    (folder / "state/state.json").write_text(damage)
    with Daemon(host, WISH).ready() as daemon:
        assert limit_w(host) == 500
        assert list(daemon.state_dir.glob("state.json.damaged-*"))
        daemon.until(lambda: "cannot be used" in daemon.said, "told")  # by a thread of its own
        assert json.loads((daemon.state_dir / "state.json").read_text())["format"] == 1


def test_where_state_cannot_be_saved_nothing_is_written(host):
    folder = host.directory.parent / "daemon-host1"
    folder.mkdir()
    (folder / "state").write_text("a file where the folder should be")
    with Daemon(host, WISH) as daemon:
        daemon.until(lambda: daemon.listens() and daemon.state("power_limit_w") == "refused", "refused")
        assert daemon.writes() == []
        assert "cannot be saved" in daemon.setting("power_limit_w")["message"]


def test_a_key_dropped_from_the_policy_leaves_the_value(host):
    with Daemon(host, WISH).ready() as daemon:
        daemon.config.write_text(FAST + rule("persistence_mode = true"))
        host.clear_writes()
        assert daemon.ctl("reload").returncode == 0
        assert daemon.state("power_limit_w") == "unmanaged"
        assert limit_w(host) == 500
        assert daemon.writes() == []


def test_original_can_be_wished_for(host):
    with Daemon(host, WISH).ready() as daemon:
        daemon.config.write_text(WISH.replace("power_limit_w = 500", 'power_limit_w = "original"'))
        assert daemon.ctl("reload").returncode == 0
        assert limit_w(host) == 600


def test_one_setting_is_restored_by_its_name_alone(nvsim):
    """`restore --help` offers every setting, and one of the host has no GPU that could be named before it."""
    host = nvsim("h200", "h200")
    knob = host.root / "proc/sys/kernel/numa_balancing"
    policy = FAST + '[host]\nnuma_balancing = "off"\n' + rule("power_limit_w = 500\npersistence_mode = true")
    with Daemon(host, policy).ready() as daemon:
        assert (knob.read_text().strip(), [gpu["power_limit_w"] for gpu in host.show()["gpus"]]) == ("0", [500, 500])
        assert "numa_balancing" in daemon.ctl("restore", "--help").stdout
        told = daemon.ctl("restore", "0", "numa_balancing", check=False)
        assert (told.returncode, "known: persistence_mode" in told.stderr) == (2, True), told
        assert "numa balancing" in daemon.ctl("restore", "numa_balancing").stdout
        assert (knob.read_text().strip(), host.gpu()["power_limit_w"]) == ("1", 500)
        daemon.ctl("restore", "power_limit_w")
        assert [gpu["power_limit_w"] for gpu in host.show()["gpus"]] == [700, 700]
        assert [gpu["persistence_mode"] for gpu in host.show()["gpus"]] == [True, True]
        assert daemon.ctl("restore", "power_limits", check=False).returncode == 2
