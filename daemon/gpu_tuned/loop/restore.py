"""Putting back what was found at first, on request or at a stop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gpu_tuned.core import transitions
from gpu_tuned.core.errors import DriverError, DriverRefused
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.gpu_state import HOST, Change, GpuState
from gpu_tuned.core.model import Reading, Setting, Unread, reading_text, text
from gpu_tuned.core.originals import Original
from gpu_tuned.core.restored import HANDED_BACK
from gpu_tuned.core.settings import ROWS
from gpu_tuned.core.words import counted, listed
from gpu_tuned.loop.inventory import Inventory
from gpu_tuned.ports import Clock, Device, Say

NOT_KNOWN = "what was found at first could not be read, or the board does not allow it; the value stays"
WATCHED = "left as it is: the policy watches it"


@dataclass
class Outcome:
    """What came of a restore, in words for each setting: put back, left as somebody else wants it, or failed."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def in_short(self) -> str:
        """For the line that tells of a stop."""
        left = f", {len(self.left)} left as they are" if self.left else ""
        return f"{counted(len(self.done), 'setting')} put back to what was found{left}, {len(self.failed)} failed"


class Restorer:
    """Writes originals. Belongs to the loop thread."""

    def __init__(self, gpus: Device, knobs: Device, inventory: Inventory, clock: Clock, say: Say) -> None:
        self._gpus, self._knobs, self._inventory = gpus, knobs, inventory
        self._clock, self._say = clock, say

    def restore(self, state: GpuState, settings: Iterable[Setting], outcome: Outcome) -> None:
        """Put settings back to what was found at first; nothing where nothing of ours was ever in force. Afterwards
        they are left alone until somebody asks to apply."""
        stays: list[str] = []
        for setting in settings:
            original, track = state.original(setting), state.tracks.get(setting)
            if original is not None and original.written:
                if track is not None and track.wish is not None and track.wish.watched:
                    self._leave(state, setting, original, WATCHED, outcome)
                    stays.append(setting.label)
                elif setting is Setting.PERSISTENCE_MODE and stays and original.value is False:
                    why = f"left on: without it the GPU may forget the {listed(reversed(stays))} that stays"
                    now = self._inventory.now(state)
                    self._inventory.take(
                        Change(transitions.not_put_back(now, setting, why, self._inventory.moment()))
                    )
                    self._leave(state, setting, original, why, outcome)
                elif self._one(self._inventory.now(state), setting, original, outcome):
                    stays.append(setting.label)
            elif original is None and track is not None and track.before is not None:
                self._cannot(state, setting, outcome)

    def _cannot(self, state: GpuState, setting: Setting, outcome: Outcome) -> None:
        """A value of ours is in force, and there is nothing to put back in its place."""
        outcome.failed.append(f"{state.gpu.place} {setting.label}: {NOT_KNOWN}".strip())
        gpu = None if state.gpu is HOST else state.gpu
        self._say(Event(EventKind.RESTORE_FAILED, self._clock.now(), gpu, setting, cause=NOT_KNOWN))

    def _leave(self, state: GpuState, setting: Setting, original: Original, why: str, outcome: Outcome) -> None:
        """Somebody else's by now, or needed by something that is."""
        outcome.left.append(f"{_where(state)}{setting.label} {why}")
        self._tell(EventKind.NOT_RESTORED, state, setting, original, Unread("not asked"), why)

    def _one(self, state: GpuState, setting: Setting, original: Original, outcome: Outcome) -> bool:
        """Returns whether it was left at a lower value of somebody else's."""
        words = f"{_where(state)}{setting.label} {text(original.value)}"
        if not state.here:
            outcome.failed.append(f"{words}: {state.why}")
            self._tell(EventKind.RESTORE_FAILED, state, setting, original, Unread("not here"), state.why)
            return False
        device, uuid, moment = self._device(state), state.gpu.uuid, self._inventory.moment()
        try:
            found = device.read(uuid, setting)
            somebodys = not isinstance(found, Unread) and original.lowered_since(found)
            if found != original.value and not somebodys:
                device.write(uuid, setting, original.value)
                after = device.read(uuid, setting)
                if setting.readable and isinstance(after, Unread):
                    raise DriverRefused(f"the driver reported success, but it cannot be read back: {after.why}")
                if setting.readable and ROWS[setting].taken(original.value, found, after) is None:
                    raise DriverRefused(f"the driver reported success, but it reads {reading_text(after)}")
        except DriverError as error:
            outcome.failed.append(f"{words}: {error}")
            why = f"restore failed: {error}"
            self._inventory.take(Change(transitions.not_put_back(state, setting, why, moment)))
            self._tell(EventKind.RESTORE_FAILED, state, setting, original, Unread("not known"), str(error))
            return False
        self._inventory.take(Change(transitions.handed_back(state, setting, HANDED_BACK, moment)))
        if somebodys:
            why = f"left at {reading_text(found)}, which somebody else set"
            self._leave(state, setting, original, why, outcome)
            return True
        if found != original.value:
            outcome.done.append(words + (" (assumed)" if original.assumed else ""))
            kind = EventKind.RESTORED if setting.readable else EventKind.RESET_REQUESTED
            self._tell(kind, state, setting, original, found, None)
        return False

    def _tell(  # noqa: PLR0913 - the fields of one event
        self,
        kind: EventKind,
        state: GpuState,
        setting: Setting,
        original: Original,
        found: Reading,
        cause: str | None,
    ) -> None:
        seen = None if isinstance(found, Unread) else found
        gpu = None if state.gpu is HOST else state.gpu
        detail = {"found": reading_text(found)} | ({"known": "the first that is known"} if original.late else {})
        self._say(Event(kind, self._clock.now(), gpu, setting, original.value, seen, cause, None, detail))

    def _device(self, state: GpuState) -> Device:
        return self._knobs if state.gpu is HOST else self._gpus


def _where(state: GpuState) -> str:
    return f"{state.gpu.place} " if state.gpu.place else ""
