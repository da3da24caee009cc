"""See, decide, act, say: one pass over the settings of one GPU.

The reading decides, never the event that woke the loop. What shall be undoable is on disk before the write; every
write is read back; one refusal leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpu_tuned.core import drift
from gpu_tuned.core.errors import (
    DriverAbsent,
    DriverError,
    DriverPermission,
    DriverRefused,
    GpuLost,
    GpuTunedError,
    NotSupported,
)
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.lock_proof import LockWatch, Proof
from gpu_tuned.core.model import (
    GPU_SETTINGS,
    LOCKS,
    NO_GETTER,
    Board,
    ClockLock,
    Reading,
    Seen,
    Setting,
    Telemetry,
    Unread,
    Value,
    reading_text,
)
from gpu_tuned.core.plan import Goal, Refusal, accepted_as, goal_of
from gpu_tuned.core.report import capping_of
from gpu_tuned.core.saved import Record, accepted_for
from gpu_tuned.core.throttle import Throttle
from gpu_tuned.core.track import Moment, Note, State, Step, Track
from gpu_tuned.core.wish import Wish, target_text
from gpu_tuned.loop.ledger import Ledger
from gpu_tuned.ports import Clock, Gpus, Look, Say

_LOST = (State.DRIFTED, State.CONTESTED)

READABLE_FIRST = tuple(sorted(GPU_SETTINGS, key=lambda setting: not setting.readable))
"""What was lost of these tells of the locks, which no call reads."""


@dataclass(slots=True)
class PutBack:
    """The last thing of this GPU that was put right, for status."""

    at: float
    setting: Setting
    found: Value | None
    cause: str | None


@dataclass(slots=True)
class Book:
    """Everything the daemon knows about one GPU; the loop thread alone writes to it.

    `met_with`: what was read at the first look of this driver initialisation, which a profile of ours may not raise.
    `away`: why this GPU cannot be looked at now, None while it can. `handed_back`: settings restored on request, not
    touched until somebody applies again, and what to say of each. `rows`: the settings' rows of the last document,
    and what they were made of.
    """

    board: Board
    throttle: Throttle
    tracks: dict[Setting, Track] = field(default_factory=dict)
    met_with: dict[Setting, Value] = field(default_factory=dict)
    wishes: Mapping[Setting, Wish] = field(default_factory=dict)
    proofs: dict[Setting, LockWatch] = field(default_factory=dict)
    telemetry: Telemetry = field(default_factory=Telemetry)
    away: str | None = None
    asleep: bool = False
    handed_back: dict[Setting, str] = field(default_factory=dict)
    last_put_back: PutBack | None = None
    last_xid: tuple[int, float] | None = None
    rows: dict[Setting, tuple[tuple[Track, Wish | None, Record | None], dict[str, Any]]] = field(default_factory=dict)
    looked: Moment = field(default_factory=lambda: Moment(0.0, 0.0))

    def wall_of(self, mono_s: float) -> float:
        """A monotonic instant on the wall clock, by the last look."""
        return self.looked.wall - (self.looked.mono - mono_s)

    @property
    def put_back(self) -> int:
        return sum(track.put_back for track in self.tracks.values())


class Reconciler:
    """Brings GPUs to what the wishes say. Raises GpuLost and DriverAbsent only; every other trouble is a state."""

    def __init__(self, gpus: Gpus, ledger: Ledger, clock: Clock, say: Say) -> None:
        self.gpus, self._ledger, self._clock, self.tell = gpus, ledger, clock, say

    def moment(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())

    def see(self, book: Book, look: Look) -> Seen:
        """Read one GPU, and take from its telemetry what does not depend on any wish."""
        seen = self.gpus.see(book.board.gpu.uuid, look)
        moment = self.moment()
        book.telemetry, book.looked = seen.telemetry, moment
        capping = capping_of(book.board, book.tracks, seen.telemetry, seen.readings.get(Setting.POWER_LIMIT))
        for change in book.throttle.observe(moment.mono, seen.telemetry.reasons, seen.counters_ns, capping):
            kind = EventKind.FAULT_BEGAN if change.began else EventKind.FAULT_ENDED
            detail = {"reason": change.reason.label, "duration_s": round(change.duration_s or 0.0, 1)}
            self.say(book, Note(kind, cause=change.reason.word, detail=detail), None)
        if seen.counters_ns is not None:
            self._ledger.note_counters(book.board.gpu.uuid, seen.counters_ns)
        return seen

    def renew(self, book: Book, why: str) -> None:
        """A new driver initialisation: originals end, locks are gone, rivals are forgotten."""
        self.say(book, Note(EventKind.REINITIALISED, cause=why), None)
        self._ledger.forget(book.board.gpu.uuid)
        book.met_with.clear()
        self.begin_anew(book, why)

    def begin_anew(self, book: Book, why: str) -> None:
        """What is found next is no rival's doing: nothing that was paused waits on, and locks count as lost."""
        moment = self.moment()
        for setting, track in book.tracks.items():
            book.tracks[setting] = drift.fresh(track)
        for setting in LOCKS:
            if setting in book.tracks:
                self._keep(book, setting, drift.forget_lock(book.tracks[setting], why, moment))

    def decide(self, book: Book, seen: Seen, poll_interval_s: float) -> dict[Setting, Value]:
        """Hold one look against the wishes: what must be written, in the order in which to write it."""
        writes: dict[Setting, Value] = {}
        reverted = told = False
        for setting in READABLE_FIRST:
            reading = seen.readings.get(setting)
            if setting in LOCKS:
                self._prove(book, setting)
                if reverted:
                    self._keep(book, setting, self._lost_beside(book, setting, hushed=not told))
            track = book.tracks.get(setting) or drift.new_track(self.moment())
            if setting in book.handed_back:
                book.tracks[setting] = drift.wait(track, book.handed_back[setting], self.moment(), reading)
                continue
            step = self._look(book, setting, book.wishes.get(setting), reading, poll_interval_s)
            reverted |= step.track.open and not track.open
            told |= any(note.kind in (EventKind.DRIFTED, EventKind.CONTESTED) for note in step.notes)
            if step.write is not None:
                writes[setting] = step.write
        book.throttle.capping = capping_of(book.board, book.tracks, book.telemetry)
        return {setting: writes[setting] for setting in GPU_SETTINGS if setting in writes}

    def act(self, book: Book, writes: Mapping[Setting, Value]) -> None:
        """Write, each on its own, after what they replace is on disk."""
        if not writes:
            return
        board, uuid = book.board, book.board.gpu.uuid
        first = {setting for setting in writes if self._ledger.saved.record(uuid, setting) is None}
        for setting, value in writes.items():
            found = _reading(book.tracks[setting])
            self._ledger.before_write(uuid, setting, found, value, board.factory_default(setting))
        try:
            self._ledger.sync()
        except GpuTunedError as error:
            for setting in first:
                self._ledger.withdraw(uuid, setting)
            for setting in writes:
                self._keep(book, setting, drift.failed(book.tracks[setting], f"not written: {error}", self.moment()))
            return
        for setting, value in writes.items():
            if not self._write(book, setting, value) and setting in first:
                self._ledger.withdraw(uuid, setting)
        self.settle()
        # What the writes changed is to be seen in the same turn: the limit enforced, for one.
        book.telemetry = self.gpus.see(uuid, Look()).telemetry
        book.throttle.capping = capping_of(board, book.tracks, book.telemetry)

    def settle(self) -> None:
        """What came of the writes goes to disk too; failing here loses no original, so it is told elsewhere."""
        try:
            self._ledger.sync()
        except GpuTunedError as error:
            self.tell(Event(EventKind.STATE_UNSAVED, self._clock.now(), cause=str(error)))

    def _write(self, book: Book, setting: Setting, value: Value) -> bool:
        """False where it is sure that the driver kept what it had."""
        uuid, track = book.board.gpu.uuid, book.tracks[setting]
        try:
            self.gpus.write(uuid, setting, value)
            after = self.gpus.read(uuid, setting)
        except (GpuLost, DriverAbsent):
            raise
        except DriverError as error:
            self._keep(book, setting, drift.failed(track, str(error), self.moment()))
            return not isinstance(error, (DriverRefused, DriverPermission, NotSupported))
        accepted = value if not setting.readable else accepted_as(value, _reading(track), after)
        if accepted is None:
            why = f"the driver reported success, but it reads {reading_text(after)}"
            self._keep(book, setting, drift.failed(replace(track, observed=after), why, self.moment()))
            return after != track.observed
        if track.open:
            found = None if isinstance(track.observed, Unread) else track.observed
            book.last_put_back = PutBack(self._clock.now(), setting, found, track.message)
        why = track.message if track.message and track.state in _LOST else "as the policy says"
        self._ledger.after_write(uuid, setting, accepted)
        self._keep(book, setting, drift.took(track, value, accepted, after, why, self.moment()))
        if setting in LOCKS:
            book.proofs.pop(setting, None)
        return True

    def goal(self, book: Book, wish: Wish, seen: Reading | None) -> Goal | None:
        """What a wish means on this GPU, by what was found there before the first write."""
        record = self._ledger.saved.record(book.board.gpu.uuid, wish.setting)
        before = record.original if record else book.met_with.get(wish.setting)
        return goal_of(wish, book.board, seen, before)

    def _look(
        self, book: Book, setting: Setting, wish: Wish | None, reading: Reading | None, poll_interval_s: float
    ) -> Step:
        board, moment = book.board, self.moment()
        track = book.tracks.get(setting) or drift.new_track(moment)
        record = self._ledger.saved.record(board.gpu.uuid, setting)
        goal: Goal | None = None
        unread = reading is None and setting.readable and wish is not None and wish.target is not None
        if unread and track.goal is None:  # newly wished: what was read long ago must not become an original
            reading, unread = self.gpus.read(board.gpu.uuid, setting), False
        if wish is not None:
            seen = track.observed if reading is None else reading
            if seen is not None and not isinstance(seen, Unread):
                book.met_with.setdefault(setting, seen)
            goal = self.goal(book, wish, seen)
            if track.accepted is None and setting.readable and goal is not None and not isinstance(goal, Refusal):
                known = accepted_for(record, goal)
                track = replace(track, goal=goal, accepted=known) if known is not None else track
        default = board.factory_default(setting)
        step = drift.look(track, setting, wish, goal, reading, default, poll_interval_s, moment)
        if unread and (step.write is not None or goal != book.tracks[setting].goal):
            return self._look(book, setting, wish, self.gpus.read(board.gpu.uuid, setting), poll_interval_s)
        self._keep(book, setting, step)
        return step

    def _lost_beside(self, book: Book, setting: Setting, hushed: bool) -> Step:
        track = book.tracks.get(setting) or drift.new_track(self.moment())
        return drift.forget_lock(track, "a setting beside it was lost, so it may be too", self.moment(), hushed)

    def _prove(self, book: Book, setting: Setting) -> None:
        """Judge a requested lock by what the clocks do under load; silence proves nothing."""
        track = book.tracks.get(setting)
        if track is None or track.state is not State.REQUESTED or not isinstance(track.accepted, ClockLock):
            book.proofs.pop(setting, None)
            return
        proof = book.proofs.get(setting)
        if proof is None:
            proof = book.proofs[setting] = LockWatch.on(book.board, setting, track.accepted)
        verdict = proof.observe(book.telemetry)
        if verdict is Proof.CONFIRMED:
            self._keep(book, setting, drift.confirm_lock(track, self.moment()))
        elif verdict is Proof.LOST:
            seen = book.telemetry
            clock_mhz = seen.gpu_clock_mhz if setting is Setting.GPU_CLOCK else seen.memory_clock_mhz
            evidence = f"{clock_mhz} MHz under load, above the {track.accepted.max_mhz} MHz asked for"
            book.tracks[setting] = drift.disprove_lock(track, evidence)

    def _keep(self, book: Book, setting: Setting, step: Step) -> None:
        book.tracks[setting] = step.track
        for note in step.notes:
            self.say(book, note, setting)

    def say(self, book: Book, note: Note, setting: Setting | None) -> None:
        track = book.tracks.get(setting) if setting else None
        wish = book.wishes.get(setting) if setting else None
        goal = track.goal if track else None
        wanted = None if isinstance(goal, Refusal) else goal
        asked = {"wanted": target_text(wish.target)} if wish and isinstance(goal, Refusal) else {}
        self.tell(
            Event(
                note.kind,
                self._clock.now(),
                book.board.gpu,
                setting,
                wanted,
                note.found,
                note.cause,
                str(wish.origin) if wish else None,
                {**asked, **note.detail},
            )
        )


def _reading(track: Track) -> Reading:
    """The last reading; `False` (persistence off) is one."""
    return NO_GETTER if track.observed is None else track.observed
