"""Which services run here that set what is held: told once each, and named where a setting is contested."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.model import Setting
from gpu_tuned.core.rivals import UNITS, Overlap, overlaps, suspects
from gpu_tuned.ports import Clock, Kernel, Say

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Rival as RivalRow

Held = Callable[[], Collection[Setting]]
"""Asked only where somebody runs: to gather the settings costs more than everything else here."""


class Rivals:
    """Belongs to the loop thread. Nothing here stops anybody: which of two writers stays is the owner's choice."""

    def __init__(self, kernel: Kernel, clock: Clock, say: Say) -> None:
        self._kernel, self._clock, self._say = kernel, clock, say
        self.running: Collection[str] = ()
        self._found: tuple[Overlap, ...] = ()
        self._told: set[Overlap] = set()

    def look(self, held: Held) -> None:
        """`held`: the settings that are written here."""
        self.running = self._kernel.running(UNITS)
        self._found = self._beside(held)
        for overlap in self._found:
            if overlap not in self._told:  # once, also of a service that systemd starts again and again
                self._told.add(overlap)
                self._say(Event(EventKind.RIVAL, self._clock.now(), cause=str(overlap)))

    def beside(self, held: Held) -> list[str]:
        """A sentence for each service that would be a rival if these were held."""
        return [str(overlap) for overlap in self._beside(held)]

    def _beside(self, held: Held) -> tuple[Overlap, ...]:
        return overlaps(self.running, held()) if self.running else ()

    @property
    def rows(self) -> list[RivalRow]:
        """For the status document."""
        return [
            {
                "unit": overlap.rival.unit,
                "name": overlap.rival.name,
                "settings": [setting.value for setting in overlap.settings],
                "message": str(overlap),
            }
            for overlap in self._found
        ]

    def naming(self, say: Say) -> Say:
        """`say`, with the services that could be behind it added to each event about a contest."""

        def told(event: Event) -> None:
            if event.kind is EventKind.CONTESTED and event.setting is not None:
                known = suspects(self.running, event.setting)
                event = replace(event, detail={**event.detail, "suspects": f"; {known}" if known else ""})
            say(event)

        return told
