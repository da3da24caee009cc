"""The host's own setting, kernel.numa_balancing, through the same states as a GPU's."""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core import drift
from gpu_tuned.core.errors import GpuTunedError
from gpu_tuned.core.events import Event
from gpu_tuned.core.model import NumaBalancing, Reading, Setting, Unread, Value, text
from gpu_tuned.core.plan import Goal, Refusal
from gpu_tuned.core.saved import Record
from gpu_tuned.core.track import Moment, Step, Track
from gpu_tuned.core.wish import Auto, Symbol, Wish
from gpu_tuned.loop.ledger import Ledger
from gpu_tuned.ports import Clock, Kernel, Say

SETTING = Setting.NUMA_BALANCING
NO_KNOB = "this kernel has no numa_balancing"


class HostSettings:
    """Belongs to the loop thread."""

    def __init__(self, kernel: Kernel, ledger: Ledger, clock: Clock, say: Say) -> None:
        self._kernel, self._ledger, self._clock, self._say = kernel, ledger, clock, say
        self.track: Track | None = None
        self.wish: Wish | None = None
        self.handed_back = False
        """Restored on request, and not touched until somebody applies again."""
        self._why_handed_back = drift.HANDED_BACK

    def turn(self, wish: Wish | None, poll_interval_s: float) -> None:
        """One look, and one write where it is due."""
        self.wish = wish
        moment = self._moment()
        if self.handed_back:
            self.track = drift.wait(self.track or drift.new_track(moment), self._why_handed_back, moment)
            return
        if wish is None and self.track is None:
            return
        found = self._kernel.numa_balancing()
        reading: Reading = found if found is not None else Unread(NO_KNOB)
        goal = self._goal(wish, reading)
        if goal is None and wish is not None and not wish.watched:
            self.track = None
            return
        track = self.track or drift.new_track(moment)
        step = drift.look(track, SETTING, wish, goal, reading, None, poll_interval_s, moment)
        self._keep(step)
        if step.write is not None:
            self._write(step.track, step.write, reading)

    def planned(self, wish: Wish | None) -> tuple[Track, Wish | None, Goal | None]:
        """What `plan` holds against each other: what is, the wish, and what it means here. Reads the kernel."""
        found = self._kernel.numa_balancing()
        reading: Reading = found if found is not None else Unread(NO_KNOB)
        track = self.track or drift.new_track(self._moment())
        return replace(track, observed=reading), wish, self._goal(wish, reading)

    def restore(self, done: list[str], failed: list[str]) -> None:
        """Put back what was found before the first write; what was done and what failed is added, in words."""
        record = self._ledger.saved.record(None, SETTING)
        if record is None:
            return
        self.handed_back, self._why_handed_back = True, drift.HANDED_BACK
        self.track = drift.new_track(self._moment())
        if self._kernel.numa_balancing() == record.original:
            self._ledger.use_up(None, SETTING)
            return
        words = f"numa balancing {text(record.original)}"
        try:
            self._kernel.set_numa_balancing(NumaBalancing(record.original))
        except GpuTunedError as error:
            failed.append(f"{words}: {error}")
            self._why_handed_back = f"restore failed: {error}; {drift.TAKES_UP}"
            return
        self._ledger.use_up(None, SETTING)
        done.append(words)

    def _goal(self, wish: Wish | None, reading: Reading) -> Goal | None:
        if wish is None:
            return None
        if isinstance(reading, Unread):
            return Refusal(reading.why)
        if wish.target is Auto.AUTO:
            return NumaBalancing.OFF if self._kernel.memory_nodes() == 1 else None
        if wish.target is Symbol.ORIGINAL:
            record: Record | None = self._ledger.saved.record(None, SETTING)
            return record.original if record else reading
        return wish.target if isinstance(wish.target, NumaBalancing) else None

    def _write(self, track: Track, value: Value, found: Reading) -> None:
        try:
            self._ledger.before_write(None, SETTING, found, value, None)
            self._ledger.sync()
            self._kernel.set_numa_balancing(NumaBalancing(value))
        except GpuTunedError as error:
            self._keep(drift.failed(track, str(error), self._moment()))
            return
        after = self._kernel.numa_balancing()
        if after != value:
            self._keep(drift.failed(track, "the kernel took the write and kept its value", self._moment()))
            return
        self._ledger.after_write(None, SETTING, value)
        self._keep(drift.took(track, value, value, after, "as the policy says", self._moment()))

    def _moment(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())

    def _keep(self, step: Step) -> None:
        self.track = step.track
        goal = step.track.goal
        for note in step.notes:
            self._say(
                Event(
                    note.kind,
                    self._clock.now(),
                    setting=SETTING,
                    wanted=None if isinstance(goal, Refusal) else goal,
                    found=note.found,
                    cause=note.cause,
                    origin=str(self.wish.origin) if self.wish else None,
                    detail=note.detail,
                )
            )
