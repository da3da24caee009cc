"""A whole loop on fakes: a host with GPUs, policies as texts, a clock turned by hand, restarts. A turn is a call."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Mapping
from typing import Any

import tomli

from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.model import Board, Gpu, PowerLimit, PowerRange, Setting
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.policy.parser import Document, parse
from gpu_tuned.ctl import verdict, wait
from gpu_tuned.loop.commands import Commands
from gpu_tuned.loop.policy_in_force import PolicyFiles
from gpu_tuned.loop.supervisor import Supervisor
from gpu_tuned.loop.world import World
from gpu_tuned.ports import Answer
from tests.fakes import FakeClock, FakeGpu, FakeGpus, FakeKernel, FakeMailbox, FakeService, FakeStore, Heard

LADDER = tuple(range(2100, 200, -15))
PROFILE = Document("profile full", {"power_limit_w": "max"}, shipped=True)


def board(
    index: int = 0,
    least_w: int = 200,
    most_w: int = 700,
    default_w: int = 700,
    name: str = "NVIDIA H200",
    **more: Any,
) -> Board:
    gpu = Gpu(f"GPU-{index:08x}-0000-4000-8000-000000000000", f"0000:{index + 1:02x}:00.0", name)
    power = PowerRange(least_w * 1000, most_w * 1000, default_w * 1000)
    ladders = {3201: LADDER}
    return Board(gpu, index, power, (3201,), LADDER, ladders, max_gpu_mhz=2100, max_memory_mhz=3201, **more)


def policy(*lines: str, daemon: str = "", host: str = "") -> str:
    """One rule for every board."""
    parts = ["[daemon]", "poll_interval_s = 2", daemon, "[host]" if host else "", host, "[[gpu]]"]
    return "\n".join([*parts, 'match = { name = "*" }', *lines, ""])


CAP = policy("persistence_mode = true", "power_limit_w = 450", 'required = ["power_limit_w"]')


class Asked:
    """A command of a client; `reply` is what came back."""

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        self.name, self.parameters = name, parameters
        self.reply: Answer | None = None

    def answer(self, answer: Answer) -> None:
        self.reply = answer


class Stage:
    """`start` begins a run of the daemon on what the runs before left behind; `turn` is one look."""

    def __init__(self, text: str = CAP, *boards: Board, observe: bool = False) -> None:
        self.text: str | None = text
        self.clock = FakeClock()
        self.gpus = FakeGpus(*(FakeGpu(one) for one in boards or (board(),)))
        self.kernel = FakeKernel(self.gpus)
        self.this_boot, self.lasting = FakeStore(), FakeStore()
        self.heard, self.service, self.mailbox = Heard(), FakeService(), FakeMailbox()
        self.observe = observe
        self.start()

    @property
    def gpu(self) -> FakeGpu:
        return next(iter(self.gpus.gpus.values()))

    def start(self) -> None:
        """A new process, the one before having been killed."""
        self.gpus.detach()
        files = PolicyFiles(self._read, self._parse, lambda: self.text)
        world = World(
            self.gpus,
            self.kernel,
            self.clock,
            FakeStore() if self.observe else self.this_boot,
            FakeStore() if self.observe else self.lasting,
            self.service,
            self.mailbox,
            self.heard,
            files,
            self.observe,
        )
        self.supervisor = Supervisor(world, self.heard)
        self.commands = Commands(self.supervisor, self.mailbox, self.heard)
        self.supervisor.start()
        self.supervisor.publish()

    def turn(self, count: int = 1, seconds: float = 2.0) -> Stage:
        for _ in range(count):
            self.clock.mono += seconds
            served = self.commands.serve()
            self.supervisor.turn()
            for command, reply in served:
                command.answer(reply() if callable(reply) else reply)
        return self

    def ask(self, name: str, **parameters: Any) -> Answer:
        """A command, and the turn that serves it."""
        command = Asked(name, {"gpu": None, "setting": None, "for_s": None} | parameters)
        self.mailbox.commands.append(command)
        self.turn()
        assert command.reply is not None
        return command.reply

    def load(self, text: str) -> Answer:
        """Edit the policy file, and reload it."""
        self.text = text
        return self.ask("reload")

    def row(self, setting: str = "power_limit_w", gpu: int = 0) -> dict[str, Any]:
        rows = self.mailbox.document["gpus"][gpu]["settings"]
        return next((row for row in rows if row["setting"] == setting), {})

    def gpu_row(self, gpu: int = 0) -> dict[str, Any]:
        row: dict[str, Any] = self.mailbox.document["gpus"][gpu]
        return row

    @property
    def exit_code(self) -> int:
        """What `status` and `verify` would end with."""
        return verdict.exit_code(self.mailbox.document)

    @property
    def wait_code(self) -> int:
        with contextlib.redirect_stderr(io.StringIO()):
            return wait.tell(self.mailbox.document)

    @property
    def settled(self) -> bool:
        """Whether `wait` would return at once."""
        return wait.settled(self.mailbox.document)

    def plan(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.mailbox.document["plan"]()
        return found

    def said(self) -> list[str]:
        return [event.kind.word for event in self.heard.events]

    def limit_w(self, gpu: int = 0) -> float:
        value = list(self.gpus.gpus.values())[gpu].values[Setting.POWER_LIMIT]
        assert isinstance(value, PowerLimit)
        return value.limit_mw / 1000

    def stranger(self, watts: int, gpu: int = 0) -> None:
        """Somebody else sets the power limit."""
        list(self.gpus.gpus.values())[gpu].values[Setting.POWER_LIMIT] = PowerLimit(watts * 1000)

    def _read(self) -> Mapping[str, Any]:
        if self.text is None:
            raise PolicyError(("gpu-tuned.toml: there is no such file",))
        return {"text": self.text}

    def _parse(self, sources: Mapping[str, Any]) -> Policy:
        text = sources["text"]
        try:
            data = tomli.loads(text)
        except tomli.TOMLDecodeError as error:
            raise PolicyError((f"gpu-tuned.toml: not valid TOML: {error}",)) from error
        digest = f"{zlib.crc32(text.encode()):08x}"[:6]
        return parse([Document("gpu-tuned.toml", data)], {"full": PROFILE}.get, ("full",), digest)
