"""Ports with nothing behind them, for one look without a daemon: no state kept, nobody told, nobody asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gpu_tuned.ports import Command

if TYPE_CHECKING:
    from gpu_tuned.ports import Document


class MemoryStore:
    """`ports.Store` that starts empty and ends with the process."""

    def __init__(self) -> None:
        self.state: Mapping[str, Any] = {}

    def load(self) -> Mapping[str, Any]:
        return self.state

    def save(self, state: Mapping[str, Any]) -> None:
        self.state = state

    def damage(self) -> str | None:
        return None

    def refuse(self, why: str) -> str:
        return why


class NoService:
    """`ports.Service` where there is no service manager."""

    watchdog_s = None

    def ready(self, status: str) -> None: ...
    def status(self, status: str) -> None: ...
    def reloading(self) -> None: ...
    def stopping(self, status: str) -> None: ...
    def alive(self) -> None: ...


class NobodyAsks:
    """`ports.Mailbox` without a socket."""

    def publish(self, document: Callable[[], Document]) -> None: ...
    def say(self, event: Mapping[str, Any]) -> None: ...
    def take(self) -> Command | None:
        return None

    def entered(self, at_s: float) -> None: ...
    def left(self) -> None: ...
