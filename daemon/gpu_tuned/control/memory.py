"""Memory that a crowd of clients took, given back once it has left."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

CROWD = 32
"""Fewer clients than these leave nothing worth giving back."""


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
