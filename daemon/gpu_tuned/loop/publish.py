"""Lays down what the loop knows after each turn, from which the status document is made for whoever asks, and makes
the plan for whoever asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpu_tuned.core import budget, in_order, status
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.gpu_state import GpuState
from gpu_tuned.core.plan import Wishes as WishesOf
from gpu_tuned.core.plan import plan_of
from gpu_tuned.core.status_line import one_line
from gpu_tuned.loop.inventory import key_of
from gpu_tuned.loop.snapshot import DriverSeen, GpuSeen, HostSeen, Snapshot
from gpu_tuned.loop.world import World

if TYPE_CHECKING:
    from gpu_tuned.core.advice import Advice
    from gpu_tuned.core.policy import Policy
    from gpu_tuned.core.wire import PlanReply
    from gpu_tuned.core.wire import Policy as PolicyRow
    from gpu_tuned.core.wire import Setting as SettingRow
    from gpu_tuned.loop.supervisor import Supervisor
    from gpu_tuned.ports import Document

    Rows = tuple[GpuState, bool, list[SettingRow]]


READ_AGAIN_S, READ_SHARE = 1.0, 20
"""Everybody may ask for a plan, as often as they like. Files whose stamps stay are read again after so many seconds
(who may write to a folder is in no stamp), and not before so many times what the last reading took."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What the policy files with this stamp hold: a policy, or problems. Looked at again at `until_s` (monotonic)."""

    stamp: object
    until_s: float
    policy: Policy | None
    problems: tuple[str, ...] = ()


