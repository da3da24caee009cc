"""Faults of ours while serving clients, told without flooding the journal."""

from __future__ import annotations

from collections.abc import Callable

TROUBLE_EVERY_S = 60.0


class Troubles:
    """Says a sentence at most once a minute, and how many went before it unsaid: a client may be able to cause
    the same fault as often as it likes."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say, self._clock = say, clock
        self._said_s = float("-inf")
        self._unsaid = 0

    def add(self, text: str) -> None:
        now_s = self._clock()
        if now_s - self._said_s < TROUBLE_EVERY_S:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more since the last of these)" if self._unsaid else ""
        self._said_s, self._unsaid = now_s, 0
        self._say(text + more)
