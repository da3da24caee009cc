"""The state machine of one setting. What it goes by is track.py's; what the clocks add for a lock is lock_drift.py's.

    any ──the goal changes in any way──> waiting, and nothing accepted or counted before is believed
    waiting ──equal──> held          waiting ──differs──> write ──> held | requested | refused
    held ──differs──> drifted ──write──> held          three times in a row ──> contested
    contested ──written with growing pauses; quiet for long enough──> held
    requested ──counts as lost──> drifted ──write──> requested        (clock locks: no getter)
    any ──goal refused, or the driver says no──> refused       any ──cannot be read──> waiting
    any ──put back on request──> restored ──apply──> waiting
    any ──rule says watch──> watched              any ──no rule speaks of it──> unmanaged

Pure: the moment is passed in, what shall be written is handed back, what shall be said is handed back as notes.
"""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core.contest import CONTEST_AFTER, once_more, quiet
from gpu_tuned.core.events import EventKind
from gpu_tuned.core.goal import Goal, Pending, Refusal, rounding, satisfies
from gpu_tuned.core.model import Reading, Setting, Unread, Value, text
from gpu_tuned.core.originals import Accepted
from gpu_tuned.core.track import Left, Moment, Note, State, Step, Track, changed, enter
from gpu_tuned.core.watched import NOT_LOOKED_AT, watched
from gpu_tuned.core.wish import Wish

PAUSE_MAX_S = 600.0
"""The longest pause between two writes of a contested or refused setting."""
RETRY_FIRST_S = 30.0
"""The first pause before a write that the driver refused is tried again."""

NO_DIGITS = dict.fromkeys(map(ord, "0123456789."))
FACTORY_DEFAULT = "back at the factory default (a driver reload, a reset, or somebody's own reset)"
HELD_BACK = "the last write failed; tried again after a pause"
EVERY_LOOK = "tried again at every look"
SOMEBODYS_VALUE = "somebody's value"
LEFT = "no rule speaks of it any more; the value stays"
LEFT_UNREAD = "no rule speaks of it any more; it was requested, and not taken back"


def new_track(moment: Moment) -> Track:
    """A setting of which nothing is known yet."""
    return Track(State.WAITING, moment.wall, NOT_LOOKED_AT)


def aim(track: Track, wish: Wish | None, goal: Goal | None, moment: Moment) -> Track:
    """Give the setting its wish and what that means here. A goal that changes in any way (value, rule, watched or
    not, required) begins the setting's life anew: what is known of it by then was true of another goal."""
    if goal == track.goal and _same(track.wish, wish):
        return changed(track, wish=wish)
    lasts = lasting(track, State.WAITING, NOT_LOOKED_AT, moment)
    # Also under a rule that only watches it, or whose value is refused: it stays, and is told once no rule is left.
    lasts = replace(lasts, left=left_of(track) or track.left)
    if wish is None:
        return lasts
    # What was put back on request stays so where only the board is another, as with MIG: nobody asked to apply.
    restored = track.restored if _same(track.wish, wish) else None
    lasts = replace(lasts, wish=wish, goal=goal, restored=restored)
    before = track.before
    known = goal is not None and not isinstance(goal, Pending)  # its board is, and what was found there
    if before is None or (known and before.goal != goal):
        return replace(lasts, before=None)
    if wish.watched or before.rule != str(wish.origin):
        return replace(lasts, before=replace(before, rule=""))
    # What a driver made of this very goal, in an earlier run or before the GPU went away; of a lock nobody knows.
    return replace(lasts, accepted=before.value) if known and wish.setting.readable else lasts


def lasting(track: Track, state: State, message: str, moment: Moment) -> Track:
    """What outlives a goal, in a new state."""
    lasts = track.original, track.met, track.before, track.put_back
    return Track(state, moment.wall, message, *lasts)


def left_of(track: Track) -> Left | None:
    """What of ours was seen in force, or requested."""
    value = track.goal if track.accepted is None else track.accepted
    return Left(value) if track.ours and value is not None and not isinstance(value, Refusal) else None


def _same(one: Wish | None, other: Wish | None) -> bool:
    """Whether two wishes are the same but for the words that explain them."""
    if one is other or one is None or other is None:
        return one is other
    return one == other or replace(one, reason=other.reason) == other


def rests(track: Track, reading: Reading | None) -> bool:
    """Whether a look with this reading would change nothing, write nothing and tell nothing: as nearly always."""
    if track.open or track.restored is not None or track.observed is None:
        return False
    if track.state is State.REQUESTED:
        if not track.ours or track.accepted != track.goal:
            return False
    elif track.state is not State.HELD and track.state is not State.UNMANAGED:
        return False
    return reading is None or reading == track.observed


