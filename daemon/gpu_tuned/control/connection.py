"""One client of the socket: what came, what is still to be sent, and how long it may take its time."""

from __future__ import annotations

import socket
from collections import Counter, deque
from dataclasses import dataclass

from gpu_tuned.control.desk import Command
from gpu_tuned.control.framing import MESSAGE_MAX_BYTES, Framer
from gpu_tuned.control.peers import Peer

_RECEIVE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the daemon one client may have. Times in seconds.

    A status of eight GPUs is about 50 kB, so `output_bytes` holds a few; with more than that unread, nothing more is
    taken from this client, and after `stall_s` without a byte read by it, it is dropped. `partial_s` counts from
    a message's first byte, so one byte a second does not hold a place. `reserved` of the `clients` are root's.
    """

    message_bytes: int = MESSAGE_MAX_BYTES
    output_bytes: int = 256 * 1024
    clients: int = 512
    clients_per_uid: int = 256
    reserved: int = 32
    idle_s: float = 120.0
    partial_s: float = 10.0
    stall_s: float = 10.0
    command_s: float = 30.0


class Places:
    """How many clients there are, and whose: one user cannot take every place, and none can take root's."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of_uid: Counter[int] = Counter()

    def take(self, uid: int) -> str | None:
        """Take a place for this user; where there is none for it, why not."""
        count, own = self._of_uid.total(), self._of_uid[uid]
        if count >= self._limits.clients - (self._limits.reserved if uid else 0) or (
            own >= self._limits.clients_per_uid
        ):
            return f"too many connections: uid {uid} has {own} of {count}"
        self._of_uid[uid] += 1
        return None

    def leave(self, uid: int) -> None:
        self._of_uid[uid] -= 1
        if not self._of_uid[uid]:
            del self._of_uid[uid]


class Connection:
    """Owns the socket. Methods that touch it raise OSError when the client is gone."""

    def __init__(self, sock: socket.socket, peer: Peer, limits: Limits, now_s: float) -> None:
        self.sock, self.peer = sock, peer
        self._limits = limits
        self._framer = Framer(limits.message_bytes)
        self._out: deque[memoryview] = deque()
        self._out_bytes = 0
        self._began_s: float | None = None  # first byte of a message that is not whole yet
        self._active_s = now_s
        self._read_s = now_s  # when the client last took a byte, or when there first was one to take
        self.ended = False  # the client sends nothing more
        self.leaving = False  # to be closed once everything is sent
        self.waits_for: tuple[Command, float] | None = None  # the command asked, and when
        self.watched: int | None = None  # number of the last event sent or known to be missed

    @property
    def full(self) -> bool:
        return self._out_bytes > self._limits.output_bytes

    @property
    def takes(self) -> bool:
        """Whether the next message may be served: replies keep the order of requests."""
        return not (self.full or self.leaving or self.waits_for or self.watched is not None)

    @property
    def reads(self) -> bool:
        """Whether there is room for more of what the client sends."""
        return not self.ended and not self.leaving and len(self._framer) <= self._limits.message_bytes

    @property
    def writes(self) -> bool:
        return bool(self._out)

    @property
    def done(self) -> bool:
        """Nothing is left to do for this client."""
        if self.watched is not None and (self.ended or not self.reads):
            return True  # gone, or it talks where only listening makes sense
        return (self.leaving or (self.ended and self.waits_for is None)) and not self._out

    def receive(self, now_s: float) -> None:
        """Take what came, as far as one read goes."""
        try:
            data = self.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        if not data:
            self.ended = True
            return
        self._framer.feed(data)
        if self._began_s is None:
            self._began_s = now_s

    def take(self, now_s: float) -> bytes | None:
        """The next whole message. Raises framing.BadMessage."""
        message = self._framer.take()
        if message is not None:
            self._active_s = now_s
            self._began_s = now_s if len(self._framer) else None
        return message

    def send(self, data: bytes, now_s: float) -> None:
        """Queue and, as far as it goes, send."""
        if not self._out:
            self._read_s = now_s
        self._out.append(memoryview(data))
        self._out_bytes += len(data)
        self.flush(now_s)

    def flush(self, now_s: float) -> None:
        while self._out:
            try:
                sent = self.sock.send(self._out[0])
            except BlockingIOError:
                return
            self._read_s = self._active_s = now_s
            self._out_bytes -= sent
            if sent == len(self._out[0]):
                self._out.popleft()
            else:
                self._out[0] = self._out[0][sent:]

    def overdue(self, now_s: float) -> bool:
        """Whether this client has had its place for long enough. A watcher may take its time: it loses events."""
        if self.watched is not None:
            return False
        if self._out:
            return now_s - self._read_s > self._limits.stall_s
        if self.waits_for is not None:
            return False
        if self._began_s is not None and now_s - self._began_s > self._limits.partial_s:
            return True
        return now_s - self._active_s > self._limits.idle_s
