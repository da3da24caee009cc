"""Everything known of one GPU, as one value.

The loop holds these values and hands them out to be read; they change in core/transitions/ alone. A GPU is here, or
it is away for a reason, and what its settings are while it is away follows from that reason alone (core/status.py):
there is nothing that could be forgotten to be updated. The host's own settings are held the same way, as a device
without a driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from gpu_tuned.core.model import (
    NO_INDEX,
    Board,
    Gpu,
    Setting,
    Telemetry,
    Value,
)
from gpu_tuned.core.originals import Initialisation, Original
from gpu_tuned.core.track import Moment, Note, Track

HOST = Gpu("", "", "host")
NEVER = Moment(0.0, 0.0)


class Presence(str, Enum):
    """Whether a GPU can be looked at. LOST: it was here and answers no more.
    ABSENT: the driver counts it, the kernel binds it, or this boot has seen it, and the driver does not describe it.
    UNBOUND: taken from the driver on purpose. RELEASED: let go of on request. WAITING: the driver as a whole is away.
    """

    HERE = "ok"
    ASLEEP = "asleep"
    LOST = "lost"
    ABSENT = "absent"
    UNBOUND = "unbound"
    RELEASED = "released"
    WAITING = "waiting"

    @property
    def word(self) -> str:
        """What people are told, in the status document as in the journal."""
        return "waiting" if self is Presence.UNBOUND else self.value


ON_PURPOSE = (Presence.ASLEEP, Presence.UNBOUND, Presence.RELEASED)
"""In order, for somebody wanted it so; unless the policy names this GPU, or says how many there must be."""


class PutBack(NamedTuple):
    """The last thing of this GPU that was put right. `at`: wall clock, seconds; `mono`: the same instant where no
    clock jumps."""

    at: float
    mono: float
    setting: Setting
    found: Value | None
    cause: str | None


@dataclass(frozen=True, slots=True)
class GpuState:
    """`board` None: never described in this run. `why` and `since` (wall) belong to `presence`. `named`: a rule names
    this very GPU, so it must be here. `restricted`: why nothing is written but required limits that lower. `looked`:
    when it was last looked at. `last_xid`: number, and when (wall)."""

    gpu: Gpu
    board: Board | None = None
    presence: Presence = Presence.ABSENT
    why: str | None = None
    since: float = 0.0
    named: bool = False
    restricted: str | None = None
    initialisation: Initialisation = field(default_factory=Initialisation)
    tracks: Mapping[Setting, Track] = field(default_factory=dict)
    telemetry: Telemetry = field(default_factory=Telemetry)
    looked: Moment = NEVER
    last_put_back: PutBack | None = None
    last_xid: tuple[int, float] | None = None

    @property
    def here(self) -> bool:
        return self.presence is Presence.HERE

    @property
    def index(self) -> int | None:
        """What the driver counts it as; None where it does not list it."""
        return None if self.board is None or self.board.index == NO_INDEX else self.board.index

    @property
    def title(self) -> str:
        return self.gpu.title

    @property
    def put_back(self) -> int:
        return sum(track.put_back for track in self.tracks.values())

    def original(self, setting: Setting) -> Original | None:
        track = self.tracks.get(setting)
        return track.original if track else None

    @property
    def may_forget(self) -> bool:
        """Whether its settings may go when nobody has it open any more: persistence mode is not known to be on."""
        track = self.tracks.get(Setting.PERSISTENCE_MODE)
        return self.here and (track is None or track.observed is not True)

    @property
    def has_ours(self) -> bool:
        """Whether something of ours may be in force."""
        return any(track.original is not None and track.original.written for track in self.tracks.values())

    def written(self) -> dict[Setting, Value]:
        """What the driver accepted of ours in this initialisation, and nobody asked to have restored."""
        originals = {setting: track.original for setting, track in self.tracks.items()}
        return {s: o.put for s, o in originals.items() if o is not None and o.written and o.put is not None}

    def wall_of(self, mono_s: float) -> float:
        """A monotonic instant on the wall clock, by the last look."""
        return self.looked.wall - (self.looked.mono - mono_s)


class Said(NamedTuple):
    """Something to tell of a GPU, or of one of its settings."""

    note: Note
    setting: Setting | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A state as it now is, what must be written to the driver, in that order, and what is to be told."""

    state: GpuState
    writes: Mapping[Setting, Value] = field(default_factory=dict)
    said: tuple[Said, ...] = ()
