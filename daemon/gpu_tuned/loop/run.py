"""The loop thread: turns, pauses, commands, sleep and waking. Everything that writes to a GPU starts here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from gpu_tuned import __version__
from gpu_tuned.core import drift
from gpu_tuned.core.errors import DriverAbsent, DriverError, GpuLost, PolicyError
from gpu_tuned.core.events import Event, EventKind, to_wire
from gpu_tuned.core.model import GPU_SETTINGS, Setting
from gpu_tuned.core.plan import budget_refusal, power_goals_mw
from gpu_tuned.core.policy import Mode, OnStop, Policy
from gpu_tuned.core.wish import Auto, Wish
from gpu_tuned.loop import publish
from gpu_tuned.loop.commands import Commands
from gpu_tuned.loop.fleet import DriverState, Fleet
from gpu_tuned.loop.host_settings import HostSettings
from gpu_tuned.loop.ledger import Ledger
from gpu_tuned.loop.policy_keeper import PolicyFiles, PolicyKeeper
from gpu_tuned.loop.reconcile import Book, Reconciler
from gpu_tuned.ports import Clock, Desk, DriverEvent, Gpus, Kernel, Look, Say, Service, Store

SETTLE_S = 2.5
"""After a resume the driver answers with values it is about to change; reading earlier was seen to mislead."""
SLEPT_S = 0.5
"""Boot time running ahead of monotonic time by more than this since the last turn is a suspend."""
SLICE_S = 5.0
"""The longest the loop sleeps: the watchdog is fed at least this often, whatever the poll interval."""
APPLICATION_CLOCKS_EVERY = 5
COUNTERS_EVERY = 10
"""Costly getters take turns: one look in so many, a different one for each GPU."""
DEFAULT_INTERVAL_S = 2.0
APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Xids that a program causes; the others point at hardware or driver."""


@dataclass(frozen=True, slots=True)
class World:
    """Every port the loop needs, put together by main."""

    gpus: Gpus
    kernel: Kernel
    clock: Clock
    store: Store
    service: Service
    desk: Desk
    say: Say
    policy_files: PolicyFiles
    observe: bool = False


