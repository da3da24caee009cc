"""A descriptor that takes lines (a terminal, a pipe, a file), written to without waiting for its reader."""

from __future__ import annotations

import errno
import os
import select
from contextlib import suppress
from typing import TextIO

CHUNK_BYTES = select.PIPE_BUF
"""What a pipe that can be written to takes at once (pipe(7))."""


class Stream:
    """Lines for the descriptor below `stream`; None: a process that was started without one."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._line, self._rest = "", b""

    def put(self, line: str, wait_s: float = 0.0) -> bool:
        """Write a line, and wait for at most `wait_s` seconds each time that nothing is taken. False where not all of
        it was: called again with the same line, it writes the rest. Raises OSError where nobody will ever read."""
        data = self._rest
        if not data or line != self._line:
            data += f"{line}\n".encode("utf-8", "replace")
        self._line, self._rest = line, b""
        try:
            descriptor = self._descriptor()
            # The descriptor is shared with other processes, so it stays blocking, and is asked first.
            while data and _takes(descriptor, wait_s):
                data = data[os.write(descriptor, data[:CHUNK_BYTES]) :]
        except BlockingIOError:  # somebody made it non-blocking after all
            pass
        self._rest = data
        return not data

    def _descriptor(self) -> int:
        if self._stream is None or self._stream.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream.fileno()


def _takes(descriptor: int, wait_s: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(wait_s * 1000))


def put_now(line: str, stream: TextIO | None) -> None:
    """A last word before the end: written where it is taken at once, dropped otherwise."""
    with suppress(OSError):
        Stream(stream).put(line)
