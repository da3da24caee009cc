"""What one turn does: the policy handed out as wishes, every GPU looked at and put right, the document laid down."""

from __future__ import annotations

from collections.abc import Iterable

from gpu_tuned.core import budget, transitions, xids
from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverMismatch, GpuLost
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.gpu_state import Change, GpuState, Presence, Said
from gpu_tuned.core.in_order import NONE_OF_REQUIRED, exceptions, gpus_here, none_of_required, shown
from gpu_tuned.core.model import GPU_SETTINGS, ApplicationClocks, Setting
from gpu_tuned.core.policy import Mode, Policy
from gpu_tuned.core.rotation import application_clocks_due
from gpu_tuned.core.track import Moment, Note
from gpu_tuned.core.wish import MatchBy
from gpu_tuned.loop.descriptions import Descriptions
from gpu_tuned.loop.driver import Driver, DriverState
from gpu_tuned.loop.host_knobs import HostKnobs
from gpu_tuned.loop.inventory import Inventory
from gpu_tuned.loop.ledger import Ledger
from gpu_tuned.loop.policy_in_force import PolicyInForce
from gpu_tuned.loop.publish import Publisher
from gpu_tuned.loop.reconcile import Reconciler
from gpu_tuned.loop.restore import Outcome, Restorer
from gpu_tuned.loop.rivals import Rivals
from gpu_tuned.loop.wishes import Wishes
from gpu_tuned.loop.world import World
from gpu_tuned.ports import DriverEvent, Look, Say

STEP_S = 1.0
"""The wall clock running away from the time since boot by more than this between two turns was set."""
COUNTERS_EVERY = 10
"""The counters take turns: one look in so many, a different one for each GPU, and each look while a fault is on."""
DEFAULT_INTERVAL_S = 2.0
SAVE_EVERY_S = 60.0
"""How often the seconds of throttling are saved where nothing else is: so much of them a kill may cost."""


