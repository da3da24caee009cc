"""A setting that is watched and never written: somebody else's, or any in observe mode."""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core.contest import CONTEST_AFTER, once_more, quiet
from gpu_tuned.core.events import EventKind
from gpu_tuned.core.goal import NO_VALUE, Refusal, satisfies
from gpu_tuned.core.model import Unread, Value, text
from gpu_tuned.core.track import Moment, Note, State, Step, Track, changed, enter
from gpu_tuned.core.wish import Wish, target_text

GOES_ON = "; it goes on changing, and is told of again when it stays"
NOT_LOOKED_AT = "not looked at yet"
UNREADABLE = "not known: no driver call can read it, and the clocks under load have not shown it"


def watched(track: Track, wish: Wish, before: Track, found: Value | None, moment: Moment) -> Step:
    """Somebody else's setting, or observe mode: told when it differs and when it changes, never written. What goes on
    changing is told of once more when it stays."""
    fits, message = _fits(track, wish, before)
    track, words = enter(changed(track, fits=fits), State.WATCHED, message, moment), None
    if found is not None and found != before.observed:
        if before.state is not State.WATCHED or before.observed is None:
            return Step(track, notes=(Note(EventKind.WATCHED_DIFFERS, found),) if fits is False else ())
        track = once_more(track, moment)
        words = {CONTEST_AFTER: GOES_ON}.get(track.in_row, "" if track.in_row < CONTEST_AFTER else None)
    elif track.in_row >= CONTEST_AFTER and quiet(track, moment, 2 * (track.every_s or 0.0)):
        track, words = replace(track, in_row=0), "; it stays now"
    notes = () if words is None else (Note(EventKind.WATCHED_CHANGED, found, detail={"times": words}),)
    return Step(track, notes=notes)


def _fits(track: Track, wish: Wish, before: Track) -> tuple[bool | None, str | None]:
    """Whether what is watched is as wished (None: not known), and why not."""
    seen, goal = track.observed, track.goal
    if wish.target is None and wish.required:
        return False, str(NO_VALUE)
    if wish.target is None:  # nothing is wished of it: it is reported, whatever it is
        return True, f"cannot be read: {seen.why}" if isinstance(seen, Unread) and wish.setting.readable else None
    if goal is None or isinstance(goal, Refusal):
        return None, NOT_LOOKED_AT
    if not wish.setting.readable:
        told = before.state is State.WATCHED and before.goal == goal and before.wish == wish
        return (before.fits, before.message) if told else (None, UNREADABLE)
    if seen is None:
        return None, NOT_LOOKED_AT
    if isinstance(seen, Unread):
        return None, f"cannot be read: {seen.why}"
    if satisfies(wish, goal, seen):
        return True, None
    return False, f"{text(seen)} found, {target_text(wish.target)} wished; watched, not written"
