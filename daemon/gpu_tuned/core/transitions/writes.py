"""A setting is about to be written, was written, was refused, or was put back on request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gpu_tuned.core import drift, restored
from gpu_tuned.core.goal import not_taken
from gpu_tuned.core.gpu_state import Change, GpuState, PutBack, Said
from gpu_tuned.core.model import Reading, Setting, Unread, Value
from gpu_tuned.core.settings import ROWS
from gpu_tuned.core.track import Moment, State, Step, Track


def about_to_write(state: GpuState, settings: Iterable[Setting]) -> GpuState:
    """What must be on disk before these are written."""
    return replace(state, tracks={**state.tracks, **{s: drift.about_to_write(state.tracks[s]) for s in settings}})


def unsaved(state: GpuState, settings: Iterable[Setting]) -> list[Setting]:
    """Those of these settings whose original must be saved before they may be written."""
    return [s for s in settings if (original := state.original(s)) is not None and not original.written]


def wrote(state: GpuState, setting: Setting, value: Value, after: Reading, moment: Moment) -> Change:
    """The driver said yes to a write; `after` is the reading that followed. Whether it took it, this decides."""
    track = state.tracks[setting]
    accepted = _accepted(track, setting, value, after)
    if accepted is None:
        why = not_taken(value, _last(track), after)
        kept = after == track.observed
        return _kept(state, setting, drift.failed(replace(track, observed=after), why, moment, kept=kept))
    lost = track.state in (State.DRIFTED, State.CONTESTED)
    as_policy = "as the policy says"
    reason = track.cause if track.open else track.message if lost else as_policy
    change = _kept(state, setting, drift.took(track, accepted, after, reason or as_policy, moment))
    if not track.open:
        return change
    found = None if isinstance(track.observed, Unread) else track.observed
    last = PutBack(moment.wall, moment.mono, setting, found, track.cause)
    return replace(change, state=replace(change.state, last_put_back=last))


def _accepted(track: Track, setting: Setting, value: Value, after: Reading) -> Value | None:
    """What the driver made of a write; None where it did not take it."""
    if not setting.readable:
        return value
    taken, before = ROWS[setting].taken(value, _last(track), after), track.before
    if taken is None and before is not None and (before.goal, before.value) == (value, after):
        return before.value  # seen before, when the reading moved: this is what this board makes of this very value
    return taken


def not_written(state: GpuState, setting: Setting, why: str, moment: Moment, *, kept: bool) -> Change:
    """The driver refused, or nobody knows what it did. `kept`: what was there before is there still."""
    return _kept(state, setting, drift.failed(state.tracks[setting], why, moment, kept=kept))


def doubted(state: GpuState, settings: Iterable[Setting]) -> GpuState:
    """Somebody asks once more to put these back. Of a lock, which no call reads, nobody knows that it was."""
    again = {s: restored.doubted(track) for s, track in state.tracks.items() if s in settings and not s.readable}
    return replace(state, tracks={**state.tracks, **again}) if again else state


def handed_back(state: GpuState, setting: Setting, message: str, moment: Moment) -> GpuState:
    """One setting was put back on request: what was found at first is in force."""
    track = restored.handed_back(state.tracks[setting], message, moment)
    return replace(state, tracks={**state.tracks, setting: track})


def not_put_back(state: GpuState, setting: Setting, message: str, moment: Moment) -> GpuState:
    """One setting was to be put back on request, and was not."""
    track = restored.not_put_back(state.tracks[setting], message, moment)
    return replace(state, tracks={**state.tracks, setting: track})


def _kept(state: GpuState, setting: Setting, step: Step) -> Change:
    said = tuple(Said(note, setting) for note in step.notes)
    return Change(replace(state, tracks={**state.tracks, setting: step.track}), said=said)


def _last(track: Track) -> Reading:
    return Unread("not read before") if track.observed is None else track.observed