class Publisher:
    """Belongs to the loop thread, but for `plan`, which the control thread calls: it reads values only."""

    def __init__(self, world: World, supervisor: Supervisor) -> None:
        self._world, self._supervisor = world, supervisor
        self._started_at = world.clock.now()
        self._rows: dict[str, Rows] = {}
        self._planned: tuple[object, PlanReply] | None = None
        self._read: _Read | None = None
        self._told_policy: tuple[object, PolicyRow] | None = None
        self._line: tuple[object, str] | None = None
        self._published: Snapshot | None = None

    def clock_stepped(self, by_s: float) -> None:
        """The wall clock was set, by so much."""
        self._started_at += by_s

    def publish(self) -> str:
        """Lay down what is known now; returns the one line for the service manager."""
        self._supervisor.in_force.notice_change()
        snapshot = self._published = self._snapshot()
        self._world.mailbox.publish(snapshot.document)
        line = self._line_of(snapshot)
        self._world.service.status(line)
        return line

    @property
    def document(self) -> Document:
        """What was published last; before that, what is known at this moment."""
        return (self._published or self._snapshot()).document()

    def plan(self) -> PlanReply:
        """What the policy files, as they lie on the disk now, would have written. Raises PolicyError."""
        supervisor, stamp = self._supervisor, self._world.policy_files.stamp()
        states, host = tuple(supervisor.inventory.states.values()), supervisor.inventory.host
        policy, running = self._policy(stamp), supervisor.in_force.policy
        pending = running is None or running.digest != policy.digest
        # Nothing of a GPU need change for these to: one that is away looks the same for days.
        key = (stamp, states, host, pending, supervisor.observing, supervisor.rivals.running)
        if self._planned is not None and self._planned[0] == key:
            return self._planned[1]
        problem = budget.judge(policy, states)
        if problem is not None:
            raise PolicyError((problem.why,))
        # As if enforcing: what is asked is what the file would have written.
        wishes = supervisor.wishes

        def wishes_of(state: GpuState) -> WishesOf:
            return (
                wishes.of_host(policy, observing=False)
                if state is host
                else wishes.of(policy, state, observing=False)
            )

        plan = plan_of([*states, host], wishes_of, supervisor.inventory.moment())
        plan["mode"], plan["pending"] = status.mode(observing=supervisor.observing), pending
        held = {s for state in states for s, wish in wishes_of(state).items() if not wish.watched}
        plan["notes"] += supervisor.rivals.beside(lambda: held)
        plan["advice"] = [advice.wire() for advice in self._advice(policy, states)]
        self._planned = (key, plan)
        return plan

    def _policy(self, stamp: object) -> Policy:
        """The policy of the files with this stamp. Raises PolicyError; the same problems are the same object."""
        files, clock, read = self._world.policy_files, self._world.clock, self._read
        began_s = clock.monotonic()
        if read is None or read.stamp != stamp or began_s >= read.until_s:
            policy: Policy | None = None
            problems: tuple[str, ...] = ()
            try:
                policy = files.parse(files.read())
            except PolicyError as error:
                problems = error.problems
            now_s = clock.monotonic()
            until_s = now_s + max(READ_AGAIN_S, READ_SHARE * (now_s - began_s))
            if read is not None and read.problems == problems:
                problems = read.problems
            read = self._read = _Read(stamp, until_s, policy, problems)
        if read.policy is None:
            raise PolicyError(read.problems)
        return read.policy

    def _advice(self, policy: Policy, states: Iterable[GpuState]) -> tuple[Advice, ...]:
        """What is known to go wrong with what a policy wishes of these boards, as they were seen last."""
        from gpu_tuned.core.advice import Around, advise_policy  # the catalogue is paid for by whoever asks

        here = [state for state in states if state.here and state.board is not None]
        found = {
            state.gpu.uuid: {s: track.observed for s, track in state.tracks.items() if track.observed is not None}
            for state in here
        }
        around = Around(driver=self._world.gpus.driver_version(), laptop=self._world.kernel.on_battery_host())
        return advise_policy(policy, [state.board for state in here if state.board is not None], found, around)

    def _snapshot(self) -> Snapshot:
        supervisor, policy = self._supervisor, self._supervisor.in_force.policy
        states, driver = supervisor.inventory.states, supervisor.driver
        here, missing = in_order.gpus_here(policy, states)
        short, throttle_row = missing is not None, supervisor.reconciler.throttle_row
        return Snapshot(
            policy=self._policy_row(),
            driver=DriverSeen(
                driver.state.value, driver.loaded, self._world.gpus.driver_version(), driver.message, driver.counts
            ),
            gpus=tuple(
                GpuSeen(state, self._rows_of(state, short=short), throttle_row(state)) for state in states.values()
            ),
            host=HostSeen(
                self._rows_of(supervisor.inventory.host, short=False),
                here,
                policy.gpus if policy else None,
                missing,
                supervisor.rivals.rows,
            ),
            started_at=self._started_at,
            seen_at=supervisor.answered_at,
            poll_interval_s=supervisor.interval_s,
            turn=supervisor.turns,
            installed=self._world.kernel.driver_installed,
            plan=self.plan,
        )

    def _line_of(self, snapshot: Snapshot) -> str:
        """That of the snapshot before, where it says the same."""
        says = snapshot.in_one_line
        if self._line is None or self._line[0] != says:
            self._line = (says, one_line(says))
        return self._line[1]

    def _rows_of(self, state: GpuState, *, short: bool) -> list[SettingRow]:
        """Those of the snapshot before, where nothing that they are made of was replaced since, as nearly always:
        rows never change."""
        key = key_of(state)
        known = self._rows.get(key)
        if known is not None and known[1] == short:
            before = known[0]
            same = before.tracks is state.tracks and before.board is state.board  # any wish makes the tracks anew
            if same and (before.presence, before.why, before.since) == (state.presence, state.why, state.since):
                return known[2]
        rows = status.rows(state, short=short)
        self._rows[key] = (state, short, rows)
        return rows

    def _policy_row(self) -> PolicyRow:
        """That of the snapshot before, where nothing that it is made of is another."""
        supervisor, in_force = self._supervisor, self._supervisor.in_force
        standing = status.Standing(
            in_force.state.value,
            supervisor.observing,
            in_force.loaded_at,
            in_force.refused,
            in_force.misfit,
            in_force.pending.digest if in_force.pending else None,
        )
        gpus, met = [state.gpu for state in supervisor.inventory.states.values()], supervisor.driver.counts
        made_of = (in_force.policy, standing, gpus, met)
        if self._told_policy is None or self._told_policy[0] != made_of:
            self._told_policy = (made_of, status.policy_row(in_force.policy, gpus, standing, met=met))
        return self._told_policy[1]
