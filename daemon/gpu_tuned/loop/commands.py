"""What clients may ask of the loop. Each is carried out in the loop thread, before the turn's look; the answer goes
out after it, so that a client which asks for the status next sees what its command did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpu_tuned.core import drift, report
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.model import GPU_SETTINGS, Setting
from gpu_tuned.loop.fleet import DriverState
from gpu_tuned.loop.reconcile import Book
from gpu_tuned.loop.steward import Steward
from gpu_tuned.ports import Answer, Command, Desk, Say

Reply = Callable[[], Answer]
"""Makes the answer, after the turn's look."""


class Commands:
    def __init__(self, steward: Steward, desk: Desk, say: Say) -> None:
        self._steward, self._desk, self._say = steward, desk, say
        self._handlers: Mapping[str, Callable[[Mapping[str, Any]], Reply | Answer]] = {
            "apply": self._apply,
            "reload": self._reload,
            "restore": self._restore,
            "release": self._release,
            "resume": self._resume,
        }

    def serve(self) -> list[tuple[Command, Reply | Answer]]:
        """Carry out everything that waits; hand back what is to be answered after the look."""
        served: list[tuple[Command, Reply | Answer]] = []
        while (command := self._desk.take()) is not None:
            served.append((command, self._handlers[command.name](command.parameters)))
        return served

    def _done(self, text: str) -> Reply:
        def reply() -> Answer:
            exceptions = self._steward.exceptions()
            return Answer(
                {
                    "format": report.FORMAT,
                    "message": text if not exceptions else f"{text}; not in order: {'; '.join(exceptions)}",
                    "in_order": not exceptions,
                }
            )

        return reply

    def _apply(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        self._take_up()
        for book in self._steward.fleet.books.values():
            book.tracks = {setting: drift.hurry(track) for setting, track in book.tracks.items()}
        mode = "observed, nothing is written" if self._steward.observing else "applied"
        return self._done(mode)

    def _take_up(self) -> None:
        """What was handed back by a restore is the policy's again."""
        self._steward.host.handed_back = False
        for book in self._steward.fleet.books.values():
            book.handed_back.clear()

    def _reload(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        try:
            self._steward.reload_policy()
        except PolicyError as error:
            return Answer({"problems": list(error.problems)}, "PolicyRefused")
        self._take_up()
        policy = self._steward.keeper.policy
        return self._done(f"policy {policy.digest if policy else ''} in force")

    def _restore(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        if self._steward.observing:
            return Answer({"message": "observe mode writes nothing, so there is nothing to restore"}, "DriverTrouble")
        books = self._books(parameters.get("gpu"))
        if isinstance(books, Answer):
            return books
        wanted = parameters.get("setting")
        settings = [s for s in GPU_SETTINGS if wanted in (None, s.value, s.label)]
        if not settings:
            known = [s.value for s in GPU_SETTINGS]
            return Answer({"setting": wanted, "known": known}, "NoSuchSetting")
        if not self._steward.fleet.attached:
            return Answer({"message": f"the driver is away: {self._steward.fleet.message}"}, "DriverTrouble")
        done, failed = self._steward.restore(books, settings, wanted is None and parameters.get("gpu") is None)
        if failed:
            return Answer({"message": f"not restored: {'; '.join(failed)}"}, "DriverTrouble")
        text = f"restored: {'; '.join(done)}" if done else "nothing of ours was in force"
        return Answer({"format": report.FORMAT, "message": text, "in_order": True})

    def _release(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        steward = self._steward
        books = self._books(parameters.get("gpu"))
        if isinstance(books, Answer):
            return books
        for_s = parameters.get("for_s")
        named = parameters.get("gpu") is not None
        who = f" for {books[0].board.gpu.name} {books[0].board.gpu.pci}" if named else ""
        until = "" if for_s is None else f" for {for_s:g} s"
        steward.fleet.released = {book.board.gpu.uuid for book in books} if named else set(steward.fleet.books)
        steward.fleet.let_go(DriverState.RELEASED, f"released{who}{until} on request")
        steward.released_until = None if for_s is None else steward.clock.monotonic() + float(for_s)
        self._say(Event(EventKind.RELEASED, steward.clock.now(), detail={"for_gpu": who, "until": until}))
        note = "the driver is let go of as a whole: NVML cannot let go of one GPU alone"
        forgets = [
            f"{book.board.gpu.name} {book.board.gpu.pci}"
            for book in steward.fleet.books.values()
            if (track := book.tracks.get(Setting.PERSISTENCE_MODE)) is None or track.observed is not True
        ]
        if forgets:
            note += f"; with persistence mode off {', '.join(forgets)} may forget every setting until then"
        return Answer({"format": report.FORMAT, "message": f"released{who}{until}; {note}", "in_order": True})

    def _resume(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        if self._steward.fleet.state is not DriverState.RELEASED:
            return self._done("nothing was released")
        self._steward.take_back("on request")
        return self._done("taken back")

    def _books(self, who: str | None) -> list[Book] | Answer:
        """The GPUs that a person means by index, UUID, PCI address, or a UUID's unique beginning."""
        books = list(self._steward.fleet.books.values())
        if who is None:
            return books
        word = who.lower().removeprefix("gpu-")
        found = [
            book
            for book in books
            if word in (str(book.board.index), book.board.gpu.pci, book.board.gpu.pci.removeprefix("0000:"))
            or (len(word) >= 4 and book.board.gpu.uuid.lower().removeprefix("gpu-").startswith(word))
        ]
        if len(found) == 1:
            return found
        known = [f"{b.board.index} {b.board.gpu.pci} {b.board.gpu.uuid} {b.board.gpu.name}" for b in books]
        return Answer({"gpu": who, "known": known}, "NoSuchGpu")
