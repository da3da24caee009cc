"""Memory that clients take: what they sent is bounded, and what a crowd took is given back once it has left."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpu_tuned.control.connection import Connection

CROWD = 32
"""Fewer clients than these leave nothing worth giving back."""


M_ARENA_MAX = -8  # malloc.h


def one_heap() -> None:
    """Have the C library keep one heap for all threads, before the first is made: Python lets one of them run at a
    time, so a heap for each is memory for nothing (0.2 MB with six). Others than glibc know no such call."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


def trim() -> None:
    """Have the C library give back what is free in the middle of its heap; others than glibc know no such call."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


class Memory:
    """Told how many clients there are, once a second while there are any."""

    def __init__(self, give_back: Callable[[], None] = trim) -> None:
        self._give_back = give_back
        self._most = 0

    @property
    def owed(self) -> bool:
        """Whether something is to be given back, once enough have left."""
        return self._most >= CROWD

    def clients(self, count: int) -> None:
        self._most = max(self._most, count)
        if self.owed and count <= self._most // 4:
            self._most = count
            self._give_back()


class Unserved:
    """The bytes that each client sent and that are not served yet; all together `most_bytes` at most."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes_of: dict[Connection, int] = {}
        self._bytes = 0

    def count(self, client: Connection) -> None:
        """Take down what this client holds now."""
        self._bytes += client.held_bytes - self._bytes_of.get(client, 0)
        self._bytes_of[client] = client.held_bytes

    def forget(self, client: Connection) -> None:
        """It has left."""
        self._bytes -= self._bytes_of.pop(client, 0)

    def too_much(self) -> Connection | None:
        """Who holds the most, where all together hold too much."""
        if self._bytes <= self._most_bytes:
            return None
        return max(self._bytes_of, key=self._bytes_of.__getitem__)
