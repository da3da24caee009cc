"""From a wish to the value that a board shall have, or to the reason why it cannot: one function a setting.

A wish never becomes something nearby: a value the board does not offer is refused with the nearest legal one named,
and the other settings go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gpu_tuned.core.ladder import OffLadder, lock_on, nearest_rung
from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    Board,
    ClockLock,
    ComputeMode,
    NumaBalancing,
    PowerLimit,
    Reading,
    Setting,
    Value,
    reading_text,
    text,
    watts,
)
from gpu_tuned.core.wish import Ceiling, Percent, Symbol, Target, Wish


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a wish cannot be met, in words; `nearest` is the closest value that could be."""

    why: str
    nearest: Value | None = None

    def __str__(self) -> str:
        return self.why if self.nearest is None else f"{self.why}; nearest: {text(self.nearest)}"


NO_VALUE = Refusal("it is required, and no rule gives it a value on this GPU")


class Pending(Refusal):
    """Why it is not known yet what a wish means; asked again at every look."""


Goal = Value | Refusal


class Found(NamedTuple):
    """What was there before anything of ours: `original`, the value found at the first look of this driver
    initialisation, and `before`, the highest that a value of ours may leave behind without having raised anything.
    None: not known (yet)."""

    original: Value | None = None
    before: Value | None = None


def original(setting: Setting, found: Found) -> Goal:
    """The goal of a wish for "original"."""
    if not setting.readable:
        return UNLOCKED
    if found.original is None:
        return Pending("what was found at first is not known: it could not be read, or the board does not allow it")
    return found.original


def power_limit(wish: Wish, board: Board, found: Found) -> Goal:
    """The limit in mW that a wish means here: a share is of the board's maximum, a ceiling is that maximum at most.
    Refused outside of what the board allows, and where a shipped file would raise what was found."""
    allowed = board.power
    if allowed is None:
        return Refusal("this board does not report power limits")
    if isinstance(wish.target, Ceiling):
        wanted_mw = min(wish.target.limit.limit_mw, allowed.max_mw)
    else:
        wanted_mw = _power_mw(wish.target, allowed.max_mw, allowed.default_mw)
    if not allowed.min_mw <= wanted_mw <= allowed.max_mw:
        nearest = PowerLimit(min(max(wanted_mw, allowed.min_mw), allowed.max_mw))
        return Refusal(
            f"{watts(wanted_mw)} W is outside this board's {watts(allowed.min_mw)} to {watts(allowed.max_mw)} W",
            nearest,
        )
    before = found.before
    raises = isinstance(before, PowerLimit) and wanted_mw > before.limit_mw
    if wish.origin.shipped and raises and not isinstance(wish.target, Ceiling):
        return Refusal(
            f"{wish.origin.file} would raise the limit from {text(before)} to {watts(wanted_mw)} W; "
            f"only a value in a file of your own may: write {wish.setting.value} = {_as_toml(wish.target)} there",
            before,
        )
    return PowerLimit(wanted_mw)


def _power_mw(target: Target | None, max_mw: int, default_mw: int) -> int:
    if target is Symbol.MAX:
        return max_mw
    if isinstance(target, Percent):
        return round(max_mw * target.percent / 100)
    return target.limit_mw if isinstance(target, PowerLimit) else default_mw


def _as_toml(target: Target | None) -> str:
    if isinstance(target, Symbol):
        return f'"{target.value}"'
    if isinstance(target, Percent):
        return f'"{target.percent:g}%"'
    return f"{watts(target.limit_mw)}" if isinstance(target, PowerLimit) else "..."


def gpu_clock(wish: Wish, board: Board, found: Found) -> Goal:
    """A lock in MHz whose ends are rungs of the board's GPU clocks; refused where none lies inside."""
    return _lock(board.gpu_ladder_mhz, wish)


def memory_clock(wish: Wish, board: Board, found: Found) -> Goal:
    """The same of the memory clocks."""
    return _lock(board.memory_ladder_mhz, wish)


def _lock(ladder_mhz: tuple[int, ...], wish: Wish) -> Goal:
    if not isinstance(wish.target, ClockLock):
        return UNLOCKED
    fitted = lock_on(ladder_mhz, wish.target)
    return Refusal(fitted.why, fitted.nearest) if isinstance(fitted, OffLadder) else fitted.lock


