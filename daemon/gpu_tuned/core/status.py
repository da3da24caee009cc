"""The status document: what the daemon knows, as the JSON that clients read. Fields are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, overload

from gpu_tuned.core.goal import Refusal
from gpu_tuned.core.gpu_state import GpuState, Presence
from gpu_tuned.core.in_order import gpu_in_order, shown, wanted_away
from gpu_tuned.core.ladder import Fitted, lock_on
from gpu_tuned.core.model import (
    GPU_SETTINGS,
    NO_INDEX,
    ClockLock,
    Gpu,
    PowerLimit,
    Reading,
    Setting,
    Telemetry,
    Unread,
    Value,
    text,
    watts,
    wire,
)
from gpu_tuned.core.policy import Policy, Rule
from gpu_tuned.core.throttle import Capping, capping
from gpu_tuned.core.track import State, Track
from gpu_tuned.core.wish import Ceiling, MatchBy, Wish, target_wire

if TYPE_CHECKING:
    from gpu_tuned.core.budget import Misfit
    from gpu_tuned.core.wire import Gpu as GpuRow
    from gpu_tuned.core.wire import Policy as PolicyRow
    from gpu_tuned.core.wire import Setting as SettingRow
    from gpu_tuned.core.wire import Telemetry as TelemetryRow
    from gpu_tuned.core.wire import Throttling

FORMAT = 1
BUSY_PERCENT = 5
"""From this utilisation on a GPU is called busy: a desktop's cursor alone stays below it."""

_AWAY = {
    Presence.ASLEEP: State.ASLEEP,
    Presence.LOST: State.ABSENT,
    Presence.ABSENT: State.ABSENT,
    Presence.UNBOUND: State.WAITING,
    Presence.RELEASED: State.WAITING,
    Presence.WAITING: State.WAITING,
}
"""What each setting of a GPU is that cannot be looked at: it follows from the GPU alone."""


@overload
def timestamp(wall_s: float) -> str: ...


@overload
def timestamp(wall_s: None) -> None: ...


@overload
def timestamp(wall_s: float | None) -> str | None: ...


def timestamp(wall_s: float | None) -> str | None:
    """RFC 3339 in UTC, to the second, as every time on the socket: "2026-11-22T14:02:11Z"."""
    return None if wall_s is None else _rfc3339(wall_s)