class Loop:
    """One reconciler over one driver. `run` belongs to its own thread; `wake`, `reload`, `stop` may come from any."""

    def __init__(self, world: World, on_settled: Callable[[], None] = lambda: None) -> None:
        """`on_settled` is called once, from the loop thread, when `settled` became true."""
        self._world = world
        self._on_settled = on_settled
        self.clock = world.clock
        self._wake = threading.Event()
        self._stopping = self._reloading = self._restore_at_stop = False
        self._heard: deque[DriverEvent] = deque(maxlen=256)
        self._turns = 0
        self._document: Mapping[str, Any] = {}
        self.status = "starting"
        self._told: set[tuple[str, str]] = set()
        self._asleep_s = self._offset_s()
        self._answered_at: float | None = None
        self._on_battery = world.kernel.on_battery_host()
        self.started_at = self.clock.now()
        self.released_until: float | None = None
        self.settled = False
        """True after the first turn that met the driver: what could be applied is applied."""
        self.ledger = Ledger(world.store, world.kernel.boot_id())
        self.keeper = PolicyKeeper(world.policy_files, self.ledger, self.clock, self.say)
        self.reconciler = Reconciler(world.gpus, self.ledger, self.clock, self.say)
        self.fleet = Fleet(world.gpus, world.kernel, self.ledger, self.reconciler, self.clock, self.say)
        self.host = HostSettings(world.kernel, self.ledger, self.clock, self.say)
        self._commands = Commands(self, world.desk)

    # From any thread.

    def wake(self) -> None:
        self._wake.set()

    def heard(self, events: tuple[DriverEvent, ...]) -> None:
        self._heard.extend(events)
        self._wake.set()

    def reload(self) -> None:
        self._reloading = True
        self._wake.set()

    def stop(self, restore: bool) -> None:
        """`restore`: where the policy says on_stop = "restore", this stop is one that restores."""
        self._stopping, self._restore_at_stop = True, restore
        self._wake.set()

    # From the loop thread.

    def prepare(self) -> None:
        """Everything before the driver is met: from here on `status` has something to say. Before `run`."""
        world = self._world
        mode = "observing: nothing will be written" if world.observe else "enforcing"
        self.say(Event(EventKind.STARTED, self.clock.now(), detail={"version": __version__, "mode": mode}))
        if self.ledger.damage is not None:
            self.say(Event(EventKind.STATE_DAMAGED, self.clock.now(), cause=self.ledger.damage))
        self.keeper.start()
        self._publish()

    def run(self) -> None:
        world = self._world
        while not self._stopping:
            began_s = self.clock.monotonic()
            world.desk.entered(began_s)
            self._turn()
            world.desk.left()
            world.service.alive()
            self._pause(began_s)
        self._finish()

    def look_once(self) -> Mapping[str, Any]:
        """One turn in this thread, without `run`: the document as it then is. Lets go of the driver again."""
        self.keeper.start()
        self._turn()
        self._world.gpus.detach()
        return self._document

    def say(self, event: Event) -> None:
        self._world.say(event)
        self._world.desk.say(to_wire(event))

    @property
    def observing(self) -> bool:
        policy = self.keeper.policy
        return self._world.observe or (policy is not None and policy.daemon.mode is Mode.OBSERVE)

    @property
    def interval_s(self) -> float:
        return self.keeper.policy.daemon.poll_interval_s if self.keeper.policy else DEFAULT_INTERVAL_S

    def reload_policy(self) -> None:
        """Raises PolicyError; the running policy then stays."""
        self._world.service.reloading()
        try:
            self.keeper.reload(self._judge)
        finally:
            self._world.service.ready(self.status)
        self._spread()

    def take_back(self, cause: str) -> None:
        self.released_until, self.fleet.released = None, set()
        self.fleet.state = DriverState.STARTING
        self.say(Event(EventKind.TAKEN_BACK, self.clock.now(), cause=cause))

    def exceptions(self) -> list[str]:
        """What is not in order, a few words each."""
        found = [f"{b.board.gpu.name} {b.board.gpu.pci} {b.away}" for b in self.fleet.books.values() if b.away]
        for book in self.fleet.books.values():
            found += [
                f"{book.board.gpu.pci} {setting.label} {track.state.value}"
                for setting, track in book.tracks.items()
                if not track.in_order and book.away is None
            ]
        return found

    def restore(self, books: list[Book], settings: Sequence[Setting], host_too: bool) -> tuple[list[str], list[str]]:
        """Put back what was found before the first write. Returns what was done and what failed, in words."""
        done: list[str] = []
        failed: list[str] = []
        for book in books:
            if book.away is None:
                # Persistence last: without it, an idle GPU may forget the others between two writes.
                for setting in reversed(settings):
                    self.reconciler.restore(book, setting, done, failed)
        if host_too:
            problem = self.host.restore()
            failed += [f"numa balancing: {problem}"] if problem else []
        return done, failed

    def _turn(self) -> None:
        self._notice_sleep()
        if self.released_until is not None and self.clock.monotonic() >= self.released_until:
            self.take_back("its time is over")
        served = self._commands.serve()
        if self._reloading:
            self._reloading = False
            with suppress(PolicyError):  # said by the keeper; the running policy stays
                self.reload_policy()
        if self.fleet.meet(self.interval_s):
            self._spread()
            self.keeper.judge(self._judge)
            self._spread()
        self._tell_xids()
        for book in self.fleet.books.values():
            self._look_at(book)
        policy = self.keeper.policy
        self.host.turn(self._for_this_host(policy.numa_balancing) if policy else None, self.interval_s)
        self._turns += 1
        if self.fleet.attached:
            self._answered_at = self.clock.now()
        self._publish()
        if self.fleet.attached and not self.settled:
            self.settled = True
            self._on_settled()
        for command, reply in served:
            command.answer(reply() if callable(reply) else reply)

    def _look_at(self, book: Book) -> None:
        if not self.fleet.attached:
            return
        if book.away is not None:
            self.fleet.try_again(book)
            if book.away is not None:
                return
        book.asleep = self._world.kernel.asleep(book.board.gpu.pci)
        if book.asleep:
            return
        try:
            seen = self.fleet.first_looks.pop(book.board.gpu.uuid, None)
            seen = seen or self.reconciler.see(book, self._what_to_read(book))
            writes = self.reconciler.decide(book, seen, self.interval_s)
            if not self.observing:
                self.reconciler.act(book, writes)
        except GpuLost as error:
            self.fleet.lose(book, str(error))
        except DriverAbsent as error:
            self.fleet.let_go(DriverState.ABSENT, str(error))
        except DriverError as error:
            self.fleet.lose(book, f"does not answer as it should: {error}")

    def _what_to_read(self, book: Book) -> Look:
        turn = self._turns + book.board.index
        return Look(
            application_clocks=turn % APPLICATION_CLOCKS_EVERY == 0 and Setting.APPLICATION_CLOCKS in book.wishes,
            counters=turn % COUNTERS_EVERY == 0,
        )

    def _spread(self) -> None:
        """Hand every GPU its wishes."""
        policy = self.keeper.policy
        for book in self.fleet.books.values():
            wishes = policy.wishes_for(book.board.gpu) if policy else {}
            mine = {setting: self._for_this_host(wish) for setting, wish in wishes.items()}
            book.wishes = {setting: wish for setting, wish in mine.items() if wish is not None}
        if policy is not None:
            self._tell_unmatched(policy)

    def _for_this_host(self, wish: Wish | None) -> Wish | None:
        if wish is None:
            return None
        if wish.target is Auto.AUTO and wish.setting is Setting.PERSISTENCE_MODE:
            if self._on_battery:
                return None
            wish = replace(wish, target=True)
        return replace(wish, watched=True) if self.observing else wish

    def _tell_unmatched(self, policy: Policy) -> None:
        for rule in policy.unmatched([book.board.gpu for book in self.fleet.books.values()]):
            key = (policy.digest, str(rule.origin))
            if key not in self._told and self.fleet.attached:
                self._told.add(key)
                cause = f"matches no GPU ({rule.match})"
                self.say(Event(EventKind.RULE_UNMATCHED, self.clock.now(), cause=cause, origin=str(rule.origin)))

    def _judge(self, policy: Policy) -> str | None:
        boards = [book.board for book in self.fleet.books.values()]
        return budget_refusal(policy.gpu_power_budget_mw, power_goals_mw(policy, boards))

    def _tell_xids(self) -> None:
        while self._heard:
            event = self._heard.popleft()
            book = self.fleet.books.get(event.uuid)
            if event.kind != "xid" or book is None:
                continue
            book.last_xid = (event.data, self.clock.now())
            cause = "caused by a program" if event.data in APPLICATION_XIDS else "hardware or driver"
            self.reconciler.say(book, drift.Note(EventKind.XID, cause=cause, detail={"xid": event.data}), None)

    def _offset_s(self) -> float:
        return self.clock.boottime() - self.clock.monotonic()

    def _notice_sleep(self) -> None:
        slept_s = self._offset_s() - self._asleep_s
        self._asleep_s += slept_s
        if slept_s <= SLEPT_S:
            return
        self.say(Event(EventKind.RESUMED, self.clock.now(), detail={"slept_s": round(slept_s, 1)}))
        ready_s = self.clock.monotonic() + SETTLE_S
        while not self._stopping and self.clock.monotonic() < ready_s:
            self._wake.wait(ready_s - self.clock.monotonic())
            self._wake.clear()
        for book in self.fleet.books.values():
            self.reconciler.forget_locks(book, "the machine slept")

    def _pause(self, began_s: float) -> None:
        """Until the next look is due, or something wakes the loop."""
        due_s = began_s + self.interval_s
        while not self._stopping:
            left_s = due_s - self.clock.monotonic()
            if left_s <= 0 or self._wake.wait(min(left_s, SLICE_S)):
                break
            self._world.service.alive()
        self._wake.clear()

    def _publish(self) -> None:
        about = {"daemon_version": __version__, "started_at": self.started_at, "turns": self._turns}
        self._document = publish.document(
            self.keeper,
            self.fleet,
            self.host,
            self._world.kernel,
            self.ledger.saved,
            self.interval_s,
            "observe" if self.observing else "enforce",
            self.reconciler.moment(),
            self._answered_at,
            about,
            self._world.gpus.driver_version(),
        )
        self._world.desk.publish(self._document)
        self.status = publish.one_line(self._document)
        self._world.service.status(self.status)

    def _finish(self) -> None:
        policy = self.keeper.policy
        restores = self._restore_at_stop and policy is not None and policy.daemon.on_stop is OnStop.RESTORE
        what = "every setting stays on the GPUs"
        if restores and not self.observing:
            self._world.service.stopping("putting back what was found")
            done, failed = self.restore(list(self.fleet.books.values()), GPU_SETTINGS, True)
            what = f"{len(done)} setting(s) put back to what was found, {len(failed)} failed"
        else:
            self._world.service.stopping("settings stay on the GPUs")
        self._world.gpus.detach()
        self.say(Event(EventKind.STOPPED, self.clock.now(), detail={"what": what}))
