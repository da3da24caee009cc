"""A trouble that is told once for as long as it lasts, and where it comes and goes, not each time."""

from __future__ import annotations

from gpu_tuned.ports import Clock

AGAIN_S = 600.0
"""How long a trouble that was over in between is not told of again in the same words."""


class Told:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._words: str | None = None
        self._lasts = False
        self._again_s = float("-inf")

    def news(self, words: str) -> bool:
        """There is this trouble; whether it is to be told."""
        now_s = self._clock.monotonic()
        news = words != self._words or (not self._lasts and now_s >= self._again_s)
        if news:
            self._words, self._again_s = words, now_s + AGAIN_S
        self._lasts = True
        return news

    def over(self) -> None:
        """There is none."""
        self._lasts = False
