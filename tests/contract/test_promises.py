"""Promises that outlive one process or one look; tests/mutants breaks each of them on purpose."""

from __future__ import annotations

from tests.conftest import MakeHost
from tests.contract.test_daemon_drift import WISH
from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon

RESTORING = FAST + 'on_stop = "restore"\n' + rule("persistence_mode = true\npower_limit_w = 500")


def test_an_observer_does_not_undo_what_an_enforcing_daemon_left(nvsim: MakeHost) -> None:
    """It is asked to restore, and stops under on_stop = "restore": neither a GPU nor what is saved is written to."""
    host = nvsim("h200")
    with Daemon(host, RESTORING).ready() as enforcing:
        assert enforcing.setting("power_limit_w")["original"] == 700
        enforcing.kill()
        saved = (enforcing.state_dir / "state.json").read_bytes()
    host.clear_writes()
    with Daemon(host, RESTORING, "--observe").ready() as observer:
        assert observer.ctl("reload").returncode in (0, 1)
        assert observer.ctl("restore").returncode == 5
        assert observer.stop() == 0
        assert (observer.state_dir / "state.json").read_bytes() == saved
    # The file's own observe mode knows what was found at first, and leaves it alone as well, watched or not.
    dropped = RESTORING.replace("power_limit_w = 500", "").replace("on_stop", 'mode = "observe"\non_stop')
    with Daemon(host, dropped).ready() as observer:
        assert observer.setting("power_limit_w")["original"] == 700
        assert observer.ctl("restore").returncode == 5
        assert observer.stop() == 0
    assert host.writes() == []
    assert host.gpu()["power_limit_w"] == 500


def test_after_a_bad_file_the_running_policy_still_takes_up_gpus_that_come_back(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.config.write_text("power_limit_w = ")
        assert daemon.ctl("reload", check=False).returncode == 2
        daemon.ctl("release", "0")
        host.reload()
        assert host.gpu()["power_limit_w"] == 700
        daemon.ctl("resume", "0")
        daemon.until(lambda: host.gpu()["power_limit_w"] == 500, "wished for anew, as before the bad file", 5)
