"""What goes over the socket, for the type checker: a TypedDict for each type and reply of the interface.

Made by packaging/wire/make.py from io.gputuned.Control.varlink: change that file. Import this under TYPE_CHECKING
alone; at run time a document is a dict. A daemon that is older than its client may leave out what came later.
"""

from __future__ import annotations

from typing import TypedDict


class UnmatchedRule(TypedDict):
    """A rule of the policy that speaks of no GPU here."""

    origin: str
    match: str
    # it names one GPU, by UUID or PCI address, so it must be there: verify fails
    fails: bool
    # the rule marks a setting as required
    required: bool


class Policy(TypedDict):
    """Which policy is in force."""

    # "in_force"; "last_good": the newest file is bad and the one before it is kept; "restricted": it does not suit
    # the boards at hand (error says why) and no other is known, so of it only required limits that lower are
    # written; "none"
    state: str
    # "enforce", or "observe": nothing is written
    mode: str
    files: list[str]
    digest: str | None
    loaded_at: str | None
    # why the newest file was refused, and why what is in force does not suit the boards, a line each
    error: str | None
    # the latter alone: the power budget is exceeded by the limits in force
    misfit: str | None
    # false: it may be, for a limit that nobody knows at the moment decides it
    misfit_certain: bool | None
    warnings: list[str]
    unmatched: list[UnmatchedRule]
    # the digest of a good policy that lies in the files and was not loaded yet
    pending: str | None
    # what the policy marks as required, by where it is written; told also while no GPU can be seen
    required: list[str]
    gpu_power_budget_w: float | None
    # "keep" or "restore"
    on_stop: str


class Driver(TypedDict):
    # "ok", "starting", "absent", "mismatch" (library and kernel module), "trouble", "not_answering", "released"
    state: str
    # version of the kernel module that runs
    loaded: str | None
    # version of the kernel module on disk
    installed: str | None
    # version of NVML, the library
    library: str | None
    message: str | None
    # when the last pass over the GPUs was completed
    answered_at: str | None
    # since when a call into the driver has not come back
    not_answering_since: str | None


class Setting(TypedDict):
    """One setting of one GPU, or of the host. Named as the key in the policy file; values are in that key's unit:
    a power limit in watts, clocks in MHz as {"min", "max"} (min 0: none) or "unlocked", application clocks as
    {"memory", "gpu"}, persistence mode as a bool, the others as words. Varlink has no unions, hence `object`."""

    # "persistence_mode", "power_limit_w", "gpu_clock_mhz", "memory_clock_mhz", "application_clocks_mhz",
    # "compute_mode" or "numa_balancing"
    setting: str
    # what the policy asks for; {"max": 450} for a ceiling
    wished: object | None
    # what the driver took for it
    accepted: object | None
    # what was read last; null where there is nothing to read, as with clock locks
    observed: object | None
    # "held", "requested" (a lock: cannot be read), "drifted", "contested", "refused", "waiting", "restored" (put
    # back on request), "absent" and "asleep" (its GPU is), "overridden", "watched" or "unmanaged"
    state: str
    # file and key that the wish comes from
    origin: str | None
    since: str | None
    required: bool
    # why, in the words of whoever wrote the policy
    reason: str | None
    message: str | None
    in_order: bool
    # what is watched: whether it is as wished; null where that is not known, and where it is not watched
    fits: bool | None
    # what was found at the first look of this driver initialisation
    original: object | None
    # the original is assumed rather than read
    original_assumed: bool
    # the first look could not read the original; a later one did
    original_late: bool
    # whether a value of ours may stand in the place of the original, which a restore would undo
    written: bool
    # a lock: when the clocks under load were last seen to obey it
    confirmed_at: str | None
    # the wish is a ceiling: a lower value found is as wished
    ceiling: bool
    # how often somebody's change was undone
    put_back: int
    # while contested, the rhythm of undoing it
    every_s: float | None


class Telemetry(TypedDict):
    power_w: float | None
    # the limit that the driver enforces at this moment; lower than the setting's `observed` where something else
    # limits
    power_limit_w: float | None
    gpu_clock_mhz: int | None
    memory_clock_mhz: int | None
    temperature_c: int | None
    utilization_percent: int | None
    # 0 is the fastest
    pstate: int | None
    busy: bool
    # what the driver says must be done with the GPU, such as "reset"; null for nothing
    recovery_action: str | None


class Reason(TypedDict):
    """How long one reason slowed a GPU, in seconds of the last minute, hour, day, and since the daemon met the
    GPU in this initialisation of the driver; a restart of the daemon does not begin them anew. "sw_power_cap" has
    a row for each whose limit it was at the time."""

    reason: str
    # "own": our cap or lock; "limit": the board's own, or another's; "fault": heat, power brake, hardware; "benign"
    kind: str
    # whose limit a power cap was: "own", "board", or "other" (a limit that is not ours, or one enforced below what
    # was requested: a BMC, a rack's power manager); null: nobody's, as the GPU was idle, and for every other reason
    limiter: str | None
    active: bool
    # true: from samples, because the board has no counter for it
    sampled: bool
    # how much of the seconds below comes from samples until the driver's counter, read every few looks, has counted
    # it
    uncounted_s: float
    minute_s: float
    hour_s: float
    day_s: float
    start_s: float


class Fault(TypedDict):
    reason: str
    since: str


class Throttling(TypedDict):
    reasons: list[Reason]
    fault: Fault | None


class LastPutBack(TypedDict):
    at: str
    setting: str
    found: object | None
    cause: str | None
    text: str


class PutBack(TypedDict):
    count: int
    last: LastPutBack | None


class Xid(TypedDict):
    xid: int
    at: str


