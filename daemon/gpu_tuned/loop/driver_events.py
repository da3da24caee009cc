"""The event thread: waits for what the driver says by itself, and only wakes the loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from gpu_tuned.core.errors import DriverError
from gpu_tuned.ports import DriverEvent, Gpus

WAIT_S = 1.0
COALESCE_S = 0.05
"""Pause after each wake: a storm of events becomes 20 looks a second at most."""
TROUBLE_PAUSE_S = 1.0


class DriverEvents:
    """`heard` is called from this thread with what arrived, never with nothing."""

    def __init__(self, gpus: Gpus, heard: Callable[[tuple[DriverEvent, ...]], None]) -> None:
        self._gpus, self._heard = gpus, heard
        self._thread = threading.Thread(target=self._listen, name="gpu-tuned-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _listen(self) -> None:
        while True:  # it ends with the process: nobody could end it while it hangs in the driver
            try:
                events = tuple(self._gpus.wait_events(WAIT_S))
            except DriverError:
                # The loop meets the same trouble in its own look and says it; here only spinning is to be avoided.
                time.sleep(TROUBLE_PAUSE_S)
                continue
            if events:
                self._heard(events)
                time.sleep(COALESCE_S)
