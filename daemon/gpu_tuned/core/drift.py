"""The state machine of one setting on one GPU. Every transition lives in this file; the states are track.py's.

    (new) ──equal──> held            (new) ──differs──> write ──> held | requested | refused
    held ──differs──> drifted ──write──> held          three times in a row ──> contested
    contested ──written with growing pauses; quiet for long enough──> held
    requested ──counts as lost──> drifted ──write──> requested        (clock locks: no getter)
    any ──goal refused, or the driver says no──> refused
    any ──GPU or driver away, or the value was restored on request──> waiting
    any ──rule says watch──> watched              any ──no rule speaks of it──> unmanaged

Pure: the moment is passed in, what shall be written is handed back, what shall be said is handed back as notes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpu_tuned.core.events import EventKind
from gpu_tuned.core.model import Reading, Setting, Unread, Value, text
from gpu_tuned.core.plan import Goal, Refusal, satisfies
from gpu_tuned.core.track import Moment, Note, State, Step, Track
from gpu_tuned.core.wish import Wish

CONTEST_AFTER = 3
"""Reverts in a row after which the daemon slows down."""
IN_A_ROW_S = 600.0
"""Two reverts further apart than this are two stories: a rival run by cron once a minute is one."""
PAUSE_MAX_S = 600.0
"""The longest pause between two writes of a contested or refused setting."""
RETRY_FIRST_S = 30.0
"""The first pause before a write that the driver refused is tried again."""
QUIET_MIN_S = 60.0
"""A contest is over when the value stayed for this long, for two rhythms of the rival and two pauses of ours."""

FACTORY_DEFAULT = "back at the factory default (a driver reload, a reset, or somebody's own reset)"
TAKES_UP = "`gpu-tunedctl apply` takes it up again"
HANDED_BACK = f"restored on request; {TAKES_UP}"
SOMEBODYS_VALUE = "somebody's value"


def new_track(moment: Moment) -> Track:
    return Track(State.WAITING, moment.wall, message="not looked at yet")


def look(
    track: Track,
    setting: Setting,
    wish: Wish | None,
    goal: Goal | None,
    reading: Reading | None,
    default: Value | None,
    poll_interval_s: float,
    moment: Moment,
) -> Step:
    """Hold one reading against one wish. `reading` None: not read in this pass, so the last one still stands."""
    seen = track.observed if reading is None else reading
    found = None if isinstance(seen, Unread) else seen
    before, track = track, _with(track, observed=seen)
    if wish is None:
        return _unmanaged(track, found, moment)
    if wish.watched:
        fits = goal is None or isinstance(seen, Unread) or (seen is not None and _is(wish, goal, seen))
        return _watched(_with(track, goal=goal, fits=fits), before, found, moment)
    if isinstance(goal, Refusal) or goal is None:
        return _refuse(_with(track, goal=goal), str(goal or "no value"), moment)
    if goal != track.goal:
        track = _with(track, goal=goal, accepted=None, ours=False, open=False, in_row=0, next_write=0.0)
        track = _with(track, pause_s=0.0, last_drift=None, confirmed_at=None, hushed=False)
    if seen is None:
        return Step(track)
    if setting.readable and isinstance(seen, Unread):
        return Step(_enter(track, State.WAITING, f"cannot be read: {seen.why}", moment))
    wanted = goal if track.accepted is None else track.accepted
    if satisfies(wish, wanted, seen) if setting.readable else track.accepted == goal:
        return _agrees(track, State.HELD if setting.readable else State.REQUESTED, moment)
    notes: tuple[Note, ...] = ()
    if track.ours and not track.open:
        track, notes = _revert(track, setting, found, default, wish.required, poll_interval_s, moment)
    due = wish.required or moment.mono >= track.next_write
    return Step(track, goal if due else None, notes)


def _is(wish: Wish, goal: Goal, seen: Reading) -> bool:
    return not isinstance(goal, Refusal) and satisfies(wish, goal, seen)


def _with(track: Track, **changes: Any) -> Track:
    """The track with these values; the same object where it has them already, as at almost every look: copying one
    costs ten times as much as comparing."""
    if all(getattr(track, name) == value for name, value in changes.items()):
        return track
    return replace(track, **changes)


def _enter(track: Track, state: State, message: str | None, moment: Moment) -> Track:
    since = track.since if track.state is state else moment.wall
    return _with(track, state=state, since=since, message=message)


def _unmanaged(track: Track, found: Value | None, moment: Moment) -> Step:
    was_ours = track.ours and track.state is not State.UNMANAGED
    message = "no rule speaks of it any more; the value stays" if track.ours else None
    notes = (Note(EventKind.UNMANAGED, found),) if was_ours else ()
    return Step(_enter(_with(track, goal=None, accepted=None), State.UNMANAGED, message, moment), notes=notes)


def _refuse(track: Track, why: str, moment: Moment) -> Step:
    said = track.state is State.REFUSED and track.message == why
    notes = () if said else (Note(EventKind.REFUSED, None, why),)
    return Step(_enter(track, State.REFUSED, why, moment), notes=notes)


def _watched(track: Track, before: Track, found: Value | None, moment: Moment) -> Step:
    """Somebody else's setting, or observe mode: told once when it differs and at every change, never written."""
    if isinstance(track.goal, Refusal):
        return _refuse(track, str(track.goal), moment)
    notes: tuple[Note, ...] = ()
    if found is not None and found != before.observed:
        if before.state is State.WATCHED:
            notes = (Note(EventKind.WATCHED_CHANGED, found),)
        elif not track.fits:
            notes = (Note(EventKind.WATCHED_DIFFERS, found),)
    return Step(_enter(track, State.WATCHED, None, moment), notes=notes)


