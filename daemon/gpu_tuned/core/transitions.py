"""Every way in which what is known of a GPU changes.

A transition is pure: it takes a state and gives the next one, with what is to be written and told. The loop holds the
result; nobody else makes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from operator import is_

from gpu_tuned.core import drift
from gpu_tuned.core.events import EventKind
from gpu_tuned.core.goal import Found, Goal, Refusal
from gpu_tuned.core.gpu_state import HOST, Change, GpuState, Presence, PutBack, Said
from gpu_tuned.core.lock_proof import Verdict
from gpu_tuned.core.model import (
    LOCKS,
    NO_GETTER,
    Board,
    PowerLimit,
    Reading,
    Seen,
    Setting,
    Telemetry,
    Unread,
    Value,
    reading_text,
)
from gpu_tuned.core.originals import Initialisation, Original, found_at, why_new, why_new_since
from gpu_tuned.core.settings import ROWS, factory_default, goal_of
from gpu_tuned.core.track import Moment, Note, State, Step, Track
from gpu_tuned.core.wish import Wish

READABLE_FIRST = tuple(sorted(Setting, key=lambda setting: not setting.readable))
"""What was lost of these tells of the locks, which no call reads."""


def _told(kind: EventKind, cause: str | None = None) -> tuple[Said, ...]:
    return (Said(Note(kind, cause=cause)),)


def _settings(state: GpuState) -> Iterable[Setting]:
    return READABLE_FIRST if state.gpu is not HOST else (s for s in Setting if s.of_host)


# --- a GPU comes and goes


def host(tracks: Mapping[Setting, Track], absent: Mapping[Setting, str], moment: Moment) -> GpuState:
    """The machine itself: what the kernel holds. `absent`: what this kernel does not have, and why."""
    return GpuState(HOST, Board(HOST, -1, absent=absent), Presence.HERE, tracks=tracks, looked=moment)


def away(state: GpuState, presence: Presence, why: str, moment: Moment) -> Change:
    """It cannot be looked at. Told once for each reason; sleep and a driver that is away as a whole are told of
    elsewhere, or not at all."""
    if (state.presence, state.why) == (presence, why):
        return Change(state)
    since = state.since if state.presence is presence else moment.wall
    silent = presence in (Presence.ASLEEP, Presence.WAITING, Presence.RELEASED)
    said = () if silent else _told(EventKind.GPU_WAITING, why)
    return Change(replace(state, presence=presence, why=why, since=since), said=said)


def met(state: GpuState, board: Board, seen: Seen, binding: str | None, moment: Moment) -> Change:
    """The first look after the driver was attached, or after this GPU answered again."""
    was_away = state.presence not in (Presence.HERE, Presence.ASLEEP) and state.board is not None
    known, seen = state.initialisation, _trusted(state, seen)
    first = state.board is None and not any(track.original for track in state.tracks.values())
    why = None if first else why_new_since(known, state.written(), board, seen, binding)
    began = known.bound(binding) if not why else Initialisation(binding)
    state = replace(
        state,
        gpu=board.gpu,
        board=board,
        presence=Presence.HERE,
        why=None,
        since=moment.wall,
        initialisation=began.counted(seen.counters_ns),
    )
    said = _told(EventKind.GPU_BACK) if was_away else ()
    if why is not None:
        return _renewed(state, why, seen, moment, said)
    change = _begun_anew(state, "the GPU was away", moment) if was_away else Change(state)
    return Change(_with_originals(change.state, seen, late=not first, moment=moment), said=said + change.said)


def _trusted(state: GpuState, seen: Seen) -> Seen:
    """A look without its counters where a setting cannot be read of which the original is known: a driver that hands
    out nonsense does so for both, and an original that is dropped is lost for good. The next look that can read it
    compares with the counters of before."""
    if seen.counters_ns is None:
        return seen
    blind = any(
        isinstance(reading, Unread) and reading is not NO_GETTER and state.original(setting) is not None
        for setting, reading in seen.readings.items()
    )
    return replace(seen, counters_ns=None) if blind else seen


def described(state: GpuState, board: Board) -> GpuState:
    """A GPU whose board is known although it could not be looked at."""
    return replace(state, gpu=board.gpu, board=board)


def bound(state: GpuState, binding: str) -> GpuState:
    """Its binding to the driver was seen only now."""
    return replace(state, initialisation=state.initialisation.bound(binding))


def slept(state: GpuState, moment: Moment) -> Change:
    """The machine was suspended: limits may be wrong, and locks are gone."""
    return _begun_anew(state, "the machine slept", moment) if state.here else Change(state)


def _renewed(state: GpuState, why: str, seen: Seen, moment: Moment, said: tuple[Said, ...] = ()) -> Change:
    """A new driver initialisation: originals end, locks are gone, rivals are forgotten."""
    tracks = {s: _ended(track, seen.readings.get(s), _default(state, s)) for s, track in state.tracks.items()}
    began = Initialisation(state.initialisation.binding).counted(seen.counters_ns)
    change = _begun_anew(replace(state, tracks=tracks, initialisation=began), why, moment)
    state = _with_originals(change.state, seen, late=False, moment=moment)
    return Change(state, said=said + _told(EventKind.REINITIALISED, why) + change.said)


def _ended(track: Track, reading: Reading | None, default: Value | None) -> Track:
    """A setting whose driver initialisation has ended. Where that is noticed only after a value of ours was written
    again, that value is no original: the one known is nearer to what was found at first. The `default` is what an
    initialisation begins with, whoever wishes for it."""
    ours = track.ours and track.accepted is not None and reading == track.accepted and reading != default
    return replace(track, original=track.original if ours else None, met=None, before=None)


def _begun_anew(state: GpuState, why: str, moment: Moment) -> Change:
    """What is found next is no rival's doing: nothing that was paused waits on, and locks count as lost."""
    said: list[Said] = []
    tracks = {}
    for setting, track in state.tracks.items():
        step = Step(drift.fresh(track))
        if setting in LOCKS:
            step = drift.forget_lock(step.track, why, moment)
        tracks[setting] = step.track
        said += [Said(note, setting) for note in step.notes]
    return Change(replace(state, tracks=tracks), said=tuple(said))


