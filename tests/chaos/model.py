"""What may be said of a GPU's power limit, whatever happened before: a model that knows the truth, and nothing of how
the daemon works.

The truth is what the board really has, what the policy in force asks for, and what could be seen of it. The model
never says what the daemon *will* do; it says which words would be false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NEVER_IN_ORDER = ("drifted", "contested", "refused", "restored", "absent")


@dataclass(frozen=True)
class Wish:
    """What the policy in force asks of a board's power limit, watts; None: nothing, or, with `original`, what was
    found there at first."""

    watts: int | None
    enforced: bool = True
    ceiling: bool = False
    required: bool = False
    original: bool = False

    def asks(self, truth: Truth) -> bool:
        """Whether it asks for anything."""
        return self.watts is not None or self.original

    def met_on(self, truth: Truth) -> bool:
        """Whether a board has what is asked of it."""
        return truth.watts in truth.originals if self.original else self.met_by(truth.watts)

    def met_by(self, watts: float) -> bool:
        return self.watts is not None and (watts <= self.watts if self.ceiling else watts == self.watts)


@dataclass
class Truth:
    """One board. `watts`: what it has. `seen`: it was really looked at in the last turn. `on_purpose`: somebody let
    go of it or took it from the driver, and no rule asks for it. `originals`: what may be told as found at first."""

    least_w: int
    most_w: int
    watts: float
    seen: bool = False
    on_purpose: bool = False
    readable: bool = True
    originals: set[float] = field(default_factory=set)
    may_be_taken_anew: bool = False

    def initialised_anew(self) -> None:
        """The driver initialised the GPU anew: what is found now is the original."""
        self.originals, self.may_be_taken_anew = set(), False

    def looked_at(self, found_w: float) -> None:
        """A look by the writer. The first one of an initialisation gives the original, and so may the first one of a
        run that does not know it (`may_be_taken_anew`)."""
        if not self.readable or not self.least_w <= found_w <= self.most_w:
            return
        if not self.originals or self.may_be_taken_anew:
            self.originals.add(found_w)
        self.may_be_taken_anew = False


class Untrue(AssertionError):
    """Something was said that is not so."""


def check_row(row: Mapping[str, Any] | None, truth: Truth, wish: Wish, observing: bool) -> None:
    """Hold one row of the power limit against the truth. Raises Untrue."""
    if row is None or not row:
        return
    state, in_order = row["state"], row["in_order"]
    must(in_order or row["message"], "a row that is not in order says why", row)
    must(not (in_order and state in NEVER_IN_ORDER), f"{state} is not in order", row)
    if state == "held":
        must(truth.seen and truth.readable, "held is said of what was read", row)
        must(wish.enforced and not observing, "held is said of what is enforced", row)
        must(wish.met_on(truth), f"held, and the board has {truth.watts} W", row)
        must(row["observed"] == truth.watts, "what was observed is what the board has", row)
    if state == "watched" and in_order and wish.asks(truth) and not wish.original:
        must(truth.seen and truth.readable and wish.met_on(truth), "watched and as wished", row)
    if state == "asleep":
        must(row["observed"] is None, "nothing is read of a GPU that sleeps", row)
    if state == "waiting" and in_order:
        must(truth.on_purpose, "a GPU that waits is in order where somebody wanted it away", row)
    if row["original"] is not None and truth.seen:  # the end of an initialisation may be unseen while it is away
        must(row["original"] in truth.originals, f"originals were {truth.originals}", row)


def check_whole(code: int, waited: int, boards: Sequence[tuple[Truth, bool, Wish]], observing: bool) -> None:
    """Hold the exit codes of `status` and `wait` against the truth of all boards; beside each, whether it sleeps and
    what is asked of it."""
    for truth, asleep, wish in boards:
        if truth.on_purpose or asleep:
            continue
        so = wish.met_on(truth)
        if code == 0:
            must(truth.seen, "in order, and a board was not seen", truth)
            must(not wish.asks(truth) or not wish.enforced or so, "in order, and it is not", truth)
        if waited == 0 and wish.asks(truth) and wish.required and wish.enforced and not observing:
            must(truth.seen and so, "`wait` ended well without a required limit", truth)


def check_writes(
    writes: Sequence[tuple[int, float]], truths: Sequence[Truth], wishes: Sequence[Wish], observing: bool
) -> None:
    """Hold what was written in a turn, (board, watts), against what may be."""
    must(not (writes and observing), "observe mode writes nothing", writes)
    for index, watts in writes:
        truth, wish = truths[index], wishes[index]
        must(truth.least_w <= watts <= truth.most_w, "nothing outside of what the board allows is written", writes)
        wished = wish.enforced and wish.watts is not None and watts == wish.watts
        must(wished or watts in truth.originals, "what is written is wished, or what was found at first", writes)


def must(so: object, what: str, shown: object) -> None:
    if not so:
        raise Untrue(f"{what}: {shown}")
