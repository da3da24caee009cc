"""The listening sockets in the server's selector, and who connects to them."""

from __future__ import annotations

import errno
import selectors
import socket
from collections.abc import Callable, Iterator, Sequence

from gpu_tuned.control import listen
from gpu_tuned.control.trouble import Troubles

ACCEPTS_A_TURN = 32
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """`path`: where to listen, None for inherited sockets alone. `inherited`: listening descriptors from systemd;
    they are taken over. `was_killed`: see listen.own. Nobody is accepted before `resume`."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        path: str | None,
        inherited: Sequence[int],
        was_killed: Callable[[int | None], bool],
        troubles: Troubles,
    ) -> None:
        self._selector, self._troubles = selector, troubles
        self._path, self._inherited, self._was_killed = path, tuple(inherited), was_killed
        self._listeners: list[listen.Listener] = []
        self.paused = True
        """Whoever connects waits in the kernel's queue: also where there is no descriptor left for another client."""

    def open(self) -> None:
        """Listen. Raises AlreadyRunning, UsageError, listen.SocketTrouble."""
        for fd in self._inherited:
            self._listeners.append(listen.inherited(fd))
        names = {listener.sock.getsockname() for listener in self._listeners}
        if self._path is not None and self._path not in names:
            self._listeners.append(listen.own(self._path, self._was_killed))

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def resume(self) -> None:
        self.paused = False
        for listener in self._listeners:
            self._selector.register(listener.sock, selectors.EVENT_READ)

    def accept(self, sock: socket.socket) -> Iterator[socket.socket]:
        """Some of those who wait at one listening socket. Pauses where nobody more can be accepted."""
        if self.paused:
            return
        for _ in range(ACCEPTS_A_TURN):
            try:
                connection = sock.accept()[0]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._troubles.add(f"nobody is let in for a second: {error.strerror}")
                    self._pause()
                    return
                continue  # the client went away before it was let in
            yield connection

    def _pause(self) -> None:
        self.paused = True
        for listener in self._listeners:
            self._selector.unregister(listener.sock)
