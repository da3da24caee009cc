"""What has to be saved before something else is waited for, but not for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gpu_tuned.adapters.awaited import AwaitedStore
from gpu_tuned.adapters.background import SAVING_STALLS
from gpu_tuned.core.errors import GpuTunedError
from tests.fakes import FakeStore
from tests.nvsim import wait_for

AT_ONCE_S = 0.5
PATIENCE_S = 0.1


class Disk(FakeStore):
    """Stands still while `free` is not set. `done`: what came back, in that order."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.error: Exception | None = None
        self.done: list[str] = []

    def _stand(self, what: str) -> None:
        self.free.wait()
        self.done.append(what)
        if self.error is not None:
            raise self.error

    def load(self) -> Mapping[str, Any]:
        self._stand("load")
        return super().load()

    def save(self, state: Mapping[str, Any]) -> None:
        self._stand(f"save {state}")
        super().save(state)

    def refuse(self, why: str) -> str:
        self._stand(f"refuse {why}")
        return why


def store_on(disk: Disk) -> AwaitedStore:
    return AwaitedStore(disk, save_s=PATIENCE_S, load_s=PATIENCE_S, wall=lambda: 5.0)


def test_on_a_disk_that_works_it_is_the_store_below() -> None:
    disk = Disk()
    store = store_on(disk)
    store.save({"n": 1})
    assert disk.done == ["save {'n': 1}"], "it is there when save returns"
    assert store.load() == {"n": 1}
    assert (store.damage(), store.stall(), store.refuse("odd")) == (None, None, "odd")
    disk.error = GpuTunedError("no space left")
    with pytest.raises(GpuTunedError, match="no space left"):
        store.save({"n": 2})


def test_a_disk_that_stands_still_is_waited_for_once() -> None:
    disk = Disk()
    store = store_on(disk)
    disk.free.clear()
    with pytest.raises(GpuTunedError, match=SAVING_STALLS):
        store.save({"n": 1})
    began_s = time.monotonic()
    for number in range(2, 50):
        with pytest.raises(GpuTunedError, match=SAVING_STALLS):
            store.save({"n": number})
    assert time.monotonic() - began_s < AT_ONCE_S
    stall = store.stall()
    assert stall is not None and (stall.what, stall.since, stall.message) == ("state", 5.0, SAVING_STALLS)
    disk.free.set()
    wait_for(lambda: store.stall() is None, what="the disk is back")
    store.save({"n": 50})
    assert disk.done == ["save {'n': 1}", "save {'n': 50}"], "nothing piled up"


def test_what_could_not_be_read_in_time_is_set_aside_before_anything_is_saved_over_it() -> None:
    disk = Disk()
    FakeStore.save(disk, {"n": 1})
    disk.free.clear()
    store = store_on(disk)
    assert store.load() == {}
    assert store.damage() == "The saved state cannot be read: the disk does not come back from it"
    assert store.damage() is None, "told once"
    disk.free.set()
    wait_for(_saves(store), what="a save that is taken")
    assert disk.done[:2] == ["load", "refuse it could not be read in time"]
    assert disk.done[2:] == ["save {'n': 2}"]


def _saves(store: AwaitedStore) -> Callable[[], bool]:
    def saves() -> bool:
        try:
            store.save({"n": 2})
        except GpuTunedError:
            return False
        return True

    return saves


def test_where_no_thread_can_be_made_a_save_fails_as_on_a_full_disk_and_the_next_one_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Disk()
    awaited = AwaitedStore(store)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(GpuTunedError, match="state cannot be saved: can't start new thread"):
                awaited.save({"a": 1})
    awaited.save({"a": 2})
    assert (store.saves, awaited.stall()) == ([{"a": 2}], None)
