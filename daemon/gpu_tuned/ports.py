"""What the loop needs from the world. Adapters implement these; tests bring fakes or the simulated driver.

Every method raises only errors of `core.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gpu_tuned.core.events import Event
from gpu_tuned.core.model import Board, Gpu, NumaBalancing, Reading, Seen, Setting, Value

if TYPE_CHECKING:
    from gpu_tuned.core.wire import PlanReply, StatusReply

    class Document(StatusReply):
        """What the loop publishes: what Status answers, and what makes the answer to Plan when somebody asks."""

        plan: Callable[[], PlanReply]


class Look(NamedTuple):
    """Which costly getters this pass pays for; the cheap ones are always read. On an H200 the application clocks
    cost 1.2 ms and the counters 1.3 to 2 ms, everything else together 0.2 ms."""

    application_clocks: bool = False
    counters: bool = False


class DriverEvent(NamedTuple):
    """Something the driver said by itself. `kind` is "xid" or "other" (worth a look, not a message). `times`: how
    often it came since it was last waited for."""

    kind: str
    uuid: str
    data: int = 0
    times: int = 1


class Device(Protocol):
    """What settings are read from and written to: GPUs by their UUID, or the host, which has none."""

    def see(self, uuid: str, look: Look) -> Seen:
        """Read everything at once. A single getter that fails becomes `Unread`; raises GpuLost, DriverAbsent,
        DriverMismatch, DriverTrouble where nothing can be read."""

    def read(self, uuid: str, setting: Setting) -> Reading:
        """Read one setting back after a write; for a lock `NO_GETTER`."""

    def write(self, uuid: str, setting: Setting, value: Value) -> None:
        """Ask for one value. Raises NotSupported, DriverRefused, DriverPermission, GpuLost, ..."""


class Gpus(Device, Protocol):
    """One driver with its GPUs. `attach` opens every GPU, `detach` lets all of them go; nothing less can be had."""

    def attach(self) -> tuple[Board, ...]:
        """Initialise the driver library and describe every board. A GPU that cannot be described is left out.

        Raises DriverAbsent, DriverMismatch, DriverTrouble."""

    @property
    def left_out(self) -> Mapping[int, str]:
        """Index -> why, of the GPUs that the driver counts and that could not be described so far."""

    def describe_left_out(self) -> tuple[Board, ...]:
        """Try again to describe those, on the same connection; returns the boards that came. Never raises."""

    def describe(self, uuid: str) -> Board:
        """Describe one attached GPU anew. Raises DriverError."""

    def detach(self) -> None:
        """Let go of every GPU. Never raises; may be called twice."""

    def wait_events(self, timeout_s: float) -> Sequence[DriverEvent]:
        """Wait for driver events; () on time-out. Called from the event thread alone."""

    def driver_version(self) -> str | None:
        """The version of the library that is attached, None when detached."""


class Kernel(Protocol):
    """The kernel's files: what can be known of driver and devices without touching the driver."""

    def boot_id(self) -> str: ...
    def driver_loaded(self) -> str | None:
        """Version of the loaded kernel module, None when there is none."""

    def driver_installed(self) -> str | None:
        """Version of the module on disk (what the next load brings), None where unknown."""

    def bound_gpus(self) -> Mapping[str, str]:
        """Of every GPU bound to the driver: PCI address -> a token that changes when it is bound anew."""

    def driver_of(self, pci: str) -> str | None:
        """Name of the driver that a PCI device is bound to, "" for none; None where there is no such device."""

    def identity(self, pci: str) -> Gpu | None:
        """Who a GPU bound to the NVIDIA driver is, by the kernel module's own files; None where they do not say."""

    def on_battery_host(self) -> bool:
        """Whether the machine has a battery (a laptop)."""

    def asleep(self, pci: str) -> bool:
        """Whether the device is runtime-suspended: reading it through NVML would wake it up."""

    def on_bus(self, pci: str) -> bool:
        """Whether the device answers on the PCI bus. Reads its configuration space, so ask about lost GPUs only: a
        sleeping one would wake up."""

    def running(self, units: Collection[str]) -> frozenset[str]:
        """Those of these services that run on this host."""

    def memory_nodes(self) -> int: ...
    def numa_balancing(self) -> NumaBalancing | None:
        """None where the kernel has no such knob."""

    def set_numa_balancing(self, value: NumaBalancing) -> None: ...


class Clock(Protocol):
    """Three clocks: `now` (wall, seconds since the epoch, for people), `monotonic` and `boottime` (seconds; boot time
    goes on during suspend, monotonic does not)."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    def boottime(self) -> float: ...


class Store(Protocol):
    """Where state survives a restart. `load` returns {} for a missing file and for a damaged one, which it sets aside
    (`damage` then says so)."""

    def load(self) -> Mapping[str, Any]: ...
    def save(self, state: Mapping[str, Any]) -> None:
        """Atomically and synced: when it returns, a power cut keeps either the old or the new state."""

    def damage(self) -> str | None: ...
    def refuse(self, why: str) -> str:
        """Set aside what `load` gave, which its reader cannot use; returns what to tell about it."""


class Service(Protocol):
    """The service manager; every method does nothing where there is none."""

    @property
    def watchdog_s(self) -> float | None:
        """How often it wants to hear `alive` at least, seconds; None: not asked for."""

    def ready(self, status: str) -> None: ...
    def status(self, status: str) -> None: ...
    def reloading(self) -> None: ...
    def stopping(self, status: str) -> None: ...
    def alive(self) -> None:
        """Feed the watchdog: from the loop, and before the driver's first answer from the main thread."""


class LateDriver(Protocol):
    """Tells when only a new start of the service can reach the driver."""

    @property
    def possible(self) -> bool:
        """False once it cannot happen any more: there is no need to ask again."""

    def shut_out(self, now_s: float) -> bool:
        """Whether it has come to that by `now_s`, monotonic seconds."""


Say = Callable[[Event], None]
"""Tells people and logs of an event; never waits and never raises."""


class Stall(NamedTuple):
    """Something beside the loop stands still: `what` is "events" (nobody reads them) or "state" (nothing can be
    saved), `since` the wall clock in seconds since the epoch, `message` says it to a person."""

    what: str
    since: float
    message: str


class Answer(NamedTuple):
    """What a command came to: `parameters` of the reply, or of the error named by `error`."""

    parameters: Mapping[str, Any]
    error: str | None = None


class Command(Protocol):
    """One request of a client that only the loop can serve."""

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    def answer(self, answer: Answer) -> None:
        """Reply, once; from any thread."""


class Mailbox(Protocol):
    """Where the loop meets the control socket: it lays down what is known and takes up what is asked."""

    def publish(self, document: Callable[[], Document]) -> None:
        """Replace the status document, which is laid out where and when somebody asks for it."""

    def say(self, event: Mapping[str, Any]) -> None: ...
    def take(self) -> Command | None:
        """The next command, None when there is none. Never waits."""

    def entered(self, at_s: float) -> None:
        """The loop goes into the driver now (monotonic seconds): from here on it may hang."""

    def left(self) -> None: ...
