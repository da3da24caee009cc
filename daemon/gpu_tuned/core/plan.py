"""From a wish to the value that a board shall have, or to the reason why it cannot.

A wish never becomes something nearby: a value the board does not offer is refused with the nearest legal one named,
and the other settings go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    Board,
    ClockLock,
    ComputeMode,
    PowerLimit,
    Reading,
    Setting,
    Unread,
    Value,
    text,
    watts,
)
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.wish import Ceiling, Percent, Symbol, Target, Wish


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a wish cannot be met, in words; `nearest` is the closest value that could be."""

    why: str
    nearest: Value | None = None

    def __str__(self) -> str:
        return self.why if self.nearest is None else f"{self.why}; nearest: {text(self.nearest)}"


Goal = Value | Refusal


def goal_of(wish: Wish, board: Board, found: Reading | None, original: Value | None) -> Goal | None:
    """The value that this wish means on this board.

    `found` is the present reading, `original` the value found before the first write (None: nothing written yet, so
    the present one is it). None: the wish holds no value (it only watches).
    """
    if wish.target is None:
        return None
    if wish.setting in board.absent:
        return Refusal(board.absent[wish.setting])
    before = original if original is not None else (None if isinstance(found, Unread) else found)
    if wish.target is Symbol.ORIGINAL:
        return _original(wish.setting, before)
    return _GOALS[wish.setting](wish, board, before)


def _original(setting: Setting, before: Value | None) -> Goal:
    if not setting.readable:
        return UNLOCKED
    return before if before is not None else Refusal("what was there before is not known: it cannot be read")


def _power(wish: Wish, board: Board, before: Value | None) -> Goal:
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


def nearest_rung(ladder_mhz: tuple[int, ...], wanted_mhz: int) -> int:
    """The clock of a ladder closest to a wanted one, the lower of two equally close."""
    if wanted_mhz in ladder_mhz:  # as in every pass over an unchanged host; a ladder may have 389 rungs
        return wanted_mhz
    return min(ladder_mhz, key=lambda rung_mhz: (abs(rung_mhz - wanted_mhz), rung_mhz))


def _lock(ladder_mhz: tuple[int, ...], wish: Wish) -> Goal:
    if not isinstance(wish.target, ClockLock):
        return UNLOCKED
    lock = wish.target
    if not ladder_mhz:
        return lock
    lowest_mhz = min(ladder_mhz)
    asked = ClockLock(lock.min_mhz or lowest_mhz, lock.max_mhz)
    nearest = ClockLock(nearest_rung(ladder_mhz, asked.min_mhz), nearest_rung(ladder_mhz, asked.max_mhz))
    if nearest != asked:
        off = [str(mhz) for mhz in dict.fromkeys((asked.min_mhz, asked.max_mhz)) if mhz not in ladder_mhz]
        verb = "is no clock" if len(off) == 1 else "are no clocks"
        return Refusal(f"{' and '.join(off)} MHz {verb} of this board", nearest)
    return asked


def _application_clocks(wish: Wish, board: Board, before: Value | None) -> Goal:
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


def _compute_mode(wish: Wish, board: Board, before: Value | None) -> Goal:
    if board.mig:
        return Refusal("MIG is on: compute mode belongs to each MIG instance, not to the board")
    return wish.target if isinstance(wish.target, ComputeMode) else ComputeMode.DEFAULT


def _persistence(wish: Wish, board: Board, before: Value | None) -> Goal:
    return bool(wish.target)


_GOALS: Mapping[Setting, Callable[[Wish, Board, Value | None], Goal]] = {
    Setting.PERSISTENCE_MODE: _persistence,
    Setting.POWER_LIMIT: _power,
    Setting.GPU_CLOCK: lambda wish, board, before: _lock(board.gpu_ladder_mhz, wish),
    Setting.MEMORY_CLOCK: lambda wish, board, before: _lock(board.memory_ladder_mhz, wish),
    Setting.APPLICATION_CLOCKS: _application_clocks,
    Setting.COMPUTE_MODE: _compute_mode,
}


def satisfies(wish: Wish, wanted: Value, seen: Reading) -> bool:
    """Whether a reading is what was wanted; below a ceiling every limit is."""
    if isinstance(wish.target, Ceiling) and isinstance(wanted, PowerLimit) and isinstance(seen, PowerLimit):
        return seen.limit_mw <= wanted.limit_mw
    return seen == wanted


POWER_STEP_TOLERANCE = 0.02
"""How far a read-back power limit may lie from the wanted one and still count as the driver's rounding.

Drivers round by a board's own step (465 W became 464 W in a public report); no getter tells the step."""


def accepted_as(goal: Value, before: Reading, after: Reading) -> Value | None:
    """What the driver made of `goal`, judged by the reading after the write; None where it did not take it.

    A reading that did not move, or that lies further off than rounding can explain, is not acceptance.
    """
    if after == goal:
        return goal
    if isinstance(goal, PowerLimit) and isinstance(after, PowerLimit):
        near = abs(after.limit_mw - goal.limit_mw) <= goal.limit_mw * POWER_STEP_TOLERANCE
        return after if near else None
    if isinstance(goal, ApplicationClocks) and isinstance(after, ApplicationClocks) and after != before:
        return after if abs(after.gpu_mhz - goal.gpu_mhz) <= 15 else None
    return None


def power_goals_mw(policy: Policy, boards: Iterable[Board]) -> dict[str, int]:
    """The power limits that a policy wishes, milliwatts, by a name a person knows the GPU by."""
    limits_mw: dict[str, int] = {}
    for board in boards:
        wish = policy.wishes_for(board.gpu).get(Setting.POWER_LIMIT)
        goal = goal_of(wish, board, None, None) if wish and not wish.watched else None
        if isinstance(goal, PowerLimit):
            limits_mw[f"{board.gpu.name} {board.gpu.pci}"] = goal.limit_mw
    return limits_mw


def budget_refusal(budget_mw: int | None, limits_mw: Mapping[str, int]) -> str | None:
    """Why these limits (GPU name -> milliwatts) exceed the host's budget; None where they do not."""
    total_mw = sum(limits_mw.values())
    if budget_mw is None or total_mw <= budget_mw:
        return None
    parts = " + ".join(f"{watts(mw)} W ({name})" for name, mw in limits_mw.items())
    return f"gpu_power_budget_w = {watts(budget_mw)}: the limits sum up to {watts(total_mw)} W: {parts}"
