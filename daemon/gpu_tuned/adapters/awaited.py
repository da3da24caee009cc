"""A store that is waited for, but not for ever: what must be saved before a GPU is written to may lie on a disk that
does not come back."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from gpu_tuned.adapters.background import SAVING_STALLS
from gpu_tuned.core.errors import GpuTunedError
from gpu_tuned.ports import Stall, Store

SAVE_S, LOAD_S = 1.0, 3.0
"""How long a save, and the first load, are waited for: a few kB take a millisecond."""

T = TypeVar("T")


class _Late(Exception):
    """It did not come back in time."""


class _Job(Generic[T]):
    """One thing to be done by the worker, and what came of it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.done = False
        self._result: list[T] = []
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._result = [self._work()]
        except Exception as error:  # noqa: BLE001  for the caller to raise, if it still waits
            self._error = error

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result[0]


class AwaitedStore:
    """`ports.Store` over another one, whose calls are made in a thread beside, one after another. While one does not
    come back, every further one fails at once. `save_s` None: a save is waited for as long as it takes."""

    def __init__(
        self,
        store: Store,
        *,
        save_s: float | None = SAVE_S,
        load_s: float = LOAD_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._save_s, self._load_s, self._wall = store, save_s, load_s, wall
        self._changed = threading.Condition()
        self._jobs: deque[_Job[Any]] = deque()
        self._late_since: float | None = None  # wall clock; what was waited for in vain goes on
        self._unread: str | None = None
        self._working = False

    def load(self) -> Mapping[str, Any]:
        try:
            return self._do(self._store.load, self._load_s)
        except _Late:
            # What could not be read must not be saved over once the disk comes back.
            self._put(partial(self._store.refuse, "it could not be read in time"))
            self._unread = "The saved state cannot be read: the disk does not come back from it"
            return {}

    def save(self, state: Mapping[str, Any]) -> None:
        """Raises GpuTunedError as the store below does, and where it does not come back in time."""
        try:
            self._do(partial(self._store.save, state), self._save_s)
        except _Late:
            raise GpuTunedError(f"state cannot be saved: {SAVING_STALLS}") from None

    def damage(self) -> str | None:
        unread, self._unread = self._unread, None
        return unread or self._store.damage()

    def refuse(self, why: str) -> str:
        try:
            return self._do(partial(self._store.refuse, why), self._save_s)
        except _Late:
            return f"The saved state cannot be used: {why}; {SAVING_STALLS}"

    def stall(self) -> Stall | None:
        """Since when the disk has not come back, where it has not."""
        since = self._late_since
        return None if since is None else Stall("state", since, SAVING_STALLS)

    def _do(self, work: Callable[[], T], wait_s: float | None) -> T:
        with self._changed:
            if self._jobs:
                raise _Late
            began = self._wall()
            job = self._put(work)
            if not self._changed.wait_for(lambda: job.done, wait_s):
                self._late_since = began
                raise _Late
        return job.outcome()

    def _put(self, work: Callable[[], T]) -> _Job[T]:
        """Raises GpuTunedError where no thread can be made: a limit of the host's may be reached at any time."""
        job = _Job(work)
        with self._changed:
            self._jobs.append(job)
            if not self._working:
                try:
                    threading.Thread(target=self._run, name="gpu-tuned-saved", daemon=True).start()
                except RuntimeError as error:
                    self._jobs.clear()
                    raise GpuTunedError(f"state cannot be saved: {error}") from error
                self._working = True
        return job

    def _run(self) -> None:
        """Until nothing is left to be done: a save is rare, and a thread that waits for one would cost memory."""
        going_on = True
        while going_on:
            job = self._jobs[0]
            job.run()
            with self._changed:
                self._jobs.popleft()
                job.done, going_on = True, bool(self._jobs)
                if not going_on:
                    self._late_since, self._working = None, False
                self._changed.notify_all()