def look(
    track: Track, reading: Reading | None, default: Value | None, poll_interval_s: float, moment: Moment
) -> Step:
    """Hold one reading against the wish. `reading` None: not read in this pass, so the last one still stands."""
    seen = track.observed if reading is None else reading
    found = None if isinstance(seen, Unread) else seen
    before, track = track, changed(track, observed=seen)
    if track.met is None and found is not None:
        track = replace(track, met=found)
    wish, goal = track.wish, track.goal
    if wish is None:
        return _unmanaged(track, found, moment)
    if track.restored is not None:
        return Step(enter(track, State.RESTORED, track.restored, moment))
    if isinstance(goal, Pending):
        return Step(enter(track, State.WAITING, str(goal), moment))
    if isinstance(goal, Refusal):
        return _refuse(track, str(goal), moment)
    if wish.watched:
        return watched(track, wish, before, found, moment)
    if seen is None or goal is None:
        return Step(enter(track, State.WAITING, NOT_LOOKED_AT, moment))
    readable = wish.setting.readable
    if readable and isinstance(seen, Unread):
        return Step(enter(track, State.WAITING, f"cannot be read: {seen.why}", moment))
    wanted = goal if track.accepted is None else track.accepted
    if satisfies(wish, wanted, seen) if readable else track.accepted == goal:
        track = changed(track, original=track.original and track.original.came(found, goal))
        return _agrees(track, State.HELD if readable else State.REQUESTED, moment)
    notes: tuple[Note, ...] = ()
    if track.ours and not track.open:
        track, notes = _revert(track, wish, found, default, poll_interval_s, moment)
    due = wish.required or moment.mono >= track.next_write
    if not notes and track.state in (State.HELD, State.REQUESTED, State.WAITING):
        track = _not_yet(track, moment, due=due)
    return Step(track, goal if due else None, notes)


def _not_yet(track: Track, moment: Moment, *, due: bool) -> Track:
    """Known to differ, and not put right so far: what it was called meanwhile (it could not be read) is over."""
    if track.open:
        return enter(track, State.CONTESTED if _in_contest(track) else State.DRIFTED, track.cause, moment)
    return enter(track, State.WAITING, "to be written" if due else HELD_BACK, moment)


def _in_contest(track: Track) -> bool:
    """Whether somebody keeps changing it, whatever came between: that it could not be read, or written."""
    return track.state is State.CONTESTED or track.in_row >= CONTEST_AFTER


def _rounded(track: Track) -> str | None:
    """What the driver had made of this very goal before."""
    goal, accepted = track.goal, track.accepted
    return None if goal is None or isinstance(goal, Refusal) or accepted is None else rounding(goal, accepted)


def _unmanaged(track: Track, found: Value | None, moment: Moment) -> Step:
    left = track.left
    if left is None or found not in (None, left.value):  # somebody set another since, so nothing of ours stays
        return Step(enter(changed(track, left=None), State.UNMANAGED, track.restored, moment))
    detail = {"found": f"{text(left.value)}, as far as is known"} if found is None else {}
    notes = (Note(EventKind.UNMANAGED, found, detail=detail),) if track.state is not State.UNMANAGED else ()
    return Step(enter(track, State.UNMANAGED, LEFT_UNREAD if found is None else LEFT, moment), notes=notes)


def _refuse(track: Track, why: str, moment: Moment) -> Step:
    # A required setting is tried at every look, and what the driver says of it may have another number each time.
    words = _but_for_numbers(why)
    said = words == track.refused_as and (track.state is State.REFUSED or _in_contest(track))
    # What is put right between two refusals of a contest is no more news than they are.
    track = changed(track, refused_as=words, hushed=said and _in_contest(track))
    return Step(enter(track, State.REFUSED, why, moment), notes=() if said else (Note(EventKind.REFUSED, None, why),))


def _but_for_numbers(words: str) -> str:
    return words.translate(NO_DIGITS)


def _agrees(track: Track, state: State, moment: Moment) -> Step:
    track = changed(track, ours=True, open=False)
    if not _in_contest(track):
        # A pause ends with the failure that it was for: what is as wished now has cured it.
        # Of a lock only the clocks can say so.
        calm = changed(track, pause_s=0.0, next_write=0.0) if state is State.HELD else track
        return Step(enter(calm, state, track.message if track.state is state else _rounded(track), moment))
    if not quiet(track, moment, max(2 * (track.every_s or 0.0), 2 * track.pause_s)):
        return Step(track if track.state is State.CONTESTED else enter(track, State.CONTESTED, track.cause, moment))
    calm = changed(track, in_row=0, pause_s=0.0, next_write=0.0)
    return Step(enter(calm, state, None, moment), notes=(Note(EventKind.CONTEST_ENDED),))


