"""Without a driver nothing is called done: every verb says so, and ends with 5."""

from __future__ import annotations

import json

import pytest

from tests.contract.test_daemon_drift import WISH
from tests.daemon import Daemon


@pytest.mark.parametrize("observing", [False, True], ids=["enforcing", "observing"])
def test_neither_apply_nor_throttle_is_done_without_a_driver(nvsim, observing):
    host = nvsim("h200")
    host.run("unload")
    with Daemon(host, WISH, *(["--observe"] if observing else [])).ready() as daemon:
        daemon.until(lambda: daemon.status()["driver"]["state"] == "absent", "absent")
        apply = daemon.ctl("apply", check=False)
        assert (apply.returncode, apply.stdout) == (5, "")
        assert "nothing was applied: driver absent: " in apply.stderr
        reload = daemon.ctl("reload", check=False)
        assert reload.returncode == 5
        assert "not in order: driver absent: " in reload.stdout
        throttle = daemon.ctl("throttle", check=False)
        assert throttle.returncode == 5
        assert throttle.stdout.startswith("driver absent: ")
        of_one = daemon.ctl("throttle", "0", check=False)
        assert (of_one.returncode, of_one.stdout) == (5, "")
        assert "no GPU '0' here: driver absent: " in of_one.stderr
        told = json.loads(daemon.ctl("throttle", "--json", check=False).stdout)
        assert (told["driver"]["state"], told["gpus"]) == ("absent", [])


def test_seconds_of_a_driver_that_left_are_told_as_old(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        assert daemon.ctl("throttle").returncode == 0
        daemon.ctl("release", "--all")
        released = daemon.ctl("throttle", check=False)
        assert released.returncode == 5
        assert released.stdout.startswith("driver released: ")
        assert "this was seen before" in " ".join(released.stdout.split())
        assert daemon.ctl("apply", check=False).returncode == 5
        daemon.ctl("resume")
        daemon.turns(1)
        assert daemon.ctl("throttle").returncode == 0
        assert daemon.ctl("apply").stdout == "applied\n"
