"""How many clients there may be, whose, and how much each may ask: no user can take everything from the others."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace

DYNAMIC_UIDS = range(61184, 65520)
"""The users that systemd makes for services with DynamicUser= (gpu-tuned-wait.service is one). Nobody becomes one but
through the service manager."""


@dataclass(frozen=True, slots=True)
class Room:
    """`clients` in all, and at most `clients_per_uid` of one user, whoever it is. `reserved` of them are for root and
    for services of DynamicUser=, of which each may have `few`. Of what is free beside that, a user may take what
    leaves twice as much to the others, and `few` as long as there is any."""

    clients: int = 512
    clients_per_uid: int = 256
    reserved: int = 32
    few: int = 4

    def within(self, descriptors: int) -> Room:
        """For a process that may have so many file descriptors: half of them are the driver's."""
        clients = max(4, min(self.clients, descriptors // 2))
        return replace(self, clients=clients, reserved=min(self.reserved, clients // 4))


def trusted() -> frozenset[int]:
    """Users who could end the daemon anyhow: root, and whoever runs it."""
    return frozenset({0, os.geteuid()})


class Pace:
    """How much each user asked in this second. One who asks without pause would cost the daemon most of a processor,
    and the loop its turns with the interpreter."""

    def __init__(self, requests: int) -> None:
        self._requests = requests
        self._trusted = trusted()
        self._asked: Counter[int] = Counter()

    def may_ask(self, uid: int) -> bool:
        return uid in self._trusted or self._asked[uid] < self._requests

    def asked(self, uid: int) -> None:
        self._asked[uid] += 1

    def renew(self) -> None:
        """A second is over."""
        self._asked.clear()


class Places:
    """Who is in."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._trusted = trusted()
        self._of_uid: Counter[int] = Counter()

    def take(self, uid: int) -> str | None:
        """Take a place for this user; where there is none for it, why not."""
        count, own = self._of_uid.total(), self._of_uid[uid]
        if own >= self._most(uid, own, self._room.clients - count):
            return f"too many connections: uid {uid} has {own} of {count}; the most are {self._room.clients}"
        self._of_uid[uid] += 1
        return None

    def leave(self, uid: int) -> None:
        self._of_uid[uid] -= 1
        if not self._of_uid[uid]:
            del self._of_uid[uid]

    def _most(self, uid: int, own: int, free: int) -> int:
        """How many places this user may have at this moment."""
        room = self._room
        if uid in self._trusted:
            return min(room.clients_per_uid, own + free)
        shared = free - room.reserved
        most = min(room.clients_per_uid, max(room.few, (own + shared) // 3 + 1)) if shared > 0 else 0
        if uid in DYNAMIC_UIDS and free > 0:
            return max(most, room.few)
        return most
