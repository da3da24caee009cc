"""What survives a restart, kept in step: this boot's originals on one store, the last good policy on another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gpu_tuned.core.gpu_state import GpuState
from gpu_tuned.core.model import Setting
from gpu_tuned.core.saved import Saved, from_json, next_run, to_json
from gpu_tuned.core.track import Moment, Track
from gpu_tuned.ports import Store


class Ledger:
    """Belongs to the loop thread. `found`: what the run before left, already held against this boot."""

    def __init__(self, this_boot: Store, lasting: Store, boot_id: str, moment: Moment) -> None:
        self._this_boot, self._lasting, self._boot_id = this_boot, lasting, boot_id
        mine, damage = _loaded(this_boot, moment)
        before, worse = _loaded(lasting, moment)
        self.damage = ". ".join(told for told in (damage, worse) if told is not None) or None
        self.forgot = damage is not None
        """Whether an earlier run of this boot knew something that cannot be read any more."""
        # Up to 0.1.0 both halves lay where now the policy alone does.
        known = mine if mine.boot_id == boot_id else before
        self.found = known.of_boot(boot_id)
        kept = before if before.policy is not None else mine
        self.policies = [sources for sources in (kept.policy, kept.fitted) if sources is not None]
        """Sources of the policies that were good, the newest first."""
        self._on_disk: Mapping[str, Any] | None = None

    def remembered(self) -> Iterable[GpuState]:
        """The GPUs of this boot, each away until it is met."""
        return [replace(state, tracks=next_run(state.tracks)) for state in self.found.gpus.values()]

    def remembered_host(self) -> Mapping[Setting, Track]:
        """The same of the host's own settings."""
        return next_run(self.found.host)

    def sync(
        self, gpus: Iterable[GpuState], host: GpuState, throttled: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """Save what is known of this boot, where it changed. Raises GpuTunedError where that fails."""
        raw = to_json(self._boot_id, gpus, host.tracks, throttled)
        if raw != self._on_disk:
            self._this_boot.save(raw)
            self._on_disk = raw

    def keep_policy(self, sources: Mapping[str, Any], *, fitted: bool) -> None:
        """Keep a policy that was understood; `fitted`: boards were at hand, and it suits them. The last one that did
        is kept beside one of which that is not known. Raises GpuTunedError where it cannot be saved."""
        last = sources if fitted else next(iter(self.policies[-1:]), None)
        policies = [sources] if last is None or last == sources else [sources, last]
        if policies != self.policies:
            self.policies = policies
            self._lasting.save({"policy": policies[0], "fitted": policies[-1]})


def _loaded(store: Store, moment: Moment) -> tuple[Saved, str | None]:
    """A saved state, and what was wrong with it."""
    raw = store.load()
    try:
        return from_json(raw, moment), store.damage()
    except ValueError as error:
        # Kept, and not overwritten by the next save: a later version may have written it.
        return Saved(), store.refuse(str(error))
