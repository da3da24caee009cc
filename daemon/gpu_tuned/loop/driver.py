"""The GPUs at hand: when the driver is there and who is on it, who is away and why, and who came back.

NVML opens every GPU at init and only a shutdown lets go, so a GPU that comes or goes means a new init for all. The
kernel's files say when that is due; the driver is not asked again and again. Every GPU that the driver counts, that
the kernel binds to it, or that this boot has seen is in the inventory, with the reason why it is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from gpu_tuned.core import transitions
from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverMismatch
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.gpu_state import Change, GpuState, Presence
from gpu_tuned.core.model import Board, Setting
from gpu_tuned.core.words import counted
from gpu_tuned.loop.away import Away, described
from gpu_tuned.loop.boards import MISSING_RETRY_S, Boards
from gpu_tuned.loop.inventory import Inventory
from gpu_tuned.loop.pause import Pause
from gpu_tuned.loop.reconcile import Reconciler
from gpu_tuned.ports import Clock, Gpus, Kernel, Say

RETRY_MAX_S = 10.0
"""The longest pause between two inits of a driver that is loaded and does not answer as it should."""
UNSEEN_RETRY_MAX_S = 60.0
"""The same where the kernel shows no driver at all; as soon as it shows one, nothing is waited for."""
REATTACH_MAX_S = 600.0
"""The longest pause between two inits for the sake of a GPU that is lost, where the others lose nothing by it."""


class DriverState(str, Enum):
    """One word for the driver as a whole; "not_answering" is added where a pass hangs (control's mailbox)."""

    STARTING = "starting"
    OK = "ok"
    ABSENT = "absent"
    MISMATCH = "mismatch"
    TROUBLE = "trouble"
    RELEASED = "released"


class Driver:
    """The one connection to the driver; `boards`: who is on it. Belongs to the loop thread."""

    def __init__(  # noqa: PLR0913 - ports, and the parts of the loop that it drives
        self, gpus: Gpus, kernel: Kernel, inventory: Inventory, reconciler: Reconciler, clock: Clock, say: Say
    ) -> None:
        self._gpus, self._kernel, self._inventory, self._clock, self._say = gpus, kernel, inventory, clock, say
        self.state = DriverState.STARTING
        self.message: str | None = None
        self._signature: tuple[str | None, Mapping[str, str]] | None = None
        self._away = Away(gpus, kernel, inventory)
        self.boards = Boards(gpus, kernel, inventory, reconciler, clock, self._away)
        self._retry = Pause(clock, RETRY_MAX_S)
        self._missing = Pause(clock, MISSING_RETRY_S)
        self._bus = Pause(clock, MISSING_RETRY_S)
        self._reattach = Pause(clock, REATTACH_MAX_S)
        self._told: object = None
        self._attached_at_s = 0.0
        self.wanted = 1
        """How many GPUs there must be at the least; who spreads the policy says so."""

    @property
    def attached(self) -> bool:
        return self.state is DriverState.OK

    @property
    def loaded(self) -> str | None:
        """The version of the loaded module, as this turn saw it; None: none is loaded, or the kernel does not say."""
        return self._signature[0] if self._signature is not None else self._kernel.driver_loaded()

    @property
    def counts(self) -> bool:
        """Whether it can be said how many GPUs are here: not before the driver was met, but also of one let go of."""
        return self.state in (DriverState.OK, DriverState.RELEASED)

    def meet(self, poll_interval_s: float) -> bool:
        """Attach where that is due. True when a GPU came in this call."""
        if self.state is DriverState.RELEASED:
            self._away.mark_bound_again(self._kernel.bound_gpus(), self.message)
            return False
        signature, before = (self._kernel.driver_loaded(), self._kernel.bound_gpus()), self._signature
        changed, self._signature = signature != before, signature
        if self.attached and signature[0] is None and before is not None and before[0] is not None:
            # Nobody may be left to look at who would tell: an unloading driver lets go of its GPUs first.
            return self._attach_anew("the driver was unloaded", poll_interval_s)
        if not self.attached:
            if not changed and not self._retry.over:
                return False
            return self._attach(poll_interval_s)
        if changed:
            self._away.mark_unbound(signature[1])
        back = self._bus.over and self._away.back_on_bus()
        if back:
            self._bus.longer(poll_interval_s)
        if back or self._rebound(signature[1], changed=changed):
            return self._attach_anew("GPUs are enumerated anew", poll_interval_s)
        return self._find_missing(poll_interval_s, changed=changed)

    def hurry(self) -> None:
        """Somebody asked to apply now: what is missing is asked for again at once."""
        self._retry.end()
        self._missing.reset()
        self._reattach.end()
        self.boards.hurry()

    def trouble(self, state: DriverState, why: str, poll_interval_s: float) -> None:
        """The driver as a whole stopped answering. A pause follows that grows as long as it goes on like this."""
        if self._clock.monotonic() - self._attached_at_s > MISSING_RETRY_S:
            self._retry.reset()
        self._gpus.detach()
        self._cannot(state, why, poll_interval_s)

    def let_go(self, state: DriverState, why: str) -> None:
        """Shut NVML down: the only way to let go of any GPU."""
        self._gpus.detach()
        self.state, self.message = state, why
        self.boards.forget()
        self._everybody(Presence.WAITING, why)
        self._retry.reset()
        self._signature = None

    def release(self, named: set[str], why: str) -> None:
        """Let go on request; `named`: the keys of the GPUs that were asked for, the others have to wait."""
        self.let_go(DriverState.RELEASED, why)
        for key in named:
            state = self._inventory.states[key]
            self._inventory.take(transitions.away(state, Presence.RELEASED, why, self._inventory.moment()))

    # --- attaching

    def _attach_anew(self, why: str, poll_interval_s: float) -> bool:
        """Let go, and attach at once. What this turn saw of the kernel's files is no news to the next: a GPU that is
        bound anew and cannot be used would cost all others an attach at every turn."""
        seen = self._signature
        self.let_go(DriverState.STARTING, why)
        self._signature = seen
        return self._attach(poll_interval_s)

    def _attach(self, poll_interval_s: float) -> bool:
        # Asked also where the kernel names no module: sandboxes and WSL have a driver that /sys does not show.
        before = self._kernel.bound_gpus()
        try:
            boards = self._gpus.attach()
        except DriverAbsent as error:
            self._cannot(DriverState.ABSENT, str(error), poll_interval_s)
        except DriverMismatch as error:
            self._cannot(DriverState.MISMATCH, str(error), poll_interval_s)
        except DriverError as error:
            self._cannot(DriverState.TROUBLE, str(error), poll_interval_s)
        else:
            self._welcome(boards, _both(before, self._kernel.bound_gpus()), poll_interval_s)
            return True
        return False

    def _cannot(self, state: DriverState, why: str, poll_interval_s: float) -> None:
        if self._told != (state, why):
            self._told = (state, why)
            self._say(Event(EventKind.DRIVER_WAITING, self._clock.now(), cause=why))
        self.state, self.message = state, why
        self._everybody(Presence.ABSENT if state is DriverState.ABSENT else Presence.WAITING, why)
        loaded = self._signature is not None and self._signature[0] is not None
        self._retry.longer(poll_interval_s, RETRY_MAX_S if loaded else UNSEEN_RETRY_MAX_S)

    def _everybody(self, presence: Presence, why: str) -> None:
        moment = self._inventory.moment()
        for state in list(self._inventory.states.values()):
            if state.presence is Presence.UNBOUND:
                # A driver that is unloaded lets go of its GPUs first: that is no purpose.
                self._away.not_bound(state, why)
            else:
                self._inventory.take(transitions.away(state, presence, why, moment))

    def _welcome(self, boards: tuple[Board, ...], bound: Mapping[str, str], poll_interval_s: float) -> None:
        self._away.begin(bound)
        self.boards.forget()
        self.state, self.message = DriverState.OK, None
        self._attached_at_s = self._clock.monotonic()
        version = self._gpus.driver_version() or "unknown"
        if self._told != (version, len(boards)):
            self._told = (version, len(boards))
            detail = {"version": version, "count": len(boards), "gpus": counted(len(boards), "GPU")}
            self._say(Event(EventKind.DRIVER_READY, self._clock.now(), detail=detail))
        listed = {board.gpu.uuid for board in boards}
        for state in list(self._inventory.states.values()):
            if described(state) and state.gpu.uuid not in listed:
                self._away.absent(state.gpu, "not among the driver's GPUs any more")
        for board in boards:
            self.boards.come(board, bound, poll_interval_s)
        self._away.account_for(bound)
        self.message = self._away.message()
        self._missing.longer(poll_interval_s)

    def _rebound(self, bound: Mapping[str, str], *, changed: bool) -> bool:
        """Whether a GPU is there that NVML does not know in this binding. A binding that was not seen when the driver
        was attached is learned, and is no sign of anything."""
        came = False
        known = {state.gpu.pci: state for state in self._inventory.states.values() if described(state)}
        for pci, token in bound.items():
            state = known.get(pci)
            if state is None:
                gone = self._away.remembered(pci)
                before = self._inventory.states.get(gone.uuid) if gone else None
                came |= changed and (
                    before is None or before.presence is not Presence.ABSENT or self._moved(before, token)
                )
            elif state.initialisation.binding is None:
                self._inventory.take(Change(transitions.bound(state, token)))
            else:
                came |= token != self.boards.binding(state)
        return came

    @staticmethod
    def _moved(state: GpuState, token: str) -> bool:
        return state.initialisation.binding != token

    def _find_missing(self, poll_interval_s: float, *, changed: bool) -> bool:
        """Ask again for GPUs that the driver counts and did not describe: on the same connection, and by a new init
        where no other GPU can lose anything by that. Also where it has none at all, or fewer than the policy says
        there must be: where the kernel shows no device, nobody else would tell."""
        states = self._inventory.states.values()
        away = [state for state in states if state.presence in (Presence.ABSENT, Presence.LOST)]
        explained = [state for state in states if described(state) or state.presence is Presence.UNBOUND]
        if not away and len(explained) >= self.wanted:
            self._reattach.reset()
            return False
        due = self._reattach.started and self._reattach.over and self._all_keep()
        if not changed and not self._missing.over and not due:
            return False
        self._missing.longer(poll_interval_s)
        boards = self._gpus.describe_left_out()
        bound = self._kernel.bound_gpus()
        for board in boards:
            self.boards.come(board, bound, poll_interval_s)
        if boards:
            self._away.account_for(bound)
            self.message = self._away.message()
            return True
        nobody_here = not any(described(state) for state in states)
        first_s, longest_s = (poll_interval_s, MISSING_RETRY_S) if nobody_here else (MISSING_RETRY_S, REATTACH_MAX_S)
        if not self._reattach.started:
            self._reattach.longer(first_s, longest_s)
        elif due:
            self._reattach.longer(first_s, longest_s)
            self._gpus.detach()
            return self._attach(poll_interval_s)
        return False

    def _all_keep(self) -> bool:
        """Whether a shutdown of NVML costs no GPU its settings: persistence mode keeps them initialised."""
        return all(
            (track := state.tracks.get(Setting.PERSISTENCE_MODE)) is not None and track.observed is True
            for state in self._inventory.states.values()
            if state.here or state.presence is Presence.ASLEEP
        )


def _both(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The bindings that GPUs had when the driver was attached: one that changed meanwhile counts as the earlier, so
    that the next turn sees it change."""
    return {**after, **{pci: token for pci, token in before.items() if pci in after}}
