"""Saves that nobody waits for: a disk that stalls or fails costs the caller nothing, and is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from gpu_tuned.adapters.background import STALLED_S, BackgroundStore
from gpu_tuned.core.errors import GpuTunedError
from tests.fakes import FakeClock, FakeStore
from tests.nvsim import wait_for

AT_ONCE_S = 0.5


class Disk(FakeStore):
    """A store that stalls while `free` is not set, and fails while `error` is."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.error: Exception | None = None
        self.entered = 0

    def save(self, state: Mapping[str, Any]) -> None:
        self.entered += 1
        self.free.wait()
        if self.error is not None:
            raise self.error
        super().save(state)


def test_what_is_saved_is_there_at_the_end() -> None:
    disk = Disk()
    store = BackgroundStore(disk)
    store.save({"n": 1})
    store.close()
    assert store.load() == {"n": 1}
    assert store.stall() is None


def test_nobody_waits_for_a_disk_that_stalls_and_only_the_newest_state_is_saved() -> None:
    disk, clock = Disk(), FakeClock()
    disk.free.clear()
    store = BackgroundStore(disk, monotonic=clock.monotonic, wall=clock.now)
    began_s = time.monotonic()
    store.save({"n": 0})
    wait_for(lambda: disk.entered == 1, what="the first save")
    for number in range(1, 50):
        store.save({"n": number})
    assert time.monotonic() - began_s < AT_ONCE_S
    assert store.stall() is None, "it may only be slow"
    clock.mono += STALLED_S
    stall = store.stall()
    assert stall is not None
    assert (stall.what, stall.since) == ("state", clock.now() - STALLED_S)
    assert "does not come back" in stall.message
    began_s = time.monotonic()
    store.close()
    assert time.monotonic() - began_s < AT_ONCE_S, "an end does not wait for it"
    disk.free.set()
    store.close()
    assert disk.saves == [{"n": 0}, {"n": 49}]
    assert store.stall() is None


@pytest.mark.parametrize("error", [GpuTunedError("the disk is full"), RuntimeError("a mistake of ours")])
def test_a_save_that_fails_is_told_and_tried_again(error: Exception) -> None:
    disk, clock = Disk(), FakeClock()
    disk.error = error
    store = BackgroundStore(disk, monotonic=clock.monotonic, wall=clock.now, retry_s=0.05)
    store.save({"n": 1})
    wait_for(lambda: store.stall() is not None, what="the failure told")
    clock.mono += 100
    wait_for(lambda: disk.entered >= 3, what="more tries")
    stall = store.stall()
    assert stall is not None
    assert stall.message == str(error)
    assert stall.since == clock.now() - 100, "since the first failure"
    disk.error = None
    wait_for(lambda: store.stall() is None, what="a save that went well")
    assert disk.saves == [{"n": 1}]


def test_at_the_hosts_limit_of_threads_it_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    below = FakeStore()
    store = BackgroundStore(below)
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        store.save({"policy": 1})
        stall = store.stall()
        assert stall is not None and "can't start new thread" in stall.message
        store.close()
    assert store.stall() is None
    wait_for(lambda: below.saves == [{"policy": 1}], what="the save")
    store.close()


def test_a_newer_state_takes_the_place_of_one_that_failed() -> None:
    disk = Disk()
    disk.error = GpuTunedError("full")
    store = BackgroundStore(disk, retry_s=0.05)
    store.save({"n": 1})
    wait_for(lambda: store.stall() is not None, what="the failure told")
    store.save({"n": 2})
    disk.error = None
    wait_for(lambda: store.stall() is None, what="a save that went well")
    store.close()
    assert disk.saves[-1] == {"n": 2}
