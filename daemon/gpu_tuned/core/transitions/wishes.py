"""What is wished of a GPU, and what that means on this board by what was found there."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from operator import is_

from gpu_tuned.core import drift, restored
from gpu_tuned.core.goal import Found, Goal, Refusal, satisfies
from gpu_tuned.core.gpu_state import GpuState
from gpu_tuned.core.model import Board, PowerLimit, Reading, Setting, Value
from gpu_tuned.core.settings import goal_of
from gpu_tuned.core.track import Moment, Track
from gpu_tuned.core.wish import Wish


def wished(
    state: GpuState, wishes: Mapping[Setting, Wish], restricted: str | None, moment: Moment, *, named: bool
) -> GpuState:
    """Hand a GPU its wishes, each as it is carried out here (watched in observe mode)."""
    tracks = dict(state.tracks)
    for setting in {**tracks, **wishes}:
        track = tracks.get(setting) or drift.new_track(moment)
        wish = wishes.get(setting)
        tracks[setting] = drift.aim(track, wish, _goal(state.board, wish, track), moment)
    return replace(state, tracks=tracks, named=named, restricted=restricted)


def _goal(board: Board | None, wish: Wish | None, track: Track) -> Goal | None:
    """What a wish means on this GPU, by what was found there."""
    if wish is None or board is None:
        return None
    return goal_of(wish, board, found_before(track))


def found_before(track: Track) -> Found:
    """What was there before anything of ours. Where nothing of ours was ever in force, a lower limit that was found
    at the start of this run is somebody's decision as much as the one found at the start of the initialisation."""
    original = track.original
    before = original.value if original else track.met
    if original is not None and not original.written and isinstance(track.met, PowerLimit):
        before = track.met if _lower(track.met, original.value) else original.value
    return Found(original.value if original else None, before)


def _lower(one: PowerLimit, other: Value) -> bool:
    return isinstance(other, PowerLimit) and one.limit_mw < other.limit_mw


def hurried(state: GpuState, settings: Container[Setting] = tuple(Setting)) -> GpuState:
    """Somebody cannot wait, or what these settings waited for is there: no pause counts."""
    return replace(
        state, tracks={s: drift.hurried(track) if s in settings else track for s, track in state.tracks.items()}
    )


def taken_up(state: GpuState, moment: Moment) -> GpuState:
    """Somebody asked to apply: what was handed back is the policy's again."""
    return replace(state, tracks={s: restored.taken_up(track, moment) for s, track in state.tracks.items()})


def aimed(state: GpuState, track: Track, reading: Reading | None, moment: Moment) -> Track:
    """The goal again, by what this look added: a late original, MIG, a restriction. Nearly always that is nothing."""
    wish = track.wish
    if wish is None:
        return track
    if state.restricted is not None and not wish.watched:
        goal = _goal(state.board, wish, track)
        goal = only_lowered(wish, goal, track.observed if reading is None else reading, state.restricted)
        return drift.aim(track, wish, goal, moment)
    basis = (state.board, wish, track.original, track.met)
    if track.basis is not None and all(map(is_, track.basis, basis)):
        return track
    return replace(drift.aim(track, wish, _goal(state.board, wish, track), moment), basis=basis)


def only_lowered(wish: Wish, goal: Goal | None, found: Reading | None, why: str) -> Goal | None:
    """The goal where only required limits that lower may be written."""
    if goal is None or isinstance(goal, Refusal) or (found is not None and satisfies(wish, goal, found)):
        return goal
    lowers = isinstance(goal, PowerLimit) and isinstance(found, PowerLimit) and goal.limit_mw <= found.limit_mw
    return goal if wish.required and lowers else Refusal(f"not written: {why}")
