"""A policy whose file system does not answer: what is in force stays, and what is asked about it is told why."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gpu_tuned.adapters.awaited import AwaitedFiles
from gpu_tuned.core.errors import PolicyError
from tests.nvsim import wait_for

PATIENCE_S = 0.05


class Network:
    """Files on a network, that stands still while `free` is not set."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.stamp, self.looks = 1, 0

    def _stand(self) -> None:
        self.free.wait(10)  # and no longer: who waits for it is broken, and shall be told so

    def read(self) -> Mapping[str, Any]:
        self._stand()
        return {"stamp": self.stamp}

    def look(self) -> object:
        self.looks += 1
        self._stand()
        return self.stamp


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.free.set()


def files_on(network: Network) -> AwaitedFiles:
    return AwaitedFiles("/etc/x.toml", network.read, network.look, wait_s=PATIENCE_S, wall=lambda: 5.0)


def test_files_that_come_back_are_what_they_are(network: Network) -> None:
    files = files_on(network)
    assert (files.stamp(), files.read(), files.stall()) == (1, {"stamp": 1}, None)
    network.stamp = 2
    assert files.stamp() == 2


def test_nothing_looks_changed_while_they_do_not_come_back_and_reading_says_why(network: Network) -> None:
    files = files_on(network)
    assert files.stamp() == 1
    network.stamp = 2
    network.free.clear()
    for _ in range(3):
        assert files.stamp() == 1
    assert network.looks == 2, "waited for once"
    with pytest.raises(PolicyError, match=r"^/etc/x.toml: cannot be read: its file system does not answer$"):
        files.read()
    stall = files.stall()
    assert stall is not None and (stall.what, stall.since) == ("policy", 5.0)
    assert stall.message.startswith("the file system of /etc/x.toml does not answer")
    network.free.set()
    wait_for(lambda: files.stall() is None, what="the end of it")
    assert (files.stamp(), files.read()) == (2, {"stamp": 2})


def test_two_threads_that_ask_at_once_wait_for_one_another(network: Network) -> None:
    """The loop in each turn, the socket's for a plan: that one is being served is no hang."""
    files = AwaitedFiles("/etc/x.toml", network.read, network.look, wait_s=30.0)
    network.free.clear()
    found: list[object] = []
    looking = threading.Thread(target=lambda: found.append(files.stamp()))
    looking.start()
    wait_for(lambda: network.looks == 1, what="the loop's look")
    reading = threading.Thread(target=lambda: found.append(files.read()))
    reading.start()
    network.free.set()
    looking.join(30)
    reading.join(30)
    assert sorted(found, key=str) == [1, {"stamp": 1}]


def test_at_the_limit_of_threads_the_policy_in_force_stays(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_on(network)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        assert files.stamp() is None
        with pytest.raises(PolicyError, match="can't start new thread"):
            files.read()
    assert (files.stamp(), files.stall()) == (1, None)
