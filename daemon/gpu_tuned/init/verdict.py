"""What one value means on one board, and whether the board speaks for it: pure judgement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_tuned.core.goal import Found, Refusal
from gpu_tuned.core.model import (
    LOCKS,
    ApplicationClocks,
    Board,
    ClockLock,
    ComputeMode,
    NumaBalancing,
    PowerLimit,
    Reading,
    Setting,
    Unread,
    Value,
    text,
    wire,
)
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.policy.values import MOST_MHZ, MOST_W
from gpu_tuned.core.settings import factory_default, goal_of
from gpu_tuned.core.wish import Origin, Target, Wish
from gpu_tuned.init.model import Doubt, Effect, Kind

STEP_MW = 1000
"""Drivers round a limit by a board's own step: 465 W became 464 W in a public report."""
OWN = Origin("gpu-tuned.toml", "")


@dataclass(frozen=True, slots=True)
class Host:
    """What a first policy is made from. `readings` by UUID; `profiles` are those that ship, by name, each as the
    policy that it makes of a rule for every board; `numa_now` is None where the kernel has no such knob; `silent` are
    the PCI addresses of GPUs that the driver has and that do not answer."""

    boards: tuple[Board, ...]
    readings: Mapping[str, Mapping[Setting, Reading]]
    profiles: Mapping[str, Policy] = field(default_factory=dict)
    numa_now: NumaBalancing | None = None
    memory_nodes: int = 1
    mps: bool = False
    silent: tuple[str, ...] = ()

    def found(self, board: Board, setting: Setting) -> Reading | None:
        return self.readings.get(board.gpu.uuid, {}).get(setting)


@dataclass(frozen=True, slots=True)
class Fit:
    """A value that the board takes, and what to say of it."""

    value: Value
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why the board does not take a value, and the nearest line that it would take."""

    doubt: Doubt
    instead: str | None = None


def names(selectors: tuple[str, ...] | None, board: Board) -> bool:
    """Whether a command may have meant this board. An index is one of today: that of the driver's order now."""
    return not selectors or any(_is(selector, board) for selector in selectors)


def _is(selector: str, board: Board) -> bool:
    gpu, wanted = board.gpu, selector.lower()
    return wanted in (str(board.index), gpu.uuid.lower()) or _pci(wanted) == _pci(gpu.pci.lower())


def _pci(text_: str) -> tuple[int, int, int, int] | None:
    """domain, bus, device, function of "c5:0.0", "0000:c5:00.0" or "00000000:C5:00.0"."""
    head, dot, function = text_.rpartition(".")
    parts = head.split(":")
    if not dot or len(parts) not in (2, 3):
        return None
    try:
        numbers = [int(part, 16) for part in (*parts, function)]
    except ValueError:
        return None
    return tuple([0] * (4 - len(numbers)) + numbers)  # type: ignore[return-value]


def strangers(selectors: tuple[str, ...] | None, host: Host) -> tuple[str, ...]:
    """The selectors that name no GPU that is here."""
    return tuple(each for each in selectors or () if not any(_is(each, board) for board in host.boards))


def fit(effect: Effect, board: Board, host: Host) -> Fit | Misfit:
    """The value that this board takes for it, or why it is not taken over."""
    setting, target = effect.setting, effect.target
    assert setting is not None
    assert target is not None
    if isinstance(target, ClockLock):
        return _lock(setting, target, board, host)
    goal = goal_of(Wish(setting, target, OWN), board, Found())
    if isinstance(goal, Refusal):
        near = f"{setting.value} = {toml(goal.nearest)}" if goal.nearest is not None else None
        kind = Kind.UNSUPPORTED if goal.nearest is None else Kind.NO_RUNG
        return Misfit(Doubt(kind, f"the board refuses it: {goal.why}"), near)
    if goal is None or not writable(goal):
        return Misfit(Doubt(Kind.NO_RUNG, "no board has such a value"))
    if harm := _harm(setting, goal, board, host):
        return Misfit(Doubt(Kind.HARMFUL, harm), f"{setting.value} = {toml(goal)}")
    return Fit(goal)


def _lock(setting: Setting, lock: ClockLock, board: Board, host: Host) -> Fit | Misfit:
    """A range is what the board has inside it; a single clock has to be one of its own."""
    if setting in board.absent:
        return Misfit(Doubt(Kind.UNSUPPORTED, board.absent[setting]))
    if lock.min_mhz > lock.max_mhz:
        return Misfit(Doubt(Kind.NO_RUNG, "the minimum is above the maximum"))
    ladder = board.memory_ladder_mhz if setting is Setting.MEMORY_CLOCK else board.gpu_ladder_mhz
    goal = goal_of(Wish(setting, lock, OWN), board, Found())
    inside = [mhz for mhz in ladder if lock.min_mhz <= mhz <= lock.max_mhz]
    if isinstance(goal, Refusal) and (lock.min_mhz == lock.max_mhz or not inside):
        near = goal.nearest
        # Of a harmful value the nearest is no better advice.
        advice = isinstance(near, ClockLock) and not _harm(setting, near, board, host)
        return Misfit(Doubt(Kind.NO_RUNG, goal.why), f"{setting.value} = {toml(near)}" if advice and near else None)
    if isinstance(goal, Refusal):
        low = min(inside) if lock.min_mhz > min(ladder) else lock.min_mhz
        goal = ClockLock(low, max(inside))
        remark = f" {text(lock)} is no clock of this board; the clocks that it has inside the range."
    else:
        goal, remark = lock, ""  # as it was written: what the board makes of it is the daemon's to work out
    if not isinstance(goal, ClockLock) or not writable(goal):
        return Misfit(Doubt(Kind.NO_RUNG, "no board has such a value"))
    if harm := _harm(setting, goal, board, host):
        return Misfit(Doubt(Kind.HARMFUL, harm))
    return Fit(goal, remark + _cost(goal, board))


