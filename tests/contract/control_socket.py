"""A control socket on a mailbox with a document made by hand: what the daemon's clients see, without the daemon."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from gpu_tuned.control.connection import Limits
from gpu_tuned.control.mailbox import Mailbox
from gpu_tuned.control.places import Room
from gpu_tuned.control.server import Server
from gpu_tuned.ports import Answer
from tests.contract.sample_document import document

WAIT_S = 10.0


class Time:
    """A clock that a test turns: seconds, monotonic."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Raw:
    """A client without manners: bytes out, messages in."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAIT_S)
        self.sock.connect(path)
        self._kept = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, method: str, **more: Any) -> None:
        name = method if "." in method else f"io.gputuned.Control.{method}"
        self.send(json.dumps({"method": name, **more}).encode() + b"\0")

    def reply(self) -> dict[str, Any] | None:
        """The next message; None when the server closed."""
        while b"\0" not in self._kept:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._kept += data
        message, _, self._kept = self._kept.partition(b"\0")
        found = json.loads(message)
        assert isinstance(found, dict)
        return found

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()


class Served:
    """A mailbox and a server in a thread of its own; `troubles` is what the server had to complain of."""

    def __init__(
        self,
        path: str | None = None,
        *,
        inherited: list[int] | None = None,
        limits: Limits | None = None,
        room: Room | None = None,
        clock: Callable[[], float] = time.monotonic,
        group: str = "gpu-tuned-test-nobody",
        published: bool = True,
    ) -> None:
        # Not tmp_path: a socket's path has 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="gt-")
        self.path = path or str(Path(self._folder.name) / "io.gputuned.Control")
        self.troubles: list[str] = []
        self.asked = threading.Event()
        self.mailbox = Mailbox(self.asked.set, monotonic=clock)
        if published:
            self.mailbox.publish(document)
        self.server = Server(
            self.mailbox,
            None if inherited else self.path,
            inherited or (),
            group,
            say_trouble=self.troubles.append,
            limits=limits,
            room=room,
            clock=clock,
        )
        self.thread = threading.Thread(target=self.server.serve, daemon=True)

    def __enter__(self) -> Served:
        self.server.open()
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.close()
        self.thread.join(WAIT_S)
        self._folder.cleanup()
        assert not self.thread.is_alive(), "the control thread did not end"
        if exc is None:
            assert self.troubles == [], "the control thread had trouble of its own making"

    def connect(self) -> Raw:
        return Raw(self.path)

    @contextmanager
    def answering(self, answer: Callable[[str, dict[str, Any]], Answer]) -> Iterator[None]:
        """A loop's stand-in that answers each command as it comes."""
        ending = False

        def loop() -> None:
            while not ending:
                self.asked.wait(WAIT_S)
                self.asked.clear()
                while (command := self.mailbox.take()) is not None:
                    command.answer(answer(command.name, dict(command.parameters)))

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending = True
            self.asked.set()
            thread.join(WAIT_S)
