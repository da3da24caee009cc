"""One setting of one board: what people had asked for and what is in force, to one line of a first policy.

A value is taken over where the board takes it and nothing known speaks against it. Otherwise the line says what
stays in force instead, and the comment above it why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpu_tuned.core.goal import Found, Refusal
from gpu_tuned.core.leftover import Ask, Host
from gpu_tuned.core.model import (
    LOCKS,
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
from gpu_tuned.core.settings import factory_default, goal_of
from gpu_tuned.core.wish import Origin, Target, Wish, target_text

SNAP_MHZ = 15
"""The driver takes a clock between two rungs to one of them; boards' rungs lie at most this far apart. Nearer than
this, the nearest rung is what was in force all along."""
MOST_MHZ = 100_000  # what the policy's parser takes
MOST_W = 10_000

OWN = Origin("gpu-tuned.toml", "")


@dataclass(frozen=True, slots=True)
class Line:
    """One key of a rule. `above` are paragraphs for the comment above it, `value` its TOML text ("" where there is
    only something to say), `beside` the comment on the line itself. `target` is what the value means."""

    key: Setting
    above: tuple[str, ...]
    value: str = ""
    beside: str = ""
    target: Target | None = None


def line_of(setting: Setting, board: Board, host: Host) -> Line | None:
    """The line for one setting of one board; None where there is nothing to hold and nothing to say."""
    found = host.readings.get(board.gpu.uuid, {}).get(setting)
    asks = [ask for ask in host.asks if ask.setting is setting and names(ask.gpus, board)]
    above: list[str] = []
    takes: list[tuple[Value, str]] = []
    for target, quoted in _by_target(asks):
        goal = _judged(setting, target, board, found, host)
        if isinstance(goal, str):
            above.append(f"{quoted}: not taken over. {goal}")
        else:
            value, remark = goal
            takes.append((value, f"{quoted}: taken over.{remark}"))
    above += [
        f"{_quoted([ask])}: not taken over: {ask.why or 'the value cannot be told'}."
        for ask in asks
        if ask.target is None
    ]
    if not takes:
        return _held(setting, board, found, above, asks)
    # Of several values the one that is in force is the one that came about; otherwise the last to run.
    value, remark = next((take for take in takes if take[0] == found), takes[-1])
    above += [f"{words.partition(': taken over')[0]}: another value won." for kept, words in takes if kept != value]
    return Line(setting, (*above, remark), toml(value), _beside(value, found, board), value)


def names(selectors: tuple[str, ...], board: Board) -> bool:
    """Whether a command meant this board. An index is one of today: that of the driver's order now."""
    gpu = board.gpu
    known = {str(board.index), gpu.uuid.lower(), gpu.pci, gpu.pci.removeprefix("0000:"), f"0000{gpu.pci}"}
    return not selectors or any(selector.lower() in known for selector in selectors)


def _by_target(asks: Iterable[Ask]) -> list[tuple[Target, str]]:
    """Every value that was asked for, in order of the last place that asks for it, with who asks."""
    by: dict[Target, list[Ask]] = {}
    for ask in asks:
        if ask.target is not None:
            by[ask.target] = [*by.pop(ask.target, []), ask]
    return [(target, _quoted(same)) for target, same in by.items()]


def _quoted(asks: list[Ask]) -> str:
    """ "-pl 600" (/root/setup-gpu.sh line 10, /etc/rc.local line 3)"""
    words = " or ".join(dict.fromkeys(f"`{ask.words}`" for ask in asks))
    places = list(dict.fromkeys(str(ask.place) for ask in asks))
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return f"{words} ({', '.join(places[:3])}{more})"


def _judged(
    setting: Setting, target: Target, board: Board, found: Reading | None, host: Host
) -> tuple[Value, str] | str:
    """The value that this board takes for it and a remark, or why it is not taken over."""
    if isinstance(target, ClockLock) and not 0 <= target.min_mhz <= target.max_mhz:
        return "The minimum is above the maximum."
    harm = _harm(setting, target, board, host)
    goal = goal_of(Wish(setting, target, OWN), board, Found())
    if isinstance(goal, Refusal):
        near = goal.nearest
        snapped = near if isinstance(near, ClockLock) and _near(target, near) and not harm else None
        if snapped is not None:
            return snapped, f" {_sentence(goal.why)} The nearest that it has."
        tail = f" {harm}" if harm else ""
        why = _without_nearest(goal, setting, board) if harm else str(goal)
        return f"The board refuses it: {_sentence(why, capital=False)}{tail}"
    if goal is None or not writable(goal):
        return "No board has such a value."
    return harm or (goal, _cost(goal, board))


def _without_nearest(goal: Refusal, setting: Setting, board: Board) -> str:
    """Of a harmful value the nearest is no better advice."""
    rungs = ", ".join(map(str, board.memory_ladder_mhz[:6])) if setting is Setting.MEMORY_CLOCK else ""
    return f"{goal.why} ({rungs} are)" if rungs else goal.why


def _near(target: Target, near: ClockLock) -> bool:
    if not isinstance(target, ClockLock):
        return False
    low = not target.min_mhz or abs(target.min_mhz - near.min_mhz) <= SNAP_MHZ
    return low and abs(target.max_mhz - near.max_mhz) <= SNAP_MHZ


def _sentence(words: str, capital: bool = True) -> str:
    return (words[:1].upper() if capital else words[:1]) + words[1:].rstrip(".") + "."


def is_5090(board: Board) -> bool:
    return board.gpu.name.startswith("NVIDIA GeForce RTX 5090")


