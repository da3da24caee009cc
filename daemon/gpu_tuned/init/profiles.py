"""The profiles that ship, as a hint in a first policy: which is for which board, and what it would add."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_tuned.core.goal import Found, Refusal
from gpu_tuned.core.model import Board, PowerLimit, Reading, Setting, text
from gpu_tuned.core.settings import goal_of
from gpu_tuned.core.wish import Wish, target_text
from gpu_tuned.init.verdict import OWN, power_beside

PROFILES: Mapping[str, str] = {"NVIDIA GeForce RTX 5090": "rtx-5090-inference"}
"""By the board's whole name."""
_COSTS: Mapping[Setting, str] = {
    Setting.POWER_LIMIT: "costs heat and electricity",
    Setting.GPU_CLOCK: "the maximum takes a tenth of the boost, the minimum costs watts at idle",
    Setting.COMPUTE_MODE: "nothing keeps a stranger's process off the GPU",
}


def line(wish: Wish, board: Board, found: Reading | None, own: object) -> str:
    """What a profile's key would add to a rule for this board, with its cost; "" for nothing. `own` is what the rule
    itself says."""
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
