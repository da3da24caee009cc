"""The host's power budget: the limits of all boards must not add up to more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gpu_tuned.core.gpu_state import NEVER, GpuState, Presence
from gpu_tuned.core.model import PowerLimit, Setting, watts
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.settings import goal_of
from gpu_tuned.core.track import Track
from gpu_tuned.core.transitions import found_before
from gpu_tuned.core.wish import Wish


def limits_mw(states: Iterable[GpuState], wish_of: Callable[[GpuState], Wish | None]) -> dict[str, int]:
    """The limit that each board will have, milliwatts, by the name a person knows it by. A board with no wish counts
    with the limit in force there."""
    limits: dict[str, int] = {}
    for state in states:
        if state.presence in (Presence.ABSENT, Presence.UNBOUND):
            continue  # whatever limit was seen there is the driver's no more
        limit = _limit(state, wish_of(state))
        if limit is not None:
            limits[state.title] = limit.limit_mw
    return limits


def _limit(state: GpuState, wish: Wish | None) -> PowerLimit | None:
    track = state.tracks.get(Setting.POWER_LIMIT)
    in_force = _in_force(state, track)
    if state.board is None or track is None or wish is None or wish.watched:
        return in_force
    goal = goal_of(wish, state.board, found_before(track))
    return goal if isinstance(goal, PowerLimit) else in_force


def _in_force(state: GpuState, track: Track | None) -> PowerLimit | None:
    if track is None:
        return None
    if isinstance(track.observed, PowerLimit):
        return track.observed
    if state.looked is NEVER:  # met in this very turn
        return track.met if isinstance(track.met, PowerLimit) else None
    if track.observed is None and state.board is not None and state.board.power is not None:
        return PowerLimit(state.board.power.max_mw)  # it came back, and was not looked at yet: it may be anything
    return None


def refusal(budget_mw: int | None, limits: Mapping[str, int]) -> str | None:
    """Why these limits (GPU name -> milliwatts) exceed the host's budget; None where they do not."""
    total_mw = sum(limits.values())
    if budget_mw is None or total_mw <= budget_mw:
        return None
    parts = " + ".join(f"{watts(mw)} W ({name})" for name, mw in limits.items())
    return f"gpu_power_budget_w = {watts(budget_mw)}: the limits add up to {watts(total_mw)} W: {parts}"


def judge(policy: Policy, states: Iterable[GpuState]) -> str | None:
    """Why a policy does not fit the boards at hand, or None. The same in observe mode: what is judged is the file."""

    if policy.gpu_power_budget_mw is None:  # asked at every look
        return None

    def wish_of(state: GpuState) -> Wish | None:
        return policy.wishes_for(state.gpu).get(Setting.POWER_LIMIT)

    return refusal(policy.gpu_power_budget_mw, limits_mw(states, wish_of))