def application_clocks(wish: Wish, board: Board, found: Found) -> Goal:
    """The pair in MHz, or the board's default pair; refused where it is no pair of this board, with the nearest."""
    if not isinstance(wish.target, ApplicationClocks):
        default = board.default_application_clocks
        return default if default is not None else Refusal("this board names no default application clocks")
    wanted = wish.target
    if not board.memory_ladder_mhz:
        return wanted
    memory_mhz = nearest_rung(board.memory_ladder_mhz, wanted.memory_mhz)
    ladder_mhz = board.gpu_ladders_mhz.get(memory_mhz, board.gpu_ladder_mhz)
    gpu_mhz = nearest_rung(ladder_mhz, wanted.gpu_mhz) if ladder_mhz else wanted.gpu_mhz
    nearest = ApplicationClocks(memory_mhz, gpu_mhz)
    if nearest != wanted:
        return Refusal(f"{text(wanted)} is no pair of clocks of this board", nearest)
    return wanted


def compute_mode(wish: Wish, board: Board, found: Found) -> Goal:
    """The mode, and the default one where nothing else is wished; refused with MIG on."""
    if board.mig:
        return Refusal("MIG is on: compute mode belongs to each MIG instance, not to the board")
    return wish.target if isinstance(wish.target, ComputeMode) else ComputeMode.DEFAULT


def persistence_mode(wish: Wish, board: Board, found: Found) -> Goal:
    """On or off."""
    return bool(wish.target)


def numa_balancing(wish: Wish, board: Board, found: Found) -> Goal:
    """The kernel's knob, which the loop resolves from "auto" before it comes here."""
    return wish.target if isinstance(wish.target, NumaBalancing) else Refusal(f"{wish.target} is no value of it")


def satisfies(wish: Wish, wanted: Value, seen: Reading) -> bool:
    """Whether a reading is what was wanted; below a ceiling every limit is."""
    if isinstance(wish.target, Ceiling) and isinstance(wanted, PowerLimit) and isinstance(seen, PowerLimit):
        return seen.limit_mw <= wanted.limit_mw
    if wish.target is NumaBalancing.ON:
        return isinstance(seen, NumaBalancing) and seen is not NumaBalancing.OFF
    return seen == wanted


POWER_STEP_TOLERANCE = 0.02
"""How far below the wanted power limit a read-back one may lie and still count as the driver's rounding.

Drivers round by a board's own step (465 W became 464 W in a public report); no getter tells the step."""
POWER_ABOVE_MW = 1000
"""How far above: what is over a cap by more is no rounding of it, whoever set it."""


def exactly(goal: Value, before: Reading, after: Reading) -> Value | None:
    """What the driver made of `goal`, by the readings before and after the write; None where it did not take it."""
    return goal if after == goal else None


def power_limit_taken(goal: Value, before: Reading, after: Reading) -> Value | None:
    """As `exactly`, or the driver's rounding of it: a reading that moved, and lies as near as rounding can explain.

    A reading that did not move is no acceptance, however near it is: a deaf driver answers the same.
    """
    if after == goal:
        return goal
    return after if isinstance(after, PowerLimit) and after != before and _may_be_rounded(goal, after) else None


def _may_be_rounded(goal: Value, seen: Reading) -> bool:
    """Whether a board's own step may explain the difference."""
    if not isinstance(goal, PowerLimit) or not isinstance(seen, PowerLimit):
        return False
    return goal.limit_mw * (1 - POWER_STEP_TOLERANCE) <= seen.limit_mw <= goal.limit_mw + POWER_ABOVE_MW


def rounding(goal: Value, accepted: Value) -> str | None:
    """What became of a goal that the driver took, for a person; None where nothing did."""
    return None if accepted == goal else f"the driver rounded {text(goal)} to {text(accepted)}"


def not_taken(goal: Value, before: Reading, after: Reading) -> str:
    """Why a write that the driver called a success is none, by the readings before and after."""
    why = f"the driver reported success, but it reads {reading_text(after)}"
    if after == before and _may_be_rounded(goal, after):
        why += f" as before; if this board knows no {text(goal)}, write {reading_text(after).removesuffix(' W')}"
    return why


CLOCK_STEP_TOLERANCE_MHZ = 15
"""The same for application clocks: one rung of a ladder on most boards."""


def application_clocks_taken(goal: Value, before: Reading, after: Reading) -> Value | None:
    """As `power_limit_taken`, by the GPU clock of the pair: memory clocks are few and far apart, and another one is
    no rounding."""
    if after == goal:
        return goal
    if not isinstance(goal, ApplicationClocks) or not isinstance(after, ApplicationClocks) or after == before:
        return None
    near = after.memory_mhz == goal.memory_mhz and abs(after.gpu_mhz - goal.gpu_mhz) <= CLOCK_STEP_TOLERANCE_MHZ
    return after if near else None
