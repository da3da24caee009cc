"""The small client: what it returns, what it raises, and what it costs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpu_tuned.control import client
from gpu_tuned.core.errors import (
    DriverTrouble,
    GpuTunedError,
    NotPermitted,
    NotReachable,
    PolicyError,
    UsageError,
)
from gpu_tuned.core.status import FORMAT
from gpu_tuned.ports import Answer
from tests.contract.control_socket import Served
from tests.contract.sample_document import document, event


@contextmanager
def other_daemon(*replies: bytes, hold: bool = False) -> Iterator[str]:
    """Something else that listens: it takes one request, sends `replies`, and closes, or (`hold`) just stays."""
    with Served() as borrowed:
        path = str(Path(borrowed.path).parent / "other")
        ending = threading.Event()

        def serve() -> None:
            connection = listener.accept()[0]
            with connection:
                connection.recv(65536)
                for reply in replies:
                    connection.sendall(reply)
                if hold:
                    ending.wait(20)

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            yield path
            ending.set()
            thread.join(10)


def test_a_call_returns_the_parameters() -> None:
    with Served() as served:
        found = client.call(served.path, "Status")
        assert found == {key: value for key, value in document().items() if key != "plan"}
        info = client.call(served.path, "org.varlink.service.GetInfo")
        assert "io.gputuned.Control" in info["interfaces"]


def test_a_large_reply_comes_whole() -> None:
    with Served() as served:
        served.mailbox.publish(lambda: document(gpus=200))
        assert len(client.call(served.path, "Status")["gpus"]) == 200


def test_none_is_not_sent_so_an_older_daemon_need_not_know_the_parameter() -> None:
    with Served() as served:
        heard = []

        def answer(name: str, parameters: dict[str, object]) -> Answer:
            heard.append(parameters)
            return Answer({"message": "done"})

        with served.answering(answer):
            client.call(served.path, "Restore", {"gpu": "0", "setting": None, "of_tomorrow": None})
        assert heard == [{"gpu": "0", "setting": None}]


def test_fields_of_a_newer_daemon_are_let_through() -> None:
    with other_daemon(b'{"parameters":{"format":1,"news":[1]},"tomorrow":true}\0') as path:
        assert client.call(path, "Status") == {"format": 1, "news": [1]}


def test_an_older_daemon_without_the_method_is_called_older() -> None:
    with Served() as served:
        with pytest.raises(client.RemoteError, match="does not know Dance: it may be older") as error:
            client.call(served.path, "Dance")
        assert error.value.name == "org.varlink.service.MethodNotFound"
        assert error.value.parameters == {"method": "Dance"}


ERRORS: list[tuple[str, dict[str, object], type[GpuTunedError], int, str]] = [
    ("NotPermitted", {"method": "Apply", "needed": "root"}, NotPermitted, 4, "apply needs root"),
    ("PolicyRefused", {"problems": ["a", "b"]}, PolicyError, 2, "a\nb"),
    ("PolicyRefused", {}, PolicyError, 2, "the policy was refused"),
    ("NoSuchGpu", {"gpu": "7", "known": ["A", "B"]}, UsageError, 2, "no GPU 7; known: A, B"),
    ("NoSuchSetting", {"setting": "x", "known": []}, UsageError, 2, "no setting x; known: none"),
    ("NotAnswering", {"since": "2026-11-22T14:02:11Z"}, DriverTrouble, 5, "since 2026-11-22T14:02:11Z"),
    ("DriverTrouble", {"message": "lost"}, DriverTrouble, 5, "lost"),
    ("Busy", {"message": "too many"}, client.RemoteError, 5, "too many"),
    ("InvalidMessage", {"problem": "no object"}, client.RemoteError, 5, "no object"),
    ("org.varlink.service.InvalidParameter", {"parameter": "x"}, client.RemoteError, 5, "the parameter x"),
    ("OfTomorrow", {"what": 1}, client.RemoteError, 5, 'OfTomorrow {"what": 1}'),
]


@pytest.mark.parametrize(("name", "parameters", "kind", "code", "text"), ERRORS)
def test_an_error_by_name_becomes_ours(
    name: str, parameters: dict[str, object], kind: type[GpuTunedError], code: int, text: str
) -> None:
    full = name if "." in name else f"io.gputuned.Control.{name}"
    reply = json.dumps({"error": full, "parameters": parameters}).encode() + b"\0"
    with other_daemon(reply) as path, pytest.raises(kind) as error:
        client.call(path, "Apply")
    assert text in str(error.value)
    assert error.value.exit_code == code


STRANGE = {
    "text": b"220 smtp.example ready\0",
    "an array": b"[]\0",
    "null": b"null\0",
    "bad UTF-8": b'"\xff"\0',
    "parameters of a wrong type": b'{"parameters":7}\0',
    "nesting": b"[" * 100_000 + b"\0",
}


@pytest.mark.parametrize("name", STRANGE)
def test_something_that_does_not_speak_varlink_is_called_that(name: str) -> None:
    with other_daemon(STRANGE[name]) as path, pytest.raises(NotReachable, match="does not speak Varlink"):
        client.call(path, "Status")


OTHERS = {
    "another service": (b'{"parameters":{"vendor":"systemd"}}\0', "is not gpu-tuned"),
    "nothing in it": (b"{}\0", "is not gpu-tuned"),
    "of tomorrow": (b'{"parameters":{"format":2,"gpus":null}}\0', r"another version \(format 2\)"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_service_or_version_is_called_that(name: str) -> None:
    reply, said = OTHERS[name]
    for method in ("Status", "Plan", "Throttle", "Apply"):
        with other_daemon(reply) as path, pytest.raises(NotReachable, match=said):
            client.call(path, method)
    with other_daemon(reply) as path, pytest.raises(NotReachable, match=said):
        client.watch(path)
    assert client.FORMAT == FORMAT


def test_a_daemon_that_closes_midway_is_told_from_one_that_is_silent() -> None:
    with other_daemon(b'{"parameters":{') as path, pytest.raises(NotReachable, match="before its answer was whole"):
        client.call(path, "Status")
    with other_daemon(hold=True) as path, pytest.raises(NotReachable, match=r"did not answer within 0\.2 s"):
        client.call(path, "Status", timeout_s=0.2)


def test_a_reply_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "REPLY_MAX_BYTES", 100_000)
    with other_daemon(b"x" * 150_000, hold=True) as path, pytest.raises(NotReachable, match="does not end"):
        client.call(path, "Status")


def test_where_no_daemon_is_the_message_names_the_path_and_what_to_do(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    for absent in (path, f"{path}/below"):
        with pytest.raises(NotReachable, match="there is no socket") as error:
            client.call(absent, "Status")
        assert absent in str(error.value)
        assert "systemctl start gpu-tuned" in str(error.value)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with pytest.raises(NotReachable, match="nobody listens") as error:
        client.call(path, "Status")
    assert path in str(error.value)
    for other in (tmp_path / "file", tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(NotReachable, match="is no socket"):
            client.call(str(other), "Status")
    with pytest.raises(NotReachable, match="path too long"):
        client.call("/" + "x" * 200, "Status")
    assert error.value.exit_code == 3


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/dev/null", "no daemon: /dev/null is no socket; name the daemon's (--socket, GPU_TUNED_SOCKET)"),
        ("/", "no daemon: / is no socket; name the daemon's (--socket, GPU_TUNED_SOCKET)"),
        ("", "cannot connect to '': Invalid argument"),
    ],
)
def test_what_is_no_socket_was_left_behind_by_no_daemon(path: str, why: str) -> None:
    with pytest.raises(NotReachable) as error:
        client.call(path, "Status")
    assert str(error.value) == why


def test_a_full_queue_is_waited_for_and_then_called_late(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(path)
        with pytest.raises(NotReachable, match=r"within 0\.1 s"):
            client.call(path, "Status", timeout_s=0.1)
        for one in waiting:
            one.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_closed_socket_is_not_permitted(tmp_path: Path) -> None:
    with Served() as served:
        os.chmod(Path(served.path).parent, 0o755)
        os.chmod(served.path, 0o600)
        code = (
            f"import sys; sys.path[:0] = {sys.path!r}\n"
            "from gpu_tuned.control import client\n"
            f"try: client.call({served.path!r}, 'Status')\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        # As root first for the imports' sake, then as nobody: a checkout may lie where only root can read.
        code = code.replace("\ntry:", "\nimport os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\ntry:")
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
        assert found.stdout.startswith(f"NotPermitted this user may not connect to {served.path}"), found


def test_watch_yields_events_and_raises_when_the_daemon_goes() -> None:
    with Served() as served:
        events = client.watch(served.path)
        served.mailbox.say(event("one"))
        served.mailbox.say(event("two"))
        first, second = next(events), next(events)
        assert (first["sequence"], second["sequence"]) == (1, 2)
        assert first["event"] is not None
        assert (first["event"]["message"], second["missed"]) == ("one", 0)
        served.server.close()
        with pytest.raises(NotReachable):
            next(events)


def test_watch_that_cannot_begin_raises_at_once(tmp_path: Path) -> None:
    with pytest.raises(NotReachable):
        client.watch(str(tmp_path / "sock"))
    with other_daemon(hold=True) as path, pytest.raises(NotReachable, match="did not answer"):
        client.watch(path, timeout_s=0.2)


def test_the_client_loads_next_to_nothing() -> None:
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; before = set(sys.modules)\n"
        "import gpu_tuned.control.client\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(found.stdout.split())
    heavy = {"socket", "selectors", "typing", "dataclasses", "inspect", "logging", "asyncio", "threading"}
    vendors = {"varlink", "pynvml", "systemd", "sdnotify", "structlog", "tomli"}
    assert loaded & (heavy | vendors) == set()
    assert {name for name in loaded if name.startswith("gpu_tuned.")} == {
        "gpu_tuned.control",
        "gpu_tuned.control.client",
        "gpu_tuned.core",
        "gpu_tuned.core.errors",
    }
