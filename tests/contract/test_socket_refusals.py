"""Requests that are Varlink and cannot be served: a newer client's, and those with parameters that make no sense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.control_socket import Served
from tests.contract.interface_file import held_to_the_file


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


REFUSED: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    # A newer client: methods and parameters that this daemon does not have.
    ({"method": "io.gputuned.Control.Dance"}, "MethodNotFound", {"method": "Dance"}),
    ({"method": "io.gputuned.Control2.Status"}, "InterfaceNotFound", {"interface": "io.gputuned.Control2"}),
    ({"method": "Status"}, "InterfaceNotFound", {"interface": ""}),
    ({"method": "io.gputuned.Control.Policy"}, "MethodNotFound", {"method": "Policy"}),  # a type's name
    (
        {"method": "io.gputuned.Control.Restore", "parameters": {"gpu": "0", "dry_run": True}},
        "InvalidParameter",
        {"parameter": "dry_run"},
    ),
    (
        {"method": "io.gputuned.Control.Status", "parameters": {"gpu": "0"}},
        "InvalidParameter",
        {"parameter": "gpu"},
    ),
    # Wrong types.
    (
        {"method": "io.gputuned.Control.Restore", "parameters": {"gpu": 7}},
        "InvalidParameter",
        {"parameter": "gpu"},
    ),
    (
        {"method": "io.gputuned.Control.Restore", "parameters": {"gpu": "a\nb"}},
        "InvalidParameter",
        {"parameter": "gpu"},
    ),
    (
        {"method": "io.gputuned.Control.Restore", "parameters": {"gpu": "\ud800"}},
        "InvalidParameter",
        {"parameter": "gpu"},
    ),
    (
        {"method": "io.gputuned.Control.Release", "parameters": {"for_s": "1h"}},
        "InvalidParameter",
        {"parameter": "for_s"},
    ),
    (
        {"method": "io.gputuned.Control.Release", "parameters": {"for_s": -1}},
        "InvalidParameter",
        {"parameter": "for_s"},
    ),
    (
        {"method": "io.gputuned.Control.Release", "parameters": {"for_s": True}},
        "InvalidParameter",
        {"parameter": "for_s"},
    ),
    (
        {"method": "io.gputuned.Control.Release", "parameters": {"for_s": 10**400}},
        "InvalidParameter",
        {"parameter": "for_s"},
    ),
    ({"method": 7}, "InvalidParameter", {"parameter": "method"}),
    ({}, "InvalidParameter", {"parameter": "method"}),
    (
        {"method": "io.gputuned.Control.Status", "parameters": []},
        "InvalidParameter",
        {"parameter": "parameters"},
    ),
    ({"method": "io.gputuned.Control.Status", "more": 1}, "InvalidParameter", {"parameter": "more"}),
    ({"method": "io.gputuned.Control.Status", "upgrade": True}, "InvalidParameter", {"parameter": "upgrade"}),
    ({"method": "io.gputuned.Control.Watch"}, "ExpectedMore", {}),
    (
        {"method": "org.varlink.service.GetInterfaceDescription", "parameters": {"interface": "x.y"}},
        "InterfaceNotFound",
        {"interface": "x.y"},
    ),
]


@pytest.mark.parametrize(("request_", "error", "parameters"), REFUSED)
def test_what_is_not_served_is_refused_by_name_and_the_connection_goes_on(
    served: Served, request_: dict[str, Any], error: str, parameters: dict[str, Any]
) -> None:
    with served.connect() as client:
        client.send(json.dumps(request_).encode() + b"\0")
        assert client.reply() == {"error": f"org.varlink.service.{error}", "parameters": parameters}
        client.ask("Status", new_key_of_varlink=1)
        held_to_the_file("Status", client.reply())
    assert served.mailbox.take() is None


def test_infinity_is_no_time(served: Served) -> None:
    with served.connect() as client:
        client.send(b'{"method":"io.gputuned.Control.Release","parameters":{"for_s":1e999}}\0')
        reply = client.reply()
        assert reply is not None
        assert reply["parameters"] == {"parameter": "for_s"}
    assert served.mailbox.take() is None