class Gpu(TypedDict):
    # for people: not stable, the uuid is; -1 for a GPU that the driver does not describe
    index: int
    # "" where the driver never told
    uuid: str
    # "0000:01:00.0"
    pci: str
    name: str
    # "ok", "waiting", "lost", "absent" (counted, bound or seen in this boot, and not described), "asleep" or
    # "released"
    state: str
    message: str | None
    in_order: bool
    settings: list[Setting]
    telemetry: Telemetry
    throttle: Throttling
    put_back: PutBack
    # why Xid errors of this GPU are not heard of; null where they are
    no_xids: str | None
    last_xid: Xid | None


class Rival(TypedDict):
    """A service that runs on this machine and may set by itself what the policy holds."""

    unit: str
    name: str
    # those that both can set
    settings: list[str]
    # for a person, with what to do
    message: str


class Stall(TypedDict):
    """What the daemon never waits for and now stands still."""

    # "events" that nobody takes, "state" that cannot be saved, "policy" files that cannot be looked at
    what: str
    since: str
    # for a person
    message: str


class Host(TypedDict):
    name: str
    in_order: bool
    # why the host is not in order, beside its settings
    message: str | None
    # how many GPUs are here
    gpus_here: int
    # how many [host] gpus asks for
    gpus_wanted: int | None
    settings: list[Setting]
    daemon_version: str
    pid: int
    started_at: str
    # how old everything here is
    seen_at: str | None
    poll_interval_s: float
    # grows with every pass
    sequence: int
    rivals: list[Rival]
    stalled: list[Stall]


class Change(TypedDict):
    """What the next pass would write. `found` and `wanted` are values in the unit of the setting's key, as in
    Setting."""

    gpu: str | None
    pci: str | None
    name: str | None
    setting: str
    found: object | None
    wanted: object | None
    origin: str | None
    why: str | None


class Refusal(TypedDict):
    """What is wished for and cannot be had. `nearest` is the nearest value that can."""

    gpu: str | None
    pci: str | None
    name: str | None
    setting: str
    # as `wished` in Setting: a value in the unit of the setting's key, {"max": 450} for a ceiling, and a word where
    # the policy has one, such as "max" or "80 %"
    wanted: object | None
    why: str
    nearest: object | None
    origin: str | None


class Left(TypedDict):
    """A setting of ours whose rule is gone: its value stays."""

    gpu: str | None
    pci: str | None
    name: str | None
    setting: str
    found: object | None


class Advice(TypedDict):
    """Something that is known to go wrong with a wish on a board. `page`: where it is explained; silenced in the
    policy by accept = ["ID"]."""

    id: str
    # "harm", "caution" or "note"
    severity: str
    gpu: str
    pci: str
    name: str
    setting: str
    message: str
    origin: str | None
    page: str


class ThrottledGpu(TypedDict):
    index: int
    uuid: str
    pci: str
    name: str
    # as in Gpu: unless it is "ok", the seconds are of before
    state: str
    message: str | None
    throttle: Throttling


class Event(TypedDict):
    """Something that happened, as in the journal."""

    kind: str
    at: str
    message: str
    # the journal's MESSAGE_ID
    message_id: str
    # as in syslog(3)
    priority: int
    gpu_uuid: str | None
    gpu_pci: str | None
    gpu_name: str | None
    setting: str | None
    wanted: object | None
    found: object | None
    cause: str | None
    origin: str | None
    detail: object | None


class StatusReply(TypedDict):
    """Everything, as of the last pass. Answers while the driver hangs, and says so then."""

    format: int
    policy: Policy
    driver: Driver
    gpus: list[Gpu]
    host: Host


class PlanReply(TypedDict):
    """What the policy file, as it lies on the disk, would have written now and why, what is refused, and what is
    left as it is because no rule speaks of it any more. `pending`: the file was changed and is not loaded yet.
    `notes`: what else to know before it is carried out, a sentence each."""

    format: int
    # "enforce", or "observe": nothing of it is written; "offline" where gpu-tunedctl planned without a daemon
    mode: str
    pending: bool
    changes: list[Change]
    refusals: list[Refusal]
    left: list[Left]
    notes: list[str]
    # what is known to go wrong with what is wished, worst first
    advice: list[Advice]
    # since when a call into the driver has not come back: all of this is older
    not_answering_since: str | None


class ThrottleReply(TypedDict):
    """Seconds by reason."""

    format: int
    # where its state is not "ok", all of this is older
    driver: Driver
    gpus: list[ThrottledGpu]
    # since when a call into the driver has not come back
    not_answering_since: str | None


class WatchReply(TypedDict):
    """Events as they come; call with `more`. The first reply has no event: it says from which number on this
    watcher sees everything. A reader too slow loses events and is told in `missed` how many, with the next one it
    gets."""

    format: int
    sequence: int
    missed: int
    event: Event | None


class ApplyReply(TypedDict):
    """Do a pass now, without waiting for the interval. This and the following answer after the pass: `in_order`
    says whether everything then was as wished."""

    format: int
    message: str
    in_order: bool


class ReloadReply(TypedDict):
    """Read the policy files anew. Where they are refused, the policy in force stays in force."""

    format: int
    message: str
    in_order: bool


class RestoreReply(TypedDict):
    """Put back what was found at first: everything, or one GPU's, or one setting."""

    format: int
    message: str
    in_order: bool


class ReleaseReply(TypedDict):
    """Let go of the driver, for a reset, a MIG change or a driver upgrade; for ever, or for so many seconds."""

    format: int
    message: str
    in_order: bool


class ResumeReply(TypedDict):
    """Take the driver back."""

    format: int
    message: str
    in_order: bool