def _revert(  # noqa: PLR0913 - a part of `look`, which knows all of this
    track: Track, wish: Wish, found: Value | None, default: Value | None, poll_interval_s: float, moment: Moment
) -> tuple[Track, tuple[Note, ...]]:
    """Something that was ours is not so any more, seen for the first time: counted, classed, paced."""
    track = replace(once_more(track, moment), open=True)
    readable = wish.setting.readable
    if readable:
        cause = FACTORY_DEFAULT if found == default else SOMEBODYS_VALUE
    else:
        cause = track.message or "cause not known"
    if track.in_row < CONTEST_AFTER:
        kind = EventKind.DRIFTED if readable else EventKind.LOCK_LOST
        track = replace(track, cause=cause)
        return enter(track, State.DRIFTED, cause, moment), (Note(kind, found, cause),)
    rhythm_s = round(track.every_s or 0.0, 1)
    message = f"somebody changes it back: {track.in_row} times, about every {rhythm_s:g} s"
    track = replace(track, cause=message)
    if track.state is State.CONTESTED:
        pause_s = min(PAUSE_MAX_S, 2 * track.pause_s)
        track = replace(track, pause_s=pause_s, next_write=moment.mono + pause_s)
        return enter(track, State.CONTESTED, message, moment), ()
    then = "required, so written at every look" if wish.required else "from now on written less and less often"
    detail = {"count": track.in_row, "rhythm_s": rhythm_s, "then": then}
    track = replace(track, pause_s=max(poll_interval_s, 0.001))
    return enter(track, State.CONTESTED, message, moment), (Note(EventKind.CONTESTED, found, cause, detail),)


def about_to_write(track: Track) -> Track:
    """From here on a value of ours may be in force, so there is something to restore."""
    return replace(track, original=track.original and track.original.asked())


def took(track: Track, accepted: Value, after: Reading, why: str, moment: Moment) -> Step:
    """The driver took a write: `accepted` is what it made of the goal, `after` the reading that shows so."""
    goal = None if track.goal is None or isinstance(track.goal, Refusal) else track.goal
    readable = not isinstance(after, Unread)
    if not readable:
        note = Note(EventKind.REQUESTED, cause=why)
    else:
        found = None if isinstance(track.observed, Unread) else track.observed
        same = goal is None or goal == accepted
        detail = {} if same else {"wanted": f"{text(goal)} (the driver has {text(accepted)})"}
        note = Note(EventKind.PUT_BACK if track.open else EventKind.APPLIED, found, detail=detail)
    notes = () if track.hushed else (note,)
    original = track.original and track.original.taken(accepted)
    rule = str(track.wish.origin) if track.wish else ""
    track = replace(
        track,
        accepted=accepted,
        before=None if goal is None else Accepted(goal, rule, accepted),
        original=original,
        observed=after,
        requested_at=moment.mono,
        confirmed_at=None,
        ours=True,
        open=False,
        put_back=track.put_back + (1 if track.open else 0),
        hushed=False,
    )
    if _in_contest(track):
        told = (track.state is not State.CONTESTED and notes) or track.in_row == CONTEST_AFTER
        return Step(enter(track, State.CONTESTED, track.cause, moment), notes=(note,) if told else ())
    track = replace(track, pause_s=0.0 if readable else track.pause_s, next_write=0.0)
    return Step(enter(track, State.HELD if readable else State.REQUESTED, _rounded(track), moment), notes=notes)


def failed(track: Track, why: str, moment: Moment, *, kept: bool) -> Step:
    """The driver refused a write, or said yes and did not do it. Tried again after a growing pause. `kept`: it is
    sure that what was there before is there still."""
    pause_s = min(PAUSE_MAX_S, max(RETRY_FIRST_S, 2 * track.pause_s))
    original = track.original
    if original is not None:
        original = original.refused() if kept else original.taken(None)
    required = track.wish is not None and track.wish.required
    again = EVERY_LOOK if required else f"tried again after {pause_s:g} s"
    track = replace(track, original=original, pause_s=pause_s, next_write=moment.mono + pause_s)
    return _refuse(track, f"{why}; {again}", moment)


def hurried(track: Track) -> Track:
    """No pause counts."""
    return changed(track, next_write=0.0)


def stepped(track: Track, by_s: float) -> Track:
    """The wall clock was set, by so much."""
    confirmed_at = None if track.confirmed_at is None else track.confirmed_at + by_s
    return replace(track, since=track.since + by_s, confirmed_at=confirmed_at)


def fresh(track: Track, moment: Moment) -> Track:
    """The GPU was away, or the driver initialised it anew: whatever was counted about rivals belongs to the past, and
    what was read before to another time."""
    track = replace(track, open=False, in_row=0, last_drift=None, pause_s=0.0, next_write=0.0, observed=None)
    return enter(track, State.WAITING, NOT_LOOKED_AT, moment) if track.wish is not None else track


def silent(setting: Setting, track: Track) -> bool:
    """Whether nothing is to be said of it: a lock that no rule speaks of and nobody left behind."""
    return not setting.readable and track.wish is None and track.left is None