class Supervisor:
    """Policy, GPUs, host and saved state, brought together once a turn. Belongs to the loop thread."""

    def __init__(self, world: World, say: Say) -> None:
        self._world, self._say = world, say
        self.clock = world.clock
        self.status = "starting"
        self._xids: xids.Tallies = {}
        self.released_until: float | None = None
        self.wishes = Wishes(world.kernel, remembers=not world.observe)
        self.rivals = Rivals(world.kernel, self.clock, say)
        knobs, naming = HostKnobs(world.kernel), self.rivals.naming(say)
        moment = Moment(self.clock.now(), self.clock.monotonic())
        self.ledger = Ledger(world.this_boot, world.lasting, world.kernel.boot_id(), moment)
        host = transitions.host(self.ledger.remembered_host(), knobs.absent(), moment)
        self.inventory = Inventory(host, self.clock, naming)
        self.in_force = PolicyInForce(world.policy_files, self.ledger, self.clock, say)
        throttled, forgot = self.ledger.found.throttled, self.ledger.forgot or world.observe
        self.reconciler = Reconciler(
            world.gpus, knobs, self.inventory, self._save, self.clock, naming, throttled, forgot=forgot
        )
        self._restorer = Restorer(world.gpus, knobs, self.inventory, self.clock, naming)
        self._saved_at_s = self.clock.monotonic()
        self.driver = Driver(world.gpus, world.kernel, self.inventory, self.reconciler, self.clock, say)
        self.publisher = Publisher(world, self)
        self._turns = 0
        self.look_at_everything = False
        """Whether the next turn reads what is dear to read too, for somebody asked."""
        self._booted_at = self.clock.now() - self.clock.boottime()
        self._answered_at: float | None = None
        self._told: set[tuple[str, str]] = set()
        self._descriptions = Descriptions(self.clock)

    @property
    def turns(self) -> int:
        return self._turns

    @property
    def answered_at(self) -> float | None:
        """When a turn last saw the driver, wall clock; None: not yet."""
        return self._answered_at

    @property
    def observing(self) -> bool:
        policy = self.in_force.policy
        return self._world.observe or (policy is not None and policy.daemon.mode is Mode.OBSERVE)

    @property
    def interval_s(self) -> float:
        return self.in_force.policy.daemon.poll_interval_s if self.in_force.policy else DEFAULT_INTERVAL_S

    @property
    def short(self) -> bool:
        """Whether fewer GPUs are here than the policy says there must be."""
        return gpus_here(self.in_force.policy, self.inventory.states)[1] is not None

    def start(self) -> None:
        """Before the driver is met: the policy, and what an earlier run knew of this boot."""
        self.in_force.start()
        for state in self.ledger.remembered():
            self.inventory.take(Change(state))
        self.reconciler.meet_host()
        self._spread()

    def turn(self, heard: Iterable[DriverEvent] = ()) -> None:
        """Meet the driver where that is due, look at every GPU and at the host, put right, publish."""
        self._notice_clock_step()
        if self.released_until is not None and self.clock.monotonic() >= self.released_until:
            self.take_back("its time is over")
        self.meet()
        self._tell_xids(heard)
        self.rivals.look(self._held)
        for key in list(self.inventory.states):
            if self.driver.attached:
                self._look_at(self.inventory.states[key])
        self.reconciler.forget_first_looks()  # of one that fell asleep since, what it read is of another time
        host = self.inventory.host
        if any(shown(setting, track, host) for setting, track in host.tracks.items()):
            self.reconciler.look(host, Look(), self.interval_s, writes=not self.observing)
        # What was never carried out is judged by what it asks for, what is by what came of it.
        judge = self._judge_in_force if self.in_force.fitted else self._judge
        if self.driver.attached and self.in_force.judge(judge):
            self._spread()
        if self.inventory.unsaved or self.clock.monotonic() - self._saved_at_s >= SAVE_EVERY_S:
            self.reconciler.save()
        self._turns += 1
        self.look_at_everything = False
        if self.driver.attached:
            self._answered_at = self.clock.now()
        self.publish()

    def meet(self) -> None:
        """Meet the driver where that is due, and hand out the wishes where a GPU came."""
        if self.driver.meet(self.interval_s):
            if not self.in_force.fitted:  # before anything is written; any other is judged by what this turn finds
                self.in_force.judge(self._judge)
            self._spread()

    def reload_policy(self) -> None:
        """Raises PolicyError; the running policy then stays."""
        announced = self._answered_at is not None  # before that, READY=1 would be told too early
        if announced:
            self._world.service.reloading()
        try:
            self.in_force.reload(self._judge if self._boards_known else None)
            self._spread()
        finally:
            self.publish()  # before the service manager hears that it is done: who then waits must not read of before
            if announced:
                self._world.service.ready(self.status)

    def take_back(self, cause: str) -> None:
        self.released_until = None
        self.driver.state = DriverState.STARTING
        self._say(Event(EventKind.TAKEN_BACK, self.clock.now(), cause=cause))

    def exceptions(self) -> list[str]:
        """What is not in order, a few words each."""
        states = self.inventory.states
        found = exceptions(states, self.inventory.host, short=self.short)
        missing = gpus_here(self.in_force.policy, states)[1]
        found += [missing] if missing and self.driver.counts else []
        found += [NONE_OF_REQUIRED] if self.driver.counts and none_of_required(self.in_force.policy, states) else []
        found += [self.in_force.misfit.why] if self.in_force.misfit else []
        found += ["the newest policy file was refused"] if self.in_force.refused else []
        policy, gpus = self.in_force.policy, [state.gpu for state in states.values()]
        named = [rule for rule in (policy.unmatched(gpus) if policy else ()) if rule.match.by is not MatchBy.NAME]
        return found + [f"{rule.origin} matches no GPU ({rule.match})" for rule in named]

    def restore(self, states: Iterable[GpuState], settings: Iterable[Setting], *, host_too: bool) -> Outcome:
        """Put back what was found at first."""
        outcome = Outcome()
        # Persistence last: without it, an idle GPU may forget the others between two writes.
        backwards = [setting for setting in reversed(GPU_SETTINGS) if setting in set(settings)]
        for state in states:
            self._restorer.restore(state, backwards, outcome)
        if host_too:
            self._restorer.restore(self.inventory.host, [s for s in Setting if s.of_host], outcome)
        self.reconciler.forget_first_looks()  # they are of before these writes
        self.reconciler.save()
        return outcome

    def hurry(self) -> None:
        """Somebody asked to apply now: what is missing, or was denied, is asked for at once, and all is read."""
        self.driver.hurry()
        self._descriptions.hurry()
        self.look_at_everything = True

    def publish(self) -> None:
        """Lay down what is known now."""
        self.status = self.publisher.publish()

    @property
    def _boards_known(self) -> bool:
        return any(state.board is not None for state in self.inventory.states.values())

    def _save(self) -> None:
        self._saved_at_s = self.clock.monotonic()
        self.ledger.sync(self.inventory.states.values(), self.inventory.host, self.reconciler.kept())
        self.inventory.unsaved = False

    def _notice_clock_step(self) -> None:
        """Times that are told to people are by the wall clock, and move with it when somebody sets it."""
        booted_at = self.clock.now() - self.clock.boottime()
        by_s, self._booted_at = booted_at - self._booted_at, booted_at
        if abs(by_s) <= STEP_S:
            return
        self.inventory.update(lambda state: transitions.stepped(state, by_s))
        self.in_force.clock_stepped(by_s)
        self.publisher.clock_stepped(by_s)
        if self._answered_at is not None:
            self._answered_at += by_s

    def _look_at(self, state: GpuState) -> None:
        if not state.here and state.presence is not Presence.ASLEEP:
            self.driver.boards.look_again(state, self.interval_s)
        elif self._world.kernel.asleep(state.gpu.pci):
            self.driver.boards.fall_asleep(state)
            return
        else:
            self.driver.boards.wake(state, self.interval_s)
        state = self.inventory.states.get(state.gpu.uuid, state)
        if not state.here and state.presence is not Presence.ASLEEP:
            return
        try:
            if self._descriptions.due(state, self.interval_s, changed=self.reconciler.mig_changed(state)):
                board = self.driver.boards.describe(state.gpu.uuid)
                self.inventory.take(Change(transitions.described(state, board)))
                state = self.inventory.states[state.gpu.uuid]
            self.reconciler.look(state, self._what_to_read(state), self.interval_s, writes=not self.observing)
        except GpuLost as error:
            self.driver.boards.lose(self.inventory.states[state.gpu.uuid], str(error))
        except (DriverAbsent, DriverMismatch) as error:
            word = DriverState.ABSENT if isinstance(error, DriverAbsent) else DriverState.MISMATCH
            self.driver.trouble(word, str(error), self.interval_s)
        except DriverError as error:
            why = f"does not answer as it should: {error}"
            self.driver.boards.lose(self.inventory.states[state.gpu.uuid], why)

    def _what_to_read(self, state: GpuState) -> Look:
        turn = self._turns + (state.index or 0)
        track = state.tracks.get(Setting.APPLICATION_CLOCKS)
        wished = track is not None and track.wish is not None
        read = track.observed if track is not None else None
        known = read if isinstance(read, ApplicationClocks) else None
        # Also where it is not as wished: what is written must have been read in the same look.
        due = self.look_at_everything or application_clocks_due(turn, self.interval_s, known, state.telemetry)
        # What was just put right may have been lost with the driver's initialisation, which the counters tell; and
        # whoever changed that may have changed these as well.
        last = state.last_put_back
        put_right = last is not None and last.mono >= state.looked.mono
        due = due or put_right or (track is not None and not track.in_order)
        counters = turn % COUNTERS_EVERY == 0 or put_right or self.reconciler.counters_due(state.gpu.uuid)
        return Look(application_clocks=wished and due, counters=counters)

    def _spread(self) -> None:
        """Hand every GPU, and the host, its wishes."""
        policy, moment = self.in_force.policy, self.inventory.moment()
        for state in list(self.inventory.states.values()):
            wishes = self.wishes.of(policy, state, observing=self.observing)
            named = policy is not None and policy.names(state.gpu)
            self.inventory.take(
                Change(transitions.wished(state, wishes, self.in_force.restricted, moment, named=named))
            )
        host = self.inventory.host
        wishes = self.wishes.of_host(policy, observing=self.observing)
        self.inventory.take(Change(transitions.wished(host, wishes, self.in_force.restricted, moment, named=False)))
        self.driver.wanted = policy.gpus if policy is not None and policy.gpus is not None else 1
        if policy is not None:
            self._tell_unmatched(policy)

    def _held(self) -> set[Setting]:
        """The settings that are written here, on any GPU."""
        tracks = [track for state in self.inventory.states.values() for track in state.tracks.values()]
        return {track.wish.setting for track in tracks if track.wish is not None and not track.wish.watched}

    def _tell_unmatched(self, policy: Policy) -> None:
        for rule in policy.unmatched([state.gpu for state in self.inventory.states.values()]):
            key = (policy.digest, str(rule.origin))
            if key not in self._told and self.driver.attached:
                self._told.add(key)
                cause = f"matches no GPU ({rule.match})"
                self._say(Event(EventKind.RULE_UNMATCHED, self.clock.now(), cause=cause, origin=str(rule.origin)))

    def _judge(self, policy: Policy) -> budget.Misfit | None:
        return budget.judge(policy, self.inventory.states.values())

    def _judge_in_force(self, policy: Policy) -> budget.Misfit | None:
        return budget.judge_in_force(policy, self.inventory.states.values())

    def _tell_xids(self, heard: Iterable[DriverEvent]) -> None:
        moment, known = self.inventory.moment(), self.inventory.states.get
        came = [((event.uuid, event.data), event.times) for event in heard if event.kind == "xid"]
        for (uuid, xid), _ in came:
            if (state := known(uuid)) is not None:
                self.inventory.take(Change(transitions.told_xid(state, xid, moment)))
        each = [xid for xid, times in came for _ in range(times)]
        self._xids, told = xids.heard(self._xids, each, moment.mono)
        for one in told:
            if (state := known(one.uuid)) is not None:
                said = Said(Note(EventKind.XID, cause=one.cause, detail={"xid": one.xid, "count": one.count}))
                self.inventory.take(Change(state, said=(said,)))