def _harm(setting: Setting, target: Target, board: Board, host: Host) -> str:
    """What is known to speak against a value that a board may well take; "" for nothing."""
    if setting is Setting.COMPUTE_MODE and target is ComputeMode.EXCLUSIVE_PROCESS and not host.mps:
        return (
            "A second process or container on the GPU would fail with cudaErrorDevicesUnavailable (46), unless MPS "
            "serves them all. Where one process has the GPU to itself, write "
            '"exclusive_process".'
        )
    if setting is Setting.MEMORY_CLOCK and isinstance(target, ClockLock) and board.memory_ladder_mhz:
        worst = ""
        if target.max_mhz < board.memory_ladder_mhz[0] * 0.75:
            worst = "Memory would run at half of its bandwidth or less. "
        if is_5090(board):
            worst += (
                "A memory lock on this board also holds other clocks down (384 to 344 frames a second in one report, "
                "which NVIDIA reproduced)."
            )
        return worst.strip()
    return ""


def _cost(value: Value, board: Board) -> str:
    """What holding a value costs, where that is known; begins with a space."""
    if isinstance(value, ClockLock) and value.min_mhz > min(board.gpu_ladder_mhz, default=0):
        boost = " It takes a tenth of the boost, about 2850 MHz." if is_5090(board) and value.max_mhz == 2550 else ""
        return f"{boost} The minimum costs watts at idle and is no guarantee."
    if value is ComputeMode.PROHIBITED:
        return " No process can compute on this GPU."
    return ""


def _beside(value: Value, found: Reading | None, board: Board) -> str:
    """The comment on the line itself: what changes by it."""
    if isinstance(value, PowerLimit):
        return power_beside(value, found, board)
    if isinstance(found, Unread) or found is None:
        return "cannot be read back" if not isinstance(value, bool) else ""
    return "as now" if found == value else f"now: {text(found)}"


def power_beside(limit: PowerLimit, found: Reading | None, board: Board) -> str:
    """Against the limit in force. A raise is said on the line that raises."""
    most = ", the most this board allows" if board.power and limit.limit_mw == board.power.max_mw else ""
    if not isinstance(found, PowerLimit):
        return "may RAISE the limit, which cannot be read"
    if limit.limit_mw > found.limit_mw:
        return f"RAISES the limit, {text(found)} now"
    return f"as now{most}" if limit == found else f"lowers it: {text(found)} now"


def _held(setting: Setting, board: Board, found: Reading | None, above: list[str], asks: list[Ask]) -> Line | None:
    """The line where nothing was taken over: what is in force, where that is nobody's default or was asked about."""
    if setting in board.absent or (setting is Setting.COMPUTE_MODE and board.mig):
        return Line(setting, tuple(above)) if above else None
    if setting is Setting.PERSISTENCE_MODE and not asks:
        return None  # the rule for every board says what it shall be
    if setting in LOCKS:
        if not above:
            return None
        return Line(setting, tuple(above), '"unlocked"', "takes back what may be locked now", UNLOCKED)
    default = factory_default(board, setting)
    if setting is Setting.COMPUTE_MODE and any(ask.target is ComputeMode.EXCLUSIVE_PROCESS for ask in asks):
        return Line(
            setting, tuple(above), '"default"', _beside(ComputeMode.DEFAULT, found, board), ComputeMode.DEFAULT
        )
    if found is None or isinstance(found, Unread):
        return Line(setting, tuple(above)) if above else None
    changed = found != default and default is not None
    refused = isinstance(goal_of(Wish(setting, found, OWN), board, Found()), Refusal)
    if refused or not (changed or (asks and isinstance(found, PowerLimit))) or not writable(found):
        return Line(setting, tuple(above)) if above else None
    if changed and isinstance(found, (PowerLimit, ApplicationClocks, ComputeMode)):
        above = [*above, f"In force now, and not what the board starts with ({text(default)}).{_hazard(found)}"]
    return Line(setting, tuple(above), toml(found), _beside(found, found, board), found)


def _hazard(found: Value) -> str:
    if found is ComputeMode.EXCLUSIVE_PROCESS:
        return " A second process fails with cudaErrorDevicesUnavailable (46), unless MPS serves both."
    return ""


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
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, PowerLimit):
        return str(watts(value.limit_mw))
    if isinstance(value, ClockLock):
        low = f"min = {value.min_mhz}, " if value.min_mhz else ""
        return f"{{ {low}max = {value.max_mhz} }}"
    if isinstance(value, ApplicationClocks):
        return f"{{ memory = {value.memory_mhz}, gpu = {value.gpu_mhz} }}"
    return f'"{value.value}"'


_COSTS: Mapping[Setting, str] = {
    Setting.POWER_LIMIT: "costs heat and electricity",
    Setting.GPU_CLOCK: "the maximum takes a tenth of the boost, the minimum costs watts at idle",
    Setting.COMPUTE_MODE: "nothing keeps a stranger's process off the GPU",
}


def profile_line(wish: Wish, board: Board, found: Reading | None, own: Target | None) -> str:
    """What a shipped profile's key would add to a rule for this board, with its cost; "" for nothing. `own` is what
    the rule itself says."""
    said = f"{wish.setting.label} {target_text(wish.target)}"
    goal = goal_of(Wish(wish.setting, wish.target, OWN), board, Found())
    if own is not None:
        return "" if own in (wish.target, goal) else f"{said}: no, the value above wins"
    if isinstance(goal, Refusal):
        return f"{said}: no, the board refuses it"
    if isinstance(goal, PowerLimit) and goal != found:
        meant = power_beside(goal, found, board)
        if not meant.startswith("lowers"):
            return f'{said}, here {text(goal)}: only with power_limit_w = "max" in this rule, which {meant}'
    here = "" if goal is None or wish.target == goal else f", here {text(goal)}"
    return f"{said}{here}: {_COSTS.get(wish.setting, '')}".rstrip(": ")
