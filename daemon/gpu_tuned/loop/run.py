"""The loop thread: turns, pauses, commands, sleep and waking. Everything that writes to a GPU starts here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from gpu_tuned import __version__
from gpu_tuned.core import transitions
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.events import Event, EventKind, to_wire
from gpu_tuned.core.model import GPU_SETTINGS
from gpu_tuned.core.policy import OnStop
from gpu_tuned.core.words import listed
from gpu_tuned.loop.commands import Commands
from gpu_tuned.loop.supervisor import Supervisor
from gpu_tuned.loop.world import World
from gpu_tuned.ports import DriverEvent

if TYPE_CHECKING:
    from gpu_tuned.ports import Document

SETTLE_S = 2.5
"""After a resume the driver answers with values it is about to change; reading earlier was seen to mislead."""
SLEPT_S = 0.5
"""Boot time running ahead of monotonic time by more than this since the last turn is a suspend."""
SLICE_S = 5.0
"""The longest the loop sleeps: the watchdog is fed at least this often, whatever the poll interval."""


class Loop:
    """One reconciler over one driver. `run` belongs to its own thread; `wake`, `reload`, `stop` may come from any."""

    def __init__(self, world: World, on_settled: Callable[[], None] = lambda: None) -> None:
        """`on_settled` is called once, from the loop thread, when `settled` became true."""
        self._world = world
        self._on_settled = on_settled
        self._clock = world.clock
        self._wake = threading.Event()
        self._stopping = self._reloading = self._restore_at_stop = False
        self._all_put_back = False
        self._heard: deque[DriverEvent] = deque(maxlen=256)
        self._asleep_s = self._offset_s()
        self._first: Callable[[], None] | None = None
        self.in_turn_since_s: float | None = None
        """When the turn that goes on began (monotonic); None: between two. For the main thread, which cannot hang."""
        self.settled = False
        """True after the first turn: what can be applied is applied, also where that is nothing yet."""
        self.supervisor = Supervisor(world, self.say)
        self._commands = Commands(self.supervisor, world.mailbox, self.say)

    # From any thread.

    def wake(self) -> None:
        self._wake.set()

    def heard(self, events: tuple[DriverEvent, ...]) -> None:
        self._heard.extend(events)
        self._wake.set()

    def reload(self) -> None:
        self._reloading = True
        self._wake.set()

    def stop(self, *, restore: bool) -> None:
        """`restore`: where the policy says on_stop = "restore", this stop is one that restores."""
        self._stopping, self._restore_at_stop = True, restore
        self._wake.set()

    @property
    def owes_restore(self) -> bool:
        """Whether this run was to end with everything put back to what was found, and that is not so (yet)."""
        return self._restore_at_stop and self._restores and not self._all_put_back

    @property
    def _restores(self) -> bool:
        policy = self.supervisor.in_force.policy
        return policy is not None and policy.daemon.on_stop is OnStop.RESTORE and not self.supervisor.observing

    # From the loop thread.

    def prepare(self) -> None:
        """Everything before the driver is met: from here on `status` has something to say. Before `run`."""
        world = self._world
        mode = "observing: nothing will be written" if world.observe else "enforcing"
        self.say(Event(EventKind.STARTED, self._clock.now(), detail={"version": __version__, "mode": mode}))
        damage = self.supervisor.ledger.damage
        if damage is not None:
            self.say(Event(EventKind.STATE_DAMAGED, self._clock.now(), cause=damage))
        self.supervisor.start()
        self.supervisor.publish()

    def wait_first(self, over: Callable[[], None], why: str) -> None:
        """Before its first turn the loop calls `over`, which returns when this process may write to the driver; until
        then `why` is what the driver's state says. Before `run`."""
        self._first = over
        self.supervisor.driver.message = why
        self.say(Event(EventKind.DRIVER_WAITING, self._clock.now(), cause=why))
        self.supervisor.publish()

    def run(self) -> None:
        world = self._world
        if self._first is not None:
            world.mailbox.entered(self._clock.monotonic())
            self._first()
            world.mailbox.left()
        while not self._stopping:
            began_s = self._clock.monotonic()
            world.mailbox.entered(began_s)
            self.in_turn_since_s = began_s
            self._turn()
            self.in_turn_since_s = None
            world.mailbox.left()
            world.service.alive()
            self._pause(began_s)
        self._finish()

    def look_once(self) -> Document:
        """One turn in this thread, without `run`: the document as it then is. Lets go of the driver again."""
        self.supervisor.start()
        self.supervisor.turn()
        self._world.gpus.detach()
        return self.supervisor.publisher.document

    def say(self, event: Event) -> None:
        self._world.say(event)
        self._world.mailbox.say(to_wire(event))

    def _turn(self) -> None:
        self._notice_sleep()
        served = self._commands.serve()
        if self._reloading:
            self._reloading = False
            with suppress(PolicyError):  # told where it was read; the running policy stays
                self.supervisor.reload_policy()
        heard = [self._heard.popleft() for _ in range(len(self._heard))]
        self.supervisor.turn(heard)
        if not self.settled:
            self.settled = True
            self._on_settled()
        for command, reply in served:
            command.answer(reply() if callable(reply) else reply)

    def _offset_s(self) -> float:
        return self._clock.boottime() - self._clock.monotonic()

    def _notice_sleep(self) -> None:
        slept_s = self._offset_s() - self._asleep_s
        self._asleep_s += slept_s
        if slept_s <= SLEPT_S:
            return
        self.say(Event(EventKind.RESUMED, self._clock.now(), detail={"slept_s": round(slept_s, 1)}))
        if self.supervisor.released_until is not None:
            self.supervisor.released_until -= slept_s  # ten minutes are ten minutes
        ready_s = self._clock.monotonic() + SETTLE_S
        while not self._stopping and self._clock.monotonic() < ready_s:
            self._wake.wait(ready_s - self._clock.monotonic())
            self._wake.clear()
        for state in list(self.supervisor.inventory.states.values()):
            self.supervisor.inventory.take(transitions.slept(state, self.supervisor.inventory.moment()))

    def _pause(self, began_s: float) -> None:
        """Until the next look or the end of a release is due, the machine has slept, the policy's files were changed
        (of which `plan` tells), or something wakes the loop."""
        due_s = began_s + self.supervisor.interval_s
        if self.supervisor.released_until is not None:
            due_s = min(due_s, self.supervisor.released_until)
        while not self._stopping and (left_s := due_s - self._clock.monotonic()) > 0:
            if self._wake.wait(min(left_s, SLICE_S)) or left_s <= SLICE_S:
                break
            self._world.service.alive()
            if self._offset_s() - self._asleep_s > SLEPT_S or self.supervisor.in_force.changed:
                break
        self._wake.clear()

    def _finish(self) -> None:
        what = "every setting stays on the GPUs"
        if self.owes_restore:
            self._world.service.stopping("putting back what was found")
            outcome = self.supervisor.restore(
                list(self.supervisor.inventory.states.values()), GPU_SETTINGS, host_too=True
            )
            what = outcome.in_short
            self._all_put_back = not outcome.failed
        else:
            if self._restores:
                what += ' for now; if this is no restart, on_stop = "restore" puts back what was found next'
            states = self.supervisor.inventory.states.values()
            forget = [state.title for state in states if state.may_forget and state.has_ours]
            if forget:
                what += f"; with persistence mode off {listed(forget)} may forget them when nobody uses the GPU"
            self._world.service.stopping("settings stay on the GPUs")
            self.supervisor.reconciler.save()
        self._world.gpus.detach()
        self.say(Event(EventKind.STOPPED, self._clock.now(), detail={"what": what}))
