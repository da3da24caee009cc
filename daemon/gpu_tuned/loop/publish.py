"""Turns what the loop knows into the published document: a value that nobody changes afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from gpu_tuned.core import report
from gpu_tuned.core.model import GPU_SETTINGS, LOCKS, Setting, text, watts, wire
from gpu_tuned.core.saved import Record, Saved
from gpu_tuned.core.track import Moment, Track
from gpu_tuned.core.wish import MatchBy, Wish
from gpu_tuned.loop.fleet import DriverState, Fleet
from gpu_tuned.loop.host_settings import HostSettings
from gpu_tuned.loop.policy_keeper import PolicyKeeper
from gpu_tuned.loop.reconcile import Book
from gpu_tuned.ports import Kernel


def gpu_row(book: Book, saved: Saved, mono_s: float, driver_away: str | None) -> dict[str, Any]:
    """One GPU of the document. `driver_away`: the driver's state word where nothing can be seen at all."""
    gpu = book.board.gpu
    rows = [
        _row(book, setting, track, book.wishes.get(setting), saved.record(gpu.uuid, setting))
        for setting in GPU_SETTINGS
        if (track := book.tracks.get(setting)) is not None
        and not (setting in LOCKS and not track.ours and book.wishes.get(setting) is None)
    ]
    fault = book.throttle.fault
    last = book.last_put_back
    return {
        "index": book.board.index,
        "uuid": gpu.uuid,
        "pci": gpu.pci,
        "name": gpu.name,
        "state": "ok" if book.away is None else (driver_away or "lost"),
        "message": book.away or ("asleep: not woken up to be looked at" if book.asleep else None),
        "in_order": book.away is None and all(row["in_order"] for row in rows),
        "settings": rows,
        "telemetry": report.telemetry_row(book.telemetry),
        "throttle": {
            "reasons": book.throttle.report(mono_s),
            "fault": None
            if fault is None
            else {"reason": fault.reason.word, "since": report.timestamp(book.wall_of(fault.since_s))},
        },
        "put_back": {
            "count": book.put_back,
            "last": None
            if last is None
            else {
                "at": report.timestamp(last.at),
                "setting": last.setting.value,
                "found": wire(last.found),
                "cause": last.cause,
                "text": f"{last.setting.label} {'lost' if last.found is None else text(last.found)}, {last.cause}",
            },
        },
        "last_xid": None
        if book.last_xid is None
        else {"xid": book.last_xid[0], "at": report.timestamp(book.last_xid[1])},
    }


def _row(book: Book, setting: Setting, track: Track, wish: Wish | None, record: Record | None) -> dict[str, Any]:
    """The row of the document before, where nothing it is made of was replaced since: documents are never changed."""
    made_of = (track, wish, record)
    known = book.rows.get(setting)
    if known is None or any(a is not b for a, b in zip(known[0], made_of, strict=True)):
        known = book.rows[setting] = (made_of, report.setting_row(setting, track, wish, record))
    return known[1]


def policy_row(keeper: PolicyKeeper, mode: str, fleet: Fleet) -> dict[str, Any]:
    policy = keeper.policy
    known = [book.board.gpu for book in fleet.books.values()]
    # Before the driver was met nobody knows what a rule matches.
    unmatched = policy.unmatched(known) if policy and (known or fleet.attached) else ()
    budget_mw = policy.gpu_power_budget_mw if policy else None
    return {
        "state": keeper.state.value,
        "mode": mode,
        "files": list(policy.files) if policy else [],
        "digest": policy.digest if policy else None,
        "loaded_at": report.timestamp(keeper.loaded_at),
        "error": "\n".join(keeper.problems) or None,
        "pending": keeper.pending.digest if keeper.pending else None,
        "warnings": [f"{rule.origin}: matches no GPU ({rule.match})" for rule in unmatched],
        "unmatched": [
            {
                "origin": str(rule.origin),
                "match": str(rule.match),
                # A UUID or an address names one GPU that must be there; a pattern may be meant for other hosts.
                "fails": rule.match.by is not MatchBy.NAME,
                "required": bool(rule.required),
            }
            for rule in unmatched
        ],
        # What must be in force, told also while no GPU can be seen.
        "required": [
            f"{rule.origin}.{setting.value}"
            for rule in (policy.rules if policy else ())
            for setting in sorted(rule.required)
        ],
        "gpu_power_budget_w": None if budget_mw is None else watts(budget_mw),
        "on_stop": policy.daemon.on_stop.value if policy else "keep",
    }


def driver_row(fleet: Fleet, kernel: Kernel, library: str | None, answered_at: float | None) -> dict[str, Any]:
    return {
        "state": fleet.state.value,
        "loaded": kernel.driver_loaded(),
        "installed": kernel.driver_installed(),
        "library": library,
        "message": fleet.message,
        "answered_at": report.timestamp(answered_at),
        "not_answering_since": None,
    }


def document(
    keeper: PolicyKeeper,
    fleet: Fleet,
    host: HostSettings,
    kernel: Kernel,
    saved: Saved,
    interval_s: float,
    mode: str,
    moment: Moment,
    answered_at: float | None,
    about: Mapping[str, Any],
    library: str | None,
    plan: Mapping[str, Any],
) -> dict[str, Any]:
    """The whole status document; "plan" beside it is served by its own method."""
    books = list(fleet.books.values())
    own = (
        []
        if host.track is None
        else [
            report.setting_row(
                Setting.NUMA_BALANCING, host.track, host.wish, saved.record(None, Setting.NUMA_BALANCING)
            )
        ]
    )
    return {
        "format": report.FORMAT,
        "policy": policy_row(keeper, mode, fleet),
        "driver": driver_row(fleet, kernel, library, answered_at),
        "gpus": [gpu_row(book, saved, moment.mono, _away_word(fleet, book)) for book in books],
        "host": {
            "name": os.uname().nodename,
            "in_order": all(row["in_order"] for row in own),
            "settings": own,
            "daemon_version": about["daemon_version"],
            "pid": os.getpid(),
            "started_at": report.timestamp(about["started_at"]),
            "seen_at": report.timestamp(answered_at),
            "poll_interval_s": interval_s,
            "sequence": about["turns"],
            "rivals": about["rivals"],
        },
        "plan": plan,
    }


def _away_word(fleet: Fleet, book: Book) -> str | None:
    """Why nothing at all can be seen, in the document's word for one GPU; None: the driver is there."""
    if fleet.state is DriverState.OK:
        return None
    if fleet.state is DriverState.RELEASED:
        return "released" if book.board.gpu.uuid in fleet.released else "waiting"
    return "absent" if fleet.state is DriverState.ABSENT else "waiting"


def one_line(document: Mapping[str, Any]) -> str:
    """STATUS= for the service manager: how many settings are as wished. ASCII."""
    if document["policy"]["state"] == "none":
        return "No policy in force: nothing is written"
    rows = [row for gpu in document["gpus"] for row in gpu["settings"] if row["origin"] is not None]
    good = sum(row["in_order"] for row in rows)
    where = f"{good} of {len(rows)} settings held on {len(document['gpus'])} GPU(s)"
    driver = document["driver"]
    if driver["state"] != "ok":
        where = f"driver {driver['state']}: {driver['message'] or 'not met yet'}; {where}"
    if document["policy"]["error"]:
        where += "; newest policy file refused, the one before is in force"
    mode = "observing, " if document["policy"]["mode"] == "observe" else ""
    return (mode + where).encode("ascii", "replace").decode()
