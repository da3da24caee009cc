"""The saved state in use: what must be on disk before a GPU is written to, and what is put there after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpu_tuned.core import saved as core
from gpu_tuned.core.model import Board, Reading, Seen, Setting, Value
from gpu_tuned.core.saved import Initialisation, Saved, SavedGpu
from gpu_tuned.ports import Store


class Ledger:
    """Holds `Saved` and keeps the store in step. Belongs to the loop thread."""

    def __init__(self, store: Store, boot_id: str) -> None:
        self._store = store
        loaded, self.damage = _loaded(store)
        if loaded.boot_id != boot_id:
            # After a reboot nothing of ours is in force: the driver's own values are what is found.
            loaded = Saved(boot_id, policy=loaded.policy)
        self.saved = loaded
        self._dirty = False
        self._on_disk: Mapping[str, Any] | None = None

    def begin(self, board: Board, seen: Seen, binding: str) -> str | None:
        """Meet a GPU after NVML attached: keep its originals, or drop them and say why they ended."""
        known = self.saved.gpus.get(board.gpu.uuid)
        why = core.why_new(known, board, seen, binding) if known else None
        if known is None or why:
            self._put(board.gpu.uuid, SavedGpu(Initialisation(binding, seen.counters_ns or {})))
        return why

    def note_counters(self, uuid: str, counters_ns: Mapping[int, int]) -> None:
        """Remember how far the driver's counters are; reaches the disk with the next write."""
        known = self.saved.gpus.get(uuid)
        if known is not None:
            before = known.initialisation
            begun = Initialisation(before.binding, {**before.counters_ns, **counters_ns})  # some come more rarely
            self.saved = Saved(
                self.saved.boot_id,
                {**self.saved.gpus, uuid: SavedGpu(begun, known.records)},
                self.saved.host,
                self.saved.policy,
            )

    def forget(self, uuid: str) -> None:
        """The driver initialisation of this GPU ended: its originals are void."""
        known = self.saved.gpus.get(uuid)
        if known is not None:
            self._put(uuid, SavedGpu(Initialisation(known.initialisation.binding)))

    def before_write(
        self, uuid: str | None, setting: Setting, found: Reading, target: Value, default: Value | None
    ) -> None:
        """Record what a write will replace. `sync` must follow before the write."""
        self._set(core.before_write(self.saved, uuid, setting, found, target, default))

    def withdraw(self, uuid: str, setting: Setting) -> None:
        """The first write did not happen after all: what it would have replaced is no original. The disk keeps the
        record until the next save, so that a write refused at every pass costs no save each."""
        self.saved = self.saved.without_record(uuid, setting)

    def use_up(self, uuid: str | None, setting: Setting) -> None:
        """What was found is in force again, and nobody holds the setting: no original any more. `sync` follows."""
        self._set(self.saved.without_record(uuid, setting))

    def after_write(self, uuid: str | None, setting: Setting, accepted: Value) -> None:
        self._set(core.after_write(self.saved, uuid, setting, accepted))

    def written(self) -> list[str]:
        """UUIDs of the GPUs that were written to and not restored by a new driver initialisation."""
        return [uuid for uuid, gpu in self.saved.gpus.items() if gpu.records]

    def keep_policy(self, sources: Mapping[str, Any]) -> None:
        self._set(Saved(self.saved.boot_id, self.saved.gpus, self.saved.host, sources))
        self.sync()

    def sync(self) -> None:
        """Put everything on disk. Raises GpuTunedError where that fails; then nothing may be written to a GPU."""
        if self._dirty:
            raw = core.to_json(self.saved)
            if raw != self._on_disk:
                self._store.save(raw)
            self._on_disk, self._dirty = raw, False

    def _put(self, uuid: str, gpu: SavedGpu) -> None:
        self._set(Saved(self.saved.boot_id, {**self.saved.gpus, uuid: gpu}, self.saved.host, self.saved.policy))

    def _set(self, saved: Saved) -> None:
        if saved != self.saved:
            self.saved, self._dirty = saved, True


def _loaded(store: Store) -> tuple[Saved, str | None]:
    """The saved state, and what was wrong with it."""
    raw = store.load()
    try:
        return core.from_json(raw), store.damage()
    except ValueError as error:
        # Kept, and not overwritten by the next save: a later version may have written it.
        return Saved(), store.refuse(str(error))
