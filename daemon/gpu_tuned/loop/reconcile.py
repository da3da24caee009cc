"""See, decide, act, say: one pass over the settings of one GPU, or of the host.

The reading decides, never the event that woke the loop. What shall be undoable is saved before the first write; every
write is read back; one refusal leaves the others alone. What is known changes in core/gpu_state.py alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gpu_tuned.core import transitions
from gpu_tuned.core.errors import (
    DriverAbsent,
    DriverError,
    DriverMismatch,
    DriverPermission,
    DriverRefused,
    GpuLost,
    GpuTunedError,
    NotSupported,
)
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.gpu_state import HOST, Change, GpuState, Said
from gpu_tuned.core.lock_proof import LockProofs, Requested, Verdict
from gpu_tuned.core.model import (
    LOCKS,
    ApplicationClocks,
    Board,
    ClockLock,
    Seen,
    Setting,
    Unread,
    Value,
)
from gpu_tuned.core.status import capping_of, timestamp
from gpu_tuned.core.throttle import MAX_GAP_S, Throttle
from gpu_tuned.core.track import Note, State, Track
from gpu_tuned.loop.inventory import Inventory
from gpu_tuned.loop.told import Told
from gpu_tuned.ports import Clock, Device, Look, Say

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Throttling

EVERYTHING = Look(application_clocks=True, counters=True)
SURE = (DriverRefused, DriverPermission, NotSupported)
"""What the driver says of a write that it did not take; after anything else the setting is read."""
Save = Callable[[], None]
"""Puts what is known where a restart finds it; raises GpuTunedError."""


class Reconciler:
    """Brings GPUs and the host to what is wished. Raises GpuLost, DriverAbsent, DriverMismatch and DriverTrouble
    where nothing of a GPU can be read; every other trouble is a state of one setting."""

    def __init__(  # noqa: PLR0913 - ports, and the parts of the loop that it drives
        self,
        gpus: Device,
        knobs: Device,
        inventory: Inventory,
        save: Save,
        clock: Clock,
        say: Say,
        throttled: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        forgot: bool = False,
    ) -> None:
        """`throttled`: what an earlier run in this boot counted, by UUID. `forgot`: what it knew cannot be read,
        or is another process's to know."""
        self._forgot = forgot
        self._gpus, self._knobs, self._inventory, self._kept = gpus, knobs, inventory, throttled or {}
        self._save, self._clock, self._say = save, clock, say
        self._proofs: dict[str, LockProofs] = {}
        self._first: dict[str, Seen] = {}  # what `meet` read, for the look of the same turn
        self._mig: dict[str, bool] = {}
        self._unsaved = Told(clock)  # that nothing can be saved
        self._held_back: dict[str, set[Setting]] = {}  # what is to be written once it can be saved, by UUID
        self.throttles: dict[str, Throttle] = {}

    def meet(self, state: GpuState, board: Board, binding: str | None, poll_interval_s: float) -> None:
        """The first look after NVML attached, or after this GPU answered again. Raises DriverError."""
        seen = self._gpus.see(board.gpu.uuid, EVERYTHING)
        self._first[board.gpu.uuid] = seen
        self._saw_mig(board.gpu.uuid, seen)
        moment = self._inventory.moment()
        change = transitions.met(state, board, seen, binding, moment, forgot=self._forgot)
        throttle = self.throttles.get(board.gpu.uuid)
        began = throttle is None
        if throttle is None:
            throttle = self.throttles[board.gpu.uuid] = self._begun(board, poll_interval_s)
        if not (began and state.initialisation.lasts(change.state.initialisation)):
            throttle.rebase()  # a counter that began anew may be beyond where it was
        self._inventory.take(change)

    def _begun(self, board: Board, poll_interval_s: float) -> Throttle:
        """The seconds of an earlier run in this boot, or none."""
        max_gap_s = max(MAX_GAP_S, 3 * poll_interval_s)
        kept = self._kept.get(board.gpu.uuid)
        if kept is not None:
            with suppress(ValueError):
                return Throttle.from_json(kept, self._clock.monotonic(), board.reasons_mask, max_gap_s)
        return Throttle(board.reasons_mask, max_gap_s=max_gap_s)

    def kept(self) -> dict[str, Mapping[str, Any]]:
        """What was counted of every GPU, by UUID, for the next run; of one that this run has not met, what the run
        before had counted."""
        counted = {uuid: throttle.to_json() for uuid, throttle in self.throttles.items()}
        return {uuid: kept for uuid, kept in self._kept.items() if uuid in self._inventory.states} | counted

    def forget_first_looks(self) -> None:
        """What `meet` read is of before now, so the next look reads again."""
        self._first.clear()

    def meet_host(self) -> None:
        """The first look at the host's own settings."""
        host = self._inventory.host
        board = host.board
        if board is not None:
            seen, moment = self._knobs.see("", Look()), self._inventory.moment()
            self._inventory.take(transitions.met(host, board, seen, None, moment, forgot=self._forgot))

    def _saw_mig(self, uuid: str, seen: Seen) -> None:
        if seen.mig is not None:
            self._mig[uuid] = seen.mig

    def mig_changed(self, state: GpuState) -> bool:
        """Whether the last look at MIG saw something else than the board's description says."""
        return state.board is not None and self._mig.get(state.gpu.uuid, state.board.mig) != state.board.mig

    def look(self, state: GpuState, look: Look, poll_interval_s: float, *, writes: bool) -> None:
        """One look; and, with `writes`, what it asks for. Raises DriverError where nothing can be read."""
        seen = self._first.pop(state.gpu.uuid, None) or self._device(state).see(state.gpu.uuid, look)
        moment = self._inventory.moment()
        self._saw_mig(state.gpu.uuid, seen)
        faults = self._observe(state, seen)
        verdicts = self._prove(state, seen)
        change = transitions.looked(state, seen, verdicts, poll_interval_s, moment)
        decided = self._inventory.take(Change(change.state, change.writes, faults + change.said))
        if decided.tracks.get(Setting.POWER_LIMIT) is not state.tracks.get(Setting.POWER_LIMIT):
            self._cap(decided)
        state = decided
        if writes and change.writes:
            self._act(state, change.writes)

    def _observe(self, state: GpuState, seen: Seen) -> tuple[Said, ...]:
        throttle = self.throttles.get(state.gpu.uuid)
        if throttle is None:
            return ()
        said = []
        capping = capping_of(state, seen.telemetry, seen.readings.get(Setting.POWER_LIMIT))
        if seen.counters_ns is not None and (
            throttle.another_limits or capping.limiter is not throttle.capping.limiter
        ):
            self._inventory.unsaved = True  # a run that began with what was saved before would count it otherwise
        at_s = self._clock.monotonic()
        for change in throttle.observe(at_s, seen.telemetry.reasons, seen.counters_ns, capping):
            kind = EventKind.FAULT_BEGAN if change.began else EventKind.FAULT_ENDED
            seconds = round(change.duration_s or 0.0, 1)
            detail = {"reason": change.reason.label, "duration_s": seconds, "times": change.times_in_words}
            said.append(Said(Note(kind, cause=change.reason.word, detail=detail)))
        return tuple(said)

    def _act(self, state: GpuState, writes: Mapping[Setting, Value]) -> None:
        """Write, each on its own, after what they replace is saved. What came of it the turn saves at its end."""
        due = list(writes)
        first = transitions.unsaved(state, due)
        state = self._inventory.take(Change(transitions.about_to_write(state, due)))
        if first:
            due = self._saved(state, first, due)
        for setting in due:
            self._write(self._inventory.now(state), setting, writes[setting])
        if due and state.gpu is not HOST:
            seen = self._gpus.see(state.gpu.uuid, Look())
            self._cap(
                self._inventory.take(Change(transitions.with_telemetry(self._inventory.now(state), seen.telemetry)))
            )

    def _cap(self, state: GpuState) -> None:
        """What a power cap is from now on: a decision or a write may have made it ours."""
        throttle = self.throttles.get(state.gpu.uuid)
        if throttle is not None:
            throttle.limited_by(capping_of(state, state.telemetry, None))

    def _saved(self, state: GpuState, first: list[Setting], due: list[Setting]) -> list[Setting]:
        """Save before the first write of these settings; which of `due` may then be written. A required one always:
        to run without it is worse than not to be able to undo it after a crash."""
        problem = self.save()
        if problem is not None:
            for setting in first:
                track = state.tracks[setting]
                if track.wish is None or not track.wish.required:
                    due.remove(setting)
                    self._held_back.setdefault(state.gpu.uuid, set()).add(setting)
                    why = f"not written: {problem}"
                    self._inventory.take(
                        transitions.not_written(
                            self._inventory.now(state), setting, why, kept=True, moment=self._inventory.moment()
                        )
                    )
        return due

    def save(self) -> str | None:
        """Save what is known; why that failed, told once for as long as it does. It is tried again at each look: what
        was found at first must not be lost because a disk was full once."""
        try:
            self._save()
        except GpuTunedError as error:
            if self._unsaved.news(str(error)):
                self._say(Event(EventKind.STATE_UNSAVED, self._clock.now(), cause=str(error)))
            return str(error)
        self._unsaved.over()
        held_back, self._held_back = self._held_back, {}
        for state in (*self._inventory.states.values(), self._inventory.host) if held_back else ():
            self._inventory.take(Change(transitions.hurried(state, held_back.get(state.gpu.uuid, ()))))
        return None

    def _write(self, state: GpuState, setting: Setting, value: Value) -> None:
        device, uuid = self._device(state), state.gpu.uuid
        try:
            device.write(uuid, setting, value)
            after = device.read(uuid, setting)
        except GpuTunedError as error:
            if isinstance(error, (GpuLost, DriverAbsent, DriverMismatch)):
                device.see(uuid, Look())  # raises where it is the whole GPU; else it is this call alone that fails
            kept = isinstance(error, SURE) or self._as_before(state, setting)
            self._inventory.take(
                transitions.not_written(state, setting, str(error), self._inventory.moment(), kept=kept)
            )
            return
        self._inventory.take(transitions.wrote(state, setting, value, after, self._inventory.moment()))

    def _as_before(self, state: GpuState, setting: Setting) -> bool:
        """Whether a setting reads as it did before a write that failed, so that nothing of ours replaced it."""
        before = state.tracks[setting].observed
        if before is None or isinstance(before, Unread):
            return False
        with suppress(DriverError):
            return self._device(state).read(state.gpu.uuid, setting) == before
        return False

    def throttle_row(self, state: GpuState) -> Throttling:
        """What slowed this GPU down, for the document. Of one that cannot be looked at, what did before: whether
        anything does now is not known."""
        throttle = self.throttles.get(state.gpu.uuid)
        if throttle is None:
            return {"reasons": [], "fault": None}
        reasons = throttle.report(self._clock.monotonic())
        if not state.here:
            return {"reasons": [{**row, "active": False} for row in reasons], "fault": None}
        fault = throttle.fault
        return {
            "reasons": reasons,
            "fault": None
            if fault is None
            else {"reason": fault.reason.word, "since": timestamp(state.wall_of(fault.since_s))},
        }

    def _prove(self, state: GpuState, seen: Seen) -> Mapping[Setting, Verdict]:
        """Judge requested locks by what the clocks do under load."""
        if state.board is None or state.gpu is HOST:
            return {}
        proofs = self._proofs.get(state.gpu.uuid)
        if proofs is None or proofs.board is not state.board:
            free = proofs.free if proofs is not None else None
            proofs = self._proofs[state.gpu.uuid] = LockProofs(state.board, free)
        requested = {
            setting: Requested(lock, track.requested_at)
            for setting in LOCKS
            if (track := state.tracks.get(setting)) is not None and isinstance(lock := _to_prove(track), ClockLock)
        }
        clocks = state.tracks.get(Setting.APPLICATION_CLOCKS)
        pair = clocks.observed if clocks is not None else None
        application = pair if isinstance(pair, ApplicationClocks) else None
        return proofs.observe(seen.telemetry, self._clock.monotonic(), requested, application)

    def counters_due(self, uuid: str) -> bool:
        """Whether the counters should be read out of turn."""
        return uuid in self.throttles and self.throttles[uuid].counters_due

    def _device(self, state: GpuState) -> Device:
        return self._knobs if state.gpu is HOST else self._gpus


def _to_prove(track: Track) -> object:
    """The lock that should be in force: what the driver took from us, or what is watched."""
    if track.state is State.REQUESTED:
        return track.accepted
    return track.goal if track.state is State.WATCHED else None
