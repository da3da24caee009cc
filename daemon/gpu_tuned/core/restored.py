"""A setting that was put back on request, or was to be: left alone until somebody asks to apply."""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core.drift import lasting, left_of
from gpu_tuned.core.track import Moment, State, Track, enter
from gpu_tuned.core.watched import NOT_LOOKED_AT

TAKES_UP = "`gpu-tunedctl apply` takes it up again"
HANDED_BACK = "restored on request"


def handed_back(track: Track, why: str, moment: Moment) -> Track:
    """Put back on request, and left alone until somebody asks to apply. Nothing of ours is in force any more, so a
    second restore has nothing to undo."""
    original = track.original and track.original.restored()
    return _left_alone(replace(track, original=original, before=None), why, moment)


def not_put_back(track: Track, why: str, moment: Moment) -> Track:
    """It was to be put back on request, and that failed: left alone all the same, and a value of ours may stay."""
    return replace(_left_alone(track, why, moment), left=left_of(track) or track.left)


def doubted(track: Track) -> Track:
    """Somebody asks once more to put back what no call reads: whether it was, nobody knows."""
    if track.restored is None or track.original is None:
        return track
    return replace(track, original=track.original.taken(None))


def _left_alone(track: Track, why: str, moment: Moment) -> Track:
    message = why if track.wish is None else f"{why}; {TAKES_UP}"
    return replace(
        lasting(track, State.RESTORED, message, moment), wish=track.wish, goal=track.goal, restored=message
    )


def taken_up(track: Track, moment: Moment) -> Track:
    """What was handed back is the policy's again."""
    if track.restored is None:
        return track
    return enter(replace(track, restored=None, observed=None), State.WAITING, NOT_LOOKED_AT, moment)
