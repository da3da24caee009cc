"""The event thread: waits for what the driver says by itself, and only wakes the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gpu_tuned.core.errors import DriverError
from gpu_tuned.ports import DriverEvent, Gpus

WAIT_S = 1.0
COALESCE_S = 0.05
"""Pause after each wake: a storm of events becomes 20 looks a second at most."""
TROUBLE_PAUSE_S = 1.0


class Listener:
    """`heard` is called from this thread with what arrived, never with nothing."""

    def __init__(self, gpus: Gpus, heard: Callable[[tuple[DriverEvent, ...]], None]) -> None:
        self._gpus, self._heard = gpus, heard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="gpu-tuned-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; a thread that hangs in the driver is left behind (it is a daemon thread)."""
        self._stop.set()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                events = tuple(self._gpus.wait_events(WAIT_S))
            except DriverError:
                # The loop meets the same trouble in its own look and says it; here only spinning is to be avoided.
                self._stop.wait(TROUBLE_PAUSE_S)
                continue
            if events:
                self._heard(events)
                self._stop.wait(COALESCE_S)
