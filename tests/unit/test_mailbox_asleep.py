"""What was seen before the machine slept proves nothing after it: locks are gone, limits may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu_tuned.control.mailbox import NOT_ANSWERING_AFTER_S, SLEPT, Mailbox
from gpu_tuned.ctl import verdict
from tests.contract.sample_document import document


class Clocks:
    """Monotonic and boot time, moved by hand."""

    def __init__(self) -> None:
        self.mono, self.asleep = 1000.0, 0.0

    def boottime(self) -> float:
        return self.mono + self.asleep


def at_rest(make: Callable[[], Any] = document) -> tuple[Clocks, Mailbox]:
    """After one turn."""
    clocks = Clocks()
    mailbox = Mailbox(monotonic=lambda: clocks.mono, boottime=clocks.boottime)
    look(clocks, mailbox, make)
    return clocks, mailbox


def look(clocks: Clocks, mailbox: Mailbox, make: Callable[[], Any] = document, sleeps_s: float = 0.0) -> None:
    mailbox.entered(clocks.mono)
    clocks.asleep += sleeps_s
    mailbox.publish(make)
    mailbox.left()


def driver(mailbox: Mailbox) -> tuple[Any, Any]:
    told = mailbox.document_now()
    assert told is not None
    return told["driver"]["state"], told["driver"]["message"]


def test_a_document_of_before_the_machine_slept_is_not_in_order() -> None:
    clocks, mailbox = at_rest()
    clocks.mono += 60
    assert mailbox.document_now() is mailbox.document
    clocks.asleep += 3600
    assert driver(mailbox) == ("starting", SLEPT)
    told = mailbox.document_now()
    assert told is not None and told is mailbox.document_now(), "laid out once"
    assert verdict.exit_code(told) == 1
    look(clocks, mailbox)
    assert mailbox.document_now() is mailbox.document


def test_a_look_that_the_machine_slept_through_counts_as_one_of_before() -> None:
    clocks, mailbox = at_rest()
    look(clocks, mailbox, sleeps_s=3600)
    assert driver(mailbox) == ("starting", SLEPT)
    look(clocks, mailbox)
    assert mailbox.document_now() is mailbox.document


def test_a_driver_that_hangs_after_the_sleep_is_told_as_one() -> None:
    clocks, mailbox = at_rest()
    clocks.asleep += 3600
    mailbox.entered(clocks.mono)
    clocks.mono += NOT_ANSWERING_AFTER_S + 1
    assert driver(mailbox)[0] == "not_answering"


def test_a_driver_that_was_away_before_is_told_as_that() -> None:
    def released() -> Any:
        return {**document(), "driver": {**document()["driver"], "state": "released", "message": "let go of"}}

    clocks, mailbox = at_rest(released)
    clocks.asleep += 3600
    assert driver(mailbox) == ("released", "let go of")
