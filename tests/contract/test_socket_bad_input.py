"""What no client should send: each gets a clear message or a closed connection, and the others notice nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.contract.control_socket import Served

STATUS = b'{"method":"io.gputuned.Control.Status"}'


@pytest.fixture
def served() -> Iterator[Served]:
    """A server of which status still answers, without trouble of its own and without a command, after the test."""
    with Served() as served:
        yield served
        with served.connect() as client:
            client.ask("Status")
            reply = client.reply()
            assert reply is not None and "host" in reply["parameters"]
        assert served.mailbox.take() is None


GARBAGE = {
    "garbage": (b"\xff\x00", "not UTF-8 at byte 0"),
    "bad UTF-8": (b'{"method":"\xc3\x28"}\0', "not UTF-8 at byte 11"),
    "text": (b"GET / HTTP/1.1\r\n\r\n\0", "not JSON at character 0"),
    "half an object": (b'{"method":\0', "not JSON at character 10"),
    "an empty message": (b"\0", "not JSON at character 0"),
    "an array": (b"[1]\0", "this is an array"),
    "null": (b"null\0", "this is null"),
    "a number": (b"7\0", "this is a number"),
    "NaN": (b'{"method":NaN}\0', "NaN is not JSON"),
    "Infinity": (b'{"method":-Infinity}\0', "-Infinity is not JSON"),
    "nesting": (b"[" * 60000 + b"\0", "nested too deeply"),
    "a long number": (b"7" * 60000 + b"\0", "too many digits"),
    "too long": (b"x" * (64 * 1024 + 1), "may have 65536 bytes"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_told_what_it_is_and_shown_the_door(served: Served, name: str) -> None:
    sent, problem = GARBAGE[name]
    with served.connect() as client:
        client.send(sent)
        reply = client.reply()
        assert reply is not None
        assert reply["error"] == "io.gputuned.Control.InvalidMessage"
        assert problem in reply["parameters"]["problem"]
        assert client.reply() is None


def test_ten_megabytes_are_cut_off_early(served: Served) -> None:
    with served.connect() as client:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.send(b'{"method":"' + b"x" * 10_000_000 + b'"}\0')
        reply = client.reply()
        assert reply is not None
        assert "65536 bytes" in reply["parameters"]["problem"]


def test_the_largest_request_is_served(served: Served) -> None:
    with served.connect() as client:
        client.send(STATUS.ljust(64 * 1024) + b"\0")
        reply = client.reply()
        assert reply is not None and "parameters" in reply


def test_a_request_in_single_bytes_is_served(served: Served) -> None:
    with served.connect() as client:
        for byte in STATUS + b"\0":
            client.send(bytes([byte]))
        reply = client.reply()
        assert reply is not None and "host" in reply["parameters"]


def test_half_a_message_and_goodbye(served: Served) -> None:
    with served.connect() as client:
        client.send(STATUS[:20])


def test_goodbye_without_reading(served: Served) -> None:
    for _ in range(20):
        with served.connect() as client:
            client.send((STATUS + b"\0") * 50)


def test_who_only_stops_sending_still_gets_its_answers(served: Served) -> None:
    with served.connect() as client:
        client.send((STATUS + b"\0") * 200)
        client.sock.shutdown(socket.SHUT_WR)
        for _ in range(200):
            assert client.reply() is not None
        assert client.reply() is None


def test_a_watcher_that_goes_away_or_talks_is_let_go(served: Served) -> None:
    with served.connect() as client:
        client.ask("Watch", more=True)
        assert client.reply() is not None
    with served.connect() as client:
        client.ask("Watch", more=True)
        assert client.reply() is not None
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.send(b" " * 1_000_000)
        assert client.reply() is None


def test_a_document_that_cannot_be_sent_is_reported_and_ends_nothing() -> None:
    with Served() as served:
        good = served.mailbox.document
        assert good is not None
        served.mailbox.publish(lambda: {**good, "host": float("nan")})  # type: ignore[typeddict-item]
        with served.connect() as client:
            client.ask("Status")
            assert client.reply() is None
        served.mailbox.publish(lambda: good)
        with served.connect() as client:
            client.ask("Status")
            assert client.reply() is not None
        (trouble,) = served.troubles
        assert "was let go" in trouble
        served.troubles.clear()
