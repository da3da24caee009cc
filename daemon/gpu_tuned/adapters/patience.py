"""Work that may hang, done beside: a driver call can last for ever, and no signal ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from gpu_tuned.core.errors import DriverError, DriverTrouble
from gpu_tuned.core.host_view import Late
from gpu_tuned.core.model import Unread

T = TypeVar("T")

LOOK_S = 30.0
"""For a look at every board: without persistence mode a driver takes two seconds to initialise each."""


def within(seconds: float, work: Callable[[], T], otherwise: str) -> Callable[[], T | Unread]:
    """Start `work` now; the function that is returned waits for its result until `seconds` from now have passed.

    `Late` with `otherwise` where it did not end; `Unread` with the driver's refusal. The thread is abandoned then:
    for a process that ends soon after."""
    end = time.monotonic() + seconds
    result = _beside(work)

    def wait() -> T | Unread:
        result.thread.join(max(0.0, end - time.monotonic()))
        try:
            return result.of() if result.came else Late(otherwise)
        except DriverError as error:
            return Unread(str(error))

    return wait


def in_time(seconds: float, work: Callable[[], T]) -> T:
    """What `work` comes to within so many seconds. Raises DriverTrouble where it does not, and what `work` raises. As
    `within`, for a process that ends soon after; Ctrl-C ends the waiting, where no signal would end a driver call."""
    result = _beside(work)
    result.thread.join(seconds)
    if not result.came:
        raise DriverTrouble(f"the driver has not answered within {seconds:g} s")
    return result.of()


class _Result(Generic[T]):
    """Of work that is done in a thread of its own."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._values: list[T] = []
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    @property
    def came(self) -> bool:
        return bool(self._values) or self._error is not None

    def of(self) -> T:
        if self._error is not None:
            raise self._error
        return self._values[0]

    def _run(self) -> None:
        try:
            self._values = [self._work()]
        except BaseException as error:  # noqa: BLE001 - for the caller to raise: a mistake must not look like a slow driver
            self._error = error


def _beside(work: Callable[[], T]) -> _Result[T]:
    result = _Result(work)
    result.thread.start()
    return result
