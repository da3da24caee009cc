"""The one holder of everything known: a value for each GPU and one for the host. Whoever else wants to know,
reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gpu_tuned.core.events import Event
from gpu_tuned.core.goal import Refusal
from gpu_tuned.core.gpu_state import HOST, Change, GpuState, Said
from gpu_tuned.core.track import Moment
from gpu_tuned.core.wish import target_text
from gpu_tuned.ports import Clock, Say


def key_of(state: GpuState) -> str:
    """A GPU's key: its UUID, and while that is not known what else tells it from others."""
    return state.gpu.uuid or state.gpu.pci or state.gpu.name


class Inventory:
    """Belongs to the loop thread. `take` is the only way in: it keeps the new state and tells what is to be told."""

    def __init__(self, host: GpuState, clock: Clock, say: Say) -> None:
        self._clock, self._say = clock, say
        self._states: dict[str, GpuState] = {}
        self.states: Mapping[str, GpuState] = MappingProxyType(self._states)
        self._host = host
        self.unsaved = False
        """Whether something is known that a restart would lose; whoever saves it sets this back."""

    @property
    def host(self) -> GpuState:
        return self._host

    def moment(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())

    def now(self, state: GpuState) -> GpuState:
        """The same GPU, or the host, as it is known now."""
        return self._host if state.gpu is HOST else self._states[key_of(state)]

    def take(self, change: Change) -> GpuState:
        """Keep a GPU, or the host, as it now is."""
        state = change.state
        if state.gpu is HOST:
            self._note(self._host, state)
            self._host = state
        else:
            key = key_of(state)
            self._note(self._states.get(key), state)
            self._states[key] = state
        self._tell(state, change.said)
        return state

    def update(self, transition: Callable[[GpuState], GpuState]) -> None:
        """The same silent transition for every GPU and the host."""
        for state in list(self._states.values()):
            self.take(Change(transition(state)))
        self.take(Change(transition(self._host)))

    def drop(self, key: str) -> None:
        """A GPU that was only counted or bound, and is not any more."""
        self._states.pop(key, None)

    def sort(self) -> None:
        """In the driver's order, for people; those that it does not list come last, by address."""
        by_index = sorted(
            self._states.items(),
            key=lambda item: (item[1].index is None, item[1].index or 0, item[1].gpu.pci),
        )
        self._states.clear()
        self._states.update(by_index)

    def _note(self, before: GpuState | None, after: GpuState) -> None:
        """See whether something came in that a restart must not lose."""
        if before is not None and not before.initialisation.lasts(after.initialisation):
            self.unsaved = True  # the next run would take the same new initialisation for one more
        if before is not None and before.tracks is after.tracks:
            return
        old = before.tracks if before is not None else {}
        for setting, track in after.tracks.items():
            known = old.get(setting)
            if known is None or known.original != track.original or known.before != track.before:
                self.unsaved = True

    def _tell(self, state: GpuState, said: tuple[Said, ...]) -> None:
        for one in said:
            note, setting = one.note, one.setting
            track = state.tracks.get(setting) if setting else None
            wish, goal = (track.wish, track.goal) if track else (None, None)
            asked = {"wanted": target_text(wish.target)} if wish and isinstance(goal, Refusal) else {}
            self._say(
                Event(
                    note.kind,
                    self._clock.now(),
                    None if state.gpu is HOST else state.gpu,
                    setting,
                    None if isinstance(goal, Refusal) else goal,
                    note.found,
                    note.cause,
                    str(wish.origin) if wish else None,
                    {**asked, **note.detail},
                )
            )
