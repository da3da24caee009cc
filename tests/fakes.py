"""Ports that remember, for tests of the loop without a process: a driver that behaves or is told not to, a clock
moved by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverRefused, GpuLost, GpuTunedError, NotSupported
from gpu_tuned.core.events import Event
from gpu_tuned.core.model import (
    NO_GETTER,
    Board,
    ClockLock,
    Gpu,
    NumaBalancing,
    PowerLimit,
    Reading,
    Seen,
    Setting,
    Telemetry,
    Unread,
    Value,
)
from gpu_tuned.core.settings import factory_default
from gpu_tuned.ports import Command, DriverEvent, Look

LOST = "the GPU is lost"


@dataclass
class FakeClock:
    """Moves only when told to. `set_by_s`: by how much somebody has set the wall clock."""

    mono: float = 1000.0
    set_by_s: float = 0.0

    def now(self) -> float:
        return 1.7e9 + self.mono + self.set_by_s

    def monotonic(self) -> float:
        return self.mono

    def boottime(self) -> float:
        return self.mono


@dataclass
class FakeGpu:
    """One board that takes what it allows, rounds power to whole watts, and remembers every write.

    The rest is what a test may break: `deaf`, writes succeed and change nothing; `lost`, nothing answers; `mute`, it
    is described, and nothing else answers; `bound`, whether the NVIDIA driver has it;
    `undescribed`, why it cannot be described when the driver is attached; `refuses`, what a write of a setting
    raises; `unreadable`, why a setting cannot be read; `counters_ns`, what the driver counts.
    """

    board: Board
    values: dict[Setting, Value] = field(default_factory=dict)
    writes: list[tuple[Setting, Value]] = field(default_factory=list)
    deaf: bool = False
    lost: bool = False
    mute: bool = False
    undescribed: str | None = None
    bound: bool = True
    refuses: dict[Setting, DriverError] = field(default_factory=dict)
    unreadable: dict[Setting, str] = field(default_factory=dict)
    counters_ns: dict[int, int] = field(default_factory=lambda: {74: 10_000_000, 269: 20_000_000, 270: 30_000_000})
    telemetry: Telemetry = field(default_factory=lambda: Telemetry(power_mw=70_000, pstate=8, reasons=1))

    def __post_init__(self) -> None:
        self.reinitialise(only_missing=True)

    @property
    def uuid(self) -> str:
        return self.board.gpu.uuid

    def reinitialise(self, only_missing: bool = False) -> None:
        """What a driver reload does: everything is back at its default."""
        for setting in Setting:
            default = factory_default(self.board, setting)
            if default is not None and setting not in self.board.absent:
                if only_missing:
                    self.values.setdefault(setting, default)
                else:
                    self.values[setting] = default

    def reading(self, setting: Setting) -> Reading:
        if setting in self.unreadable:
            return Unread(self.unreadable[setting])
        if not setting.readable:
            return NO_GETTER
        return self.values.get(setting, Unread("not supported"))

    def write(self, setting: Setting, value: Value) -> None:
        self.writes.append((setting, value))
        if setting in self.refuses:
            raise self.refuses[setting]
        if setting in self.board.absent:
            raise NotSupported(self.board.absent[setting])
        allowed = self.board.power
        if isinstance(value, PowerLimit):
            if allowed is None or not allowed.min_mw <= value.limit_mw <= allowed.max_mw:
                raise DriverRefused("out of range")
            value = PowerLimit(max(allowed.min_mw, value.limit_mw // 1000 * 1000))
        if isinstance(value, ClockLock) and value.min_mhz > value.max_mhz:
            raise DriverRefused("minimum above maximum")
        if not self.deaf:
            self.values[setting] = value


class FakeGpus:
    """`ports.Gpus` over fake boards. `absent`: why the driver as a whole does not answer."""

    def __init__(self, *gpus: FakeGpu) -> None:
        self.gpus = {gpu.board.gpu.uuid: gpu for gpu in gpus}
        self.attached: dict[str, FakeGpu] = {}
        self.attaches = 0
        self.absent: DriverError | None = None
        self.looks: list[tuple[str, Look]] = []
        self.on_write: Callable[[FakeGpu, Setting], None] = lambda gpu, setting: None
        self.on_attach: Callable[[], None] = lambda: None

    @property
    def left_out(self) -> Mapping[int, str]:
        return {
            gpu.board.index: gpu.undescribed or LOST
            for uuid, gpu in self.gpus.items()
            if uuid not in self.attached and gpu.bound
        }

    def attach(self) -> tuple[Board, ...]:
        self.attaches += 1
        self.attached = {}
        if self.absent is not None:
            raise self.absent
        self.on_attach()
        return self.describe_left_out()

    def describe_left_out(self) -> tuple[Board, ...]:
        found = {
            uuid: gpu
            for uuid, gpu in self.gpus.items()
            if uuid not in self.attached and gpu.bound and not gpu.lost and gpu.undescribed is None
        }
        self.attached |= found
        return tuple(gpu.board for gpu in found.values())

    def describe(self, uuid: str) -> Board:
        return self._gpu(uuid).board

    def detach(self) -> None:
        self.attached = {}

    def see(self, uuid: str, look: Look) -> Seen:
        gpu = self._gpu(uuid)
        self.looks.append((uuid, look))
        readings = {
            setting: gpu.reading(setting)
            for setting in Setting
            if not setting.of_host and (setting is not Setting.APPLICATION_CLOCKS or look.application_clocks)
        }
        counters_ns = dict(gpu.counters_ns) if look.counters else None
        return Seen(readings, gpu.telemetry, counters_ns, mig=gpu.board.mig if look.counters else None)

    def read(self, uuid: str, setting: Setting) -> Reading:
        return self._gpu(uuid).reading(setting)

    def write(self, uuid: str, setting: Setting, value: Value) -> None:
        gpu = self._gpu(uuid)
        gpu.write(setting, value)
        self.on_write(gpu, setting)

    def wait_events(self, timeout_s: float) -> Sequence[DriverEvent]:
        return ()

    def driver_version(self) -> str | None:
        return "580.159.04" if self.attached else None

    def _gpu(self, uuid: str) -> FakeGpu:
        if self.absent is not None:
            raise self.absent
        gpu = self.attached.get(uuid)
        if gpu is None or gpu.lost or gpu.mute:
            raise GpuLost(LOST) if self.attached else DriverAbsent("not attached")
        return gpu


class FakeKernel:
    """`ports.Kernel` of a host whose GPUs are bound as long as the test does not say otherwise."""

    def __init__(self, gpus: FakeGpus) -> None:
        self._gpus = gpus
        self.boot = "boot"
        self.loaded: str | None = "580.159.04"
        self.bindings = {gpu.board.gpu.pci: f"bound-{gpu.board.index}" for gpu in gpus.gpus.values()}
        self.drivers = dict.fromkeys(self.bindings, "nvidia")
        self.sleeping: set[str] = set()
        self.knob: NumaBalancing | None = NumaBalancing.ON
        self.knows_names = True

    def boot_id(self) -> str:
        return self.boot

    def driver_loaded(self) -> str | None:
        return self.loaded

    def driver_installed(self) -> str | None:
        return self.loaded

    def bound_gpus(self) -> Mapping[str, str]:
        return dict(self.bindings)

    def driver_of(self, pci: str) -> str | None:
        return self.drivers.get(pci)

    def identity(self, pci: str) -> Gpu | None:
        known = {gpu.board.gpu.pci: gpu.board.gpu for gpu in self._gpus.gpus.values()}
        return known.get(pci) if self.knows_names and pci in self.bindings else None

    def on_battery_host(self) -> bool:
        return False

    def asleep(self, pci: str) -> bool:
        return pci in self.sleeping

    def on_bus(self, pci: str) -> bool:
        return not any(gpu.lost for gpu in self._gpus.gpus.values() if gpu.board.gpu.pci == pci)

    def running(self, units: Collection[str]) -> frozenset[str]:
        return frozenset()

    def memory_nodes(self) -> int:
        return 1

    def numa_balancing(self) -> NumaBalancing | None:
        return self.knob

    def set_numa_balancing(self, value: NumaBalancing) -> None:
        self.knob = value

    def unbind(self, pci: str, to: str = "") -> None:
        """Take a device from the NVIDIA driver, and perhaps give it to another."""
        self.bindings.pop(pci, None)
        self.drivers[pci] = to
        self._gpu_at(pci).bound = False

    def bind(self, pci: str, token: str) -> None:
        """Give it to the NVIDIA driver, in a new binding."""
        self.bindings[pci], self.drivers[pci] = token, "nvidia"
        self._gpu_at(pci).bound = True

    def _gpu_at(self, pci: str) -> FakeGpu:
        return next(gpu for gpu in self._gpus.gpus.values() if gpu.board.gpu.pci == pci)


class FakeStore:
    """`ports.Store` in memory; what was saved, in order. `full`: why nothing can be saved; `damaged`: what is wrong
    with what was."""

    def __init__(self) -> None:
        self.saves: list[Mapping[str, Any]] = []
        self.full: str | None = None
        self.damaged: str | None = None

    def load(self) -> Mapping[str, Any]:
        return self.saves[-1] if self.saves and self.damaged is None else {}

    def save(self, state: Mapping[str, Any]) -> None:
        if self.full is not None:
            raise GpuTunedError(self.full)
        self.saves.append(state)

    def damage(self) -> str | None:
        return self.damaged

    def refuse(self, why: str) -> str:
        return why


class FakeService:
    """`ports.Service` that remembers its status line."""

    watchdog_s = None

    def __init__(self) -> None:
        self.line = ""

    def ready(self, status: str) -> None:
        self.line = status

    def status(self, status: str) -> None:
        self.line = status

    def reloading(self) -> None: ...
    def stopping(self, status: str) -> None: ...
    def alive(self) -> None: ...


class FakeMailbox:
    """`ports.Mailbox` whose document is at hand, and whose commands a test lays down."""

    def __init__(self) -> None:
        self.lay_out: Callable[[], Any] = lambda: None
        self.said: list[Mapping[str, Any]] = []
        self.commands: list[Command] = []

    def publish(self, document: Callable[[], Any]) -> None:
        self.lay_out = document

    @property
    def document(self) -> Any:
        return self.lay_out()

    def say(self, event: Mapping[str, Any]) -> None:
        self.said.append(event)

    def take(self) -> Command | None:
        return self.commands.pop(0) if self.commands else None

    def entered(self, at_s: float) -> None: ...
    def left(self) -> None: ...


class Heard:
    """`ports.Say` that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
