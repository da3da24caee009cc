"""Events beside the loop: whoever says one never waits, and what could not be told is counted and told later."""

from __future__ import annotations

import os
import threading
import time

import pytest

from gpu_tuned.adapters.speaker import STALLED_S, Speaker
from gpu_tuned.adapters.stream import Stream, put_now
from gpu_tuned.adapters.terminal import Terminal
from gpu_tuned.core.events import Event, EventKind
from tests.fakes import FakeClock
from tests.nvsim import wait_for
from tests.sinks import full_pipe

AT_ONCE_S = 0.5


def event(number: int) -> Event:
    return Event(EventKind.RESUMED, 0.0, detail={"slept_s": number})


class Reader:
    """An outlet that takes what it is told to: everything, nothing, or an error."""

    name = "the reader"

    def __init__(self) -> None:
        self.takes = threading.Event()
        self.takes.set()
        self.error: OSError | None = None
        self.told: list[Event] = []
        self.tries = 0

    def tell(self, event: Event, late_s: float) -> bool:
        self.tries += 1
        if self.error is not None:
            raise self.error
        if self.takes.is_set():
            self.told.append(event)
        return self.takes.is_set()

    def numbers(self) -> list[int | str]:
        return [e.detail["slept_s"] if e.kind is EventKind.RESUMED else e.kind.word for e in self.told]


def test_events_are_told_in_their_order_and_an_end_waits_for_the_last() -> None:
    reader = Reader()
    say = Speaker(reader)
    for number in range(100):
        say(event(number))
    say.close()
    assert reader.numbers() == list(range(100))
    assert say.stall() is None


def test_nobody_waits_for_a_reader_that_takes_nothing_and_what_was_dropped_is_told_first() -> None:
    reader, clock = Reader(), FakeClock()
    reader.takes.clear()
    say = Speaker(reader, kept=5, monotonic=clock.monotonic, wall=clock.now)
    say(event(0))
    wait_for(lambda: reader.tries > 0, what="the first try")
    began_s = time.monotonic()
    for number in range(1, 21):
        say(event(number))
    assert time.monotonic() - began_s < AT_ONCE_S
    assert say.stall() is None, "it may only be slow"
    clock.mono += STALLED_S
    stall = say.stall()
    assert stall is not None
    assert stall.what == "events"
    assert stall.since == clock.now() - STALLED_S
    assert stall.message == "the reader takes nothing; events that wait to be told: 6, older ones dropped: 15"
    reader.takes.set()
    say.close()
    assert reader.numbers() == [0, "untold", 16, 17, 18, 19, 20]
    assert reader.told[1].detail["count"] == 15
    assert say.stall() is None


def test_an_end_does_not_wait_long_for_a_reader_that_takes_nothing() -> None:
    reader, clock = Reader(), FakeClock()
    reader.takes.clear()
    say = Speaker(reader, monotonic=clock.monotonic)
    say(event(0))
    wait_for(lambda: reader.tries > 0, what="the first try")
    clock.mono += STALLED_S
    began_s = time.monotonic()
    say.close()
    assert time.monotonic() - began_s < AT_ONCE_S


def test_a_reader_that_is_gone_is_told_of_and_costs_one_try_an_event() -> None:
    reader = Reader()
    reader.error = BrokenPipeError(32, "Broken pipe")
    say = Speaker(reader)
    for number in range(10):
        say(event(number))
    say.close()
    assert reader.tries <= 10
    stall = say.stall()
    assert stall is not None
    assert stall.message == "the reader: Broken pipe; events that could not be told: 10"
    reader.error = None
    say(event(10))
    say.close()
    assert reader.numbers() == ["untold", 10]
    assert reader.told[0].detail["count"] == 10
    assert say.stall() is None


@pytest.mark.parametrize("error", [UnicodeError("odd"), RuntimeError("a mistake of ours")])
def test_no_error_of_an_outlet_ends_the_thread(error: Exception) -> None:
    reader = Reader()
    reader.error = error  # type: ignore[assignment]
    say = Speaker(reader)
    say(event(0))
    say.close()
    reader.error = None
    say(event(1))
    say.close()
    assert reader.numbers() == ["untold", 1]


@pytest.mark.timeout(10)
def test_a_pipe_that_nobody_reads_holds_nobody_up() -> None:
    read, write = full_pipe()
    with open(write, "w") as stream, open(read, "rb") as reader:
        say = Speaker(Terminal(stream, {}))
        began_s = time.monotonic()
        say(event(1))
        assert time.monotonic() - began_s < AT_ONCE_S
        put_now("a last word", stream)
        assert time.monotonic() - began_s < AT_ONCE_S
        said = b""
        while b"slept 1 s" not in said:  # as soon as somebody reads
            said += os.read(reader.fileno(), 65536)
        assert b"a last word" not in said


def test_a_line_that_was_taken_in_part_is_finished_and_the_next_one_follows() -> None:
    read, write = full_pipe()
    with open(write, "w") as stream, open(read, "rb") as reader:
        os.read(reader.fileno(), 4096)  # room for one page
        lines = Stream(stream)
        assert not lines.put("a" * 10_000)
        said = b""
        while not lines.put("b"):  # another line, while one is half written
            said += os.read(reader.fileno(), 65536)
        said += os.read(reader.fileno(), 65536)
    assert said.lstrip(b"x") == b"a" * 10_000 + b"\nb\n"
