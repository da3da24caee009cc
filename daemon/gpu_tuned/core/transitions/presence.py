"""A GPU comes, goes, sleeps, or begins a new driver initialisation; what was found at first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gpu_tuned.core import drift, lock_drift
from gpu_tuned.core.events import EventKind
from gpu_tuned.core.gpu_state import HOST, NEVER, Change, GpuState, Presence, Said
from gpu_tuned.core.model import LOCKS, NO_GETTER, NO_INDEX, Board, Reading, Seen, Setting, Unread, Value
from gpu_tuned.core.originals import NOT_BOUND, Initialisation, Original, allowed, found_at, why_new_since
from gpu_tuned.core.settings import factory_default
from gpu_tuned.core.track import Moment, Note, Step, Track

WAS_AWAY = "the GPU was away"


def _told(kind: EventKind, cause: str | None = None) -> tuple[Said, ...]:
    return (Said(Note(kind, cause=cause)),)


def host(tracks: Mapping[Setting, Track], absent: Mapping[Setting, str], moment: Moment) -> GpuState:
    """The machine itself: what the kernel holds. `absent`: what this kernel does not have, and why."""
    return GpuState(HOST, Board(HOST, NO_INDEX, absent=absent), Presence.HERE, tracks=tracks, looked=moment)


def away(state: GpuState, presence: Presence, why: str, moment: Moment) -> Change:
    """It cannot be looked at. Told once for each reason; sleep and a driver that is away as a whole are told of
    elsewhere, or not at all."""
    if (state.presence, state.why) == (presence, why):
        return Change(state)
    if presence is Presence.ASLEEP and _was_away(state):  # when it wakes up it would look as if it had never left
        begun = _begun_anew(state, WAS_AWAY, moment)
        return Change(replace(begun.state, presence=presence, why=why, since=moment.wall), said=begun.said)
    since = state.since if state.presence is presence else moment.wall
    silent = presence in (Presence.ASLEEP, Presence.WAITING, Presence.RELEASED)
    note = Note(EventKind.GPU_WAITING, cause=why, detail={"state": presence.word})
    said = () if silent else (Said(note),)
    known = state.initialisation
    if presence is Presence.UNBOUND:  # also where its binding was never seen, the next one is another
        known = known.bound(NOT_BOUND)
    return Change(replace(state, presence=presence, why=why, since=since, initialisation=known), said=said)


def met(  # noqa: PLR0913 - what the first look of an attach is held against
    state: GpuState, board: Board, seen: Seen, binding: str | None, moment: Moment, *, forgot: bool = False
) -> Change:
    """The first look after the driver was attached, or after this GPU answered again. `forgot`: what an earlier run
    of this boot knew cannot be read, so what is found may be a value of ours, and is no first look."""
    was_away = _was_away(state)
    state = replace(state, tracks={s: _possible(track, board) for s, track in state.tracks.items()})
    known, seen = state.initialisation, trusted(state, seen)
    met_before = state.board is not None and state.gpu is not HOST  # the host's is known before its first look
    first = not met_before and not any(track.original for track in state.tracks.values())
    why = None if first else why_new_since(known, state.written(), board, seen, binding)
    began = known.bound(binding) if not why else Initialisation(binding)
    state = replace(
        state,
        gpu=board.gpu,
        board=board,
        presence=Presence.HERE,
        why=None,
        since=moment.wall,
        initialisation=began.with_counters(seen.counters_ns),
    )
    said = _told(EventKind.GPU_BACK) if was_away else ()
    if why is not None:
        return renewed(state, why, seen, moment, said)
    change = _begun_anew(state, WAS_AWAY, moment) if was_away else Change(state)
    late = forgot or not first
    return Change(with_originals(change.state, seen, late=late, moment=moment), said=said + change.said)


def _was_away(state: GpuState) -> bool:
    """Whether the driver had let go of it, so that nothing is known of what it kept."""
    return state.presence not in (Presence.HERE, Presence.ASLEEP) and state.board is not None


def _possible(track: Track, board: Board) -> Track:
    """Without an original that this board does not allow: it could never be put back."""
    original = track.original
    return track if original is None or allowed(board, original.value) else replace(track, original=None)


def trusted(state: GpuState, seen: Seen) -> Seen:
    """A look without its counters where a setting cannot be read of which the original is known: a driver that hands
    out nonsense does so for both, and an original that is dropped is lost for good. The next look that can read it
    compares with the counters of before."""
    if seen.counters_ns is None:
        return seen
    blind = any(
        isinstance(reading, Unread) and reading is not NO_GETTER and state.original(setting) is not None
        for setting, reading in seen.readings.items()
    )
    return seen._replace(counters_ns=None) if blind else seen


def unlisted(state: GpuState) -> GpuState:
    """The driver lists others now: what was its index may be another's."""
    return state if state.board is None else replace(state, board=replace(state.board, index=NO_INDEX))


