"""Out of descriptors: nobody is let in for a while, and the listening sockets keep no selector awake meanwhile."""

from __future__ import annotations

import errno
import os
import selectors
import socket
from pathlib import Path

import pytest

from gpu_tuned.control.acceptor import Acceptor
from gpu_tuned.control.trouble import Troubles


class OutOfDescriptors(socket.socket):
    asked = 0
    code = errno.EMFILE

    def accept(self) -> tuple[socket.socket, object]:
        self.asked += 1
        raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_who_cannot_be_let_in_waits_in_the_kernels_queue(code: int, tmp_path: Path) -> None:
    told: list[str] = []
    with selectors.DefaultSelector() as selector:
        acceptor = Acceptor(
            selector, str(tmp_path / "sock"), (), lambda pid: False, Troubles(told.append, lambda: 0.0)
        )
        acceptor.open()
        acceptor.resume()
        with OutOfDescriptors(socket.AF_UNIX) as listening:
            listening.code = code
            assert list(acceptor.accept(listening)) == []
            assert acceptor.paused
            assert not selector.get_map(), "a socket that somebody waits at would be ready at once, again and again"
            assert list(acceptor.accept(listening)) == []
            assert listening.asked == 1
        acceptor.resume()
        assert len(selector.get_map()) == 1
        acceptor.close()
    assert told == [f"nobody is let in for a second: {os.strerror(code)}"]
