"""One row a setting: everything that is known of it beside its key (model.Setting) and its way into the driver
(adapters/nvml/settings.py). A new setting is a key, a row here, a row there, and its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gpu_tuned.core import goal as goals
from gpu_tuned.core.goal import Found, Goal, Pending, Refusal
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
    watts,
)
from gpu_tuned.core.policy import values as policy_values
from gpu_tuned.core.policy.words import Reader
from gpu_tuned.core.wish import Elsewhere, Symbol, Wish


class Row(NamedTuple):
    """`decode`: a value from its JSON; may raise KeyError, TypeError, ValueError, OverflowError. `read_toml`: a wish
    from a policy file. `factory_default`: what a fresh driver initialisation gives, None where that is not known.
    `goal`: what a wish means on a board. `taken`: what the driver made of a goal, by the readings before and after.
    `allowed`: what a board takes as JSON, a range in the unit of the key or the words; None where it does not tell.
    `costs`: what it costs whoever declares it, for a person, "" for nothing that was seen; `costs_page`: where that
    is told, and from where it is known."""

    decode: Callable[[Any], Value]
    read_toml: Reader
    factory_default: Callable[[Board], Value | None]
    goal: Callable[[Wish, Board, Found], Goal]
    taken: Callable[[Value, Reading, Reading], Value | None] = goals.exactly
    allowed: Callable[[Board], Any] = lambda board: None
    costs: str = ""
    costs_page: str = ""


def _switch(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise TypeError
    return raw


def _watts(raw: Any) -> PowerLimit:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise TypeError
    return PowerLimit(round(raw * 1000))


def _lock(raw: Any) -> Value:
    return UNLOCKED if raw == UNLOCKED.value else ClockLock(int(raw["min"]), int(raw["max"]))


def _watts_allowed(board: Board) -> dict[str, int | float] | None:
    return {"min": watts(board.power.min_mw), "max": watts(board.power.max_mw)} if board.power else None


def _ends(ladder_mhz: tuple[int, ...]) -> dict[str, int] | None:
    return {"min": min(ladder_mhz), "max": max(ladder_mhz)} if ladder_mhz else None


ROWS: Mapping[Setting, Row] = {
    Setting.PERSISTENCE_MODE: Row(
        _switch,
        policy_values.switch,
        lambda board: False,
        goals.persistence_mode,
        allowed=lambda board: [False, True],
        costs="some watts at idle",
        costs_page="docs/advice/settings-forgotten.md",
    ),
    Setting.POWER_LIMIT: Row(
        _watts,
        policy_values.power_limit,
        lambda board: PowerLimit(board.power.default_mw) if board.power else None,
        goals.power_limit,
        goals.power_limit_taken,
        _watts_allowed,
        costs="speed, where the work would draw more",
        costs_page="docs/advice/cap-not-reached.md",
    ),
    Setting.GPU_CLOCK: Row(
        _lock,
        policy_values.clock_lock,
        lambda board: UNLOCKED,
        goals.gpu_clock,
        allowed=lambda board: _ends(board.gpu_ladder_mhz),
        costs="a maximum: boost; a minimum: watts at idle",
        costs_page="docs/advice/lock-below-boost.md",
    ),
    Setting.MEMORY_CLOCK: Row(
        _lock,
        policy_values.clock_lock,
        lambda board: UNLOCKED,
        goals.memory_clock,
        allowed=lambda board: _ends(board.memory_ladder_mhz),
        costs="a finite maximum: other clock domains on some boards",
        costs_page="docs/advice/memory-lock.md",
    ),
    Setting.APPLICATION_CLOCKS: Row(
        lambda raw: ApplicationClocks(int(raw["memory"]), int(raw["gpu"])),
        policy_values.application_clocks,
        lambda board: board.default_application_clocks,
        goals.application_clocks,
        goals.application_clocks_taken,
        costs="1.2 ms of driver time a reading",
        costs_page="docs/advice/application-clocks.md",
    ),
    Setting.COMPUTE_MODE: Row(
        ComputeMode,
        policy_values.compute_mode,
        lambda board: ComputeMode.DEFAULT,
        goals.compute_mode,
        allowed=lambda board: [mode.value for mode in ComputeMode],
        costs_page="docs/advice/exclusive-process.md",
    ),
    Setting.NUMA_BALANCING: Row(
        NumaBalancing, policy_values.numa_balancing, lambda board: None, goals.numa_balancing
    ),
}


def from_wire(setting: Setting, raw: Any) -> Value:
    """The inverse of `model.wire` for one setting. Raises ValueError for anything `wire` never wrote."""
    try:
        return ROWS[setting].decode(raw)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{raw!r} is no value of {setting.value}") from error


def factory_default(board: Board, setting: Setting) -> Value | None:
    """What a fresh driver initialisation gives this setting, None where that is not known."""
    return ROWS[setting].factory_default(board)


def goal_of(wish: Wish, board: Board, found: Found) -> Goal | None:
    """The value that this wish means on this board, or why it cannot be. None: the wish holds no value (it only
    watches)."""
    if wish.target is None:
        return None if wish.watched else goals.NO_VALUE
    if wish.setting in board.unknown:
        return Pending(board.unknown[wish.setting])
    if wish.setting in board.absent:
        return Refusal(board.absent[wish.setting])
    if wish.target is Elsewhere.ORIGINAL:
        return Pending("what was found at first is not known here: the daemon that writes knows it alone")
    if wish.target is Symbol.ORIGINAL:
        return goals.original(wish.setting, found)
    return ROWS[wish.setting].goal(wish, board, found)
