"""The host's power budget: the limits of all boards must not add up to more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from gpu_tuned.core.gpu_state import NEVER, GpuState, Presence
from gpu_tuned.core.model import PowerLimit, Setting, Unread, watts
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.settings import goal_of
from gpu_tuned.core.track import State, Track
from gpu_tuned.core.transitions import found_before
from gpu_tuned.core.wish import Wish


class Misfit(NamedTuple):
    """Why a policy does not suit the boards. `certain` False: limits that nobody knows at the moment decide it."""

    why: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """A limit that nobody knows: never counted as nothing. `most_mw`: the most that the board allows, None where that
    is not known either."""

    most_mw: int | None
    why: str

    @property
    def words(self) -> str:
        return "an unknown limit" if self.most_mw is None else f"up to {watts(self.most_mw)} W"


L = TypeVar("L")
Limits = list[tuple[str, L]]
"""With the name that a person knows a board by, which several boards may have."""


def limits(
    states: Iterable[GpuState], wish_of: Callable[[GpuState], Wish | None]
) -> tuple[Limits[PowerLimit], Limits[Unknown]]:
    """The limit that each board will have, and those of which that is not known. A board with no wish counts with the
    limit in force there."""
    known: Limits[PowerLimit] = []
    unknown: Limits[Unknown] = []
    for state in states:
        if state.presence in (Presence.ABSENT, Presence.UNBOUND):
            continue  # whatever limit was seen there is the driver's no more
        limit = _limit(state, wish_of(state))
        if isinstance(limit, PowerLimit):
            known.append((state.title, limit))
        elif limit is not None:
            unknown.append((state.title, limit))
    return known, unknown


def _limit(state: GpuState, wish: Wish | None) -> PowerLimit | Unknown | None:
    track = state.tracks.get(Setting.POWER_LIMIT)
    in_force = _in_force(state, track)
    if state.board is None or track is None or wish is None or wish.watched:
        return in_force
    goal = goal_of(wish, state.board, found_before(track))
    return goal if isinstance(goal, PowerLimit) else in_force


def _in_force(state: GpuState, track: Track | None) -> PowerLimit | Unknown | None:
    """None: there is nothing that could be counted, for the board has no limit or was never looked at."""
    if track is not None and isinstance(track.observed, PowerLimit):
        return track.observed
    board = state.board
    if board is None or Setting.POWER_LIMIT in board.absent:
        return None
    most_mw = board.power.max_mw if board.power is not None else None
    if track is not None and isinstance(track.observed, Unread):
        return Unknown(most_mw, f"its limit cannot be read: {track.observed.why}")
    if state.looked is NEVER and track is not None and isinstance(track.met, PowerLimit):
        return track.met  # met in this very turn
    if state.looked is NEVER or most_mw is None:
        return Unknown(most_mw, "its limit could not be read yet")
    return PowerLimit(most_mw)  # it came back, and was not looked at yet: it may be anything


def refusal(budget_mw: int, known: Limits[PowerLimit], unknown: Limits[Unknown]) -> Misfit | None:
    """Why these limits (by GPU name) exceed the host's budget, or may; None where they do not."""
    parts = [f"{watts(limit.limit_mw)} W ({name})" for name, limit in known]
    total_mw = sum(limit.limit_mw for _, limit in known)
    head = f"gpu_power_budget_w = {watts(budget_mw)}: the limits"
    if total_mw > budget_mw:
        return Misfit(f"{head} add up to {watts(total_mw)} W: {' + '.join(parts)}", certain=True)
    most_mw = [limit.most_mw for _, limit in unknown]
    with_all_mw = total_mw + sum(mw for mw in most_mw if mw is not None)
    if None not in most_mw and with_all_mw <= budget_mw:
        return None
    parts += [f"{limit.words} ({name}: {limit.why})" for name, limit in unknown]
    sum_ = "more" if None in most_mw else f"{watts(with_all_mw)} W"
    return Misfit(f"{head} may add up to {sum_}: {' + '.join(parts)}", certain=False)


def judge(policy: Policy, states: Iterable[GpuState]) -> Misfit | None:
    """Why a policy does not fit the boards at hand, or None. The same in observe mode: what is judged is the file."""
    if policy.gpu_power_budget_mw is None:  # asked at every look
        return None

    def wish_of(state: GpuState) -> Wish | None:
        return policy.wishes_for(state.gpu).get(Setting.POWER_LIMIT)

    return refusal(policy.gpu_power_budget_mw, *limits(states, wish_of))


def judge_in_force(policy: Policy, states: Iterable[GpuState]) -> Misfit | None:
    """The same of what is in force: a limit that the driver refused, or that was put back on request, is not."""
    if policy.gpu_power_budget_mw is None:
        return None

    def wish_of(state: GpuState) -> Wish | None:
        wish = policy.wishes_for(state.gpu).get(Setting.POWER_LIMIT)
        return None if wish is not None and _not_carried_out(state, wish) else wish

    return refusal(policy.gpu_power_budget_mw, *limits(states, wish_of))


def _not_carried_out(state: GpuState, wish: Wish) -> bool:
    track = state.tracks.get(Setting.POWER_LIMIT)
    if track is None or track.wish is None or (track.wish.origin, track.wish.target) != (wish.origin, wish.target):
        return False
    return track.restored is not None or track.state is State.REFUSED
