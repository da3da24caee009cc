"""The wire: however bytes are cut, messages come out whole; and nothing that is sent breaks the server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_tuned.control.framing import BadMessage, Framer, decode, encode
from tests.contract.control_socket import Served

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(st.text(), json_values, max_size=5)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted({index % (len(data) + 1) for index in at}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(objects)
def test_decode_after_encode_is_the_identity(message: dict[str, Any]) -> None:
    raw = encode(message)
    assert raw.endswith(b"\0") and raw.count(b"\0") == 1
    assert decode(raw[:-1]) == message


@given(st.lists(objects, max_size=6), st.lists(st.integers(0, 10_000), max_size=12))
def test_messages_come_out_whole_however_they_are_cut(messages: list[dict[str, Any]], at: list[int]) -> None:
    framer, out = Framer(), []
    for piece in cut(b"".join(map(encode, messages)), at):
        framer.feed(piece)
        while (raw := framer.take()) is not None:
            out.append(decode(raw))
    assert out == messages
    assert len(framer) == 0


@given(st.binary(max_size=200), st.integers(1, 50), st.lists(st.integers(0, 200), max_size=5))
def test_a_message_too_long_is_refused_however_it_is_cut(data: bytes, most: int, at: list[int]) -> None:
    """What is taken is what lies before the first message that is too long, whole or not."""
    expected, refuse = [], False
    for index, message in enumerate(parts := data.split(b"\0")):
        refuse = len(message) > most
        if refuse or index == len(parts) - 1:
            break
        expected.append(message)
    framer, out, refused = Framer(most), [], False
    for piece in cut(data, at):
        framer.feed(piece)
        try:
            while (raw := framer.take()) is not None:
                out.append(raw)
        except BadMessage:
            refused = True
            break
    assert (out, refused) == (expected, refuse)


@given(st.binary(max_size=300) | st.text().map(str.encode) | json_values.map(json.dumps).map(str.encode))
def test_decode_returns_an_object_or_says_what_is_wrong(raw: bytes) -> None:
    try:
        assert isinstance(decode(raw), dict)
    except BadMessage as error:
        assert str(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_json_is_not_sent(value: float) -> None:
    with pytest.raises(ValueError):
        encode({"value": value})


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


requests = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(
            [
                "io.gputuned.Control.Status",
                "io.gputuned.Control.Plan",
                "io.gputuned.Control.Watch",
                "io.gputuned.Control.Restore",
                "io.gputuned.Control.Release",
                "org.varlink.service.GetInterfaceDescription",
            ]
        )
        | json_values,
        "parameters": st.dictionaries(
            st.sampled_from(["gpu", "setting", "for_s", "interface"]) | st.text(), json_values, max_size=3
        )
        | json_values,
        "more": json_values,
        "oneway": json_values,
        "upgrade": json_values,
        "other": json_values,
    },
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(requests.map(encode) | st.binary(max_size=100), min_size=1, max_size=4))
def test_no_request_breaks_the_server(served: Served, sent: list[bytes]) -> None:
    """Whatever comes, it is answered in JSON with parameters or a named error, or the connection is closed; the
    next client is served, and the server has no trouble of its own to report (`Served` asserts that at the end)."""
    with served.connect() as client:
        try:
            client.send(b"".join(sent))
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        while served.mailbox.take() is not None:
            pass
    with served.connect() as client:
        client.ask("Status")
        reply = client.reply()
        assert reply is not None and "host" in reply["parameters"]
    while (command := served.mailbox.take()) is not None:
        served.mailbox.withdraw(command)
