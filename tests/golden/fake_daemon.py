"""The far end of gpu-tunedctl's socket, with canned answers: as little Varlink as a client needs."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

INTERFACE = "io.gputuned.Control"
Canned = dict[str, Any]


class FakeDaemon:
    """Answers each method with what `answers` holds for it: a dict of reply parameters; ("Error", parameters) for an
    error of the interface; a list of dicts for a `more` call, after which the connection is closed."""

    def __init__(self, path: Path, answers: Canned) -> None:
        self.path, self.answers = str(path), answers
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, client.makefile("rb") as stream, suppress(BrokenPipeError):
                self._talk(client, stream)

    def _talk(self, client: socket.socket, stream: Any) -> None:
        kept = b""
        while data := stream.read1(65536):
            kept += data
            while b"\0" in kept:
                message, kept = kept.split(b"\0", 1)
                request = json.loads(message)
                method = request["method"].removeprefix(f"{INTERFACE}.")
                self.calls.append((method, request.get("parameters", {})))
                answer = self.answers[method]
                if isinstance(answer, list):
                    for reply in answer:
                        _send(client, {"parameters": reply, "continues": True})
                    return
                if isinstance(answer, tuple):
                    _send(client, {"error": f"{INTERFACE}.{answer[0]}", "parameters": answer[1]})
                else:
                    _send(client, {"parameters": answer})


def _send(client: socket.socket, message: dict[str, Any]) -> None:
    client.sendall(json.dumps(message).encode() + b"\0")


@contextmanager
def fake_daemon(folder: Path, answers: Canned) -> Iterator[FakeDaemon]:
    daemon = FakeDaemon(folder / "control", answers)
    try:
        yield daemon
    finally:
        daemon.close()
