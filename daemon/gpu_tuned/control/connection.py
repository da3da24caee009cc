"""One client of the socket: what came, what is still to be sent, and how long it may take its time."""

from __future__ import annotations

import select
import socket
from collections import deque
from typing import NamedTuple

from gpu_tuned.control.framing import MESSAGE_MAX_BYTES, Framer
from gpu_tuned.control.mailbox import Command
from gpu_tuned.control.peers import Peer

_RECEIVE_BYTES = 16 * 1024
_SEND_BUFFER_BYTES = 64 * 1024
"""The kernel's own buffer for a client, which holds a status of eight GPUs; it keeps twice that."""
_AHEAD_BYTES = 4 * 1024
"""How much is read of what a client sends while it is not its turn."""


class Limits(NamedTuple):
    """How much of the daemon its clients may have. Times in seconds.

    One reply at a time is made for a client: with any of it unsent, nothing more is taken from there, and what is not
    read within `stall_s` ends the connection. A watcher may have `output_bytes` waiting, then it loses events.
    `partial_s` counts from a message's first byte, so one byte a second does not hold a place. `input_bytes` is what
    all clients together may have sent that is not served yet; whoever holds most of it goes first. More than
    `requests_per_s` of one user other than root wait for the next second.
    """

    message_bytes: int = MESSAGE_MAX_BYTES
    output_bytes: int = 16 * 1024
    input_bytes: int = 4 * 1024 * 1024
    requests_per_s: int = 200
    idle_s: float = 120.0
    partial_s: float = 10.0
    stall_s: float = 10.0
    command_s: float = 30.0


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
        self._unread_s = now_s  # since when there is something to be read
        self.ended = False  # the client sends nothing more
        self.leaving = False  # to be closed once everything is sent
        self.waits_for: tuple[Command, float] | None = None  # the command asked, and when
        self.watched: int | None = None  # number of the last event sent or known to be missed
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)

    @property
    def full(self) -> bool:
        """Whether a watcher has to read before it hears more."""
        return self._out_bytes > self._limits.output_bytes

    @property
    def takes(self) -> bool:
        """Whether the next message may be served: replies keep the order of requests, and are made one at a time."""
        return not (self._out or self.leaving or self.waits_for or self.watched is not None)

    @property
    def held_bytes(self) -> int:
        """What came and is not served yet."""
        return len(self._framer)

    @property
    def reads(self) -> bool:
        """Whether there is room for more of what the client sends."""
        room = self._limits.message_bytes if self.takes else _AHEAD_BYTES
        return not self.ended and not self.leaving and len(self._framer) <= room

    @property
    def writes(self) -> bool:
        return bool(self._out)

    @property
    def done(self) -> bool:
        """Nothing is left to do for this client."""
        if self.watched is not None and (self.ended or not self.reads):
            return True  # gone, or it talks where only listening makes sense
        return (self.leaving or (self.ended and self.waits_for is None)) and not self._out

    @property
    def gone(self) -> bool:
        """Whether the client has closed, and not only said that it sends nothing more."""
        if not self.ended:
            return False
        poll = select.poll()
        poll.register(self.sock, 0)  # a hang-up is told whatever is asked for
        return any(events & select.POLLHUP for _, events in poll.poll(0))

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
            self._unread_s = now_s
        self._out.append(memoryview(data))
        self._out_bytes += len(data)
        self.flush(now_s)

    def flush(self, now_s: float) -> None:
        while self._out:
            try:
                sent = self.sock.send(self._out[0])
            except BlockingIOError:
                return
            self._active_s = now_s
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
            return now_s - self._unread_s > self._limits.stall_s
        if self.waits_for is not None:
            return False
        if self._began_s is not None and now_s - self._began_s > self._limits.partial_s:
            return True
        return now_s - self._active_s > self._limits.idle_s
