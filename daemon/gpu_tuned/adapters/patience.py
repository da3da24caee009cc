"""How long a look without the daemon waits for the driver: a call into it can last for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from gpu_tuned.adapters.beside import Job
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
    job, thread = _beside(work)

    def wait() -> T | Unread:
        thread.join(max(0.0, end - time.monotonic()))
        try:
            return job.of() if job.came else Late(otherwise)
        except DriverError as error:
            return Unread(str(error))

    return wait


def in_time(seconds: float, work: Callable[[], T]) -> T:
    """What `work` comes to within so many seconds. Raises DriverTrouble where it does not, and what `work` raises. As
    `within`, for a process that ends soon after; Ctrl-C ends the waiting, where no signal would end a driver call."""
    job, thread = _beside(work)
    thread.join(seconds)
    if not job.came:
        raise DriverTrouble(f"the driver has not answered within {seconds:g} s")
    return job.of()


def _beside(work: Callable[[], T]) -> tuple[Job[T], threading.Thread]:
    job = Job(work)
    thread = threading.Thread(target=job.run, daemon=True)
    thread.start()
    return job, thread
