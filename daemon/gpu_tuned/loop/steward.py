"""What one turn does: the policy handed out as wishes, every GPU looked at and put right, the document laid down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpu_tuned import __version__
from gpu_tuned.core.errors import DriverAbsent, DriverError, GpuLost
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.model import Setting
from gpu_tuned.core.plan import Goal, budget_refusal, power_goals_mw
from gpu_tuned.core.policy import Mode, Policy
from gpu_tuned.core.track import Note
from gpu_tuned.core.wish import Auto, Wish
from gpu_tuned.loop import publish
from gpu_tuned.loop.fleet import DriverState, Fleet
from gpu_tuned.loop.host_settings import HostSettings
from gpu_tuned.loop.ledger import Ledger
from gpu_tuned.loop.planned import plan_of
from gpu_tuned.loop.policy_keeper import PolicyFiles, PolicyKeeper
from gpu_tuned.loop.reconcile import Book, Reconciler
from gpu_tuned.loop.restore import restore
from gpu_tuned.loop.rivals import Rivals
from gpu_tuned.ports import Clock, Desk, DriverEvent, Gpus, Kernel, Look, Say, Service, Store

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


class Steward:
    """Policy, GPUs, host and saved state, brought together once a turn. Belongs to the loop thread."""

    def __init__(self, world: World, say: Say) -> None:
        self._world, self._say = world, say
        self.clock = world.clock
        self.started_at = self.clock.now()
        self.document: Mapping[str, Any] = {}
        self.status = "starting"
        self.released_until: float | None = None
        self.ledger = Ledger(world.store, world.kernel.boot_id())
        self.keeper = PolicyKeeper(world.policy_files, self.ledger, self.clock, say)
        self.rivals = Rivals(world.kernel, self.clock, say)
        self.reconciler = Reconciler(world.gpus, self.ledger, self.clock, self.rivals.naming(say))
        self.fleet = Fleet(world.gpus, world.kernel, self.ledger, self.reconciler, self.clock, say)
        self.host = HostSettings(world.kernel, self.ledger, self.clock, say)
        self._turns = 0
        self._answered_at: float | None = None
        self._on_battery = world.kernel.on_battery_host()
        self._told: set[tuple[str, str]] = set()

    @property
    def observing(self) -> bool:
        policy = self.keeper.policy
        return self._world.observe or (policy is not None and policy.daemon.mode is Mode.OBSERVE)

    @property
    def interval_s(self) -> float:
        return self.keeper.policy.daemon.poll_interval_s if self.keeper.policy else DEFAULT_INTERVAL_S

    def turn(self, heard: Iterable[DriverEvent] = ()) -> None:
        """Meet the driver where that is due, look at every GPU and at the host, put right, publish."""
        if self.released_until is not None and self.clock.monotonic() >= self.released_until:
            self.take_back("its time is over")
        if self.fleet.meet(self.interval_s):
            self._spread()
            self.keeper.judge(self._judge)
            self._spread()
        self._tell_xids(heard)
        self.rivals.look(lambda: self._held(lambda book: book.wishes))
        for book in self.fleet.books.values():
            self._look_at(book)
        policy = self.keeper.policy
        self.host.turn(self._for_this_host(policy.numa_balancing) if policy else None, self.interval_s)
        self._turns += 1
        if self.fleet.attached:
            self._answered_at = self.clock.now()
        self.publish()

    def reload_policy(self) -> None:
        """Raises PolicyError; the running policy then stays."""
        announced = self._answered_at is not None  # before that, READY=1 would be told too early
        if announced:
            self._world.service.reloading()
        try:
            self.keeper.reload(self._judge if self.fleet.books else None)
        finally:
            if announced:
                self._world.service.ready(self.status)
        self._spread()

    def take_back(self, cause: str) -> None:
        self.released_until, self.fleet.released = None, set()
        self.fleet.state = DriverState.STARTING
        self._say(Event(EventKind.TAKEN_BACK, self.clock.now(), cause=cause))

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
            # Persistence last: without it, an idle GPU may forget the others between two writes.
            for setting in reversed(settings):
                restore(book, setting, self.reconciler, self.ledger, done, failed)
        if host_too:
            failed += [
                f"{uuid}: this GPU is not here" for uuid in self.ledger.written() if uuid not in self.fleet.books
            ]
            self.host.restore(done, failed)
        self.reconciler.settle()
        return done, failed

    def _look_at(self, book: Book) -> None:
        if not self.fleet.attached:
            return
        if book.away is not None:
            self.fleet.try_again(book)
            if book.away is not None:
                return
        seen = self.fleet.first_looks.pop(book.board.gpu.uuid, None)
        book.asleep = self._world.kernel.asleep(book.board.gpu.pci)
        if book.asleep:
            return
        try:
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
        """The wish as it is carried out here: in observe mode, watched."""
        wish = self._meant_here(wish)
        return replace(wish, watched=True) if wish and self.observing else wish

    def _meant_here(self, wish: Wish | None) -> Wish | None:
        if wish is None:
            return None
        if wish.target is Auto.AUTO and wish.setting is Setting.PERSISTENCE_MODE:
            if self._on_battery:
                return None
            wish = replace(wish, target=True)
        return wish

    def _plan(self) -> Mapping[str, Any]:
        """What the policy files, loaded or not yet, would have written now."""
        self.keeper.notice_change()
        policy = self.keeper.pending or self.keeper.policy

        def wishes_of(book: Book) -> dict[Setting, Wish]:
            wishes = policy.wishes_for(book.board.gpu) if policy else {}
            return {s: mine for s, wish in wishes.items() if (mine := self._meant_here(wish)) is not None}

        def goal(book: Book, wish: Wish) -> Goal | None:
            return self.reconciler.goal(book, wish, book.tracks[wish.setting].observed)

        plan = plan_of(self.fleet.books.values(), wishes_of, goal, self.keeper.pending is not None)
        numa = policy.numa_balancing if policy else None
        if self.host.track is not None or numa is not None:
            plan.add(None, Setting.NUMA_BALANCING, *self.host.planned(numa))
        plan.rows["notes"] += self.rivals.beside(lambda: self._held(wishes_of))
        return plan.rows

    def _held(self, wishes_of: Callable[[Book], Mapping[Setting, Wish]]) -> set[Setting]:
        """The settings that these wishes would write, on any GPU."""
        return {s for book in self.fleet.books.values() for s, wish in wishes_of(book).items() if not wish.watched}

    def _tell_unmatched(self, policy: Policy) -> None:
        for rule in policy.unmatched([book.board.gpu for book in self.fleet.books.values()]):
            key = (policy.digest, str(rule.origin))
            if key not in self._told and self.fleet.attached:
                self._told.add(key)
                cause = f"matches no GPU ({rule.match})"
                self._say(Event(EventKind.RULE_UNMATCHED, self.clock.now(), cause=cause, origin=str(rule.origin)))

    def _judge(self, policy: Policy) -> str | None:
        boards = [book.board for book in self.fleet.books.values()]
        return budget_refusal(policy.gpu_power_budget_mw, power_goals_mw(policy, boards))

    def _tell_xids(self, heard: Iterable[DriverEvent]) -> None:
        for event in heard:
            book = self.fleet.books.get(event.uuid)
            if event.kind != "xid" or book is None:
                continue
            book.last_xid = (event.data, self.clock.now())
            cause = "caused by a program" if event.data in APPLICATION_XIDS else "hardware or driver"
            self.reconciler.say(book, Note(EventKind.XID, cause=cause, detail={"xid": event.data}), None)

    def publish(self) -> None:
        """Lay down what is known now."""
        about = {
            "daemon_version": __version__,
            "started_at": self.started_at,
            "turns": self._turns,
            "rivals": self.rivals.rows,
        }
        self.document = publish.document(
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
            self._plan(),
        )
        self._world.desk.publish(self.document)
        self.status = publish.one_line(self.document)
        self._world.service.status(self.status)
