"""The GPUs that ought to be here and cannot be looked at, each with its reason: left out by the driver, seen earlier
in this boot, fallen off the bus, or not bound to the NVIDIA driver any more."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_tuned.core import transitions
from gpu_tuned.core.gpu_state import Change, GpuState, Presence
from gpu_tuned.core.model import Gpu
from gpu_tuned.loop.inventory import Inventory, key_of
from gpu_tuned.ports import Gpus, Kernel

SEEN_BEFORE = "seen earlier in this boot; the driver does not list it now"
UNUSABLE = "bound to the driver, which cannot use it (a GPU reset or a reboot may help)"


def described(state: GpuState) -> bool:
    """Whether the driver has this GPU on the present connection."""
    return state.presence in (Presence.HERE, Presence.LOST, Presence.ASLEEP)


class Away:
    """Belongs to the loop thread."""

    def __init__(self, gpus: Gpus, kernel: Kernel, inventory: Inventory) -> None:
        self._gpus, self._kernel, self._inventory = gpus, kernel, inventory
        self._off_bus: set[str] = set()
        self._sees_kernel = True  # sandboxes and WSL have a driver that /proc and /sys do not show

    def begin(self, bound: Mapping[str, str]) -> None:
        """The driver was attached anew. `bound`: every GPU that the kernel binds to it."""
        self._off_bus.clear()
        self._sees_kernel = bool(bound) or self._kernel.driver_loaded() is not None

    def off_bus(self, pci: str) -> None:
        """It is watched for from now on: NVML sees that it is back at its next init alone."""
        self._off_bus.add(pci)

    def account_for(self, bound: Mapping[str, str]) -> None:
        """A state for every GPU that ought to be here and that the driver does not describe."""
        here = {state.gpu.pci for state in self._inventory.states.values() if described(state)}
        missing = [pci for pci in sorted(set(bound) - here) if not self._known_without_address(pci)]
        reasons = [why for _, why in sorted(self._gpus.left_out.items())]
        paired = len(reasons) == len(missing)
        accounted = set()
        for number, pci in enumerate(missing):
            if not self._kernel.on_bus(pci):
                self._off_bus.add(pci)
            why = f"{UNUSABLE}: {reasons[number]}" if paired else UNUSABLE
            accounted.add(self.absent(self._kernel.identity(pci) or self.remembered(pci) or Gpu("", pci, ""), why))
        if not paired:
            for index, why in sorted(self._gpus.left_out.items())[len(missing) :]:
                accounted.add(self.absent(Gpu("", "", f"GPU {index} of the driver's"), why))
        for key, state in list(self._inventory.states.items()):
            if described(state):
                continue
            self._inventory.take(Change(transitions.unlisted(state)))
            state = self._inventory.states[key]
            if key in accounted:
                continue
            if not state.gpu.uuid:
                self._inventory.drop(key)  # counted or bound before, and not any more
            elif state.presence is not Presence.UNBOUND:
                self.not_bound(state, SEEN_BEFORE)
        self._inventory.sort()

    def _known_without_address(self, pci: str) -> bool:
        """Whether this is a GPU that the driver describes under no address, or under one that makes no sense."""
        gpu = self._kernel.identity(pci)
        state = self._inventory.states.get(gpu.uuid) if gpu else None
        return state is not None and described(state)

    def absent(self, gpu: Gpu, why: str) -> str:
        """It ought to be here and is not. Returns its key in the inventory."""
        known = self._inventory.states.get(key_of(GpuState(gpu)))
        change = transitions.away(known or GpuState(gpu), Presence.ABSENT, why, self._inventory.moment())
        return key_of(self._inventory.take(change))

    def remembered(self, pci: str) -> Gpu | None:
        """The GPU that was seen last at this address."""
        return next((state.gpu for state in self._inventory.states.values() if state.gpu.pci == pci), None)

    def mark_unbound(self, bound: Mapping[str, str]) -> None:
        """The kernel's files changed: whoever was in them and is not any more is away."""
        for state in list(self._inventory.states.values()):
            was_bound = state.initialisation.binding is not None and state.presence is not Presence.UNBOUND
            if was_bound and state.gpu.pci and state.gpu.pci not in bound and self._sees_kernel:
                self.not_bound(state, "gone: no longer bound to the driver")

    def mark_bound_again(self, bound: Mapping[str, str], why: str | None) -> None:
        """While the driver is let go of: whoever was taken from it, and is bound to it again, waits as the others."""
        for state in list(self._inventory.states.values()):
            if state.presence is Presence.UNBOUND and state.gpu.pci in bound:
                moment = self._inventory.moment()
                self._inventory.take(transitions.away(state, Presence.WAITING, why or "", moment))

    def not_bound(self, state: GpuState, otherwise: str) -> None:
        """A GPU that the kernel does not bind to the NVIDIA driver: on purpose, where it is on the bus all the
        same."""
        driver = self._kernel.driver_of(state.gpu.pci) if state.gpu.pci else None
        anothers = driver not in (None, "", "nvidia")
        on_purpose = anothers or (driver == "" and self._kernel.driver_loaded() is not None)
        presence = Presence.UNBOUND if on_purpose else Presence.ABSENT
        why = otherwise
        if presence is Presence.UNBOUND:
            why = f"bound to the driver {driver}, not to NVIDIA's" if driver else "unbound from the driver"
        self._inventory.take(transitions.away(state, presence, why, self._inventory.moment()))

    def back_on_bus(self) -> bool:
        """Whether a GPU that had fallen off the bus answers there again; NVML sees that at its next init alone."""
        return any(self._kernel.on_bus(pci) for pci in self._off_bus)

    def message(self) -> str | None:
        """The driver's own line where GPUs are missing: which, and what may help."""
        away = [state for state in self._inventory.states.values() if state.presence is Presence.ABSENT]
        return "; ".join(f"{state.title}: {state.why}" for state in away) or None
