"""The GPUs at hand: when the driver is there and who is on it, who is away and why, and who came back.

NVML opens every GPU at init and only a shutdown lets go, so a GPU that comes or goes means a new init for all. The
kernel's files say when that is due; the driver is not asked again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from gpu_tuned.core import drift
from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverMismatch, GpuLost
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.model import Board, Seen
from gpu_tuned.core.throttle import MAX_GAP_S, Throttle
from gpu_tuned.core.track import Note
from gpu_tuned.loop.ledger import Ledger
from gpu_tuned.loop.reconcile import Book, Reconciler
from gpu_tuned.ports import Clock, Gpus, Kernel, Look, Say

RETRY_MAX_S = 10.0
"""The longest pause between two inits of a driver that is loaded and does not answer as it should."""
UNSEEN_RETRY_MAX_S = 60.0
"""The same where the kernel shows no driver at all; as soon as it shows one, nothing is waited for."""
EVERYTHING = Look(application_clocks=True, counters=True)


class DriverState(str, Enum):
    """One word for the driver as a whole; "not_answering" is added where a pass hangs (control's desk)."""

    STARTING = "starting"
    OK = "ok"
    ABSENT = "absent"
    MISMATCH = "mismatch"
    TROUBLE = "trouble"
    RELEASED = "released"


class Fleet:
    """Every GPU's book, and the one connection to the driver. Belongs to the loop thread."""

    def __init__(
        self, gpus: Gpus, kernel: Kernel, ledger: Ledger, reconciler: Reconciler, clock: Clock, say: Say
    ) -> None:
        self._gpus, self._kernel, self._ledger = gpus, kernel, ledger
        self._reconciler, self._clock, self._say = reconciler, clock, say
        self.books: dict[str, Book] = {}
        self.state = DriverState.STARTING
        self.message: str | None = None
        self.released: set[str] = set()
        """UUIDs of the GPUs that somebody asked to have released; the others wait because NVML lets go of all."""
        self.first_looks: dict[str, Seen] = {}
        self._signature: tuple[str | None, Mapping[str, str]] | None = None
        self._bindings: dict[str, str] = {}
        self._off_bus: set[str] = set()
        self._retry_at = 0.0
        self._pause_s = 0.0

    @property
    def attached(self) -> bool:
        return self.state is DriverState.OK

    def meet(self, poll_interval_s: float) -> bool:
        """Attach where that is due. True when the set of boards was made anew in this call."""
        if self.state is DriverState.RELEASED:
            return False
        signature = (self._kernel.driver_loaded(), self._kernel.bound_gpus())
        changed, self._signature = signature != self._signature, signature
        if self.attached:
            if not (changed and self._came(signature[1])) and not self._back_on_bus():
                return False
            self.let_go(DriverState.STARTING, "GPUs are enumerated anew")
        elif not changed and self._clock.monotonic() < self._retry_at:
            return False
        return self._attach(signature, poll_interval_s)

    def _came(self, bound: Mapping[str, str]) -> bool:
        """Whether a GPU is there that NVML does not know in this binding; those that only left are marked so."""
        known = {book.board.gpu.pci: book for book in self.books.values()}
        for pci, book in known.items():
            if bound and pci not in bound and book.away is None:
                self.lose(book, "gone: no longer bound to the driver")
        return any(self._bindings.get(pci) != token for pci, token in bound.items())

    def _back_on_bus(self) -> bool:
        """Whether a GPU that had fallen off the bus answers there again; NVML sees that at its next init alone."""
        return any(self._kernel.on_bus(pci) for pci in self._off_bus)

    def _attach(self, signature: tuple[str | None, Mapping[str, str]], poll_interval_s: float) -> bool:
        # Asked also where the kernel names no module: sandboxes and WSL have a driver that /sys does not show.
        self._bindings = dict(signature[1])
        try:
            boards = self._gpus.attach()
        except DriverAbsent as error:
            self._cannot(DriverState.ABSENT, str(error), poll_interval_s)
        except DriverMismatch as error:
            self._cannot(DriverState.MISMATCH, str(error), poll_interval_s)
        except DriverError as error:
            self._cannot(DriverState.TROUBLE, str(error), poll_interval_s)
        else:
            self._welcome(boards, poll_interval_s)
            return True
        return False

    def _cannot(self, state: DriverState, why: str, poll_interval_s: float) -> None:
        if (self.state, self.message) != (state, why):
            self._say(Event(EventKind.DRIVER_WAITING, self._clock.now(), cause=why))
            self._pause_s = 0.0
        self.state, self.message = state, why
        self._everybody_waits(why)
        longest_s = RETRY_MAX_S if self._signature and self._signature[0] else UNSEEN_RETRY_MAX_S
        self._pause_s = min(longest_s, max(poll_interval_s, 2 * self._pause_s))
        self._retry_at = self._clock.monotonic() + self._pause_s

    def _everybody_waits(self, why: str) -> None:
        moment = self._reconciler.moment()
        for book in self.books.values():
            book.away = why
            book.tracks = {s: drift.wait(track, why, moment) for s, track in book.tracks.items()}

    def _welcome(self, boards: tuple[Board, ...], poll_interval_s: float) -> None:
        self._off_bus.clear()
        self.state, self.message = DriverState.OK, self._unusable(boards)
        self._pause_s = 0.0
        version = self._gpus.driver_version()
        detail = {"version": version or "unknown", "count": len(boards)}
        self._say(Event(EventKind.DRIVER_READY, self._clock.now(), detail=detail))
        here = {board.gpu.uuid for board in boards}
        for uuid, book in self.books.items():
            if uuid not in here:
                self.lose(book, "not among the driver's GPUs")
        for board in boards:
            known = self.books.get(board.gpu.uuid)
            book = self.books[board.gpu.uuid] = known or Book(
                board, Throttle(board.reasons_mask, max_gap_s=max(MAX_GAP_S, 3 * poll_interval_s))
            )
            book.board = board
            self._meet_gpu(book)
        self.books = dict(sorted(self.books.items(), key=lambda item: item[1].board.index))

    def _unusable(self, boards: tuple[Board, ...]) -> str | None:
        """Which GPUs the kernel bound to the driver and the driver does not list; they were lost before we came."""
        missing = sorted(set(self._bindings) - {board.gpu.pci for board in boards})
        if not missing:
            return None
        self._off_bus |= {pci for pci in missing if not self._kernel.on_bus(pci)}
        why = f"bound to the driver, which cannot use it (a GPU reset or a reboot may help): {', '.join(missing)}"
        self._say(Event(EventKind.DRIVER_WAITING, self._clock.now(), cause=why))
        return why

    def _meet_gpu(self, book: Book) -> None:
        """First look at a GPU after NVML attached, or after it answered again: is this still the initialisation
        that the saved originals belong to?"""
        was_away, book.away = book.away, None
        book.throttle.rebase()
        try:
            seen = self._reconciler.see(book, EVERYTHING)
        except (GpuLost, DriverAbsent) as error:
            self.lose(book, str(error))
            return
        except DriverError as error:
            self.lose(book, f"does not answer as it should: {error}")
            return
        binding = self._bindings.get(book.board.gpu.pci, "")
        why = self._ledger.begin(book.board, seen, binding)
        if was_away is not None:
            self._reconciler.say(book, Note(EventKind.GPU_BACK), None)
        if why is not None:
            self._reconciler.renew(book, why)
        elif was_away is not None:
            self._reconciler.begin_anew(book, "the GPU was away")
        self.first_looks[book.board.gpu.uuid] = seen

    def try_again(self, book: Book) -> None:
        """A GPU that was lost may answer again on the same connection."""
        try:
            self._gpus.see(book.board.gpu.uuid, Look())
        except DriverError:
            return
        self._meet_gpu(book)

    def lose(self, book: Book, why: str) -> None:
        """One GPU is away; the others go on."""
        if book.away != why:
            book.away = why
            if not self._kernel.on_bus(book.board.gpu.pci):
                self._off_bus.add(book.board.gpu.pci)
            self._reconciler.say(book, Note(EventKind.GPU_WAITING, cause=why), None)
        moment = self._reconciler.moment()
        book.tracks = {s: drift.wait(track, why, moment) for s, track in book.tracks.items()}

    def let_go(self, state: DriverState, why: str) -> None:
        """Shut NVML down: the only way to let go of any GPU."""
        self._gpus.detach()
        self.state, self.message = state, why
        self._everybody_waits(why)
        self._retry_at = 0.0
        self._signature = None
