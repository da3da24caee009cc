"""Work that may hang, done beside: a driver call can last for ever, and no signal ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from gpu_tuned.core.errors import DriverError
from gpu_tuned.core.host_view import Late
from gpu_tuned.core.model import Unread

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], otherwise: str) -> Callable[[], T | Unread]:
    """Start `work` now; the function that is returned waits for its result until `seconds` from now have passed.

    `Late` with `otherwise` where it did not end; `Unread` with the driver's refusal. The thread is abandoned then:
    for a process that ends soon after."""
    end = time.monotonic() + seconds
    result: list[T | Unread | BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except DriverError as error:
            result.append(Unread(str(error)))
        except BaseException as error:  # noqa: BLE001 - for the caller to raise: a mistake must not look like a slow driver
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait() -> T | Unread:
        thread.join(max(0.0, end - time.monotonic()))
        if not result:
            return Late(otherwise)
        if isinstance(result[0], BaseException):
            raise result[0]
        return result[0]

    return wait
