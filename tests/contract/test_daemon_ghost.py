"""A daemon killed while it sits in a driver call that never comes back: SIGKILL does not end it, and the next one
neither gives up nor writes beside it."""

from __future__ import annotations

import signal

import pytest

from tests.daemon import Daemon
from tests.stuck import Stuck, wait_for_ghost

pytestmark = pytest.mark.skipif(not Stuck.possible(), reason="a wait that no signal ends takes root and /dev/fuse")
WISH = """
[daemon]
poll_interval_s = 0.5
[[gpu]]
match = { name = "*" }
power_limit_w = 500
"""


def test_the_next_daemon_waits_until_a_killed_one_is_out_of_the_driver(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as first:
        first.turns(1)
        with Stuck(host.root / "sys/bus/pci/drivers/nvidia") as stuck:
            assert stuck.swallowed.wait(10), "the daemon looks at the bus every turn"
            ghost = first.process
            first.signal(signal.SIGKILL)
            wait_for_ghost(ghost.pid)
            host.clear_writes()
            first.start()
            # Not asked before: until then a client would reach the dead one's socket.
            first.until(lambda: f"process {ghost.pid}" in first.said, "waiting, and said so")
            first.until(lambda: first.status()["driver"]["state"] == "not_answering", "status tells it")
            assert first.writes() == [], "nothing is written beside it"
        ghost.wait(10)
        first.until(lambda: host.gpu()["power_limit_w"] == 500, "applied once the first one is gone")
        first.until(lambda: first.state("power_limit_w") == "held", "and told so")


def test_a_stop_does_not_wait_for_a_ghost(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.turns(1)
        with Stuck(host.root / "sys/bus/pci/drivers/nvidia") as stuck:
            assert stuck.swallowed.wait(10)
            ghost = daemon.process
            daemon.signal(signal.SIGKILL)
            wait_for_ghost(ghost.pid)
            daemon.start()
            daemon.until(lambda: f"process {ghost.pid}" in daemon.said, "waiting")
            driver = daemon.status()["driver"]
            assert (driver["state"], "was killed" in driver["message"]) == ("starting", True)
            daemon.stop(timeout_s=2.2)
        ghost.wait(10)