def _with_originals(state: GpuState, seen: Seen, moment: Moment, *, late: bool) -> GpuState:
    """With what this look found, for every setting of which that is not known yet."""
    if state.board is None:
        return state
    for setting, reading in seen.readings.items():
        if not _begun(state.tracks.get(setting), reading):
            break
    else:  # as at nearly every look
        return state
    originals: Mapping[Setting, Original] = {}
    if any(s not in state.tracks or state.tracks[s].original is None for s in seen.readings):
        originals = found_at(state.board, seen, late=late)
    new = {}
    for setting, reading in seen.readings.items():
        track = state.tracks.get(setting) or drift.new_track(moment)
        # Once something of ours was in force in this initialisation, what is read is no original any more. A first
        # reading since it began (`met`) that is not our value shows that nothing of ours was.
        first = track.met is None and track.before is None and reading != track.accepted
        ours = late and not first and (track.ours or track.accepted is not None or track.before is not None)
        original = track.original if ours else track.original or originals.get(setting)
        met = reading if track.met is None and not isinstance(reading, Unread) else track.met
        if original is not track.original or met is not track.met:
            new[setting] = replace(track, original=original, met=met)
    return replace(state, tracks={**state.tracks, **new}) if new else state


def _begun(track: Track | None, reading: Reading) -> bool:
    """Whether nothing more of its beginning can be learned from this reading."""
    if track is None or track.original is None:
        return False
    return track.met is not None or isinstance(reading, Unread)


# --- what is wished of it


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


def hurried(state: GpuState, moment: Moment) -> GpuState:
    """Somebody asked to apply now: no pause counts, and what was handed back is the policy's again."""
    return replace(state, tracks={s: drift.taken_up(track, moment) for s, track in state.tracks.items()})


# --- a look


def looked(
    state: GpuState, seen: Seen, verdicts: Mapping[Setting, Verdict], poll_interval_s: float, moment: Moment
) -> Change:
    """Hold one look against the wishes. `verdicts`: what the clocks say of the locks that were requested."""
    board = seen.board or state.board
    if board is None:
        return Change(state)
    if board is not state.board:
        state = replace(state, board=board)
    said: tuple[Said, ...] = ()
    seen = _trusted(state, seen)
    if seen.counters_ns is not None:
        why = why_new(state.initialisation, seen)
        if why is not None:
            change = _renewed(state, why, seen, moment)
            state, said = change.state, change.said
        state = replace(state, initialisation=state.initialisation.counted(seen.counters_ns))
    if not state.here:  # it slept: what was read before was of another time
        state = replace(state, tracks={s: replace(track, observed=None) for s, track in state.tracks.items()})
    state = replace(state, presence=Presence.HERE, why=None, telemetry=seen.telemetry, looked=moment)
    state = _with_originals(state, seen, late=True, moment=moment)
    change = _decided(state, seen, verdicts, poll_interval_s, moment)
    return replace(change, said=said + change.said) if said else change


