"""Listening sockets: one of our own on a path, or those that systemd opened before us."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gpu_tuned.control.peers import peer_of
from gpu_tuned.core.errors import AlreadyRunning, GpuTunedError, UsageError

BACKLOG = 512
PATH_MAX_BYTES = 107  # sun_path less its zero byte, unix(7)
LOCK_WAIT_S = 1.0


class SocketTrouble(GpuTunedError):
    """The socket cannot be opened, and no other daemon is the reason."""

    exit_code = 5


@dataclass(frozen=True, slots=True)
class Listener:
    """`path` and `inode` of a socket of our own, to be removed at the end; None for an inherited one."""

    sock: socket.socket
    path: str | None = None
    inode: int | None = None

    def close(self) -> None:
        """Close, and remove the path if it still is ours."""
        self.sock.close()
        if self.path is not None:
            try:
                if os.lstat(self.path).st_ino == self.inode:
                    os.unlink(self.path)
            except OSError:
                pass


def inherited(fd: int) -> Listener:
    """Adopt a descriptor of systemd's. Raises UsageError unless it is a listening Unix stream socket."""
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise UsageError(f"inherited descriptor {fd} is no socket: check the .socket unit")
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise UsageError(f"inherited descriptor {fd} cannot be used: {error.strerror}") from error
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not listens:
        raise UsageError(
            f"inherited descriptor {fd} is not a listening Unix stream socket: the .socket unit needs ListenStream="
            "with a path, and Accept=no"
        )
    sock.setblocking(False)  # noqa: FBT003 - its parameter has no name
    sock.set_inheritable(False)
    return Listener(sock)


def own(path: str, was_killed: Callable[[int | None], bool]) -> Listener:
    """Listen on `path`, open to everybody: reading is everybody's, and who may write is judged by call.
    `was_killed` tells whether a process (None: one whose queue stays full, so that nobody can ask who it is) was
    ended and only cannot leave: its socket answers nobody any more.

    Raises AlreadyRunning when somebody listens there, UsageError for a path that cannot be one, SocketTrouble.
    """
    path = os.path.abspath(path)
    if len(os.fsencode(path)) > PATH_MAX_BYTES:
        raise UsageError(f"socket path {path}: {len(os.fsencode(path))} bytes; the kernel allows {PATH_MAX_BYTES}")
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise SocketTrouble(f"socket path {path}: there is no folder {folder}; make it, or name another path")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        with _alone(folder):
            _clear(path, was_killed)
            sock.bind(path)
            sock.listen(BACKLOG)  # at once: a socket that does not listen yet looks like a dead daemon's
            os.chmod(path, 0o666)
            return Listener(sock, path, os.lstat(path).st_ino)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunning(f"socket path {path}: another daemon took it at this moment") from error
        raise SocketTrouble(f"socket path {path} cannot be opened: {error.strerror}") from error
    except BaseException:
        sock.close()
        raise


def _clear(path: str, was_killed: Callable[[int | None], bool]) -> None:
    """Remove what a dead daemon left, and only that: a connect must be refused, or lead to one that was killed."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketTrouble(f"socket path {path}: something that is no socket is there; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(LOCK_WAIT_S)  # a full queue is waited for: whoever lives takes from it
        try:
            probe.connect(path)
            gone = was_killed(peer_of(probe).pid)
        except ConnectionRefusedError:
            gone = True
        except FileNotFoundError:
            return
        except (BlockingIOError, TimeoutError):
            gone = was_killed(None)
        if gone:
            os.unlink(path)
            return
    raise AlreadyRunning(
        f"socket path {path}: a daemon answers there; end it, or give this one --socket and --state-dir of its own"
    )


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Between two daemons that start at once: only one at a time looks whether a path is stale.

    The lock is on the folder, which needs no file of its own. Who may read the folder could hold it for ever, so
    it is waited for a moment only: it helps, and it is no gate (the driver's lock is).
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + LOCK_WAIT_S
        while time.monotonic() < until:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.01)
        yield
    finally:
        os.close(fd)
