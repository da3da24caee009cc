"""The status document: what the daemon knows, as the JSON that clients read. Fields are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from gpu_tuned.core.model import (
    Board,
    ClockLock,
    Gpu,
    PowerLimit,
    Reading,
    Setting,
    Telemetry,
    Unread,
    Value,
    watts,
    wire,
)
from gpu_tuned.core.plan import Refusal
from gpu_tuned.core.saved import Record
from gpu_tuned.core.throttle import Capping, capping
from gpu_tuned.core.track import Track
from gpu_tuned.core.wish import Auto, Ceiling, Percent, Symbol, Wish, target_text

FORMAT = 1
BUSY_PERCENT = 5
"""From this utilisation on a GPU is called busy: a desktop's cursor alone stays below it."""


@lru_cache(maxsize=256)  # most of a document's times stand in the one before too
def timestamp(wall_s: float | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    if wall_s is None:
        return None
    return datetime.fromtimestamp(wall_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def setting_row(setting: Setting, track: Track, wish: Wish | None, record: Record | None) -> dict[str, Any]:
    """One setting: wished, accepted, observed, where the wish comes from, and why not if not."""
    return {
        "setting": setting.value,
        "wished": _wished(track, wish),
        "accepted": wire(track.accepted if track.accepted is not None else _held(track)),
        "observed": None if isinstance(track.observed, Unread) else wire(track.observed),
        "state": track.state.value,
        "origin": str(wish.origin) if wish else None,
        "since": timestamp(track.since),
        "required": bool(wish and wish.required),
        "reason": wish.reason if wish else None,
        "message": track.message,
        "in_order": track.in_order,
        "original": wire(record.original) if record else None,
        "original_assumed": bool(record and record.assumed),
        "confirmed_at": timestamp(track.confirmed_at),
        "ceiling": bool(wish and isinstance(wish.target, Ceiling)),
        "put_back": track.put_back,
        "every_s": round(track.every_s, 1) if track.every_s is not None else None,
    }


def _wished(track: Track, wish: Wish | None) -> Any:
    if wish is None or wish.target is None:
        return None
    if isinstance(wish.target, Ceiling):
        return {"max": wire(wish.target.limit)}
    if track.goal is None or isinstance(track.goal, Refusal):
        if isinstance(wish.target, (Symbol, Percent, Auto)):
            return target_text(wish.target)
        return wire(wish.target)
    if isinstance(wish.target, ClockLock):
        return wire(wish.target)  # as written: min 0 is "no minimum", where the goal has the board's lowest clock
    return wire(track.goal)


def _held(track: Track) -> Value | None:
    """A value that was found as wished needed no write: the driver accepted it all the same."""
    goal = track.goal
    same = not isinstance(goal, Refusal) and track.observed == goal and track.ours
    return goal if same and not isinstance(goal, Refusal) else None


def telemetry_row(telemetry: Telemetry) -> dict[str, Any]:
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
    }


def capping_of(
    board: Board, tracks: Mapping[Setting, Track], telemetry: Telemetry, found: Reading | None = None
) -> Capping:
    """What a power cap is, by the limit as it was found (by default: as it was read last) and what of it is ours."""
    track = tracks.get(Setting.POWER_LIMIT)
    reading = track.observed if found is None and track is not None else found
    ours = None if track is None or not track.ours else _held(track) or track.accepted
    return capping(
        telemetry,
        reading.limit_mw if isinstance(reading, PowerLimit) else None,
        ours.limit_mw if isinstance(ours, PowerLimit) else None,
        board.power.default_mw if board.power else None,
    )


def change_row(gpu: Gpu | None, setting: Setting, found: Any, wanted: Value, wish: Wish, why: str) -> dict[str, Any]:
    """One write that is due, for `plan`."""
    return {
        "gpu": gpu.uuid if gpu else None,
        "pci": gpu.pci if gpu else None,
        "name": gpu.name if gpu else None,
        "setting": setting.value,
        "found": None if isinstance(found, Unread) else wire(found),
        "wanted": wire(wanted),
        "origin": str(wish.origin),
        "why": why,
    }


def left_row(gpu: Gpu | None, setting: Setting, found: Any) -> dict[str, Any]:
    """A setting of ours that no rule speaks of any more, for `plan`: its value stays."""
    return {
        "gpu": gpu.uuid if gpu else None,
        "pci": gpu.pci if gpu else None,
        "name": gpu.name if gpu else None,
        "setting": setting.value,
        "found": None if found is None or isinstance(found, Unread) else wire(found),
    }


def refusal_row(gpu: Gpu | None, setting: Setting, refusal: Refusal, wish: Wish) -> dict[str, Any]:
    """One wish that cannot be met, for `plan`."""
    return {
        "gpu": gpu.uuid if gpu else None,
        "pci": gpu.pci if gpu else None,
        "name": gpu.name if gpu else None,
        "setting": setting.value,
        "wanted": target_text(wish.target),
        "why": refusal.why,
        "nearest": wire(refusal.nearest),
        "origin": str(wish.origin),
    }
