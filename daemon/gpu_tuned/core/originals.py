"""What was found at the first look of a driver initialisation, and how one initialisation is told from the next.

An original is never overwritten while its initialisation lasts: a value that a stranger sets later is none. It goes
when the initialisation ends, for then the driver's own defaults are what is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from gpu_tuned.core.model import NO_GETTER, UNLOCKED, Board, PowerLimit, Seen, Setting, Unread, Value
from gpu_tuned.core.settings import factory_default

NOT_BOUND = "not bound"
"""The `binding` of a device that was seen without one."""

COUNTERS_THAT_TELL = 2
"""How many throttle counters must run backwards before a new initialisation is believed. One alone was seen to do so
by a driver's own fault, and an original that is dropped is lost for good."""


class Ours(Enum):
    """Whether a value of ours replaced an original. NEVER: no write was asked for, or a restore put the original
    back. ASKED: one was asked for, and what came of it is not known yet. REFUSED: none was ever taken. PERHAPS: one
    was taken, or nobody can say that none was; a write that is refused later changes nothing of that."""

    NEVER = "never"
    ASKED = "asked"
    REFUSED = "refused"
    PERHAPS = "perhaps"


@dataclass(frozen=True, slots=True)
class Original:
    """What one setting was at first. `assumed`: a clock lock's, which no call can read. `late`: the first look could
    not read it, this is the first reading that could. `put`: the value of ours that was taken last, None where that
    is not known."""

    value: Value
    assumed: bool = False
    late: bool = False
    ours: Ours = Ours.NEVER
    put: Value | None = None

    @property
    def written(self) -> bool:
        """A write of ours may have replaced it, so `restore` puts it back."""
        return self.ours in (Ours.ASKED, Ours.PERHAPS)

    def asked(self) -> Original:
        """A write of ours comes next."""
        return self if self.written else replace(self, ours=Ours.ASKED)

    def taken(self, put: Value | None) -> Original:
        """A write of ours was taken; `put` None: it may have been."""
        return replace(self, ours=Ours.PERHAPS, put=put)

    def refused(self) -> Original:
        """A write of ours was refused, and what was there before is there still."""
        return replace(self, ours=Ours.REFUSED) if self.ours is Ours.ASKED else self

    def came(self, found: Value | None, goal: Value) -> Original:
        """The `goal` is in force although a write of it was refused: it may have been taken all the same."""
        late = self.ours is Ours.REFUSED and found == goal != self.value
        return self.taken(goal) if late else self

    def restored(self) -> Original:
        """It is in force again."""
        return replace(self, ours=Ours.NEVER, put=None)

    def lowered_since(self, found: Value | None) -> bool:
        """Whether `found` is a lower limit than this one, and none that we put there: somebody's decision, which must
        not be raised."""
        if not isinstance(found, PowerLimit) or not isinstance(self.value, PowerLimit):
            return False
        return self.put is not None and found != self.put and found.limit_mw < self.value.limit_mw


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the driver made of a goal, and the rule that it stood in; `rule` is the wish's origin as text, "" once
    another rule or mode came between: then it is not believed to be in force, and tells only how a board rounds."""

    goal: Value
    rule: str
    value: Value


@dataclass(frozen=True, slots=True)
class Initialisation:
    """How one driver initialisation of a GPU is told from the next.

    `binding`: the kernel's token of the device bound to the driver, which changes with a reload or rebind; None where
    it was not seen. `counters_ns`: the driver's throttle counters, which only grow within one.
    """

    binding: str | None = None
    counters_ns: Mapping[int, int] = field(default_factory=dict)

    def with_counters(self, counters_ns: Mapping[int, int] | None) -> Initialisation:
        """With the counters of a look, of which some come more rarely."""
        if not counters_ns:
            return self
        return Initialisation(self.binding, {**self.counters_ns, **counters_ns})

    def lasts(self, later: Initialisation) -> bool:
        """Whether a later state of it says nothing else than that counters grew."""
        if self.counters_ns is later.counters_ns:
            return self.binding == later.binding
        return self.binding == later.binding and not _ran_back(self.counters_ns, later.counters_ns)

    def bound(self, binding: str | None) -> Initialisation:
        """With what is known of the binding by now."""
        return self if binding is None or binding == self.binding else Initialisation(binding, self.counters_ns)


def found_at(board: Board, seen: Seen, *, late: bool) -> dict[Setting, Original]:
    """The originals that one look gives, of every setting that could ever be written. One outside of what the board
    allows is none: it could not be put back."""
    originals: dict[Setting, Original] = {}
    for setting, reading in seen.readings.items():
        if reading is NO_GETTER:
            originals[setting] = Original(UNLOCKED, assumed=True)
        elif not isinstance(reading, Unread) and allowed(board, reading):
            originals[setting] = Original(reading, late=late)
    return originals


def allowed(board: Board, value: Value) -> bool:
    """Whether a value lies within the board's constraints, as far as it names any."""
    if isinstance(value, PowerLimit) and board.power is not None:
        return board.power.min_mw <= value.limit_mw <= board.power.max_mw
    return True


def why_new(known: Initialisation, seen: Seen) -> str | None:
    """Why this GPU is in another driver initialisation than the known one, although the driver's library was open
    all along; None: nothing says so. We are a client of the GPU then, so the last one cannot have left, and values
    back at their defaults were reset by hand."""
    back = _ran_back(known.counters_ns, seen.counters_ns or {})
    return "the driver's counters started again" if back >= COUNTERS_THAT_TELL else None


def why_new_since(
    known: Initialisation, written: Mapping[Setting, Value], board: Board, seen: Seen, binding: str | None
) -> str | None:
    """The same after a time in which nobody looked. `written`: what the driver accepted of ours in the known one."""
    if known.binding is not None and binding is not None and known.binding != binding:
        return "the device was bound to the driver anew"
    persists = seen.readings.get(Setting.PERSISTENCE_MODE) is True
    back = _ran_back(known.counters_ns, seen.counters_ns or {})
    if (back or not persists) and _all_back_at_default(written, board, seen):
        # With persistence on and no other sign the initialisation lives on, and somebody reset the values by hand.
        return "everything written was back at its default"
    return why_new(known, seen)


def _ran_back(before_ns: Mapping[int, int], now_ns: Mapping[int, int]) -> int:
    return sum(now_ns[counter] < value for counter, value in before_ns.items() if counter in now_ns)


def _all_back_at_default(written: Mapping[Setting, Value], board: Board, seen: Seen) -> bool:
    """Everything of ours gone at once is what the last client's leaving does; a value that is not the default, be it
    ours or not, shows that it was no such thing, and one that cannot be read just now could be such a value.
    Persistence mode says nothing here: a service turns it on again."""
    telling = [s for s, value in written.items() if s.readable and value != factory_default(board, s)]
    if not telling or any(seen.readings.get(s) != factory_default(board, s) for s in telling):
        return False
    return all(
        reading is NO_GETTER or setting in board.absent or factory_default(board, setting) in (None, reading)
        for setting, reading in seen.readings.items()
        if setting is not Setting.PERSISTENCE_MODE
    )
