"""Seconds within the last minute, hour and day, in bounded memory.

A ring of buckets for each window. What was counted between two looks is spread evenly over the time between
them, and the oldest bucket counts by the part of it still inside: a window is wrong by less than one bucket.
"""

from __future__ import annotations

from array import array
from typing import Any

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
# window, width of a bucket: 60 + 60 + 96 buckets and one spare each, 1.8 kB in all
WINDOWS = ((MINUTE_S, 1), (HOUR_S, 60), (DAY_S, 900))


class Ring:
    """One window of `window_s`, in buckets of `width_s` seconds that divide it."""

    __slots__ = ("_buckets", "_newest", "_sum_s", "_width_s", "window_s")

    def __init__(self, window_s: int, width_s: int) -> None:
        self.window_s = window_s
        self._width_s = width_s
        self._buckets = array("d", bytes(8 * (window_s // width_s + 1)))
        self._newest: int | None = None
        self._sum_s: float | None = None  # of all buckets, as long as none of them changes

    def add(self, from_s: float, to_s: float, seconds: float) -> None:
        """Count `seconds`, spread evenly from `from_s` to `to_s` (monotonic seconds)."""
        width, count = self._width_s, len(self._buckets)
        last = int(to_s // width)
        self._advance(last)
        self._sum_s = None
        newest = last if self._newest is None else self._newest
        span = to_s - from_s
        first = int(from_s // width) if span > 0 else last
        if first >= last:
            if last > newest - count:
                self._buckets[last % count] += seconds
            return
        for number in range(max(first, newest - count + 1), last + 1):
            overlap = min(to_s, (number + 1) * width) - max(from_s, number * width)
            self._buckets[number % count] += seconds * overlap / span

    def within(self, at_s: float) -> float:
        """Seconds counted in the window that ends at `at_s`, at most the window itself."""
        width, count = self._width_s, len(self._buckets)
        now = int(at_s // width)
        self._advance(now)
        oldest = (now + 1) % count
        gone = (at_s - now * width) / width  # how much of the oldest bucket has left the window
        if self._sum_s is None:
            self._sum_s = sum(self._buckets)
        total = self._sum_s - self._buckets[oldest] * gone
        return min(float(self.window_s), max(0.0, total))

    def _advance(self, to: int) -> None:
        """Empty the buckets between the newest and `to`."""
        if to == self._newest:
            return
        count, self._sum_s = len(self._buckets), None
        if self._newest is not None:
            for number in range(max(self._newest, to - count) + 1, to + 1):
                self._buckets[number % count] = 0.0
        self._newest = to if self._newest is None else max(to, self._newest)

    def to_json(self) -> list[int]:
        """The newest bucket's number, then milliseconds from that bucket backwards, without the zeros at the end."""
        newest, count = self._newest or 0, len(self._buckets)
        most_ms = self.window_s * 1000
        amounts = [min(most_ms, round(self._buckets[(newest - back) % count] * 1000)) for back in range(count)]
        while amounts and not amounts[-1]:
            amounts.pop()
        return [newest, *amounts]

    def take(self, raw: Any, at_s: float) -> None:
        """Go on from `to_json`. Raises ValueError for what no ring would have written by `at_s`."""
        count = len(self._buckets)
        if not isinstance(raw, list) or not 1 <= len(raw) <= count + 1 or not all(type(n) is int for n in raw):
            raise ValueError("not the buckets of a window")
        newest, amounts = raw[0], raw[1:]
        if newest > at_s // self._width_s or not all(0 <= ms <= self.window_s * 1000 for ms in amounts):
            raise ValueError("buckets of another time, or with more seconds than a window has")
        self._newest, self._sum_s = newest, None
        for back, ms in enumerate(amounts):
            self._buckets[(newest - back) % count] = ms / 1000


class Windows:
    """All windows of one reason. They take memory once something was counted; most reasons never happen."""

    __slots__ = ("_rings", "total_ns")

    def __init__(self) -> None:
        self._rings: tuple[Ring, ...] = ()
        self.total_ns = 0

    def add(self, from_s: float, to_s: float, ns: int) -> None:
        """`total_ns` counts all of it; what lies before a window's beginning is not counted in that window."""
        if ns <= 0:
            return
        self.total_ns += ns
        for ring in self._made():
            ring.add(from_s, to_s, ns / 1e9)

    @property
    def empty(self) -> bool:
        """Whether nothing was ever counted."""
        return not self._rings

    def seconds(self, at_s: float) -> tuple[float, float, float]:
        """Seconds within the last minute, hour and day."""
        if self.empty:
            return 0.0, 0.0, 0.0
        minute, hour, day = (ring.within(at_s) for ring in self._rings)
        return minute, hour, day

    def to_json(self) -> list[Any]:
        """The total in nanoseconds and the rings; [] where nothing was counted."""
        return [self.total_ns, *(ring.to_json() for ring in self._rings)] if self._rings else []

    def take(self, raw: Any, at_s: float) -> None:
        """Go on from `to_json`. Raises ValueError as `Ring.take`."""
        if not isinstance(raw, list) or len(raw) != 1 + len(WINDOWS) or type(raw[0]) is not int or raw[0] < 0:
            raise ValueError("not the windows of a reason")
        self.total_ns = raw[0]
        for ring, one in zip(self._made(), raw[1:], strict=True):
            ring.take(one, at_s)

    def _made(self) -> tuple[Ring, ...]:
        if not self._rings:
            self._rings = tuple(Ring(window_s, width_s) for window_s, width_s in WINDOWS)
        return self._rings
