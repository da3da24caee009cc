"""Everything known of one setting on one GPU. Only drift.py, restored.py, watched.py and lock_drift.py change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple

from gpu_tuned.core.events import EventKind
from gpu_tuned.core.goal import Goal
from gpu_tuned.core.model import Reading, Value
from gpu_tuned.core.originals import Accepted, Original
from gpu_tuned.core.wish import Wish


class State(str, Enum):
    """What is known of one setting. "held" is said of what was read, "requested" of what cannot be read. "absent",
    "asleep" and, for a GPU that was let go of, "waiting" are said of all settings of a GPU that cannot be looked
    at."""

    HELD = "held"
    REQUESTED = "requested"
    DRIFTED = "drifted"
    CONTESTED = "contested"
    REFUSED = "refused"
    WAITING = "waiting"
    RESTORED = "restored"
    ABSENT = "absent"
    ASLEEP = "asleep"
    WATCHED = "watched"
    UNMANAGED = "unmanaged"


class Moment(NamedTuple):
    """One instant on two clocks: `wall` for people (s since the epoch), `mono` for pauses (s)."""

    wall: float
    mono: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something to be said about this setting; the loop makes an Event of it."""

    kind: EventKind
    found: Value | None = None
    cause: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Left:
    """A value of ours whose rule is gone."""

    value: Value


@dataclass(frozen=True, slots=True)
class Track:
    """What the daemon knows of one setting on one GPU.

    What outlives a goal: `original`, what was found at first; `met`, the first reading of this run of the daemon;
    `before`, what the driver accepted last, perhaps in an earlier run; `put_back`, how often something was.

    What belongs to one goal, and begins anew with each: `wish`, as it is carried out here (watched in observe mode),
    and `goal`, what it means on this board; `basis`, what that was worked out from (told apart by identity); `state`
    since `since` (wall), with its `message`; `observed`, the last reading made under this goal; `accepted`, what the
    driver made of the goal, for a lock what was requested at `requested_at` (mono); `ours`, whether a value of ours
    was seen in force (or requested), so that another value now is drift and not a first application; `left`, what of
    that stays though its rule is gone; `restored`, that it was put back on request, and how that went; `fits`,
    whether what is watched is as wished (None: not known).

    A rival: `open`, a revert was seen and counted and is not put right yet, and `cause`, what it is put down to;
    `in_row`, `row_began`, `last_drift`. `pause_s` and `next_write` (mono): how long the daemon holds back, and until
    when. `confirmed_at` (wall): when a lock was seen to hold. `hushed`: a write is not told of, for what it is made
    for was: a contest beside this lock, a suspicion of it, or a refusal in a contest. `refused_as`: the refusal that
    was told last, but for its numbers.
    """

    state: State
    since: float
    message: str | None = None
    original: Original | None = None
    met: Value | None = None
    before: Accepted | None = None
    put_back: int = 0
    wish: Wish | None = None
    goal: Goal | None = None
    basis: tuple[object, ...] | None = None
    observed: Reading | None = None
    accepted: Value | None = None
    requested_at: float = 0.0
    ours: bool = False
    left: Left | None = None
    restored: str | None = None
    fits: bool | None = None
    open: bool = False
    cause: str | None = None
    in_row: int = 0
    row_began: float = 0.0
    last_drift: float | None = None
    pause_s: float = 0.0
    next_write: float = 0.0
    confirmed_at: float | None = None
    hushed: bool = False
    refused_as: str | None = None

    @property
    def every_s(self) -> float | None:
        """The rival's rhythm: mean seconds between the reverts of the present row."""
        if self.in_row < 2 or self.last_drift is None:
            return None
        return (self.last_drift - self.row_began) / (self.in_row - 1)

    @property
    def in_order(self) -> bool:
        if self.state is State.WATCHED:
            return self.fits is True
        return self.state in (State.HELD, State.REQUESTED, State.UNMANAGED)


class Step(NamedTuple):
    """The outcome of one look: the track as it now is, the value to write (None: nothing), what to say."""

    track: Track
    write: Value | None = None
    notes: tuple[Note, ...] = ()


def changed(track: Track, **changes: Any) -> Track:
    """The track with these values; the same object where it has them already, as at almost every look: copying one
    costs ten times as much as comparing."""
    for name, value in changes.items():
        if getattr(track, name) != value:
            return replace(track, **changes)
    return track


def enter(track: Track, state: State, message: str | None, moment: Moment) -> Track:
    """The track in this state, since now if it is a new one; `message` says why it is not in order."""
    since = track.since if track.state is state else moment.wall
    return changed(track, state=state, since=since, message=message)
