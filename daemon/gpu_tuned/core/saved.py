"""What survives a restart of the daemon: what is known of this boot's GPUs, and the sources of the last good policy.

The two are kept apart. Originals, what the driver accepted, and which GPUs were seen are of this boot and of no
other: they lie in memory (/run), where no full disk can keep a cap from being set. The last good policy outlives a
reboot.

Every later version reads what an earlier one wrote (tests/golden/state). An earlier one passes over keys that it does
not know, and refuses settings and values that it does not know; what it must not lose takes a new number in the
file's head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpu_tuned.core.gpu_state import GpuState, Presence
from gpu_tuned.core.model import Gpu, Setting, Value, wire
from gpu_tuned.core.originals import Accepted, Initialisation, Original, Ours
from gpu_tuned.core.settings import from_wire
from gpu_tuned.core.track import Left, Moment, State, Track
from gpu_tuned.core.watched import NOT_LOOKED_AT

NOT_ASKED = "the driver was not asked yet"


@dataclass(frozen=True, slots=True)
class Saved:
    """What one state file held. `gpus`: by UUID, each away until it is met. `host`: the host's own settings' tracks.
    `policy` is opaque here: the sources of the last good policy; `fitted`: of the last one that suited the boards."""

    boot_id: str = ""
    gpus: Mapping[str, GpuState] = field(default_factory=dict)
    host: Mapping[Setting, Track] = field(default_factory=dict)
    policy: Mapping[str, Any] | None = None
    fitted: Mapping[str, Any] | None = None
    throttled: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of_boot(self, boot_id: str) -> Saved:
        """What of it is still true in this boot. After a reboot the driver's own values are what is found."""
        return self if self.boot_id == boot_id else Saved(boot_id)


def to_json(
    boot_id: str,
    gpus: Iterable[GpuState],
    host: Mapping[Setting, Track],
    throttled: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """This boot's half. A GPU whose UUID is not known has nothing that could be remembered."""
    return {
        "boot_id": boot_id,
        "host": _records_to_json(host),
        "gpus": {
            state.gpu.uuid: {
                "pci": state.gpu.pci,
                "name": state.gpu.name,
                "binding": state.initialisation.binding or "",
                "counters_ns": {str(counter): ns for counter, ns in state.initialisation.counters_ns.items()},
                "records": _records_to_json(state.tracks),
            }
            for state in gpus
            if state.gpu.uuid
        },
        **({"throttled": throttled} if throttled else {}),
    }


def _records_to_json(tracks: Mapping[Setting, Track]) -> dict[str, Any]:
    return {
        setting.value: {
            "original": wire(original.value),
            "assumed": original.assumed,
            "late": original.late,
            "written": original.written,
            "refused": original.ours is Ours.REFUSED,
            "put": wire(original.put) if original.put is not None else None,
            # Also what 0.1.0 knows them by: a record of its own always had a target.
            "target": wire(track.before.goal) if track.before else None,
            "accepted": wire(track.before.value) if track.before else None,
            "rule": track.before.rule if track.before else None,
        }
        for setting, track in tracks.items()
        if (original := track.original) is not None
    }


def from_json(raw: Mapping[str, Any], moment: Moment) -> Saved:
    """The inverse of `to_json`, and of what 0.1.0 wrote; {} gives an empty state. Raises ValueError for anything
    else."""
    try:
        return Saved(
            boot_id=str(raw.get("boot_id", "")),
            gpus={str(uuid): _gpu(str(uuid), gpu, moment) for uuid, gpu in raw.get("gpus", {}).items()},
            host=_tracks(raw.get("host", {}), moment),
            policy=raw.get("policy"),
            fitted=raw.get("fitted"),
            throttled=dict(raw.get("throttled", {})),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a saved state: {error!r}") from error


def _gpu(uuid: str, raw: Mapping[str, Any], moment: Moment) -> GpuState:
    counters_ns = {int(counter): int(ns) for counter, ns in raw["counters_ns"].items()}
    return GpuState(
        Gpu(uuid, str(raw.get("pci", "")), str(raw.get("name", ""))),
        presence=Presence.WAITING,
        why=NOT_ASKED,
        since=moment.wall,
        initialisation=Initialisation(str(raw["binding"]) or None, counters_ns),
        tracks=_tracks(raw["records"], moment),
    )


def _tracks(raw: Mapping[str, Any], moment: Moment) -> dict[Setting, Track]:
    return {Setting(name): _track(Setting(name), record, moment) for name, record in raw.items()}


def _track(setting: Setting, record: Mapping[str, Any], moment: Moment) -> Track:
    def value(key: str) -> Value | None:
        return None if record[key] is None else from_wire(setting, record[key])

    target, accepted = value("target"), value("accepted")
    before = None
    if target is not None and accepted is not None:
        before = Accepted(target, str(record.get("rule") or ""), accepted)
    original = Original(
        from_wire(setting, record["original"]),
        bool(record["assumed"]),
        bool(record.get("late", False)),
        _ours(record, target),
        value("put") if "put" in record else accepted,
    )
    return Track(State.WAITING, moment.wall, NOT_LOOKED_AT, original=original, before=before)


def _ours(record: Mapping[str, Any], target: Value | None) -> Ours:
    """A write that the run before asked for may have been taken, whatever came of the next one."""
    if record.get("written", target is not None):
        return Ours.PERHAPS
    return Ours.REFUSED if record.get("refused", False) else Ours.NEVER


def next_run(tracks: Mapping[Setting, Track]) -> dict[Setting, Track]:
    """Tracks as the next run of the daemon begins with them."""
    return {setting: _begun_again(track) for setting, track in tracks.items()}


def _begun_again(track: Track) -> Track:
    """Where a write of ours was refused and none was ever taken, whoever sets the value is somebody who may: what
    that one left is what is found. What was taken is left behind, as long as no rule speaks of it."""
    original = track.original
    if original is None:
        return track
    if original.ours is Ours.REFUSED:
        return replace(track, original=None)
    return replace(track, left=Left(original.put)) if original.written and original.put is not None else track
