"""Every method of io.gputuned.Control, as a client hears it, and held against the interface file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gpu_tuned.core.errors import PolicyError
from gpu_tuned.ports import Answer
from tests.contract.control_socket import Served
from tests.contract.interface_file import FILE, INTERFACE, held_to_the_file, misfits, scanner
from tests.contract.sample_document import document, event


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.mark.parametrize("method", ["Status", "Plan", "Throttle"])
def test_what_is_read_is_as_the_interface_file_says(served: Served, method: str) -> None:
    with served.connect() as client:
        client.ask(method)
        held_to_the_file(method, client.reply())


def test_a_reply_that_is_not_as_the_file_says_is_found() -> None:
    reply = {"format": True, "sequence": 1.5, "event": {}, "news": 1}
    found = misfits(INTERFACE.get_method("Watch").out_type, reply, "Watch")
    assert "Watch.missed: missing" in found
    assert "Watch.news: not in the interface" in found
    assert "Watch.format: True is no int" in found
    assert "Watch.sequence: 1.5 is no int" in found
    assert "Watch.event.kind: missing" in found


def test_status_is_the_published_document_without_the_plan(served: Served) -> None:
    with served.connect() as client:
        for published in (document(gpus=8, sequence=2), document(gpus=8, sequence=3)):
            served.mailbox.publish(published.copy)
            client.ask("Status")
            reply = client.reply()
            assert reply is not None
            assert reply["parameters"] == {key: value for key, value in published.items() if key != "plan"}


def test_plan_and_throttle_come_from_the_same_document(served: Served) -> None:
    with served.connect() as client:
        client.ask("Plan")
        plan = held_to_the_file("Plan", client.reply())
        assert plan == document()["plan"]()
        client.ask("Throttle")
        (gpu,) = held_to_the_file("Throttle", client.reply())["gpus"]
        assert gpu["throttle"] == document()["gpus"][0]["throttle"]


def test_a_plan_is_of_the_files_as_they_lie_when_it_is_asked_for(served: Served) -> None:
    """Also twice between two looks of the daemon."""
    empty = document()["plan"]()
    files: dict[str, Any] = {"plan": empty}

    def plan() -> Any:
        if isinstance(files["plan"], PolicyError):
            raise files["plan"]
        return files["plan"]

    served.mailbox.publish(lambda: document() | {"plan": plan})
    with served.connect() as client:
        for told, made in (("first", {**empty, "notes": ["first"]}), ("second", {**empty, "notes": ["second"]})):
            files["plan"] = made
            client.ask("Plan")
            assert held_to_the_file("Plan", client.reply())["notes"] == [told]
        for problem in ("a", "b"):
            files["plan"] = PolicyError((problem,))
            client.ask("Plan")
            assert (client.reply() or {})["parameters"]["problems"] == [problem]
        files["plan"] = empty
        client.ask("Plan")
        assert held_to_the_file("Plan", client.reply())["notes"] == []


def test_before_the_first_document_reading_says_so() -> None:
    with Served(published=False) as served, served.connect() as client:
        for method in ("Status", "Plan", "Throttle"):
            client.ask(method)
            reply = client.reply()
            assert reply is not None
            assert reply["error"] == "io.gputuned.Control.DriverTrouble"
            assert "just started" in reply["parameters"]["message"]


def test_who_comes_a_moment_before_the_first_document_gets_it() -> None:
    with Served(published=False) as served, served.connect() as client:
        client.ask("Status")
        served.mailbox.publish(document)
        held_to_the_file("Status", client.reply())


def test_the_service_describes_itself(served: Served) -> None:
    with served.connect() as client:
        client.ask("org.varlink.service.GetInfo")
        info = client.reply()
        assert info is not None
        assert set(info["parameters"]["interfaces"]) == {"org.varlink.service", "io.gputuned.Control"}
        client.ask("org.varlink.service.GetInterfaceDescription", parameters={"interface": "io.gputuned.Control"})
        described = client.reply()
        assert described is not None
        assert described["parameters"]["description"] == FILE.read_text()


COMMANDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("Apply", {}, {}),
    ("Reload", {}, {}),
    ("Restore", {}, {"gpu": None, "setting": None}),
    (
        "Restore",
        {"gpu": "01:00.0", "setting": "power_limit_w"},
        {"gpu": "01:00.0", "setting": "power_limit_w"},
    ),
    ("Release", {"for_s": 600}, {"gpu": None, "for_s": 600.0}),
    ("Release", {"gpu": None, "for_s": None}, {"gpu": None, "for_s": None}),
    ("Resume", {"gpu": "GPU-5b"}, {"gpu": "GPU-5b"}),
]


@pytest.mark.parametrize(("method", "sent", "taken"), COMMANDS)
def test_a_command_reaches_the_loop_and_its_answer_the_client(
    served: Served, method: str, sent: dict[str, Any], taken: dict[str, Any]
) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []

    def answer(name: str, parameters: dict[str, Any]) -> Answer:
        heard.append((name, parameters))
        return Answer({"message": "done", "in_order": True})

    with served.answering(answer), served.connect() as client:
        client.ask(method, parameters=sent)
        assert held_to_the_file(method, client.reply()) == {"format": 1, "message": "done", "in_order": True}
    assert heard == [(method.lower(), taken)]


ERRORS = [
    Answer({"problems": ["a.toml: nonsense"]}, "PolicyRefused"),
    Answer({"gpu": "7", "known": ["GPU-5b1c9f2e"]}, "NoSuchGpu"),
    Answer({"setting": "x", "known": ["power_limit_w"]}, "NoSuchSetting"),
    Answer({"message": "GPU is lost"}, "DriverTrouble"),
    Answer({"since": None}, "NotAnswering"),
]


@pytest.mark.parametrize("answer", ERRORS, ids=lambda a: str(a.error))
def test_an_error_of_the_loop_is_named_and_has_the_files_parameters(served: Served, answer: Answer) -> None:
    with served.answering(lambda *_: answer), served.connect() as client:
        client.ask("Apply")
        assert client.reply() == {
            "error": f"io.gputuned.Control.{answer.error}",
            "parameters": answer.parameters,
        }
    assert answer.error is not None
    assert misfits(INTERFACE.members[answer.error].type, answer.parameters, answer.error) == []


def test_replies_keep_the_order_of_requests_also_across_a_command(served: Served) -> None:
    with served.connect() as client, served.connect() as other:
        client.ask("Apply")
        client.ask("Throttle")
        assert served.asked.wait(10)
        # While this one waits for the loop, others are served.
        other.ask("Status")
        assert other.reply() is not None
        command = served.mailbox.take()
        assert command is not None
        command.answer(Answer({"message": "first"}))
        first, second = client.reply(), client.reply()
        assert first is not None and second is not None
        assert first["parameters"]["message"] == "first"
        assert "gpus" in second["parameters"]


def test_a_second_answer_and_one_for_a_client_that_left_are_dropped(served: Served) -> None:
    with served.connect() as client:
        client.ask("Apply")
        assert served.asked.wait(10)
        command = served.mailbox.take()  # before it leaves: one that the loop has is carried out
    assert command is not None
    command.answer(Answer({"message": "late"}))
    command.answer(Answer({"message": "later"}))
    with served.connect() as client:
        client.ask("Status")
        held_to_the_file("Status", client.reply())


def test_too_many_commands_are_refused_and_none_is_lost(served: Served) -> None:
    clients = [served.connect() for _ in range(40)]
    for client in clients:
        client.ask("Apply")
    busy = 0
    for client in clients[32:]:
        reply = client.reply()
        assert reply is not None
        busy += reply["error"] == "io.gputuned.Control.Busy"
    assert busy == 8
    with served.answering(lambda *_: Answer({"message": "done", "in_order": True})):
        for client in clients[:32]:
            assert held_to_the_file("Apply", client.reply())["message"] == "done"
            client.sock.close()


def test_one_way_asks_and_hears_nothing(served: Served) -> None:
    with served.connect() as client:
        client.ask("Apply", oneway=True)
        client.ask("Status", oneway=True)
        client.ask("NoSuchMethod", oneway=True)
        client.ask("Throttle")
        reply = client.reply()
        assert reply is not None
        assert "gpus" in reply["parameters"]
        assert "host" not in reply["parameters"]
    command = served.mailbox.take()
    assert command is not None
    assert command.name == "apply"


def test_watch_begins_at_once_and_numbers_events(served: Served) -> None:
    served.mailbox.say(event("before"))
    with served.connect() as client:
        client.ask("Watch", more=True)
        begun = client.reply()
        assert begun == {
            "parameters": {"format": 1, "sequence": 1, "missed": 0, "event": None},
            "continues": True,
        }
        for number in (2, 3):
            served.mailbox.say(event(f"event {number}"))
            reply = client.reply()
            parameters = held_to_the_file("Watch", reply)
            assert reply is not None and reply["continues"] is True
            assert (parameters["sequence"], parameters["missed"]) == (number, 0)
            assert parameters["event"]["message"] == f"event {number}"
            assert parameters["event"]["at"] == "2026-11-22T14:02:11Z"


def test_every_error_the_server_makes_is_in_the_file_with_its_parameters() -> None:
    errors = {name: m for name, m in INTERFACE.members.items() if isinstance(m, scanner._Error)}
    assert set(errors) == {
        "NotPermitted",
        "PolicyRefused",
        "NoSuchGpu",
        "NoSuchSetting",
        "Busy",
        "NotAnswering",
        "DriverTrouble",
        "InvalidMessage",
    }


def test_every_member_of_the_file_says_what_it_is_for() -> None:
    undocumented = [
        name
        for name, member in INTERFACE.members.items()
        if isinstance(member, scanner._Method) and not member.doc.strip()
    ]
    assert undocumented == []
