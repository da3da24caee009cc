"""Events on their way out, beside the loop: it lays them down and never waits for whoever should read them.

One thread tells them in order. While nobody takes any (a journald that hangs, a pipe that nobody reads) they wait,
the newest `EVENTS_KEPT` of them; how many had to be dropped is told first once somebody reads again.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TextIO

from gpu_tuned.adapters.journal import Journal, is_journal
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.ports import Stall

EVENTS_KEPT = 1024
STALLED_S = 2.0
"""An outlet that took nothing for this long is said to be stalled."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.5
"""Between two tries of the same event; each pause is twice the one before."""
LAST_WORDS_S, LAST_TRY_S = 1.0, 0.1
"""How long an end waits for the last words: to an outlet that works, to one that is known to be stalled."""


class Outlet(Protocol):
    """Where events go: the journal, a terminal."""

    name: str

    def tell(self, event: Event, late_s: float) -> bool:
        """Hand one event over, which waited for `late_s` seconds; False where it is not taken at the moment, and to
        be told again. May wait, a little. Raises OSError where nobody will take it."""


@dataclass(slots=True)
class _Waiting:
    """An event on its way. `dropped`: how many others it stands for; 0 for an event of the loop's own."""

    event: Event
    since_s: float
    dropped: int = 0


class Speaker:
    """`ports.Say` over an outlet. May be called from any thread; never waits and never raises."""

    def __init__(
        self,
        outlet: Outlet,
        *,
        kept: int = EVENTS_KEPT,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.outlet, self._kept, self._monotonic, self._wall = outlet, kept, monotonic, wall
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._head: _Waiting | None = None  # the one that is being told
        self._head_since = (0.0, 0.0)  # since when it is, by both clocks
        self._dropped, self._why = 0, ""
        self._failing_since: tuple[float, float] | None = None
        threading.Thread(target=self._run, name="gpu-tuned-speaker", daemon=True).start()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self._waiting.append(_Waiting(event, self._monotonic()))
            if len(self._waiting) > self._kept:
                self._waiting.popleft()
                self._drop(1, f"{self.outlet.name} took nothing for too long")
            self._changed.notify_all()

    def stall(self) -> Stall | None:
        """What stands still, if something does."""
        with self._changed:
            waiting, dropped = len(self._waiting) + 1, self._dropped
            if self._failing_since is not None:
                since = self._failing_since
                message = f"{self._why}; events that could not be told: {dropped}"
            elif self._stalled():
                since = self._head_since
                message = f"{self.outlet.name} takes nothing; events that wait to be told: {waiting}"
                message += f", older ones dropped: {dropped}" if dropped else ""
            else:
                return None
        return Stall("events", since[1], message)

    def close(self) -> None:
        """Before the process ends: wait until everything is told, but not for long."""
        with self._changed:
            wait_s = LAST_TRY_S if self._stalled() else LAST_WORDS_S
            self._changed.wait_for(lambda: not (self._head or self._waiting), wait_s)

    def _stalled(self) -> bool:
        return self._head is not None and self._monotonic() - self._head_since[0] >= STALLED_S

    def _drop(self, count: int, why: str) -> None:
        self._dropped, self._why = self._dropped + count, why

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            head = self._next()
            try:
                told, why = self.outlet.tell(head.event, self._monotonic() - head.since_s), None
            except Exception as error:  # noqa: BLE001  whatever it is: the next event may fare better
                told = True
                why = f"{self.outlet.name}: {getattr(error, 'strerror', None) or error}"
            if not told:
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            pause_s = FIRST_PAUSE_S
            with self._changed:
                self._head = None
                if why is None:
                    self._failing_since = None
                else:
                    self._fail(head, why)
                self._changed.notify_all()

    def _fail(self, head: _Waiting, why: str) -> None:
        if self._failing_since is None:
            self._failing_since = self._head_since
        self._drop(head.dropped or 1, why)
        if head.dropped and self._waiting:  # the event behind would fare no better, and the loop here must end
            self._waiting.popleft()
            self._drop(1, why)

    def _next(self) -> _Waiting:
        """The event to tell now; waits for one."""
        with self._changed:
            if self._head is None:
                self._changed.wait_for(lambda: bool(self._waiting))
                now_s = self._monotonic()
                if self._dropped:
                    detail = {"count": self._dropped}
                    untold = Event(EventKind.UNTOLD, self._wall(), cause=self._why, detail=detail)
                    self._head, self._dropped = _Waiting(untold, now_s, self._dropped), 0
                else:
                    self._head = self._waiting.popleft()
                self._head_since = (now_s, self._wall())
            return self._head


def speaker(stream: TextIO | None, environment: Mapping[str, str] | None = None) -> Speaker:
    """Where events go: the journal when systemd connected `stream` (stderr) to it, else the terminal or file
    behind `stream`."""
    environment = os.environ if environment is None else environment
    if is_journal(stream, environment.get("JOURNAL_STREAM", "")):
        return Speaker(Journal(stream))
    from gpu_tuned.adapters.terminal import Terminal  # structlog costs 9 MB, which a service does without

    return Speaker(Terminal(stream, environment))
