"""Who is at the other end of a Unix socket, in the kernel's words, and what that permits."""

from __future__ import annotations

import grp
import os
import socket
import struct
from typing import NamedTuple

SO_PEERGROUPS = 59  # asm-generic/socket.h, Linux 4.13; Python has no name for it
_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid
_GROUPS_BYTES = 1024  # the most that Python's getsockopt takes: 256 groups


class Peer(NamedTuple):
    """A process as it was when it connected: what it became since changes nothing."""

    pid: int
    uid: int
    gids: frozenset[int]


def peer_of(connection: socket.socket) -> Peer:
    """Raises OSError where the kernel does not tell."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    try:
        groups = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:
        groups = b""  # more than 256 groups, or an old kernel: the primary group still counts
    return Peer(pid, uid, frozenset({gid, *struct.unpack(f"{len(groups) // 4}I", groups)}))


class Access:
    """Who may change something: root, and the members of one group.

    A daemon that does not run as root serves its own user as well: that user could end it, change its policy or
    write to its memory anyhow, and only so can it be developed without root. It cannot set anything on a real GPU.
    """

    def __init__(self, group: str) -> None:
        self.group = group
        self._own_uid = os.geteuid()
        self._gid: int | None = None
        self.look_up()

    def look_up(self) -> None:
        """Look the group up; where accounts live in a directory service this may wait for it, so it is done
        once, at the start, and not while a client is served."""
        try:
            self._gid = grp.getgrnam(self.group).gr_gid
        except KeyError:
            self._gid = None

    def admits(self, peer: Peer) -> bool:
        """Whether this one may change something."""
        return self.trusts(peer) or (self._gid is not None and self._gid in peer.gids)

    def trusts(self, peer: Peer) -> bool:
        """Whether this one may change everything, what the policy marks as required among it."""
        return peer.uid in (0, self._own_uid)

    @property
    def needed(self) -> str:
        """What a caller would have to be, for the one who is not."""
        if self._gid is None:
            return f"root (this machine had no group {self.group} when the daemon started)"
        return f"root or a member of the group {self.group}"
