"""A store whose saves nobody waits for: a disk that is slow, full or gone costs the loop nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from gpu_tuned.ports import Stall, Store

SAVING_STALLS = "the disk does not come back from saving the state"
STALLED_S = 5.0
"""A save that takes longer than this is said to be stalled: it is a few kB and two syncs."""
RETRY_S = 10.0
"""How long after a save that failed the same state is tried again."""
LAST_SAVE_S, LAST_TRY_S = 1.0, 0.1
"""How long an end waits for the newest state: on a disk that works, on one that is known to be stalled."""


class BackgroundStore:
    """`ports.Store` over another one, for what nothing waits for. Of several saves only the newest counts."""

    def __init__(
        self,
        store: Store,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        retry_s: float = RETRY_S,
    ) -> None:
        self._store, self._monotonic, self._wall, self._retry_s = store, monotonic, wall, retry_s
        self._changed = threading.Condition()
        self._newest: Mapping[str, Any] | None = None  # to be saved
        self._saving_since: tuple[float, float] | None = None  # by both clocks
        self._failure: Stall | None = None
        self._thread: threading.Thread | None = None

    def load(self) -> Mapping[str, Any]:
        return self._store.load()

    def save(self, state: Mapping[str, Any]) -> None:
        """Have this saved some time soon; the caller never changes it afterwards. Never waits and never raises: what
        goes wrong is told by `stall`."""
        with self._changed:
            self._newest = state
            self._begin()
            self._changed.notify_all()

    def _begin(self) -> None:
        """Make the thread that saves, where there is none. A limit of the host's may be reached just then: told by
        `stall`, whose every call tries again."""
        if self._thread is not None or self._newest is None:
            return
        thread = threading.Thread(target=self._run, name="gpu-tuned-state", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            since = self._failure.since if self._failure else self._wall()
            self._failure = Stall("state", since, f"state cannot be saved: {error}")
        else:
            self._thread, self._failure = thread, None

    def damage(self) -> str | None:
        return self._store.damage()

    def refuse(self, why: str) -> str:
        return self._store.refuse(why)

    def stall(self) -> Stall | None:
        """Why the newest state is not on the disk, where it should be."""
        with self._changed:
            self._begin()
            if self._stalled() and self._saving_since is not None:
                return Stall("state", self._saving_since[1], SAVING_STALLS)
            return self._failure

    def close(self) -> None:
        """Before the process ends: wait until the newest state is saved, but not for long."""
        with self._changed:
            wait_s = LAST_TRY_S if self._stalled() or self._failure is not None else LAST_SAVE_S
            self._changed.wait_for(lambda: self._newest is None and self._saving_since is None, wait_s)

    def _stalled(self) -> bool:
        return self._saving_since is not None and self._monotonic() - self._saving_since[0] >= STALLED_S

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None)
                state, self._newest = self._newest, None
                self._saving_since = since = (self._monotonic(), self._wall())
            try:
                self._store.save(state or {})
                failure = None
            except Exception as error:  # noqa: BLE001  whatever it is, told: this thread must not end
                failure = Stall("state", self._failure.since if self._failure else since[1], str(error))
            with self._changed:
                self._saving_since, self._failure = None, failure
                if failure is not None and self._newest is None:
                    self._newest = state
                self._changed.notify_all()
            if failure is not None:
                time.sleep(self._retry_s)