@lru_cache(maxsize=256)  # most of a document's times stand in the one before too
def _rfc3339(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def setting_row(setting: Setting, track: Track, state: GpuState, *, short: bool) -> SettingRow:
    """One setting: wished, accepted, observed, where the wish comes from, and why not if not. `short`: fewer GPUs are
    here than the policy says there must be."""
    wish, original, here = track.wish, track.original, state.here
    return {
        "setting": setting.value,
        "wished": _wished(track, wish),
        "accepted": wire(track.accepted if track.accepted is not None else _held(track)) if here else None,
        "observed": wire(track.observed) if here and not isinstance(track.observed, Unread) else None,
        "state": track.state.value if here else _AWAY[state.presence].value,
        "origin": str(wish.origin) if wish else None,
        "since": timestamp(track.since if here else state.since),
        "required": bool(wish and wish.required),
        "reason": wish.reason if wish else None,
        "message": (track.message or _rounded(track, state)) if here else state.why,
        "in_order": track.in_order if here else wish is None or wanted_away(state, short=short),
        "fits": track.fits if here and track.state is State.WATCHED else None,
        "original": wire(original.value) if original else None,
        "original_assumed": bool(original and original.assumed),
        "original_late": bool(original and original.late),
        "written": bool(original and original.written),
        "confirmed_at": timestamp(track.confirmed_at),
        "ceiling": bool(wish and isinstance(wish.target, Ceiling)),
        "put_back": track.put_back,
        "every_s": round(track.every_s, 1) if track.every_s is not None else None,
    }


def _rounded(track: Track, state: GpuState) -> str | None:
    """What became of an end of a wished range that is no clock of this board."""
    wish, board = track.wish, state.board
    if wish is None or board is None or not isinstance(wish.target, ClockLock) or track.goal is None:
        return None
    rungs = board.gpu_ladder_mhz if wish.setting is Setting.GPU_CLOCK else board.memory_ladder_mhz
    fitted = lock_on(rungs, wish.target)
    return fitted.rounded if isinstance(fitted, Fitted) else None


def _may_require(policy: Policy | None, named: Rule) -> bool:
    """Whether a rule by pattern may require something of the GPU that `named` asks for: its name is not known."""
    if policy is None or named.match.by is MatchBy.NAME:
        return False
    return any(rule.required for rule in policy.rules if rule.match.by is MatchBy.NAME)


def _wished(track: Track, wish: Wish | None) -> object:
    if wish is None or wish.target is None:
        return None
    # A ceiling and a lock stand as written: min 0 is "no minimum", where the goal has the board's lowest clock.
    if track.goal is None or isinstance(track.goal, Refusal) or isinstance(wish.target, (Ceiling, ClockLock)):
        return target_wire(wish.target)
    return wire(track.goal)


def _held(track: Track) -> Value | None:
    """A value that was found as wished needed no write: the driver accepted it all the same."""
    goal = track.goal
    same = not isinstance(goal, Refusal) and track.observed == goal and track.ours
    return goal if same and not isinstance(goal, Refusal) else None


def rows(state: GpuState, *, short: bool = False) -> list[SettingRow]:
    """Every setting of a GPU, or of the host, of which something can be said."""
    return [
        setting_row(setting, track, state, short=short)
        for setting in Setting
        if (track := state.tracks.get(setting)) is not None and shown(setting, track, state)
    ]


def gpu_row(state: GpuState, settings: list[SettingRow], throttle: Throttling, *, short: bool) -> GpuRow:
    """One GPU of the document's `gpus`. `short`: fewer GPUs are here than the policy demands."""
    last = state.last_put_back
    return {
        "index": NO_INDEX if state.index is None else state.index,
        "uuid": state.gpu.uuid,
        "pci": state.gpu.pci,
        "name": state.gpu.name,
        "state": state.presence.word,
        "message": state.why,
        "in_order": gpu_in_order(state, settings, short=short),
        "settings": settings,
        "telemetry": telemetry_row(state.telemetry if state.here else Telemetry()),
        "throttle": throttle,
        "put_back": {
            "count": state.put_back,
            "last": None
            if last is None
            else {
                "at": timestamp(last.at),
                "setting": last.setting.value,
                "found": wire(last.found),
                "cause": last.cause,
                "text": f"{last.setting.label} {'lost' if last.found is None else text(last.found)}, {last.cause}",
            },
        },
        "no_xids": state.board.no_xids if state.board else None,
        "last_xid": None
        if state.last_xid is None
        else {"xid": state.last_xid[0], "at": timestamp(state.last_xid[1])},
    }


def telemetry_row(telemetry: Telemetry) -> TelemetryRow:
    """What a GPU does, in the units of the keys: W, MHz, degrees Celsius, percent."""

    def in_watts(milliwatts: int | None) -> int | float | None:
        return None if milliwatts is None else watts(milliwatts)

    return {
        "power_w": None if telemetry.power_mw is None else round(telemetry.power_mw / 1000, 1),
        "power_limit_w": in_watts(telemetry.enforced_limit_mw),
        "gpu_clock_mhz": telemetry.gpu_clock_mhz,
        "memory_clock_mhz": telemetry.memory_clock_mhz,
        "temperature_c": telemetry.temperature_c,
        "utilization_percent": telemetry.utilization_percent,
        "pstate": telemetry.pstate,
        "busy": (telemetry.utilization_percent or 0) >= BUSY_PERCENT,
        "recovery_action": telemetry.recovery_action,
    }


def capping_of(state: GpuState, telemetry: Telemetry, found: Reading | None) -> Capping:
    """What a power cap is, by the limit as it was found (None: as it was read last) and what of it is ours."""
    track, power = state.tracks.get(Setting.POWER_LIMIT), state.board.power if state.board else None
    reading = track.observed if found is None and track is not None else found
    ours = None
    if track is not None:  # a value of ours stays ours when its rule is gone, for as long as it stays
        ours = (_held(track) or track.accepted) if track.ours else track.left and track.left.value
    return capping(
        telemetry,
        reading.limit_mw if isinstance(reading, PowerLimit) else None,
        ours.limit_mw if isinstance(ours, PowerLimit) else None,
        power.default_mw if power else None,
    )


def mode(*, observing: bool) -> str:
    """The document's word for whether anything is written."""
    return "observe" if observing else "enforce"


def policy_row(policy: Policy | None, known: Sequence[Gpu], standing: Standing, *, met: bool) -> PolicyRow:
    """The document's `policy`. `known`: every GPU of which anything is. `met`: the driver was, so it is known what a
    rule matches."""
    unmatched = policy.unmatched(known) if policy and (known or met) else ()
    budget_mw = policy.gpu_power_budget_mw if policy else None
    return {
        "state": standing.state,
        "mode": mode(observing=standing.observing),
        "files": list(policy.files) if policy else [],
        "digest": policy.digest if policy else None,
        "loaded_at": timestamp(standing.loaded_at),
        "error": "\n".join([*standing.refused, *([standing.misfit.why] if standing.misfit else [])]) or None,
        "misfit": standing.misfit.why if standing.misfit else None,
        "misfit_certain": standing.misfit.certain if standing.misfit else None,
        "pending": standing.pending,
        "warnings": [f"{rule.origin}: matches no GPU ({rule.match})" for rule in unmatched],
        "unmatched": [
            {
                "origin": str(rule.origin),
                "match": str(rule.match),
                # A UUID or an address names one GPU that must be there; a pattern may be meant for other hosts.
                "fails": rule.match.by is not MatchBy.NAME,
                "required": bool(rule.required) or _may_require(policy, rule),
            }
            for rule in unmatched
        ],
        # What must be in force, told also while no GPU can be seen.
        "required": [
            f"{rule.origin}.{setting.value}"
            for rule in (policy.rules if policy else ())
            for setting in GPU_SETTINGS
            if setting in rule.required
        ],
        "gpu_power_budget_w": None if budget_mw is None else watts(budget_mw),
        "on_stop": policy.daemon.on_stop.value if policy else "keep",
    }


class Standing(NamedTuple):
    """How a policy came to be in force. `state`: a word of the document's; `loaded_at`: wall clock, seconds;
    `refused`: why the newest files were; `misfit`: why what is in force does not suit the boards; `pending`: the
    digest of a policy that is not loaded yet."""

    state: str
    observing: bool
    loaded_at: float | None
    refused: Sequence[str]
    misfit: Misfit | None
    pending: str | None
