"""What is in order: settings that are seen to be as wished, GPUs that are here or away as somebody wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gpu_tuned.core import drift
from gpu_tuned.core.gpu_state import ON_PURPOSE, GpuState, Presence
from gpu_tuned.core.model import Setting
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.track import State, Track
from gpu_tuned.core.words import watched_word

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Setting as SettingRow

NONE_OF_REQUIRED = "no GPU is here, and some setting is required"


def shown(setting: Setting, track: Track, state: GpuState) -> bool:
    """Whether a setting has a row: not where nothing can be said of it."""
    if not state.here:
        return track.wish is not None
    if setting.of_host:
        return any(one is not None for one in (track.wish, track.left, track.restored))
    return not drift.silent(setting, track)


def wanted_away(state: GpuState, *, short: bool) -> bool:
    """Whether a GPU that cannot be looked at is as somebody wants it."""
    if state.presence is Presence.ASLEEP:
        return True
    return state.presence in ON_PURPOSE and not (state.named or short)


def gpu_in_order(state: GpuState, rows: list[SettingRow], *, short: bool) -> bool:
    """`rows`: those of its settings."""
    return all(row["in_order"] for row in rows) if state.here else wanted_away(state, short=short)


def exceptions(states: Mapping[str, GpuState], host: GpuState, *, short: bool) -> list[str]:
    """What is not in order, a few words each."""
    found = [f"{s.title} {s.why}" for s in states.values() if not s.here and not wanted_away(s, short=short)]
    for state in (*states.values(), host):
        where = "" if state is host else f"{state.gpu.place} "
        found += [
            f"{where}{setting.label} {_word(track)}"
            for setting, track in state.tracks.items()
            if state.here and not track.in_order and shown(setting, track, state)
        ]
    return found


def none_of_required(policy: Policy | None, states: Mapping[str, GpuState]) -> bool:
    """Whether settings are required, and there is no GPU to have them."""
    return not states and policy is not None and any(rule.required for rule in policy.rules)


def _word(track: Track) -> str:
    return watched_word(fits=track.fits) if track.state is State.WATCHED else track.state.value


def gpus_here(policy: Policy | None, states: Mapping[str, GpuState]) -> tuple[int, str | None]:
    """How many GPUs are here, asleep ones among them, and why that is not in order."""
    here = sum(state.presence in (Presence.HERE, Presence.ASLEEP) for state in states.values())
    wanted = policy.gpus if policy else None
    if wanted is None or here >= wanted:
        return here, None
    return here, f"{here} of the {wanted} GPUs are here that [host] gpus asks for"