def _agrees(track: Track, state: State, moment: Moment) -> Step:
    track = _with(track, ours=True, open=False)
    if track.state is not State.CONTESTED:
        return Step(_enter(track, state, track.message if track.state is state else None, moment))
    quiet_s = max(QUIET_MIN_S, 2 * (track.every_s or 0.0), 2 * track.pause_s)
    if track.last_drift is not None and moment.mono - track.last_drift < quiet_s:
        return Step(track)
    calm = _with(track, in_row=0, pause_s=0.0, next_write=0.0)
    return Step(_enter(calm, state, None, moment), notes=(Note(EventKind.CONTEST_ENDED),))


def _revert(
    track: Track,
    setting: Setting,
    found: Value | None,
    default: Value | None,
    required: bool,
    poll_interval_s: float,
    moment: Moment,
) -> tuple[Track, tuple[Note, ...]]:
    """Something that was ours is not so any more, seen for the first time: counted, classed, paced."""
    near = track.last_drift is not None and moment.mono - track.last_drift <= IN_A_ROW_S
    goes_on = near or track.state is State.CONTESTED
    track = replace(
        track,
        open=True,
        in_row=track.in_row + 1 if goes_on else 1,
        row_began=track.row_began if goes_on else moment.mono,
        last_drift=moment.mono,
    )
    if setting.readable:
        cause = FACTORY_DEFAULT if found == default else SOMEBODYS_VALUE
    else:
        cause = track.message or "cause not known"
    if track.in_row < CONTEST_AFTER:
        kind = EventKind.DRIFTED if setting.readable else EventKind.LOCK_LOST
        return _enter(track, State.DRIFTED, cause, moment), (Note(kind, found, cause),)
    rhythm_s = round(track.every_s or 0.0, 1)
    message = f"somebody changes it back: {track.in_row} times, about every {rhythm_s:g} s"
    if track.state is State.CONTESTED:
        pause_s = min(PAUSE_MAX_S, 2 * track.pause_s)
        track = replace(track, pause_s=pause_s, next_write=moment.mono + pause_s)
        return _enter(track, State.CONTESTED, message, moment), ()
    then = "required, so written at every look" if required else "from now on written less and less often"
    detail = {"count": track.in_row, "rhythm_s": rhythm_s, "then": then}
    track = replace(track, pause_s=max(poll_interval_s, 0.001))
    return _enter(track, State.CONTESTED, message, moment), (Note(EventKind.CONTESTED, found, cause, detail),)


def took(track: Track, goal: Value, accepted: Value, after: Reading, why: str, moment: Moment) -> Step:
    """The driver took a write: `accepted` is what it made of it, `after` the reading that shows so."""
    readable = not isinstance(after, Unread)
    if not readable:
        note = Note(EventKind.REQUESTED, cause=why)
    else:
        found = None if isinstance(track.observed, Unread) else track.observed
        note = Note(EventKind.PUT_BACK if track.open else EventKind.APPLIED, found)
    notes = () if track.hushed else (note,)
    message = None if accepted == goal else f"the driver rounded {text(goal)} to {text(accepted)}"
    track = replace(
        track,
        accepted=accepted,
        observed=after,
        ours=True,
        open=False,
        put_back=track.put_back + (1 if track.open else 0),
        hushed=False,
    )
    if track.state is State.CONTESTED:
        return Step(track, notes=(note,) if track.in_row == CONTEST_AFTER else ())
    track = replace(track, pause_s=0.0, next_write=0.0)
    return Step(_enter(track, State.HELD if readable else State.REQUESTED, message, moment), notes=notes)


def failed(track: Track, why: str, moment: Moment) -> Step:
    """The driver refused a write, or said yes and did not do it. Tried again after a growing pause."""
    pause_s = min(PAUSE_MAX_S, max(RETRY_FIRST_S, 2 * track.pause_s))
    track = replace(track, pause_s=pause_s, next_write=moment.mono + pause_s)
    return _refuse(track, why, moment)


def hurry(track: Track) -> Track:
    """Somebody asked to apply now: no pause counts."""
    return replace(track, next_write=0.0)


def fresh(track: Track) -> Track:
    """The driver initialised the GPU anew: whatever was counted about rivals belongs to the past."""
    return replace(track, in_row=0, last_drift=None, pause_s=0.0, next_write=0.0)


def forget_lock(track: Track, cause: str, moment: Moment, hushed: bool = False) -> Step:
    """A lock counts as lost because something beside it was; not held against a rival. `hushed`: not said, for what
    was lost beside it is contested, and that was."""
    if track.accepted is None:
        return Step(track)
    track = replace(track, accepted=None, ours=False, open=False, confirmed_at=None, next_write=0.0)
    track = replace(track, hushed=hushed)
    notes = () if hushed else (Note(EventKind.LOCK_LOST, cause=cause),)
    return Step(_enter(track, State.DRIFTED, cause, moment), notes=notes)


def disprove_lock(track: Track, evidence: str) -> Track:
    """A lock was seen broken under load: the next look counts that as a revert."""
    return replace(track, accepted=None, confirmed_at=None, message=evidence)


def confirm_lock(track: Track, moment: Moment) -> Step:
    """A lock was seen to hold under load; said the first time only."""
    first = track.confirmed_at is None
    notes = (Note(EventKind.LOCK_CONFIRMED),) if first else ()
    return Step(replace(track, confirmed_at=moment.wall), notes=notes)


def wait(track: Track, why: str, moment: Moment, reading: Reading | None = None) -> Track:
    """The GPU or the driver is away, or the value was handed back on request and only looked at (`reading`)."""
    track = track if reading is None else _with(track, observed=reading)
    return _enter(track, State.WAITING, why, moment)