def _decided(
    state: GpuState, seen: Seen, verdicts: Mapping[Setting, Verdict], poll_interval_s: float, moment: Moment
) -> Change:
    writes: dict[Setting, Value] = {}
    said: list[Said] = []
    changed: dict[Setting, Track] = {}
    reverted = told = False
    for setting in _settings(state):
        reading = seen.readings.get(setting)
        track = known = state.tracks.get(setting)
        if track is None:
            if reading is None:
                continue
            track = drift.new_track(moment)
        steps: list[Step] = []
        if setting in verdicts and (track.accepted is not None or track.state is State.WATCHED):
            steps.append(drift.judge_lock(track, verdicts[setting], moment))
        if reverted and setting in LOCKS and track.wish is not None:
            lost = "a setting beside it was lost, so it may be too"
            steps.append(drift.forget_lock(steps[-1].track if steps else track, lost, moment, hushed=not told))
        track = steps[-1].track if steps else track
        track = _aimed(state, track, reading, moment)
        if track is known and drift.rests(track, reading):
            continue
        was_open = track.open
        step = drift.look(track, reading, _default(state, setting), poll_interval_s, moment)
        steps.append(step)
        reverted |= step.track.open and not was_open
        if step.write is not None:
            writes[setting] = step.write
        if step.track is not known:
            changed[setting] = step.track
        if step.notes or len(steps) > 1:
            told |= any(note.kind in (EventKind.DRIFTED, EventKind.CONTESTED) for note in step.notes)
            said += [Said(note, setting) for one in steps for note in one.notes]
    ordered = {setting: writes[setting] for setting in Setting if setting in writes}
    if changed:
        state = replace(state, tracks={**state.tracks, **changed})
    return Change(state, ordered, tuple(said))


def _default(state: GpuState, setting: Setting) -> Value | None:
    return factory_default(state.board, setting) if state.board else None


def _aimed(state: GpuState, track: Track, reading: Reading | None, moment: Moment) -> Track:
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
    if goal is None or isinstance(goal, Refusal) or goal == found:
        return goal
    lowers = isinstance(goal, PowerLimit) and isinstance(found, PowerLimit) and goal.limit_mw <= found.limit_mw
    return goal if wish.required and lowers else Refusal(f"not written: {why}")


# --- a write


def about_to_write(state: GpuState, settings: Iterable[Setting]) -> GpuState:
    """What must be on disk before these are written."""
    return replace(state, tracks={**state.tracks, **{s: drift.about_to_write(state.tracks[s]) for s in settings}})


def unsaved(state: GpuState, settings: Iterable[Setting]) -> list[Setting]:
    """Those of these settings whose original must be saved before they may be written."""
    return [s for s in settings if (original := state.original(s)) is not None and not original.written]


def wrote(state: GpuState, setting: Setting, value: Value, after: Reading, moment: Moment) -> Change:
    """The driver said yes to a write; `after` is the reading that followed. Whether it took it, this decides."""
    track = state.tracks[setting]
    accepted = value if not setting.readable else ROWS[setting].taken(value, _last(track), after)
    if accepted is None:
        why = f"the driver reported success, but it reads {reading_text(after)}"
        kept = after == track.observed
        return _kept(state, setting, drift.failed(replace(track, observed=after), why, moment, kept=kept))
    lost = track.state in (State.DRIFTED, State.CONTESTED)
    why = track.message if track.message and lost else "as the policy says"
    change = _kept(state, setting, drift.took(track, accepted, after, why, moment))
    if not track.open:
        return change
    found = None if isinstance(track.observed, Unread) else track.observed
    last = PutBack(moment.wall, setting, found, track.message)
    return replace(change, state=replace(change.state, last_put_back=last))


def not_written(state: GpuState, setting: Setting, why: str, moment: Moment, *, kept: bool) -> Change:
    """The driver refused, or nobody knows what it did. `kept`: what was there before is there still."""
    return _kept(state, setting, drift.failed(state.tracks[setting], why, moment, kept=kept))


def handed_back(state: GpuState, setting: Setting, message: str, moment: Moment) -> GpuState:
    """One setting was put back on request: what was found at first is in force."""
    track = drift.handed_back(state.tracks[setting], message, moment)
    return replace(state, tracks={**state.tracks, setting: track})


def not_put_back(state: GpuState, setting: Setting, message: str, moment: Moment) -> GpuState:
    """One setting was to be put back on request, and was not."""
    track = drift.not_put_back(state.tracks[setting], message, moment)
    return replace(state, tracks={**state.tracks, setting: track})


def told_xid(state: GpuState, xid: int, moment: Moment) -> GpuState:
    return replace(state, last_xid=(xid, moment.wall))


def with_telemetry(state: GpuState, telemetry: Telemetry) -> GpuState:
    """What the writes changed is to be seen in the same turn: the limit enforced, for one."""
    return replace(state, telemetry=telemetry)


def _kept(state: GpuState, setting: Setting, step: Step) -> Change:
    said = tuple(Said(note, setting) for note in step.notes)
    return Change(replace(state, tracks={**state.tracks, setting: step.track}), said=said)


def _last(track: Track) -> Reading:
    return Unread("not read before") if track.observed is None else track.observed
