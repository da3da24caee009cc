"""A pause between two tries of the same thing, which grows as long as they fail."""

from __future__ import annotations

from gpu_tuned.ports import Clock


class Pause:
    """`longest_s`: more than this is never waited."""

    def __init__(self, clock: Clock, longest_s: float) -> None:
        self._clock, self._longest_s = clock, longest_s
        self._length_s = 0.0
        self._until_s = float("-inf")

    @property
    def started(self) -> bool:
        """Whether a try failed since the last `reset`."""
        return self._length_s > 0

    @property
    def over(self) -> bool:
        return self._clock.monotonic() >= self._until_s

    def longer(self, first_s: float, longest_s: float | None = None) -> None:
        """A try failed, or is due again later: twice as long as before; `first_s` the first time, and where the last
        pause is long over."""
        longest_s = self._longest_s if longest_s is None else longest_s
        if self._clock.monotonic() - self._until_s > longest_s:
            self._length_s = 0.0
        self._length_s = min(longest_s, max(first_s, 2 * self._length_s))
        self._until_s = self._clock.monotonic() + self._length_s

    def end(self) -> None:
        """Somebody cannot wait: it is over now, and no sign of success."""
        self._until_s = min(self._until_s, self._clock.monotonic())

    def reset(self) -> None:
        """It worked: the next failure begins with a short pause."""
        self._length_s, self._until_s = 0.0, float("-inf")
