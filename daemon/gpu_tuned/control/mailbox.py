"""Where the loop and the control socket meet: the last status, the events, the commands, and nothing else.

The loop lays down and takes up, and never waits for a client; the control thread reads what lies there, and never
touches the driver. Every method may be called from any thread.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from gpu_tuned.core.status import timestamp
from gpu_tuned.ports import Answer, Stall

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Driver as DriverRow
    from gpu_tuned.core.wire import Stall as StallRow
    from gpu_tuned.ports import Document

NOT_ANSWERING_AFTER_S = 5.0
"""A pass that takes longer than this is not slow but stuck: every call of a healthy pass together takes
milliseconds, and a lazy first init (no persistence mode) about 2 s a board."""
SLEPT_S = 0.5
"""Boot time running ahead of monotonic time by more than this since a look is a suspend of the machine."""
SLEPT = "the machine slept, and the GPUs were not looked at since"
EVENTS_KEPT = 512
COMMANDS_KEPT = 32


class MailboxFull(Exception):
    """More commands wait for the loop than are kept."""


class Busy(NamedTuple):
    """The loop is inside the driver, since `monotonic_s`, which was `wall_s` for people (seconds since the epoch)."""

    monotonic_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """One request of a client that only the loop can serve: "apply", "reload", "restore", "release", "resume".

    `at_s`: wall clock when it was asked, seconds since the epoch.
    """

    name: str
    parameters: Mapping[str, Any]
    at_s: float
    _reply: Callable[[Answer], None] = field(repr=False)

    def answer(self, answer: Answer) -> None:
        """Reply, once; from any thread. A reply that nobody waits for any more is dropped."""
        self._reply(answer)


class _Published:
    """A document that is laid out once, for whoever asks first."""

    __slots__ = ("_document", "_lay_out")

    def __init__(self, lay_out: Callable[[], Document]) -> None:
        self._lay_out = lay_out
        self._document: Document | None = None

    @property
    def document(self) -> Document:
        if self._document is None:
            self._document = self._lay_out()
        return self._document


def stuck(busy: Busy | None, now_s: float) -> bool:
    """Whether the loop has been inside the driver for too long, `now_s` being the monotonic clock."""
    return busy is not None and now_s - busy.monotonic_s > NOT_ANSWERING_AFTER_S


def with_stalls(document: Document, stalls: Sequence[Stall]) -> Document:
    """The document with what stands still beside the loop, which does not know of it."""
    if not stalls:
        return document
    rows: list[StallRow] = [
        {"what": stall.what, "since": timestamp(stall.since), "message": stall.message} for stall in stalls
    ]
    return {**document, "host": {**document["host"], "stalled": rows}}


def patched(document: Document, busy: Busy | None, now_s: float) -> Document:
    """The document as it must be told at `now_s` (monotonic): itself, or with the driver marked as not answering.

    A loop that hangs in a driver call cannot publish that it does. `answered_at` and everything about the GPUs
    stay as they were seen last.
    """
    if busy is None or not stuck(busy, now_s):
        return document
    since, before = timestamp(busy.wall_s), document["driver"]
    known = before["message"] if before["state"] == "starting" else None  # what it was at
    driver: DriverRow = {
        **before,
        "state": "not_answering",
        "not_answering_since": since,
        "message": known or f"a call into the driver has not come back since {since}",
    }
    return {**document, "driver": driver}


def asleep_since(document: Document) -> Document:
    """The document of a look before the machine slept: what it says of the GPUs proves nothing now."""
    driver: DriverRow = {**document["driver"], "state": "starting", "message": SLEPT}
    return {**document, "driver": driver} if document["driver"]["state"] == "ok" else document


class Mailbox:
    """The meeting point.

    `on_command` wakes the loop when a command was laid down; it is called from the control thread and must not
    wait. `stalls` tells what stands still beside the loop. `monotonic` and `wall` are the clocks, in seconds;
    `boottime` goes on while the machine sleeps, monotonic does not.
    """

    def __init__(  # noqa: PLR0913 - its clocks, bounds and neighbours, each by its name
        self,
        on_command: Callable[[], None] = lambda: None,
        *,
        stalls: Callable[[], Sequence[Stall]] = tuple,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        boottime: Callable[[], float] | None = None,
        events_kept: int = EVENTS_KEPT,
        commands_kept: int = COMMANDS_KEPT,
    ) -> None:
        self._on_command, self._stalls, self._monotonic, self._wall = on_command, stalls, monotonic, wall
        self._boottime = boottime or monotonic
        self._slept_at_look_s = self._slept_at_turn_s = self._slept_s()
        self._lock = Lock()
        self._latest: _Published | None = None
        self.published = Event()
        self._busy: Busy | None = None
        self._told: tuple[tuple[Any, ...], Document] | None = None
        self._events: deque[Mapping[str, Any]] = deque(maxlen=events_kept)
        self._last = 0
        self._commands: deque[Command] = deque()
        self._commands_kept = commands_kept
        self._answers: deque[tuple[Command, Answer]] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    # The loop's side

    def publish(self, document: Callable[[], Document]) -> None:
        """Replace the status document. It is laid out when somebody asks for it, in the thread of whoever does and
        once, so `document` is made of what never changes."""
        self._latest, self._slept_at_look_s = _Published(document), self._slept_at_turn_s
        self.published.set()

    def say(self, event: Mapping[str, Any]) -> None:
        """Tell every watcher, in the order of the calls."""
        with self._lock:
            self._last += 1
            self._events.append(event)
        self.wake()

    def take(self) -> Command | None:
        """The next command, None when there is none. Never waits."""
        with self._lock:
            return self._commands.popleft() if self._commands else None

    def entered(self, at_s: float) -> None:
        """The loop goes into the driver now (monotonic seconds): from here on it may hang."""
        self._slept_at_turn_s = self._slept_s()
        # Told since when it hangs by the wall clock of that moment: the wall clock may jump later.
        self._busy = Busy(at_s, self._wall() - (self._monotonic() - at_s))

    def left(self) -> None:
        """The driver came back."""
        self._busy = None

    # The control thread's side

    @property
    def document(self) -> Document | None:
        """The last document as it was published; None before the first."""
        latest = self._latest
        return None if latest is None else latest.document

    def document_now(self) -> Document | None:
        """The last document as it must be told now. The same object as long as it says the same."""
        document, busy, stalls = self.document, self._busy, tuple(self._stalls())
        now_s, slept = self._monotonic(), self._slept_s() - self._slept_at_look_s > SLEPT_S
        if document is None or not (stalls or slept or stuck(busy, now_s)):
            return document
        says = (id(document), stuck(busy, now_s) and busy, slept, stalls)
        if self._told is None or self._told[0] != says:
            known = asleep_since(document) if slept else document
            self._told = (says, patched(with_stalls(known, stalls), busy, now_s))
        return self._told[1]

    def _slept_s(self) -> float:
        """How long the machine has slept since it was booted."""
        return self._boottime() - self._monotonic()

    def not_answering_since(self) -> str | None:
        """Since when a call into the driver has not come back; None while all is well."""
        busy = self._busy
        return timestamp(busy.wall_s) if busy is not None and stuck(busy, self._monotonic()) else None

    def now_s(self) -> float:
        """The monotonic clock, seconds."""
        return self._monotonic()

    def ask(self, name: str, parameters: Mapping[str, Any]) -> Command:
        """Lay down a command for the loop; its answer comes from `answers`. Raises MailboxFull."""
        command: Command

        def reply(answer: Answer) -> None:
            with self._lock:
                self._answers.append((command, answer))
            self.wake()

        command = Command(name, parameters, self._wall(), reply)
        with self._lock:
            if len(self._commands) >= self._commands_kept:
                raise MailboxFull
            self._commands.append(command)
        self._on_command()
        return command

    def withdraw(self, command: Command) -> bool:
        """Take a command back. False when the loop has it already."""
        with self._lock:
            if command not in self._commands:
                return False
            self._commands.remove(command)
            return True

    def answers(self) -> list[tuple[Command, Answer]]:
        """What the loop has answered since the last call."""
        with self._lock:
            answers = list(self._answers)
            self._answers.clear()
            return answers

    @property
    def last_event(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._last

    def event_after(self, seen: int) -> tuple[int, int, Mapping[str, Any]] | None:
        """The oldest event still kept after number `seen`: (number, how many were missed, event), or None."""
        with self._lock:
            if seen >= self._last:
                return None
            number = max(seen + 1, self._last - len(self._events) + 1)
            return number, number - seen - 1, self._events[number - self._last - 1]

    # The bell

    def fileno(self) -> int:
        """Readable after `wake`, until `quiet`."""
        return self._wake

    def wake(self) -> None:
        """Wake the control thread."""
        os.eventfd_write(self._wake, 1)

    def quiet(self) -> None:
        """The control thread has heard."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
