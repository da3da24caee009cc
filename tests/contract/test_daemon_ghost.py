"""A daemon killed while it sits in a driver call that never comes back: SIGKILL does not end it, and the next one
neither gives up nor writes beside it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.daemon import Daemon
from tests.stuck import Stuck, wait_for_ghost

real = pytest.mark.skipif(not Stuck.possible(), reason="a wait that no signal ends takes root and /dev/fuse")
WISH = """
[daemon]
poll_interval_s = 0.5
[[gpu]]
match = { name = "*" }
power_limit_w = 500
"""


# Holds the writer's lock as a killed daemon does whose driver call does not come back: the first thread is gone (the
# system call exit ends one thread alone), another stays, here until its standard input ends.
LOOKS_KILLED = """
import ctypes, os, sys, threading
from gpu_tuned.adapters.state_file import WriterLock
WriterLock(sys.argv[1]).take()
threading.Thread(target=sys.stdin.read).start()
print("held", flush=True)
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""


def test_the_next_daemon_waits_for_one_that_was_killed_and_writes_nothing_meanwhile(nvsim):
    host = nvsim("h200")
    lock = host.root / "run/gpu-tuned/writer.lock"
    command = [sys.executable, "-c", LOOKS_KILLED, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ghost:
        assert ghost.stdin is not None and ghost.stdout is not None
        assert ghost.stdout.readline() == b"held\n"
        wait_for_ghost(ghost.pid)
        with Daemon(host, WISH) as daemon:
            daemon.until(lambda: f"process {ghost.pid}, a gpu-tuned that was killed" in daemon.said, "said")
            daemon.until(lambda: daemon.status()["driver"]["state"] == "not_answering", "status tells it")
            assert "that was killed" in " ".join(daemon.ctl("status").stdout.split()), "and names who is in the way"
            assert host.calls() == {}, "the driver is not touched beside it"
            ghost.stdin.close()
            daemon.until(lambda: host.gpu()["power_limit_w"] == 500, "applied once it is gone")


@pytest.fixture
def haunted(nvsim):
    """A daemon that was killed inside the driver and cannot end: its host, the next one (not started yet), the
    process that is left, and what keeps it there."""
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.turns(1)
        with Stuck(host.root / "sys/bus/pci/drivers/nvidia") as stuck:
            assert stuck.swallowed.wait(10), "the daemon looks at the bus every turn"
            ghost = daemon.process
            assert ghost is not None
            daemon.signal(signal.SIGKILL)
            wait_for_ghost(ghost.pid)
            host.clear_writes()
            yield host, daemon, ghost, stuck
        ghost.wait(10)


@real
def test_the_next_daemon_waits_until_a_killed_one_is_out_of_the_driver(haunted):
    host, daemon, ghost, stuck = haunted
    daemon.start()
    # Not asked before: until then a client would reach the dead one's socket.
    daemon.until(lambda: f"process {ghost.pid}" in daemon.said, "waiting, and said so")
    daemon.until(lambda: daemon.status()["driver"]["state"] == "not_answering", "status tells it")
    assert daemon.writes() == [], "nothing is written beside it"
    stuck.free()
    daemon.until(lambda: host.gpu()["power_limit_w"] == 500, "applied once the first one is gone")
    daemon.until(lambda: daemon.state("power_limit_w") == "held", "and told so")


@real
def test_a_stop_does_not_wait_for_a_ghost(haunted):
    _, daemon, ghost, _ = haunted
    daemon.start()
    daemon.until(lambda: f"process {ghost.pid}" in daemon.said, "waiting")
    assert "was killed" in daemon.status()["driver"]["message"]
    daemon.stop(timeout_s=2.2)


HOLDS_AND_LOOKS = """
import os, sys
from gpu_tuned.adapters.state_file import WriterLock
WriterLock(sys.argv[1]).take()
os.listdir(sys.argv[2])
"""


@real
def test_a_restore_that_was_killed_in_the_driver_is_waited_for_too(nvsim):
    """It has one thread only: that one is no zombie, but SIGKILL is pending."""
    host = nvsim("h200")
    folder = host.root / "sys/bus/pci/drivers/nvidia"
    with Daemon(host, "[daemon]\non_stop = 'restore'\n" + WISH.replace("[daemon]\n", "")).ready() as daemon:
        daemon.turns(1)
        daemon.kill()
        holder = [sys.executable, "-c", HOLDS_AND_LOOKS, str(host.root / "run/gpu-tuned/writer.lock"), str(folder)]
        with Stuck(folder) as stuck, subprocess.Popen(holder) as helper:
            assert stuck.swallowed.wait(10)
            helper.kill()
            daemon.start()
            daemon.until(lambda: f"process {helper.pid}, a gpu-tuned that was killed" in daemon.said, "waits")
            stuck.free()
            daemon.until(lambda: daemon.state("power_limit_w") == "held", "goes on")
