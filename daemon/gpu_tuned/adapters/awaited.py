"""Files that are waited for, but not for ever: what must be saved before a GPU is written to, and the policy, may lie
where nobody answers any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from gpu_tuned.adapters.background import SAVING_STALLS
from gpu_tuned.adapters.beside import Late, NoThread, Worker
from gpu_tuned.core.errors import GpuTunedError, PolicyError
from gpu_tuned.ports import Stall, Store

SAVE_S, LOAD_S = 1.0, 3.0
"""How long a save, and whatever is read, are waited for: a few kB take a millisecond."""
POLICY_IDLE_S = 60.0
"""The policy's files are looked at in every turn; a thread for each look would cost more than one that waits."""

T = TypeVar("T")


class AwaitedStore:
    """`ports.Store` over another one, whose calls are made in a thread beside, one after another. While one does not
    come back, every further one fails at once. `save_s` None: a save is waited for as long as it takes."""

    def __init__(
        self,
        store: Store,
        *,
        save_s: float | None = SAVE_S,
        load_s: float = LOAD_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._save_s, self._load_s = store, save_s, load_s
        # A save is rare, and a thread that waits for one would cost memory.
        self._worker = Worker("gpu-tuned-saved", idle_s=0.0, wall=wall)
        self._unread: str | None = None

    def load(self) -> Mapping[str, Any]:
        try:
            return self._do(self._store.load, self._load_s)
        except Late:
            # What could not be read must not be saved over once the disk comes back.
            self._worker.put(partial(self._store.refuse, "it could not be read in time"))
            self._unread = "The saved state cannot be read: the disk does not come back from it"
            return {}

    def save(self, state: Mapping[str, Any]) -> None:
        """Raises GpuTunedError as the store below does, and where it does not come back in time."""
        try:
            self._do(partial(self._store.save, state), self._save_s)
        except Late:
            raise GpuTunedError(f"state cannot be saved: {SAVING_STALLS}") from None

    def damage(self) -> str | None:
        unread, self._unread = self._unread, None
        return unread or self._store.damage()

    def refuse(self, why: str) -> str:
        try:
            return self._do(partial(self._store.refuse, why), self._save_s)
        except Late:
            return f"The saved state cannot be used: {why}; {SAVING_STALLS}"

    def stall(self) -> Stall | None:
        """Since when the disk has not come back, where it has not."""
        since = self._worker.late_since
        return None if since is None else Stall("state", since, SAVING_STALLS)

    def _do(self, work: Callable[[], T], wait_s: float | None) -> T:
        try:
            return self._worker.do(work, wait_s)
        except NoThread as error:
            raise GpuTunedError(f"state cannot be saved: {error}") from error


class AwaitedFiles:
    """The policy's files, `config` the first of them, read and looked at in a thread beside: a folder on a network
    that is gone must keep no limit from being enforced. `read` and `stamp` are those of `PolicyFiles`."""

    def __init__(
        self,
        config: str,
        read: Callable[[], Mapping[str, Any]],
        stamp: Callable[[], object],
        *,
        wait_s: float = LOAD_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._read, self._look, self._wait_s = config, read, stamp, wait_s
        self._worker = Worker("gpu-tuned-policy", idle_s=POLICY_IDLE_S, wall=wall)
        self._stamp: object = None

    def read(self) -> Mapping[str, Any]:
        """Raises PolicyError, also where the files do not come back in time."""
        try:
            return self._worker.do(self._read, self._wait_s)
        except Late:
            raise PolicyError((f"{self._config}: cannot be read: its file system does not answer",)) from None
        except NoThread as error:
            raise PolicyError((f"{self._config}: cannot be read: {error}",)) from None

    def stamp(self) -> object:
        """That of the last look that came back, so that nothing looks changed meanwhile. Raises nothing."""
        with suppress(Late, NoThread):
            self._stamp = self._worker.do(self._look, self._wait_s)
        return self._stamp

    def stall(self) -> Stall | None:
        """Since when the file system has not answered, where it does not."""
        since = self._worker.late_since
        if since is None:
            return None
        return Stall(
            "policy", since, f"the file system of {self._config} does not answer; changes of the policy go unnoticed"
        )