def is_5090(board: Board) -> bool:
    return board.gpu.name.startswith("NVIDIA GeForce RTX 5090")


def _harm(setting: Setting, value: Value, board: Board, host: Host) -> str:
    """What is known to speak against a value that a board may well take; "" for nothing."""
    if value is ComputeMode.PROHIBITED and host.found(board, setting) is not ComputeMode.PROHIBITED:
        return "no process could compute on this GPU, and it is not so now"
    if value is ComputeMode.EXCLUSIVE_PROCESS and not host.mps:
        return (
            "a second process or container on the GPU would fail with cudaErrorDevicesUnavailable (46), unless MPS "
            "serves them all"
        )
    if setting is Setting.MEMORY_CLOCK and isinstance(value, ClockLock) and board.memory_ladder_mhz:
        if value.max_mhz < board.memory_ladder_mhz[0] * 0.75:
            return "memory would run at three quarters of its bandwidth or less"
        if is_5090(board):
            return (
                "a memory lock on this board also holds other clocks down (384 to 344 frames a second in one report, "
                "which NVIDIA reproduced)"
            )
    return ""


def _cost(value: ClockLock, board: Board) -> str:
    """What holding a lock costs, where that is known; begins with a space."""
    if value.min_mhz > min(board.gpu_ladder_mhz, default=0) and value.max_mhz in board.gpu_ladder_mhz:
        boost = " It takes a tenth of the boost, about 2850 MHz." if is_5090(board) and value.max_mhz == 2550 else ""
        return f"{boost} The minimum costs watts at idle and is no guarantee."
    return ""


def witness(setting: Setting, value: Value, board: Board, host: Host) -> Doubt | None:
    """What the board says against a value. Its factory default says nothing while no client has to keep the GPU
    initialised: then every setting is lost when the last one leaves. What cannot be read says nothing either."""
    found = host.found(board, setting)
    if found is None or isinstance(found, Unread) or setting in LOCKS or same(found, value):
        return None
    kept = host.found(board, Setting.PERSISTENCE_MODE) is True
    if found == factory_default(board, setting) and (not kept or setting is Setting.PERSISTENCE_MODE):
        return None
    return Doubt(Kind.DIFFERS, f"the file says {text(value)}, the board has {text(found)} now")


def same(found: Value, value: Value) -> bool:
    """Whether a reading is what was asked for, as far as drivers round."""
    if isinstance(found, PowerLimit) and isinstance(value, PowerLimit):
        return abs(found.limit_mw - value.limit_mw) <= STEP_MW
    return found == value


def beside(value: Value, found: Reading | None, board: Board) -> str:
    """The comment on a line: what changes by it. A raise is said on the line that raises."""
    if isinstance(value, PowerLimit):
        return power_beside(value, found, board)
    if isinstance(found, Unread) or found is None:
        return "cannot be read back" if not isinstance(value, bool) else ""
    return "as now" if found == value else f"now: {text(found)}"


def power_beside(limit: PowerLimit, found: Reading | None, board: Board) -> str:
    """Against the limit in force."""
    most = ", the most this board allows" if board.power and limit.limit_mw == board.power.max_mw else ""
    if not isinstance(found, PowerLimit):
        return "may RAISE the limit, which cannot be read"
    if limit.limit_mw > found.limit_mw:
        return f"RAISES the limit, {text(found)} now"
    return f"as now{most}" if limit == found else f"lowers it: {text(found)} now"


def writable(value: Value) -> bool:
    """Whether the policy file can say it."""
    if isinstance(value, PowerLimit):
        return 1000 <= value.limit_mw <= MOST_W * 1000
    if isinstance(value, ClockLock):
        return 1 <= value.max_mhz <= MOST_MHZ
    if isinstance(value, ApplicationClocks):
        return 1 <= value.memory_mhz <= MOST_MHZ and 1 <= value.gpu_mhz <= MOST_MHZ
    return True


def toml(value: Value) -> str:
    """A value as the policy file has it."""
    raw = wire(value)
    if isinstance(raw, dict):
        return f"{{ {', '.join(f'{key} = {number}' for key, number in raw.items() if number)} }}"
    return json.dumps(raw)


def line(setting: Setting, value: Value, board: Board, host: Host) -> str:
    """A line of a policy; that it raises a limit is said on it."""
    remark = beside(value, host.found(board, setting), board) if setting is Setting.POWER_LIMIT else ""
    text_ = f"{setting.value} = {toml(value)}"
    return f"{text_}  # {remark}" if "RAISE" in remark else text_


def said(setting: Setting, target: Target) -> str:
    """A line of a policy, where the value can stand in one."""
    if isinstance(target, (bool, PowerLimit, ClockLock, ApplicationClocks, ComputeMode)):
        return f"{setting.value} = {toml(target)}"
    return ""
