"""Faults of ours while serving clients, told without flooding the journal."""

from __future__ import annotations

from collections.abc import Callable

TROUBLE_EVERY_S = 60.0


class Troubles:
    """Says a sentence at most once a minute, and how many were not said meanwhile: a client may be able to cause the
    same fault as often as it likes."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say, self._clock = say, clock
        self._said_s = float("-inf")
        self._unsaid, self._last = 0, ""

    def add(self, text: str) -> None:
        self._unsaid, self._last = self._unsaid + 1, text
        self.tell_owed()

    @property
    def owed(self) -> bool:
        """Whether something is still to be said, once a minute is over."""
        return self._unsaid > 0

    def tell_owed(self) -> None:
        """Say the newest sentence that was not said, where a minute is over."""
        now_s = self._clock()
        if not self._unsaid or now_s - self._said_s < TROUBLE_EVERY_S:
            return
        more = f" (and {self._unsaid - 1} more in the last minute)" if self._unsaid > 1 else ""
        text, self._said_s, self._unsaid = self._last + more, now_s, 0
        self._say(text)
