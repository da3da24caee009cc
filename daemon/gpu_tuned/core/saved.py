"""What survives a restart: originals, what the driver accepted, and the sources of the last good policy.

An original is the value found just before the first write of one driver initialisation. It is written to disk
before the write that it makes undoable, never overwritten while that initialisation lasts, and dropped when it ends:
after a reboot or a driver reload the driver's own defaults are what is found.

Every later version reads what an earlier one wrote (tests/golden/state). An earlier one passes over keys that it does
not know, and refuses settings and values that it does not know; what it must not lose takes a new number in the
file's head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpu_tuned.core.model import Board, Reading, Seen, Setting, Unread, Value, from_wire, wire


@dataclass(frozen=True, slots=True)
class Record:
    """One setting that was written. `assumed`: a lock's original, which no driver call can tell."""

    original: Value
    assumed: bool
    target: Value | None = None
    accepted: Value | None = None


@dataclass(frozen=True, slots=True)
class Initialisation:
    """How one driver initialisation of a GPU is told from the next.

    `binding`: the kernel's token of the device bound to the driver, which changes with a reload or rebind.
    `counters_ns`: the driver's throttle counters, which only grow within one.
    """

    binding: str = ""
    counters_ns: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SavedGpu:
    initialisation: Initialisation
    records: Mapping[Setting, Record] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Saved:
    """The whole state file. `policy` is opaque here: the sources of the last good policy."""

    boot_id: str = ""
    gpus: Mapping[str, SavedGpu] = field(default_factory=dict)
    host: Mapping[Setting, Record] = field(default_factory=dict)
    policy: Mapping[str, Any] | None = None

    def record(self, uuid: str | None, setting: Setting) -> Record | None:
        """The record of one GPU's setting, or of the host's for `uuid` None."""
        records = self.host if uuid is None else self.gpus[uuid].records if uuid in self.gpus else {}
        return records.get(setting)

    def with_record(self, uuid: str | None, setting: Setting, record: Record) -> Saved:
        if uuid is None:
            return replace(self, host={**self.host, setting: record})
        gpu = self.gpus.get(uuid, SavedGpu(Initialisation()))
        return replace(self, gpus={**self.gpus, uuid: replace(gpu, records={**gpu.records, setting: record})})

    def without_record(self, uuid: str | None, setting: Setting) -> Saved:
        before = self.host if uuid is None else self.gpus[uuid].records
        records = {kept: record for kept, record in before.items() if kept is not setting}
        if uuid is None:
            return replace(self, host=records)
        return replace(self, gpus={**self.gpus, uuid: replace(self.gpus[uuid], records=records)})


def before_write(
    saved: Saved, uuid: str | None, setting: Setting, found: Reading, target: Value, default: Value | None
) -> Saved:
    """The state that must be on disk before `target` is written over `found`. An original never changes."""
    record = saved.record(uuid, setting)
    if record is not None:
        return saved.with_record(uuid, setting, replace(record, target=target, accepted=None))
    if not isinstance(found, Unread):
        return saved.with_record(uuid, setting, Record(found, False, target))
    if default is None:
        return saved
    return saved.with_record(uuid, setting, Record(default, True, target))


def after_write(saved: Saved, uuid: str | None, setting: Setting, accepted: Value) -> Saved:
    record = saved.record(uuid, setting)
    return saved if record is None else saved.with_record(uuid, setting, replace(record, accepted=accepted))


def accepted_for(record: Record | None, goal: Value) -> Value | None:
    """What the driver made of this same goal earlier in this initialisation; None where it was never asked."""
    return record.accepted if record is not None and record.target == goal else None


def why_new(saved: SavedGpu, board: Board, seen: Seen, binding: str) -> str | None:
    """Why this GPU is in another driver initialisation than the saved one; None: nothing says so."""
    if saved.initialisation.binding != binding:
        return "the device was bound to the driver anew"
    if seen.counters_ns is not None and counters_went_back(saved.initialisation.counters_ns, seen.counters_ns):
        return "the driver's counters started again"
    return _all_back_at_default(saved, board, seen)


def counters_went_back(before_ns: Mapping[int, int], now_ns: Mapping[int, int]) -> bool:
    """Cumulative counters never run backwards within one initialisation."""
    return any(now_ns[counter] < value for counter, value in before_ns.items() if counter in now_ns)


def _all_back_at_default(saved: SavedGpu, board: Board, seen: Seen) -> str | None:
    """Everything of ours gone at once, with persistence off, is what the last client's leaving does; with
    persistence on the initialisation lives on, and somebody reset the values by hand."""
    if seen.readings.get(Setting.PERSISTENCE_MODE) is True:
        return None
    telling = [
        setting
        for setting, record in saved.records.items()
        if setting.readable and record.accepted is not None and record.accepted != board.factory_default(setting)
    ]
    gone = [s for s in telling if seen.readings.get(s) == board.factory_default(s)]
    return "everything written was back at its default" if telling and gone == telling else None


def to_json(saved: Saved) -> dict[str, Any]:
    return {
        "boot_id": saved.boot_id,
        "host": _records_to_json(saved.host),
        "gpus": {
            uuid: {
                "binding": gpu.initialisation.binding,
                "counters_ns": {str(counter): ns for counter, ns in gpu.initialisation.counters_ns.items()},
                "records": _records_to_json(gpu.records),
            }
            for uuid, gpu in saved.gpus.items()
        },
        "policy": saved.policy,
    }


def _records_to_json(records: Mapping[Setting, Record]) -> dict[str, Any]:
    return {
        setting.value: {
            "original": wire(record.original),
            "assumed": record.assumed,
            "target": wire(record.target),
            "accepted": wire(record.accepted),
        }
        for setting, record in records.items()
    }


def from_json(raw: Mapping[str, Any]) -> Saved:
    """The inverse of `to_json`; {} gives an empty state. Raises ValueError for anything else than its own output."""
    try:
        return Saved(
            boot_id=str(raw.get("boot_id", "")),
            host=_records_from_json(raw.get("host", {})),
            gpus={
                str(uuid): SavedGpu(
                    Initialisation(
                        str(gpu["binding"]),
                        {int(counter): int(ns) for counter, ns in gpu["counters_ns"].items()},
                    ),
                    _records_from_json(gpu["records"]),
                )
                for uuid, gpu in raw.get("gpus", {}).items()
            },
            policy=raw.get("policy"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a saved state: {error!r}") from error


def _records_from_json(raw: Mapping[str, Any]) -> dict[Setting, Record]:
    def value(setting: Setting, wired: Any) -> Value | None:
        return None if wired is None else from_wire(setting, wired)

    return {
        Setting(name): Record(
            from_wire(Setting(name), record["original"]),
            bool(record["assumed"]),
            value(Setting(name), record["target"]),
            value(Setting(name), record["accepted"]),
        )
        for name, record in raw.items()
    }
