"""The plan: what the policy files would have written now and why, what is refused, and what is left as it is.

Made when somebody asks, from the states as they were seen last; whoever edits a file asks for the plan before asking
for the reload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypedDict

from gpu_tuned.core.goal import Refusal, satisfies
from gpu_tuned.core.gpu_state import ON_PURPOSE, GpuState
from gpu_tuned.core.model import NO_GETTER, Gpu, PowerLimit, Reading, Setting, Unread, Value, watts, wire
from gpu_tuned.core.status import FORMAT
from gpu_tuned.core.track import Moment, State, Track
from gpu_tuned.core.transitions import wished
from gpu_tuned.core.wish import Percent, Wish, target_wire

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Change, Left, PlanReply
    from gpu_tuned.core.wire import Refusal as RefusalRow

Wishes = Mapping[Setting, Wish]

FORGETS = (
    "persistence mode is off and no rule turns it on, so the driver forgets every setting when its last client "
    "leaves: for a moment at each restart of this daemon, if nothing else holds the GPU open"
)


def plan_of(
    states: Iterable[GpuState],
    wishes_of: Callable[[GpuState], Wishes],
    moment: Moment,
) -> PlanReply:
    """What the Varlink method Plan replies with, for these GPUs and the host: as if enforcing a policy in force, and
    without advice. `wishes_of` gives the wishes, watched where the policy says so."""
    rows: PlanReply = {
        "format": FORMAT,
        "mode": "enforce",
        "pending": False,
        "changes": [],
        "refusals": [],
        "left": [],
        "notes": [],
        "advice": [],
        "not_answering_since": None,
    }
    for state in states:
        wishes = wishes_of(state)
        if not state.here:
            if wishes and state.presence in ON_PURPOSE:
                rows["notes"].append(f"{state.title} cannot be planned for: {state.why}")
            elif wishes:
                why = Refusal(f"it cannot be looked at: {state.why}")
                rows["refusals"] += [
                    _refusal(state.gpu, s, why, wish) for s, wish in wishes.items() if not wish.watched
                ]
            continue
        if wishes and _forgets(state, wishes):
            rows["notes"].append(f"{state.title}: {FORGETS}")
        after = wished(state, wishes, None, moment, named=state.named)
        for setting in Setting:
            track = after.tracks.get(setting)
            if track is not None:
                _add(rows, state, after, setting)
    return rows


def _add(rows: PlanReply, state: GpuState, after: GpuState, setting: Setting) -> None:
    now, track = state.tracks.get(setting), after.tracks[setting]
    observed = now.observed if now is not None else None
    gpu = None if setting.of_host else state.gpu
    wish, goal = track.wish, track.goal
    if wish is None:
        if track.left is not None and observed in (None, NO_GETTER, track.left.value):
            left: Left = {**_who(gpu), "setting": setting.value, "found": _found(observed)}
            rows["left"].append(left)
        return
    if track.restored is not None:
        rows["notes"].append(f"{state.title} {setting.label}: {track.restored}")
        return
    if isinstance(goal, Refusal):
        rows["refusals"].append(_refusal(gpu, setting, goal, wish))
    elif track.state is State.REFUSED:  # under this very goal: another one begins anew
        rows["refusals"].append(_refusal(gpu, setting, Refusal(track.message or "the driver refused it"), wish))
    elif goal is not None and not wish.watched and observed is not None and not _done(track, wish, goal, observed):
        change: Change = {
            **_who(gpu),
            "setting": setting.value,
            "found": _found(observed),
            "wanted": wire(goal),
            "origin": str(wish.origin),
            "why": _share_above_default(state, wish, goal, observed) or _why(now, track, wish, observed),
        }
        rows["changes"].append(change)


def _forgets(state: GpuState, wishes: Wishes) -> bool:
    """Whether this GPU will lose its settings with its last client."""
    track, wish = state.tracks.get(Setting.PERSISTENCE_MODE), wishes.get(Setting.PERSISTENCE_MODE)
    turned_on = wish is not None and wish.target is True and not wish.watched
    return track is not None and track.observed is False and not turned_on


def _done(track: Track, wish: Wish, goal: Value, observed: Reading) -> bool:
    if not wish.setting.readable:
        return track.accepted == goal
    # What the driver made of this very goal counts as the goal.
    return satisfies(wish, goal if track.accepted is None else track.accepted, observed)


def _why(now: Track | None, track: Track, wish: Wish, observed: object) -> str:
    if track is now and track.message:
        return track.message
    if not wish.setting.readable:
        return "cannot be read, so it is requested anew"
    return "cannot be read" if isinstance(observed, Unread) else "differs from the policy"


def _share_above_default(state: GpuState, wish: Wish, goal: Value, observed: object) -> str:
    """A share is of the board's maximum, which may lie above its default: then "80%" raises the limit."""
    allowed = state.board.power if state.board is not None else None
    if not isinstance(wish.target, Percent) or not isinstance(goal, PowerLimit) or allowed is None:
        return ""
    if goal.limit_mw <= allowed.default_mw or (
        isinstance(observed, PowerLimit) and observed.limit_mw >= goal.limit_mw
    ):
        return ""
    return f"RAISES the limit above the board's default of {watts(allowed.default_mw)} W: a share is of the maximum"


def _found(observed: Reading | None) -> object:
    return None if observed is None or isinstance(observed, Unread) else wire(observed)


class _Who(TypedDict):
    gpu: str | None
    pci: str | None
    name: str | None


def _who(gpu: Gpu | None) -> _Who:
    """None: the host."""
    return {"gpu": gpu.uuid, "pci": gpu.pci, "name": gpu.name} if gpu else {"gpu": None, "pci": None, "name": None}


def _refusal(gpu: Gpu | None, setting: Setting, refusal: Refusal, wish: Wish) -> RefusalRow:
    """One wish that cannot be met, or that the driver refused."""
    return {
        **_who(gpu),
        "setting": setting.value,
        "wanted": target_wire(wish.target),
        "why": refusal.why,
        "nearest": wire(refusal.nearest),
        "origin": str(wish.origin),
    }
