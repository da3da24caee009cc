"""Turns what the loop knows into the published document, a value that nobody changes afterwards, and makes the plan
for whoever asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gpu_tuned import __version__
from gpu_tuned.core import budget, status
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.gpu_state import GpuState
from gpu_tuned.core.model import Setting
from gpu_tuned.core.plan import Wishes as WishesOf
from gpu_tuned.core.plan import plan_of
from gpu_tuned.core.track import Track
from gpu_tuned.loop.inventory import key_of
from gpu_tuned.loop.world import World

if TYPE_CHECKING:
    from gpu_tuned.core.advice import Advice
    from gpu_tuned.core.policy import Policy
    from gpu_tuned.loop.steward import Steward

Plan = Callable[[], Mapping[str, Any]]
Row = tuple[Track, GpuState, bool, dict[str, Any]]


class Publisher:
    """Belongs to the loop thread, but for `plan`, which the control thread calls: it reads values only."""

    def __init__(self, world: World, steward: Steward) -> None:
        self._world, self._steward = world, steward
        self._started_at = world.clock.now()
        self._rows: dict[tuple[str, Setting], Row] = {}
        self._planned: tuple[object, Mapping[str, Any]] | None = None
        self.document: Mapping[str, Any] = {}

    def publish(self) -> str:
        """Lay down what is known now; returns the one line for the service manager."""
        self.document = self._document()
        self._world.desk.publish(self.document)
        line = status.one_line(self.document)
        self._world.service.status(line)
        return line

    def plan(self) -> Mapping[str, Any]:
        """What the policy files, as they lie on the disk now, would have written. Raises PolicyError."""
        steward, files = self._steward, self._world.policy_files
        states, host = tuple(steward.inventory.states.values()), steward.inventory.host
        key = (files.stamp(), states, host)
        if self._planned is not None and self._planned[0] == key:
            return self._planned[1]
        policy = files.parse(files.read())
        problem = budget.judge(policy, states)
        if problem is not None:
            raise PolicyError((problem,))
        running = steward.keeper.policy
        pending = running is None or running.digest != policy.digest
        # As if enforcing: what is asked is what the file would have written.
        wishes = steward.wishes

        def wishes_of(state: GpuState) -> WishesOf:
            return wishes.of_host(policy, False) if state is host else wishes.of(policy, state, False)

        rows = plan_of([*states, host], wishes_of, pending, steward.inventory.moment())
        held = {s for state in states for s, wish in wishes_of(state).items() if not wish.watched}
        rows["notes"] += steward.rivals.beside(lambda: held)
        rows["advice"] = [advice_row(advice) for advice in self._advice(policy, states)]
        self._planned = (key, rows)
        return rows

    def _advice(self, policy: Policy, states: Iterable[GpuState]) -> tuple[Advice, ...]:
        """What is known to go wrong with what a policy wishes of these boards, as they were seen last."""
        from gpu_tuned.core.advice import Around, advise_policy  # the catalogue is paid for by whoever asks

        here = [state for state in states if state.here and state.board is not None]
        found = {
            state.gpu.uuid: {s: track.observed for s, track in state.tracks.items() if track.observed is not None}
            for state in here
        }
        around = Around(driver=self._driver_row()["library"], laptop=self._world.kernel.on_battery_host())
        return advise_policy(policy, [state.board for state in here if state.board is not None], found, around)

    def _document(self) -> dict[str, Any]:
        """The whole status document; "plan" beside it is served by its own method."""
        steward, policy = self._steward, self._steward.keeper.policy
        states = steward.inventory.states
        here, missing = status.counted(policy, states)
        short = missing is not None
        own = status.rows(steward.inventory.host)
        return {
            "format": status.FORMAT,
            "policy": self._policy_row(),
            "driver": self._driver_row(),
            "gpus": [self._gpu_row(state, short) for state in states.values()],
            "host": {
                "name": os.uname().nodename,
                # How many GPUs there are is known once the driver was met.
                "in_order": all(row["in_order"] for row in own) and not (short and steward.fleet.counts),
                "message": missing if steward.fleet.counts else None,
                "gpus_here": here,
                "gpus_wanted": policy.gpus if policy else None,
                "settings": own,
                "daemon_version": __version__,
                "pid": os.getpid(),
                "started_at": status.timestamp(self._started_at),
                "seen_at": status.timestamp(steward.answered_at),
                "poll_interval_s": steward.interval_s,
                "sequence": steward.turns,
                "rivals": steward.rivals.rows,
            },
            "plan": self.plan,
        }

    def _gpu_row(self, state: GpuState, short: bool) -> dict[str, Any]:
        rows = [
            self._row(state, setting, track, short)
            for setting in Setting
            if (track := state.tracks.get(setting)) is not None and status.shown(setting, track, state)
        ]
        throttle = dict(self._steward.reconciler.throttle_row(state))
        fault = throttle["fault"]
        if isinstance(fault, Mapping):
            throttle["fault"] = {**fault, "since": status.timestamp(fault["since"])}
        return status.gpu_row(state, rows, throttle, short)

    def _row(self, state: GpuState, setting: Setting, track: Track, short: bool) -> dict[str, Any]:
        """The row of the document before, where nothing it is made of was replaced since: documents never change."""
        key = (key_of(state), setting)
        known = self._rows.get(key)
        if known is not None and known[0] is track and known[2] == short:
            before = known[1]
            if (before.presence, before.why, before.since) == (state.presence, state.why, state.since):
                return known[3]
        row = status.setting_row(setting, track, state, short)
        self._rows[key] = (track, state, short, row)
        return row

    def _policy_row(self) -> dict[str, Any]:
        steward, keeper = self._steward, self._steward.keeper
        keeper.notice_change()
        policy = keeper.policy
        return {
            "state": keeper.state.value,
            "mode": "observe" if steward.observing else "enforce",
            "files": list(policy.files) if policy else [],
            "digest": policy.digest if policy else None,
            "loaded_at": status.timestamp(keeper.loaded_at),
            "error": "\n".join(keeper.problems) or None,
            "pending": keeper.pending.digest if keeper.pending else None,
            **status.policy_rows(policy, steward.inventory.states, steward.fleet.counts),
        }

    def _driver_row(self) -> dict[str, Any]:
        fleet, kernel = self._steward.fleet, self._world.kernel
        return {
            "state": fleet.state.value,
            "loaded": kernel.driver_loaded(),
            "installed": kernel.driver_installed(),
            "library": self._world.gpus.driver_version(),
            "message": fleet.message,
            "answered_at": status.timestamp(self._steward.answered_at),
            "not_answering_since": None,
        }


def advice_row(advice: Advice) -> dict[str, Any]:
    """One piece of advice, for `plan`."""
    return {
        "id": advice.id,
        "severity": advice.severity.value,
        "gpu": advice.gpu.uuid,
        "pci": advice.gpu.pci,
        "name": advice.gpu.name,
        "setting": advice.setting.value,
        "message": advice.says,
        "origin": advice.origin or None,
        "page": advice.page,
    }
