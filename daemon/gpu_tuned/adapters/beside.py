"""Work that may hang, done in a thread beside: no signal ends a driver call, nor the wait for a dead disk."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Late(Exception):
    """It did not come back in time, or something that was asked for before it has not."""


class NoThread(Exception):
    """The host's limit of threads is reached, as it may be at any time; nothing was begun."""


class Job(Generic[T]):
    """One thing to be done, and what came of it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._values: list[T] = []
        self._error: BaseException | None = None

    @property
    def came(self) -> bool:
        return bool(self._values) or self._error is not None

    def run(self) -> None:
        try:
            self._values = [self._work()]
        except BaseException as error:  # noqa: BLE001  for `of` to raise: a mistake must not look like a slow disk
            self._error = error

    def of(self) -> T:
        """What it came to, once it `came`. Raises what the work raised."""
        if self._error is not None:
            raise self._error
        return self._values[0]


class Worker:
    """Does one job after another in a thread, which ends when there was nothing to do for `idle_s`. May be asked from
    several threads. While a job is late, every further one fails at once. `wall`: the clock of `late_since`."""

    def __init__(self, name: str, *, idle_s: float, wall: Callable[[], float] = time.time) -> None:
        self._name, self._idle_s, self._wall = name, idle_s, wall
        self._changed = threading.Condition()
        self._jobs: deque[Job[Any]] = deque()
        self._working = False
        self.late_since: float | None = None
        """Since when it has been doing what was waited for in vain; None: it is not."""

    def do(self, work: Callable[[], T], wait_s: float | None) -> T:
        """What `work` comes to; `wait_s` None: however long it takes. Raises Late, NoThread, what `work` raises."""
        with self._changed:
            if self.late_since is not None:
                raise Late
            began = self._wall()
            job = self.put(work)
            if not self._changed.wait_for(lambda: job.came, wait_s):
                self.late_since = self.late_since or began
                raise Late
        return job.of()

    def put(self, work: Callable[[], T]) -> Job[T]:
        """Have it done without waiting for it. Raises NoThread."""
        job = Job(work)
        with self._changed:
            if not self._working:
                try:
                    threading.Thread(target=self._run, name=self._name, daemon=True).start()
                except RuntimeError as error:
                    raise NoThread(str(error)) from error
                self._working = True
            self._jobs.append(job)
            self._changed.notify_all()
        return job

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._jobs, self._idle_s):
                    self._working = False
                    return
                job = self._jobs[0]
            job.run()
            with self._changed:
                self._jobs.popleft()
                if not self._jobs:
                    self.late_since = None
                self._changed.notify_all()
