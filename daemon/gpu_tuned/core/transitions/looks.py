"""A look at a GPU: every setting held against its wish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gpu_tuned.core import drift, lock_drift
from gpu_tuned.core.events import EventKind
from gpu_tuned.core.gpu_state import HOST, Change, GpuState, Presence, Said
from gpu_tuned.core.lock_proof import Verdict
from gpu_tuned.core.model import LOCKS, Seen, Setting, Telemetry, Value
from gpu_tuned.core.originals import why_new
from gpu_tuned.core.track import Moment, State, Step, Track
from gpu_tuned.core.transitions.presence import default_of, renewed, trusted, with_originals
from gpu_tuned.core.transitions.wishes import aimed

READABLE_FIRST = tuple(sorted(Setting, key=lambda setting: not setting.readable))
"""What was lost of these tells of the locks, which no call reads."""


def _settings(state: GpuState) -> Iterable[Setting]:
    return READABLE_FIRST if state.gpu is not HOST else (s for s in Setting if s.of_host)


def looked(
    state: GpuState, seen: Seen, verdicts: Mapping[Setting, Verdict], poll_interval_s: float, moment: Moment
) -> Change:
    """Hold one look against the wishes. `verdicts`: what the clocks say of the locks that were requested."""
    board = seen.board or state.board
    if board is None:
        return Change(state)
    if board is not state.board:
        state = replace(state, board=board)
    said: tuple[Said, ...] = ()
    seen = trusted(state, seen)
    if seen.counters_ns is not None:
        why = why_new(state.initialisation, seen)
        if why is not None:
            change = renewed(state, why, seen, moment)
            state, said = change.state, change.said
        state = replace(state, initialisation=state.initialisation.with_counters(seen.counters_ns))
    if not state.here:  # it slept: what was read before was of another time
        state = replace(state, tracks={s: replace(track, observed=None) for s, track in state.tracks.items()})
    state = replace(state, presence=Presence.HERE, why=None, telemetry=seen.telemetry, looked=moment)
    state = with_originals(state, seen, late=True, moment=moment)
    change = _decided(state, seen, verdicts, poll_interval_s, moment)
    return replace(change, said=said + change.said) if said else change


def _decided(
    state: GpuState, seen: Seen, verdicts: Mapping[Setting, Verdict], poll_interval_s: float, moment: Moment
) -> Change:
    writes: dict[Setting, Value] = {}
    said: list[Said] = []
    changed: dict[Setting, Track] = {}
    reverted = told = False
    for setting in _settings(state):
        reading = seen.readings.get(setting)
        track = known = state.tracks.get(setting)
        if track is None:
            if reading is None:
                continue
            track = drift.new_track(moment)
        steps: list[Step] = []
        if setting in verdicts and (track.accepted is not None or track.state is State.WATCHED):
            steps.append(lock_drift.judge(track, verdicts[setting], moment))
        if reverted and setting in LOCKS and track.wish is not None:
            lost = "a setting beside it was lost, so it may be too"
            steps.append(lock_drift.forget(steps[-1].track if steps else track, lost, moment, hushed=not told))
        track = steps[-1].track if steps else track
        track = aimed(state, track, reading, moment)
        if track is known and drift.rests(track, reading):
            continue
        was_open = track.open
        step = drift.look(track, reading, default_of(state, setting), poll_interval_s, moment)
        steps.append(step)
        reverted |= step.track.open and not was_open
        if step.write is not None:
            writes[setting] = step.write
        if step.track is not known:
            changed[setting] = step.track
        if step.notes or len(steps) > 1:
            told |= any(note.kind in (EventKind.DRIFTED, EventKind.CONTESTED) for note in step.notes)
            said += [Said(note, setting) for one in steps for note in one.notes]
    ordered = {setting: writes[setting] for setting in Setting if setting in writes}
    if changed:
        state = replace(state, tracks={**state.tracks, **changed})
    return Change(state, ordered, tuple(said))


def told_xid(state: GpuState, xid: int, moment: Moment) -> GpuState:
    """The last Xid of a GPU, with its time on the wall."""
    return replace(state, last_xid=(xid, moment.wall))


def with_telemetry(state: GpuState, telemetry: Telemetry) -> GpuState:
    """What the writes changed is to be seen in the same turn: the limit enforced, for one."""
    return replace(state, telemetry=telemetry)