def described(state: GpuState, board: Board) -> GpuState:
    """A GPU whose board is known, or known better, although it was not looked at."""
    tracks = {s: _possible(track, board) for s, track in state.tracks.items()}
    return replace(state, gpu=board.gpu, board=board, tracks=tracks)


def bound(state: GpuState, binding: str) -> GpuState:
    """Its binding to the driver was seen only now."""
    return replace(state, initialisation=state.initialisation.bound(binding))


def slept(state: GpuState, moment: Moment) -> Change:
    """The machine was suspended: limits may be wrong, and locks are gone, also of a GPU that slept itself. Of one
    that is away this is found when it comes back."""
    if state.presence not in (Presence.HERE, Presence.ASLEEP):
        return Change(state)
    gone = {
        s: replace(track, left=None) for s, track in state.tracks.items() if s in LOCKS and track.left is not None
    }
    return _begun_anew(replace(state, tracks={**state.tracks, **gone}), "the machine slept", moment)


def stepped(state: GpuState, by_s: float) -> GpuState:
    """The wall clock was set: every time that is kept is of the clock before, and moves with it. A host that begins
    without knowing the time would otherwise tell of decades."""
    last, xid, looked = state.last_put_back, state.last_xid, state.looked
    return replace(
        state,
        since=state.since + by_s,
        looked=looked._replace(wall=looked.wall + by_s) if looked is not NEVER else NEVER,
        last_put_back=last._replace(at=last.at + by_s) if last else None,
        last_xid=(xid[0], xid[1] + by_s) if xid else None,
        tracks={s: drift.stepped(track, by_s) for s, track in state.tracks.items()},
    )


def renewed(state: GpuState, why: str, seen: Seen, moment: Moment, said: tuple[Said, ...] = ()) -> Change:
    """A new driver initialisation: originals end, locks are gone, rivals are forgotten."""
    tracks = {s: _ended(track, seen.readings.get(s), default_of(state, s)) for s, track in state.tracks.items()}
    began = Initialisation(state.initialisation.binding).with_counters(seen.counters_ns)
    change = _begun_anew(replace(state, tracks=tracks, initialisation=began), why, moment)
    state = with_originals(change.state, seen, late=False, moment=moment)
    return Change(state, said=said + _told(EventKind.REINITIALISED, why) + change.said)


def _ended(track: Track, reading: Reading | None, default: Value | None) -> Track:
    """A setting whose driver initialisation has ended. Where that is noticed only after a value of ours was written
    again, that value is no original: the one known is nearer to what was found at first. The `default` is what an
    initialisation begins with, whoever wishes for it."""
    ours = track.ours and track.accepted is not None and reading == track.accepted and reading != default
    return replace(track, original=track.original if ours else None, met=None, before=None, left=None)


def _begun_anew(state: GpuState, why: str, moment: Moment) -> Change:
    """What is found next is no rival's doing: nothing that was paused waits on, and locks count as lost."""
    said: list[Said] = []
    tracks = {}
    for setting, track in state.tracks.items():
        step = Step(drift.fresh(track, moment))
        if setting in LOCKS:
            step = lock_drift.forget(step.track, why, moment)
        tracks[setting] = step.track
        said += [Said(note, setting) for note in step.notes]
    return Change(replace(state, tracks=tracks), said=tuple(said))


def with_originals(state: GpuState, seen: Seen, moment: Moment, *, late: bool) -> GpuState:
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
    if isinstance(reading, Unread) and reading is not NO_GETTER:
        return True
    if track is None or track.original is None:
        return False
    return track.met is not None or reading is NO_GETTER


def default_of(state: GpuState, setting: Setting) -> Value | None:
    """What the driver starts a setting with on this board; None where that is not known."""
    return factory_default(state.board, setting) if state.board else None
