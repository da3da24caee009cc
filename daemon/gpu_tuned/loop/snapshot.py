"""What one turn left, as values that never change: the status document is laid out of it when somebody asks."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gpu_tuned import __version__
from gpu_tuned.core import status
from gpu_tuned.core.gpu_state import GpuState
from gpu_tuned.core.in_order import wanted_away
from gpu_tuned.core.status_line import Told

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Driver as DriverRow
    from gpu_tuned.core.wire import Gpu as GpuRow
    from gpu_tuned.core.wire import Host as HostRow
    from gpu_tuned.core.wire import PlanReply, Throttling
    from gpu_tuned.core.wire import Policy as PolicyRow
    from gpu_tuned.core.wire import Rival as RivalRow
    from gpu_tuned.core.wire import Setting as SettingRow
    from gpu_tuned.ports import Document


class DriverSeen(NamedTuple):
    """`state`: its word in the document. `loaded`, `library`: versions. `counts`: whether it can be said how many
    GPUs are here."""

    state: str
    loaded: str | None
    library: str | None
    message: str | None
    counts: bool


class GpuSeen(NamedTuple):
    state: GpuState
    settings: list[SettingRow]
    throttle: Throttling


class HostSeen(NamedTuple):
    """`here`: how many GPUs are, of the `wanted`; `missing`: why that is not in order."""

    settings: list[SettingRow]
    here: int
    wanted: int | None
    missing: str | None
    rivals: list[RivalRow]


class Snapshot(NamedTuple):
    """`started_at`, `seen_at`: wall clock, seconds; `seen_at` None: the driver was not met yet. `installed`: asks for
    the version that the next load brings; of everything here it alone is looked up when the document is made."""

    policy: PolicyRow
    driver: DriverSeen
    gpus: tuple[GpuSeen, ...]
    host: HostSeen
    started_at: float
    seen_at: float | None
    poll_interval_s: float
    turn: int
    installed: Callable[[], str | None]
    plan: Callable[[], PlanReply]

    def document(self) -> Document:
        """The whole status document; "plan" beside it is served by its own method. From any thread."""
        return {
            "format": status.FORMAT,
            "policy": self.policy,
            "driver": self._driver_row(),
            "gpus": [self._gpu_row(gpu) for gpu in self.gpus],
            "host": self._host_row(),
            "plan": self.plan,
        }

    @property
    def in_one_line(self) -> Told:
        """What `core.status_line` tells of."""
        driver, rows, short = (self.driver.state, self.driver.message), [], self.host.missing is not None
        away = resting = 0
        for gpu in self.gpus:
            if not gpu.state.here and wanted_away(gpu.state, short=short):
                resting += 1
                continue
            rows.append(gpu.settings)
            away += not gpu.state.here
        return Told(self.policy, driver, self._missing, rows, away, resting, self.host.settings)

    @property
    def _missing(self) -> str | None:
        """How many GPUs there are is known once the driver was met."""
        return self.host.missing if self.driver.counts else None

    def _gpu_row(self, gpu: GpuSeen) -> GpuRow:
        return status.gpu_row(gpu.state, gpu.settings, gpu.throttle, short=self.host.missing is not None)

    def _host_row(self) -> HostRow:
        host = self.host
        return {
            "name": os.uname().nodename,
            "in_order": all(row["in_order"] for row in host.settings) and self._missing is None,
            "message": self._missing,
            "gpus_here": host.here,
            "gpus_wanted": host.wanted,
            "settings": host.settings,
            "daemon_version": __version__,
            "pid": os.getpid(),
            "started_at": status.timestamp(self.started_at),
            "seen_at": status.timestamp(self.seen_at),
            "poll_interval_s": self.poll_interval_s,
            "sequence": self.turn,
            "rivals": host.rivals,
            "stalled": [],  # the loop does not know of it; whoever answers does
        }

    def _driver_row(self) -> DriverRow:
        driver = self.driver
        return {
            "state": driver.state,
            "loaded": driver.loaded,
            "installed": self.installed(),
            "library": driver.library,
            "message": driver.message,
            "answered_at": status.timestamp(self.seen_at),
            "not_answering_since": None,
        }
