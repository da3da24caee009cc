"""NVML for a command, which does not wait for ever for a driver that hangs."""

from __future__ import annotations

from functools import partial

from gpu_tuned.adapters.nvml.driver import Nvml
from gpu_tuned.adapters.patience import LOOK_S, in_time
from gpu_tuned.core.model import Board, Seen
from gpu_tuned.ports import Look


class NvmlInTime(Nvml):
    """Each call within `LOOK_S`; raises DriverTrouble where one does not come back."""

    def attach(self) -> tuple[Board, ...]:
        return in_time(LOOK_S, super().attach)

    def see(self, uuid: str, look: Look) -> Seen:
        return in_time(LOOK_S, partial(super().see, uuid, look))

    def detach(self) -> None:
        in_time(LOOK_S, super().detach)
