"""What stands around the loop may stand still: a pipe that nobody reads, a journald that hangs. Nothing waits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.nvsim import Nvsim, wait_for
from tests.sinks import Journald, fill, stalling
from tests.stuck import Stuck

POLICY = """
[daemon]
poll_interval_s = 0.2
[[gpu]]
match = { name = "*" }
persistence_mode = true
power_limit_w = 450
required = ["power_limit_w"]
"""
ENDS_S = 5.0  # systemd would kill it after 20; 2 s were seen with many tests beside it


@pytest.fixture
def host(nvsim: Any) -> Nvsim:
    made: Nvsim = nvsim("h200")
    return made


def goes_on(daemon: Daemon, host: Nvsim, culprit: str, what: str = "events") -> None:
    """Drift is put right, status answers and names the culprit, the driver is not blamed."""
    host.run("set", "0", "power_limit_w=700")
    daemon.until(lambda: host.show()["gpus"][0]["power_limit_w"] == 450, "the drift put right")
    daemon.until(lambda: daemon.status()["host"]["stalled"], "the stall told")
    status = daemon.status()
    assert status["driver"]["state"] == "ok"
    (stall,) = status["host"]["stalled"]
    assert stall["what"] == what
    assert stall["message"].startswith(culprit)
    assert culprit in " ".join(daemon.ctl("status").stdout.split())
    daemon.turns(2)


def ends_in_time(daemon: Daemon) -> None:
    began_s = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began_s < ENDS_S


def test_a_standard_error_that_nobody_reads(host: Nvsim) -> None:
    read, write = os.pipe()

    class Piped(Daemon):
        stderr = write

    with Piped(host, POLICY) as daemon, open(read, "rb", buffering=0) as reader:
        daemon.ready()
        fill(write)
        goes_on(daemon, host, "standard error takes nothing")
        said = b""
        while b"put back to 450 W" not in said:  # what waited is told once somebody reads
            said += reader.read(65536)
        daemon.until(lambda: not daemon.status()["host"]["stalled"], "the stall over")
        fill(write)
        daemon.signal(signal.SIGHUP)
        daemon.turns(2)
        ends_in_time(daemon)
    os.close(write)


@pytest.fixture
def journald() -> Iterator[Journald]:
    if not Journald.possible():
        pytest.skip("this machine lets nobody make a mount namespace")
    made = Journald()
    yield made
    made.close()


def test_a_journald_that_does_not_read(host: Nvsim, journald: Journald, tmp_path: Path) -> None:
    with open(tmp_path / "stderr", "wb") as stream:
        found = os.fstat(stream.fileno())

        class Logged(Daemon):
            prefix = journald.prefix
            stderr = stream.fileno()

        with Logged(host, POLICY, JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}") as daemon:
            daemon.ready()
            heard = ""

            def arrived(text: str) -> bool:
                nonlocal heard
                heard += journald.read()
                return text in heard

            wait_for(lambda: arrived("started"), what="the first entries")
            journald.hang()
            goes_on(daemon, host, "the journal takes nothing")
            wait_for(lambda: arrived("put back to 450 W"), what="what waited")
            assert " s late)" in heard
            journald.hang()
            host.run("set", "0", "power_limit_w=700")
            daemon.turns(3)
            ends_in_time(daemon)
            journald.hang()
            daemon.start()  # and a start while it hangs
            daemon.until(lambda: daemon.listens() and daemon.status()["host"]["sequence"] > 1, "looks at the GPU")
            ends_in_time(daemon)


def test_a_disk_that_stalls(host: Nvsim, tmp_path: Path) -> None:
    stall = tmp_path / "stall"
    with Daemon(host, POLICY, LD_PRELOAD=stalling(host.env), STALL=str(stall)).ready() as daemon:
        stall.touch()
        daemon.config.write_text(POLICY + 'compute_mode = "default"\n')
        daemon.ctl("reload")  # the last good policy is to be saved
        goes_on(daemon, host, "the disk does not come back from saving the state", "state")
        ends_in_time(daemon)
        stall.unlink()


def test_a_disk_that_stands_still_altogether(host: Nvsim, tmp_path: Path) -> None:
    """Not in fsync alone: neither reading nor writing comes back, and the state of this boot lies there too."""
    stall = tmp_path / "stall"
    with Daemon(host, POLICY, LD_PRELOAD=stalling(host.env), STALL=str(stall)).ready() as daemon:
        stall.write_text("altogether")
        goes_on(daemon, host, "the disk does not come back from saving the state", "state")
        ends_in_time(daemon)
        host.run("set", "0", "power_limit_w=700")
        daemon.start()
        daemon.until(lambda: host.gpu()["power_limit_w"] == 450, "the required limit set all the same")
        daemon.until(lambda: daemon.status()["driver"]["state"] == "ok", "status answers")
        assert "cannot be read: the disk does not come back" in daemon.said
        stall.unlink()
        daemon.until(lambda: not daemon.status()["host"]["stalled"], "the disk is back", 20)
        kept = [path.name for path in daemon.state_dir.iterdir() if path.name.startswith("state.json.damaged-")]
        assert len(kept) == 1, "what could not be read was not saved over"
        ends_in_time(daemon)


@pytest.mark.skipif(not Stuck.possible(), reason="a wait that no signal ends takes root and /dev/fuse")
def test_a_policy_folder_whose_file_system_does_not_answer(host: Nvsim) -> None:
    with Daemon(host, POLICY) as daemon:
        folder = daemon.config.parent / "gpu-tuned.d"
        folder.mkdir()
        daemon.ready()
        with Stuck(folder):
            goes_on(daemon, host, "the file system of ", "policy")
            for verb in ("plan", "reload"):
                done = daemon.ctl(verb, check=False)
                assert (done.returncode, "its file system does not answer" in done.stderr) == (2, True)
            daemon.signal(signal.SIGTERM)
            daemon.until(lambda: "Stopped" in daemon.said, "an end, as far as the kernel lets it")
        assert daemon.wait() == 0
        host.run("set", "0", "power_limit_w=700")
        with Stuck(folder):
            daemon.start()
            daemon.until(lambda: host.gpu()["power_limit_w"] == 450, "the limit of the last good policy")
            assert daemon.status()["policy"]["state"] == "last_good"
        daemon.until(lambda: not daemon.status()["host"]["stalled"], "the file system is back")
        daemon.ctl("reload")
        assert daemon.status()["policy"]["state"] == "in_force"
        ends_in_time(daemon)
