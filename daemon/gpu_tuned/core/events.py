"""The closed catalogue of what the daemon can say, and how each is told.

A message is a function of an event's fields: the journal entry, the line on a terminal and what `gpu-tunedctl
watch` prints come from the same `Event`. MESSAGE_IDs never change once released.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gpu_tuned.core.model import Gpu, Setting, Value, text, wire


class Priority(int, Enum):
    """syslog(3) levels, the ones in use."""

    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


class EventKind(Enum):
    """Each thing that can be said: its name on the wire, MESSAGE_ID, priority, and its words.

    The words are a format string over the fields that `message` puts together.
    """

    STARTED = ("started", "60f4367061fc44d4b5588cdb9d664aa6", Priority.INFO, "gpu-tuned {version} started, {mode}")
    STOPPED = ("stopped", "d8f24aa2572e4f08b88c737af6f6b297", Priority.INFO, "Stopped; {what}")
    DRIVER_READY = (
        "driver_ready",
        "a984f5ca4758453abd0a876028141303",
        Priority.INFO,
        "Driver {version}: {gpus}",
    )
    DRIVER_WAITING = (
        "driver_waiting",
        "13bacabb3d6b400eb826f43791a05280",
        Priority.WARNING,
        "Waiting for the driver: {cause}",
    )

    POLICY_LOADED = (
        "policy_loaded",
        "8968cf53bf074ae8a88ca09049ce7b5a",
        Priority.INFO,
        "Policy {digest} in force from {files}",
    )
    POLICY_REFUSED = (
        "policy_refused",
        "fa3f380dbc7547acbedd8bfe9ebbf5f9",
        Priority.ERROR,
        "Policy refused, {kept}: {cause}",
    )
    POLICY_UNSUITED = (
        "policy_unsuited",
        "8914ba26e05e4a9db2d9661ae1842085",
        Priority.ERROR,
        "The policy does not suit the boards, {kept}: {cause}",
    )
    RULE_UNMATCHED = ("rule_unmatched", "3ec2935199624a49b1688da4633e3aa3", Priority.WARNING, "{origin}: {cause}")

    APPLIED = (
        "applied",
        "67bdeb24d6444768ab7babb6e657f166",
        Priority.NOTICE,
        "{where}{setting} set to {wanted}, was {found}",
    )
    REQUESTED = (
        "requested",
        "54789a398b16465a9272b723f28a60be",
        Priority.NOTICE,
        "{where}{setting} {wanted} requested ({cause}); no driver call can read it back",
    )
    REFUSED = (
        "refused",
        "b51b37b77ba84974ac489ec3d5ee9233",
        Priority.WARNING,
        "{where}{setting} {wanted} refused: {cause}",
    )
    DRIFTED = (
        "drifted",
        "b55e776c648142689ff22d5af40d9b03",
        Priority.WARNING,
        "{where}{setting} is {found}, wanted {wanted}: {cause}",
    )
    PUT_BACK = (
        "put_back",
        "fc0f40e9826341aca39afa8826c04e9b",
        Priority.NOTICE,
        "{where}{setting} put back to {wanted}, was {found}",
    )
    CONTESTED = (
        "contested",
        "99bd604d05164842a9b4f6d25f2bf5f8",
        Priority.WARNING,
        "{where}{setting} is contested: changed {count} times, about every {rhythm_s} s{last}; wanted {wanted}; "
        "{then}{suspects}",
    )
    RIVAL = ("rival", "9d24a8bccd05437d810875efd34ca208", Priority.WARNING, "{cause}")
    CONTEST_ENDED = (
        "contest_ended",
        "2878e70a54af4851abcea76119dc4a9b",
        Priority.NOTICE,
        "{where}{setting} stays at {wanted}: no longer contested",
    )
    WATCHED_CHANGED = (
        "watched_changed",
        "b816941ccb354b249e0dec5c3561d3e0",
        Priority.NOTICE,
        "{where}{setting} is now {found}; watched, not written{times}",
    )
    WATCHED_DIFFERS = (
        "watched_differs",
        "279d3d5ff922488e98079c72aef7b682",
        Priority.NOTICE,
        "{where}{setting} is {found}, policy says {wanted}; watched, not written",
    )
    LOCK_LOST = (
        "lock_lost",
        "efc05038516a4b45aeebbc4c26d84db4",
        Priority.WARNING,
        "{where}{setting} {wanted} counts as lost: {cause}",
    )
    LOCK_SUSPECT = (
        "lock_suspect",
        "4c1f2d6e0b8a4f6c9d7e35a1b2c80f94",
        Priority.NOTICE,
        "{where}{setting} {wanted} may not be in force: {cause}",
    )
    LOCK_CONFIRMED = (
        "lock_confirmed",
        "e626049c618b4e7faf6b5ed35af492d9",
        Priority.INFO,
        "{where}{setting} {wanted} confirmed under load",
    )
    UNMANAGED = (
        "unmanaged",
        "dfd8191b04cb4998b1b7e63dac053768",
        Priority.NOTICE,
        "{where}{setting} stays at {found}: no rule speaks of it any more",
    )

    GPU_WAITING = ("gpu_waiting", "c007b7ad54b548419b62e476d7e92b0d", Priority.ERROR, "{where}{state}: {cause}")
    GPU_BACK = (
        "gpu_back",
        "5fc934399cda4e7c8ba93aa9c55775cc",
        Priority.NOTICE,
        "{where}back; its settings are compared with the policy again",
    )
    REINITIALISED = (
        "reinitialised",
        "cbcdb7325d7a4547929907bb27db659a",
        Priority.NOTICE,
        "{where}the driver initialised this GPU anew: {cause}",
    )
    XID = ("xid", "d70e02d8e2be44739454f620756edd4e", Priority.WARNING, "{where}Xid {xid} ({cause})")
    RESUMED = (
        "resumed",
        "15870ade2f79444d89fcfc70a3493316",
        Priority.NOTICE,
        "The machine slept {slept_s} s; every GPU is looked at anew",
    )
    RELEASED = (
        "released",
        "2a7ad70a3f854edc9e6e432b67a5bcd6",
        Priority.NOTICE,
        "Let go of the driver{for_gpu}{until}; no GPU is watched meanwhile",
    )
    TAKEN_BACK = ("taken_back", "19733e823bd7447aae4a22c611de59d8", Priority.NOTICE, "Took the driver back: {cause}")

    FAULT_BEGAN = (
        "fault_began",
        "8a80550957704e6db35ed353b234c914",
        Priority.WARNING,
        "{where}slowed by a fault: {reason}{times}",
    )
    FAULT_ENDED = (
        "fault_ended",
        "6e772339eb1c48758ce41c77dd6030e4",
        Priority.NOTICE,
        "{where}fault over: {reason}, {duration_s} s{times}",
    )

    RESTORED = (
        "restored",
        "7aba0edc4db547c7bb95fce42c2fe03c",
        Priority.NOTICE,
        "{where}{setting} restored to {wanted}, {known}; was {found}",
    )
    RESET_REQUESTED = (
        "reset_requested",
        "3b0e4a5d9c6f4e0f8d21c7a46e9f5b80",
        Priority.NOTICE,
        "{where}{setting} {wanted} requested, which is assumed to be what was there first; no driver call can read it back",
    )
    NOT_RESTORED = (
        "not_restored",
        "99780ebcf452481ba815254714a0e42c",
        Priority.NOTICE,
        "{where}{setting} {cause}; not put back to {wanted}, {known}",
    )
    RESTORE_FAILED = (
        "restore_failed",
        "6ca74681d3cb4a7a9985b56cab22fd39",
        Priority.ERROR,
        "{where}{setting} could not be restored to {wanted}: {cause}",
    )
    STATE_DAMAGED = ("state_damaged", "65898ed35ee84624866f0801558ad47a", Priority.ERROR, "{cause}")
    STATE_UNSAVED = (
        "state_unsaved",
        "a86c00cfe6dc421aaf59621788ec709f",
        Priority.ERROR,
        "What is known of the GPUs cannot be saved, so a setting that is not required is not written for the first "
        "time: {cause}",
    )
    POLICY_UNSAVED = (
        "policy_unsaved",
        "7d3c0f3f2a0b4f58a5b3f9b4b1c7e6d2",
        Priority.WARNING,
        "The policy is in force, and cannot be kept for a start with bad files: {cause}",
    )

    UNTOLD = (
        "untold",
        "a24685d22f184ca8965896ae4022de16",
        Priority.WARNING,
        "Events before this one that could not be told: {count} ({cause})",
    )
    SOCKET_TROUBLE = (
        "socket_trouble",
        "fe812187b2434f3f905ea009dcfaac40",
        Priority.WARNING,
        "The control socket: {cause}",
    )

    def __init__(self, word: str, message_id: str, priority: Priority, words: str) -> None:
        self.word = word
        self.message_id = message_id
        self.priority = priority
        self.words = words


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `at`: wall clock, seconds since the epoch. `detail` fills the kind's own words."""

    kind: EventKind
    at: float
    gpu: Gpu | None = None
    setting: Setting | None = None
    wanted: Value | None = None
    found: Value | None = None
    cause: str | None = None
    origin: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def message(event: Event) -> str:
    """The event in words for a person, one line."""
    where = f"{event.gpu.title}: " if event.gpu else ""
    fields = {
        "where": where,
        "setting": event.setting.label if event.setting else "",
        "wanted": text(event.wanted),
        "found": text(event.found),
        "cause": event.cause or "no cause known",
        "origin": event.origin or "",
        "suspects": "",
        "known": "as found at first",
        "last": "" if event.found is None else f", last to {text(event.found)}",
        "times": "",
        **event.detail,
    }
    return " ".join(event.kind.words.format_map(fields).split())


def words(event: Event) -> str:
    """As `message`; where the event's detail lacks a part, its name and what there is, rather than nothing."""
    try:
        return message(event)
    except (LookupError, ValueError, TypeError):
        return f"{event.kind.word}: {event.cause or dict(event.detail)}"


def to_wire(event: Event) -> dict[str, Any]:
    """The event as JSON for `Watch`; values in the unit of the setting's key, `at` in seconds since the epoch."""
    return {
        "kind": event.kind.word,
        "at": event.at,
        "message": message(event),
        "message_id": event.kind.message_id,
        "priority": int(event.kind.priority),
        "gpu_uuid": event.gpu.uuid if event.gpu else None,
        "gpu_pci": event.gpu.pci if event.gpu else None,
        "gpu_name": event.gpu.name if event.gpu else None,
        "setting": event.setting.value if event.setting else None,
        "wanted": wire(event.wanted),
        "found": wire(event.found),
        "cause": event.cause,
        "origin": event.origin,
        "detail": dict(event.detail),
    }
