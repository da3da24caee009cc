"""What drift.py cannot know of a clock lock, which no call reads: it counts as lost with what was lost beside it, and
the clocks under load say whether it holds."""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core import drift
from gpu_tuned.core.events import EventKind
from gpu_tuned.core.lock_proof import Proof, Verdict
from gpu_tuned.core.model import UNLOCKED
from gpu_tuned.core.track import Moment, Note, State, Step, Track, enter
from gpu_tuned.core.watched import UNREADABLE


def forget(track: Track, cause: str, moment: Moment, *, hushed: bool = False) -> Step:
    """A lock counts as lost because something beside it was; not held against a rival. `hushed`: not said, for what
    was lost beside it is contested, and that was."""
    if track.wish is not None and track.wish.watched:
        # As one that was requested now: what the clocks said before then proves nothing.
        return Step(replace(track, fits=None, message=UNREADABLE, confirmed_at=None, requested_at=moment.mono))
    if track.accepted is None:
        return Step(track)
    hushed = hushed or track.accepted is UNLOCKED  # where no lock was, none is lost
    track = replace(track, accepted=None, ours=False, open=False, confirmed_at=None, next_write=0.0, hushed=hushed)
    notes = () if hushed else (Note(EventKind.LOCK_LOST, cause=cause),)
    return Step(enter(track, State.DRIFTED, cause, moment), notes=notes)


def judge(track: Track, verdict: Verdict, moment: Moment) -> Step:
    """What the clocks under load say of a lock that was requested, or that is watched."""
    if track.state is State.WATCHED:
        return _judge_watched(track, verdict, moment)
    if verdict.proof is Proof.CONFIRMED:  # said the first time only
        notes = (Note(EventKind.LOCK_CONFIRMED),) if track.confirmed_at is None else ()
        return Step(replace(track, confirmed_at=moment.wall, message=None, pause_s=0.0), notes=notes)
    if verdict.proof is Proof.LOST:  # the look that follows counts it as a revert
        return Step(replace(track, accepted=None, confirmed_at=None, message=verdict.evidence))
    if verdict.proof is Proof.NOT_OBEYED:  # as a write that did nothing, tried again less and less often: no rival
        known, lost = bool(track.pause_s), replace(track, accepted=None, ours=False, open=False, confirmed_at=None)
        step = drift.failed(lost, f"requested, and not kept to: {verdict.evidence}", moment, kept=False)
        return Step(replace(step.track, hushed=known), notes=() if known else step.notes)
    if verdict.proof is Proof.SUSPECT:
        notes = () if track.pause_s else (Note(EventKind.LOCK_SUSPECT, cause=verdict.evidence),)
        return Step(_once_more(replace(track, message=verdict.evidence), moment), notes=notes)
    return Step(track)


def _once_more(track: Track, moment: Moment) -> Track:
    """Request a lock again that another may lie below: of two requests the later one counts. A suspicion proves
    nothing, so this is done less and less often, and without another word."""
    if moment.mono - track.requested_at < track.pause_s:
        return track
    pause_s = min(drift.PAUSE_MAX_S, max(drift.RETRY_FIRST_S, 2 * track.pause_s))
    return replace(track, accepted=None, ours=False, pause_s=pause_s, next_write=0.0, hushed=True)


def _judge_watched(track: Track, verdict: Verdict, moment: Moment) -> Step:
    """A lock that is somebody else's to request: the clocks alone can say whether it is in force."""
    if verdict.proof is Proof.CONFIRMED:
        return Step(replace(track, fits=True, message=None, confirmed_at=moment.wall))
    if verdict.proof not in (Proof.LOST, Proof.NOT_OBEYED):
        return Step(track)
    notes = () if track.fits is False else (Note(EventKind.LOCK_SUSPECT, cause=verdict.evidence),)
    return Step(
        replace(track, fits=False, message=f"not in force: {verdict.evidence}", confirmed_at=None), notes=notes
    )
