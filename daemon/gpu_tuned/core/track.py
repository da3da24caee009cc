"""What is known of one setting on one GPU: its state, and everything the state machine (drift.py) goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gpu_tuned.core.events import EventKind
from gpu_tuned.core.model import Reading, Value
from gpu_tuned.core.plan import Goal


class State(str, Enum):
    """What is known of one setting. "held" is said of what was read, "requested" of what cannot be read."""

    HELD = "held"
    REQUESTED = "requested"
    DRIFTED = "drifted"
    CONTESTED = "contested"
    REFUSED = "refused"
    WAITING = "waiting"
    WATCHED = "watched"
    UNMANAGED = "unmanaged"


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on two clocks: `wall` for people (s since the epoch), `mono` for pauses (s)."""

    wall: float
    mono: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something to be said about this setting; the reconciler makes an Event of it."""

    kind: EventKind
    found: Value | None = None
    cause: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Track:
    """What the daemon knows of one setting on one GPU.

    `goal`: the value wished, resolved. `accepted`: what the driver made of it; for a lock what was requested.
    `observed`: the last reading. `ours`: a value of ours was seen in force (or requested) at least once, so that
    another value now is drift and not a first application. `open`: a revert was seen and counted, and is not put
    right yet. `pause_s` and `next_write`: how long the daemon holds back, and until when. `fits`: whether what is
    watched is as wished. `hushed`: this lock is written again because of a contest beside it, which was told. Times
    on `mono`, but `since` and `confirmed_at` on the wall.
    """

    state: State
    since: float
    goal: Goal | None = None
    accepted: Value | None = None
    observed: Reading | None = None
    message: str | None = None
    ours: bool = False
    open: bool = False
    put_back: int = 0
    in_row: int = 0
    row_began: float = 0.0
    last_drift: float | None = None
    pause_s: float = 0.0
    next_write: float = 0.0
    confirmed_at: float | None = None
    fits: bool = True
    hushed: bool = False

    @property
    def every_s(self) -> float | None:
        """The rival's rhythm: mean seconds between the reverts of the present row."""
        if self.in_row < 2 or self.last_drift is None:
            return None
        return (self.last_drift - self.row_began) / (self.in_row - 1)

    @property
    def in_order(self) -> bool:
        if self.state is State.WATCHED:
            return self.fits
        return self.state in (State.HELD, State.REQUESTED, State.UNMANAGED)


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one look: the track as it now is, the value to write (None: nothing), what to say."""

    track: Track
    write: Value | None = None
    notes: tuple[Note, ...] = ()
