"""What a policy's wishes come to on this host: "auto" resolved, "original" where it is known, and everything watched
in observe mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gpu_tuned.core.gpu_state import GpuState
from gpu_tuned.core.model import NumaBalancing, Setting
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.wish import Auto, Elsewhere, Symbol, Wish
from gpu_tuned.ports import Kernel


class Wishes:
    """Knows of the host what does not change while it runs; any thread may ask."""

    def __init__(self, kernel: Kernel, *, remembers: bool = True) -> None:
        """`remembers`: this process knows what was found at first, as the one does that may write."""
        self._remembers = remembers
        self._on_battery = kernel.on_battery_host()
        self._one_node = kernel.memory_nodes() == 1

    def of(self, policy: Policy | None, state: GpuState, *, observing: bool) -> Mapping[Setting, Wish]:
        """The wishes for one GPU. None for one that is not known by name yet."""
        if policy is None or not state.gpu.uuid:
            return {}
        return self._meant(policy.wishes_for(state.gpu), observing=observing)

    def of_host(self, policy: Policy | None, *, observing: bool) -> Mapping[Setting, Wish]:
        wish = policy.numa_balancing if policy else None
        return self._meant({wish.setting: wish} if wish else {}, observing=observing)

    def _meant(self, wishes: Mapping[Setting, Wish], *, observing: bool) -> dict[Setting, Wish]:
        meant = {}
        for setting, wish in wishes.items():
            here = self._here(wish)
            if here is not None:
                meant[setting] = replace(here, watched=True) if observing else here
        return meant

    def _here(self, wish: Wish) -> Wish | None:
        """ "auto" is persistence mode on where there is no battery, and NUMA balancing off where there is one memory
        node; elsewhere it is no wish."""
        if wish.target is Symbol.ORIGINAL and wish.setting.readable and not self._remembers:
            return replace(wish, target=Elsewhere.ORIGINAL)
        if wish.target is not Auto.AUTO:
            return wish
        if wish.setting is Setting.NUMA_BALANCING:
            return replace(wish, target=NumaBalancing.OFF) if self._one_node else None
        return None if self._on_battery else replace(wish, target=True)
