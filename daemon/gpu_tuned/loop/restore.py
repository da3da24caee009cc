"""Putting one setting of one GPU back to what was found before the first write."""

from __future__ import annotations

from gpu_tuned.core import drift
from gpu_tuned.core.errors import DriverError, DriverRefused
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.model import Reading, Setting, Unread, reading_text, text
from gpu_tuned.core.plan import accepted_as
from gpu_tuned.core.saved import Record
from gpu_tuned.loop.ledger import Ledger
from gpu_tuned.loop.reconcile import Book, Reconciler


def restore(
    book: Book, setting: Setting, reconciler: Reconciler, ledger: Ledger, done: list[str], failed: list[str]
) -> None:
    """Nothing where it was never written. Afterwards it is left alone until somebody asks to apply, and its original
    is used up: what somebody sets by hand from here on is not undone by a second restore. What was done and what
    failed is added in words."""
    uuid, gpus = book.board.gpu.uuid, reconciler.gpus
    record = ledger.saved.record(uuid, setting)
    if record is None:
        return
    words = f"{book.board.gpu.pci} {setting.label} {text(record.original)}"
    if book.away is not None:
        failed.append(f"{words}: {book.away}")
        _tell(EventKind.RESTORE_FAILED, book, setting, record, None, book.away, reconciler)
        return
    book.handed_back[setting] = drift.HANDED_BACK
    book.tracks[setting] = drift.new_track(reconciler.moment())
    try:
        found = gpus.read(uuid, setting)
        if found == record.original:
            ledger.use_up(uuid, setting)
            return
        gpus.write(uuid, setting, record.original)
        after = gpus.read(uuid, setting)
        if setting.readable and accepted_as(record.original, found, after) is None:
            raise DriverRefused(f"the driver reported success, but it reads {reading_text(after)}")
    except DriverError as error:
        book.handed_back[setting] = f"restore failed: {error}; {drift.TAKES_UP}"
        failed.append(f"{words}: {error}")
        _tell(EventKind.RESTORE_FAILED, book, setting, record, None, str(error), reconciler)
        return
    ledger.use_up(uuid, setting)
    done.append(words + (" (assumed)" if record.assumed else ""))
    _tell(EventKind.RESTORED, book, setting, record, found, None, reconciler)


def _tell(
    kind: EventKind,
    book: Book,
    setting: Setting,
    record: Record,
    found: Reading | None,
    cause: str | None,
    reconciler: Reconciler,
) -> None:
    seen = None if isinstance(found, Unread) else found
    now, detail = reconciler.moment().wall, {"found": reading_text(found)}
    reconciler.tell(Event(kind, now, book.board.gpu, setting, record.original, seen, cause, None, detail))
