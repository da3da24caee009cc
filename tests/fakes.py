"""Ports that remember, for tests of the loop without a process: a driver that behaves, a clock moved by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpu_tuned.core.errors import DriverRefused, NotSupported
from gpu_tuned.core.model import (
    NO_GETTER,
    Board,
    ClockLock,
    PowerLimit,
    Reading,
    Seen,
    Setting,
    Telemetry,
    Unread,
    Value,
)
from gpu_tuned.core.settings import factory_default
from gpu_tuned.ports import DriverEvent, Look


@dataclass
class FakeClock:
    """Moves only when told to."""

    mono: float = 1000.0

    def now(self) -> float:
        return 1.7e9 + self.mono

    def monotonic(self) -> float:
        return self.mono

    def boottime(self) -> float:
        return self.mono


@dataclass
class FakeGpu:
    """One board that takes what it allows, rounds power to whole watts, and remembers every write."""

    board: Board
    values: dict[Setting, Value] = field(default_factory=dict)
    writes: list[tuple[Setting, Value]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for setting in Setting:
            default = factory_default(self.board, setting)
            if default is not None and setting not in self.board.absent:
                self.values.setdefault(setting, default)

    def reading(self, setting: Setting) -> Reading:
        if not setting.readable:
            return NO_GETTER
        return self.values.get(setting, Unread("not supported"))

    def write(self, setting: Setting, value: Value) -> None:
        self.writes.append((setting, value))
        if setting in self.board.absent:
            raise NotSupported(self.board.absent[setting])
        allowed = self.board.power
        if isinstance(value, PowerLimit):
            if allowed is None or not allowed.min_mw <= value.limit_mw <= allowed.max_mw:
                raise DriverRefused("out of range")
            value = PowerLimit(max(allowed.min_mw, value.limit_mw // 1000 * 1000))
        if isinstance(value, ClockLock) and value.min_mhz > value.max_mhz:
            raise DriverRefused("minimum above maximum")
        self.values[setting] = value


class FakeGpus:
    """`ports.Gpus` over fake boards."""

    def __init__(self, *gpus: FakeGpu) -> None:
        self.gpus = {gpu.board.gpu.uuid: gpu for gpu in gpus}

    def attach(self) -> tuple[Board, ...]:
        return tuple(gpu.board for gpu in self.gpus.values())

    def detach(self) -> None: ...

    def see(self, uuid: str, look: Look) -> Seen:
        gpu = self.gpus[uuid]
        return Seen({s: gpu.reading(s) for s in Setting if s is not Setting.NUMA_BALANCING}, Telemetry())

    def read(self, uuid: str, setting: Setting) -> Reading:
        return self.gpus[uuid].reading(setting)

    def write(self, uuid: str, setting: Setting, value: Value) -> None:
        self.gpus[uuid].write(setting, value)

    def wait_events(self, timeout_s: float) -> Sequence[DriverEvent]:
        return ()

    def driver_version(self) -> str | None:
        return "fake"


class FakeStore:
    """`ports.Store` in memory; what was saved, in order."""

    def __init__(self) -> None:
        self.saves: list[Mapping[str, Any]] = []

    def load(self) -> Mapping[str, Any]:
        return self.saves[-1] if self.saves else {}

    def save(self, state: Mapping[str, Any]) -> None:
        self.saves.append(state)

    def damage(self) -> str | None:
        return None

    def refuse(self, why: str) -> str:
        return why
