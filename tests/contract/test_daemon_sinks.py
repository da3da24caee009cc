"""What stands around the loop may stand still: a pipe that nobody reads, a journald that hangs. Nothing waits."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.nvsim import Nvsim, wait_for
from tests.sinks import fill, stalling

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


class Journald:
    """A socket in journald's place, in a namespace that only the daemon sees; whoever reads it is this test."""

    def __init__(self) -> None:
        # A Unix socket's path holds 107 characters, and pytest's folders are longer.
        self.folder = Path(tempfile.mkdtemp(prefix="gpu-tuned-"))
        self.path = self.folder / "socket"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        inside = f'mount -t tmpfs none /run && mkdir -p "$0" && mount --bind {self.folder} "$0" && exec "$@"'
        self.prefix = ["unshare", "--map-root-user", "--mount", "sh", "-c", inside, "/run/systemd/journal"]

    def read(self) -> str:
        """Everything that arrived."""
        entries = b""
        with suppress(BlockingIOError):
            while True:
                entries += self._socket.recv(1 << 18)
        return entries.decode(errors="replace")

    def hang(self) -> None:
        """Its queue fills up, by everything on a host, and it does not read."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others, suppress(BlockingIOError):
            others.setblocking(False)
            while True:
                others.sendto(b"MESSAGE=of somebody else", str(self.path))

    def close(self) -> None:
        self._socket.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def journald() -> Iterator[Journald]:
    made = Journald()
    if not shutil.which("unshare") or subprocess.run([*made.prefix, "true"], capture_output=True).returncode:
        made.close()
        pytest.skip("this machine lets nobody make a mount namespace")
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
    with Daemon(host, POLICY, LD_PRELOAD=stalling(tmp_path, host.env), STALL=str(stall)).ready() as daemon:
        stall.touch()
        daemon.config.write_text(POLICY + 'compute_mode = "default"\n')
        daemon.ctl("reload")  # the last good policy is to be saved
        goes_on(daemon, host, "the disk does not come back from saving the state", "state")
        ends_in_time(daemon)
        stall.unlink()
