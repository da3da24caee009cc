"""A driver call that does not come back: status says so and since when, and nothing else waits for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from gpu_tuned.control.connection import Limits
from gpu_tuned.control.mailbox import NOT_ANSWERING_AFTER_S, Busy, patched
from gpu_tuned.ports import Answer
from tests.contract.control_socket import Raw, Served, Time
from tests.contract.sample_document import document


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def served(clock: Time) -> Iterator[Served]:
    with Served(clock=clock) as served:
        yield served


def ask(client: Raw, method: str = "Status") -> dict[str, Any]:
    client.ask(method)
    reply = client.reply()
    assert reply is not None
    return reply


BUSY = Busy(monotonic_s=100.0, wall_s=1795356131.0)


def test_a_document_is_told_as_it_is_until_the_driver_hangs() -> None:
    seen = document()
    assert patched(seen, None, 1e9) is seen
    assert patched(seen, BUSY, 100.0) is seen
    assert patched(seen, BUSY, 100.0 + NOT_ANSWERING_AFTER_S) is seen


def test_a_hanging_driver_is_told_and_what_was_seen_before_stays() -> None:
    seen = document()
    told = patched(seen, BUSY, 100.1 + NOT_ANSWERING_AFTER_S)
    assert told["driver"]["state"] == "not_answering"
    assert told["driver"]["not_answering_since"] == "2026-11-22T14:02:11Z"
    assert told["driver"]["answered_at"] == seen["driver"]["answered_at"]
    assert "2026-11-22T14:02:11Z" in str(told["driver"]["message"])
    assert {**told, "driver": None} == {**seen, "driver": None}
    assert seen == document(), "the published document is never changed"


def driver_of(served: Served) -> dict[str, Any]:
    """What a new client hears of the driver: an old one would have idled too long for some of these times."""
    with served.connect() as client:
        driver = ask(client)["parameters"]["driver"]
    assert isinstance(driver, dict)
    return driver


def test_status_says_since_when_and_recovers(served: Served, clock: Time) -> None:
    served.mailbox.entered(clock())
    clock.now_s += NOT_ANSWERING_AFTER_S
    assert driver_of(served)["state"] == "ok"
    clock.now_s += 0.1
    driver = driver_of(served)
    assert driver["state"] == "not_answering"
    assert driver["not_answering_since"] is not None
    clock.now_s += 1000
    assert driver_of(served) == driver, "since when does not move"
    served.mailbox.left()
    assert driver_of(served)["state"] == "ok"


def test_a_command_is_refused_at_once_while_the_driver_hangs(served: Served, clock: Time) -> None:
    served.mailbox.entered(clock())
    clock.now_s += NOT_ANSWERING_AFTER_S + 1
    with served.connect() as client:
        for method in ("Apply", "Reload", "Restore", "Release", "Resume"):
            reply = ask(client, method)
            assert reply["error"] == "io.gputuned.Control.NotAnswering"
            assert reply["parameters"]["since"] == served.mailbox.not_answering_since()
        for method in ("Plan", "Throttle"):
            assert ask(client, method)["parameters"]["not_answering_since"] == served.mailbox.not_answering_since()
    assert served.mailbox.take() is None


def test_a_command_that_nobody_takes_is_answered_in_time_and_taken_back(served: Served, clock: Time) -> None:
    with served.connect() as client:
        client.ask("Apply")
        assert served.asked.wait(10)
        served.mailbox.entered(clock())
        clock.now_s += Limits().command_s + 1
        served.mailbox.wake()
        reply = client.reply()
        assert reply is not None
        assert reply["error"] == "io.gputuned.Control.NotAnswering"
        assert reply["parameters"]["since"] == served.mailbox.not_answering_since()
        assert served.mailbox.take() is None, "told that it was not done, and so it is not done later"
        assert "parameters" in ask(client)


def test_an_answer_that_comes_too_late_is_not_taken_for_another_commands(served: Served, clock: Time) -> None:
    with served.connect() as client:
        client.ask("Apply")
        assert served.asked.wait(10)
        first = served.mailbox.take()
        assert first is not None
        clock.now_s += Limits().command_s + 1
        served.mailbox.wake()
        reply = client.reply()
        assert reply is not None and reply["error"] == "io.gputuned.Control.NotAnswering"
        served.asked.clear()
        client.ask("Reload")
        assert served.asked.wait(10)
        second = served.mailbox.take()
        assert second is not None
        first.answer(Answer({"message": "first"}))
        second.answer(Answer({"message": "second"}))
        reply = client.reply()
        assert reply is not None and reply["parameters"]["message"] == "second"


def test_a_command_of_a_client_that_is_gone_is_taken_back(served: Served) -> None:
    """Its `--timeout` was shorter than the daemon's: it was told that the daemon did not answer."""
    with served.connect() as client:
        client.ask("Restore")
        assert served.asked.wait(10)
    with served.connect() as other:  # the server sees the end of the first before it answers the second
        ask(other)
        ask(other)
    assert served.mailbox.take() is None


def test_who_only_sends_nothing_more_still_waits(served: Served) -> None:
    with served.connect() as client:
        client.ask("Apply")
        client.sock.shutdown(socket.SHUT_WR)
        assert served.asked.wait(10)
        with served.connect() as other:
            ask(other)
        command = served.mailbox.take()
        assert command is not None
        command.answer(Answer({"message": "done"}))
        reply = client.reply()
        assert reply is not None and reply["parameters"]["message"] == "done"


def test_who_wants_no_answer_is_served_all_the_same(served: Served) -> None:
    with served.connect() as client:
        client.ask("Apply", oneway=True)
        assert served.asked.wait(10)
    with served.connect() as other:
        ask(other)
    assert served.mailbox.take() is not None
