"""The GPUs on the present connection: each is met at once, or when it wakes up, and met again after it was lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from gpu_tuned.core import transitions
from gpu_tuned.core.errors import DriverAbsent, DriverError, GpuLost
from gpu_tuned.core.gpu_state import GpuState, Presence
from gpu_tuned.core.model import Board
from gpu_tuned.loop.away import Away
from gpu_tuned.loop.inventory import Inventory
from gpu_tuned.loop.pause import Pause
from gpu_tuned.loop.reconcile import Reconciler
from gpu_tuned.ports import Clock, Gpus, Kernel, Look

MISSING_RETRY_S = 30.0
"""The longest pause before a GPU that the driver does not describe is asked for again; a change of the kernel's files
ends it."""


class Unmet(NamedTuple):
    """A GPU that was described while it slept, and is looked at when it wakes up. `binding`: the kernel's, then."""

    board: Board
    binding: str | None


class Boards:
    """Belongs to the loop thread."""

    def __init__(  # noqa: PLR0913 - ports, and the parts of the loop that it drives
        self, gpus: Gpus, kernel: Kernel, inventory: Inventory, reconciler: Reconciler, clock: Clock, away: Away
    ) -> None:
        self._gpus, self._kernel, self._inventory = gpus, kernel, inventory
        self._reconciler, self._clock, self._away = reconciler, clock, away
        self._unmet: dict[str, Unmet] = {}
        self._bindings: dict[str, str] = {}
        self._lost: dict[str, Pause] = {}

    def forget(self) -> None:
        """The driver was let go of: whom it described before is described anew."""
        self._unmet.clear()
        self._bindings.clear()

    def hurry(self) -> None:
        """Somebody asked to apply now: a GPU that was lost is asked again at once."""
        for pause in self._lost.values():
            pause.reset()

    def binding(self, state: GpuState) -> str | None:
        """The kernel's binding under which the driver described this GPU, also where it did not answer since: what is
        known of its initialisation is of an earlier one then."""
        return self._bindings.get(state.gpu.uuid, state.initialisation.binding)

    def come(self, board: Board, bound: Mapping[str, str], poll_interval_s: float) -> None:
        """A board that the driver describes. `bound`: every GPU that the kernel binds to the driver, with its
        binding."""
        board = self._addressed(board, bound)
        binding = bound.get(board.gpu.pci)
        if binding is not None:
            self._bindings[board.gpu.uuid] = binding
        placeholder = self._inventory.states.get(board.gpu.pci)
        if placeholder is not None and not placeholder.gpu.uuid:
            self._inventory.drop(board.gpu.pci)
        state = self._inventory.states.get(board.gpu.uuid) or GpuState(board.gpu)
        if self._kernel.asleep(board.gpu.pci):
            self._unmet[board.gpu.uuid] = Unmet(board, binding)
            # A binding that is known stays: when it wakes up, another one tells a new driver initialisation.
            if binding is not None and state.initialisation.binding is None:
                state = transitions.bound(state, binding)
            self.fall_asleep(state)
            return
        self._meet(state, board, poll_interval_s, binding)

    def wake(self, state: GpuState, poll_interval_s: float) -> None:
        """A GPU that is awake: met now, where it was asleep ever since the driver attached."""
        unmet = self._unmet.pop(state.gpu.uuid, None)
        if unmet is not None:
            self._meet(state, unmet.board, poll_interval_s, unmet.binding)

    def look_again(self, state: GpuState, poll_interval_s: float) -> None:
        """A GPU that was lost may answer again on the same connection; asked less and less often."""
        uuid, board = state.gpu.uuid, state.board
        if state.presence is not Presence.LOST or board is None:
            return
        pause = self._lost.setdefault(uuid, Pause(self._clock, MISSING_RETRY_S))
        if not pause.over:
            return
        try:
            self._gpus.see(uuid, Look())
        except DriverError:
            pause.longer(poll_interval_s)
            return
        pause.longer(poll_interval_s)  # if it is lost again at once, that is one trouble and not two
        self._meet(state, board, poll_interval_s)

    def lose(self, state: GpuState, why: str) -> None:
        """One GPU is away; the others go on."""
        if not self._kernel.on_bus(state.gpu.pci):
            self._away.off_bus(state.gpu.pci)
        self._inventory.take(transitions.away(state, Presence.LOST, why, self._inventory.moment()))

    def fall_asleep(self, state: GpuState) -> None:
        why = "not woken up to be looked at"
        self._inventory.take(transitions.away(state, Presence.ASLEEP, why, self._inventory.moment()))

    def describe(self, uuid: str) -> Board:
        """Describe one attached GPU anew. Raises DriverError."""
        return self._addressed(self._gpus.describe(uuid), self._kernel.bound_gpus())

    def _addressed(self, board: Board, bound: Mapping[str, str]) -> Board:
        """A board has the address that the kernel knows by its UUID, where the driver says none or another GPU's. It
        would be missed at its own although it answers, or be taken for that other one."""
        there = self._kernel.identity(board.gpu.pci) if board.gpu.pci in bound else None
        if board.gpu.pci in bound and (there is None or there.uuid == board.gpu.uuid):
            return board
        for pci in bound:
            known = self._kernel.identity(pci)
            if known is not None and known.uuid == board.gpu.uuid:
                return replace(board, gpu=replace(board.gpu, pci=pci))
        return board

    def _meet(self, state: GpuState, board: Board, poll_interval_s: float, binding: str | None = None) -> None:
        if binding is None:
            binding = self._kernel.bound_gpus().get(board.gpu.pci)
        try:
            self._reconciler.meet(state, board, binding, poll_interval_s)
        except (GpuLost, DriverAbsent) as error:
            self.lose(_described(state, board), str(error))
        except DriverError as error:
            self.lose(_described(state, board), f"does not answer as it should: {error}")


def _described(state: GpuState, board: Board) -> GpuState:
    """A GPU whose board is known and that does not answer: what it is called is known all the same."""
    return state if state.board is not None else transitions.described(state, board)
