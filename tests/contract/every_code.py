"""Plays every error code that NVML has at every call that the daemon makes: the loop on a clock turned by hand, over
the adapter, the vendor's binding and the simulated driver, in one process. Run as a child by test_every_code.py.

An error is put between the binding and the driver's library, so a call that answers one was not carried out, and what
the boards really have can be asked past it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml import Nvml
from gpu_tuned.adapters.nvml.errors import FOR_GOOD, MEANINGS
from gpu_tuned.core.model import Board
from tests.fakes import FakeClock, FakeGpu, FakeGpus, FakeKernel, FakeMailbox, FakeService, FakeStore, Heard
from tests.loop.stage import Stage, policy

POWER_W, STRANGERS_W, COMPUTE_MODE, PROHIBITED = 450, 500, 3, 2
POLICY = policy(
    "persistence_mode = true",
    f"power_limit_w = {POWER_W}",
    "gpu_clock_mhz = { max = 1500 }",
    "application_clocks_mhz = { memory = 3201, gpu = 1755 }",
    'compute_mode = "exclusive_process"',
    'required = ["power_limit_w"]',
)
TELLING_NOTHING = {"nvmlErrorString"}
AT_ONCE, LATER_S = 2, 700.0


class Library:
    """The pointers into the driver's library that the binding uses, some of them broken."""

    def __init__(self) -> None:
        self.pointer = pynvml._nvmlGetFunctionPointer
        self.used: set[str] = set()
        self.broken: dict[str, int] = {}
        pynvml._nvmlGetFunctionPointer = self.ask_for

    def ask_for(self, name: str) -> Callable[..., int]:
        real: Callable[..., int] = self.pointer(name)
        self.used.add(name)
        code = self.broken.get(name)
        return real if code is None else lambda *arguments: code

    @contextmanager
    def answering(self, name: str, code: int) -> Iterator[None]:
        self.broken = {name: code}
        try:
            yield
        finally:
            self.broken = {}

    def sound(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What a call really does, be the adapter attached or not."""
        broken, self.broken = self.broken, {}
        try:
            pynvml.nvmlInit()
            return call(*arguments)
        finally:
            pynvml.nvmlShutdown()
            self.broken = broken


class RealStage(Stage):
    """The loop over the real adapter; kernel, disk, clock and clients are fakes."""

    def __init__(self, library: Library, boards: tuple[Board, ...]) -> None:
        self.library, self.boards = library, boards
        self.text, self.observe = POLICY, False
        self.clock = FakeClock()
        self.kernel = FakeKernel(FakeGpus(*(FakeGpu(board) for board in boards)))
        self.gpus: Any = Nvml()
        self.this_boot, self.lasting = FakeStore(), FakeStore()
        self.heard, self.service, self.mailbox = Heard(), FakeService(), FakeMailbox()
        self.start()

    def found(self, index: int) -> tuple[float, int, int]:
        """The board's power limit in watts, compute mode and persistence mode, as they are."""

        def ask() -> tuple[float, int, int]:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            watts = pynvml.nvmlDeviceGetPowerManagementLimit(handle) / 1000
            return (
                watts,
                pynvml.nvmlDeviceGetComputeMode(handle),
                pynvml.nvmlDeviceGetPersistenceMode(handle),
            )

        found: tuple[float, int, int] = self.library.sound(ask)
        return found

    def strangers(self) -> None:
        """Somebody else changes what the daemon holds."""

        def change() -> None:
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            pynvml.nvmlDeviceSetPowerManagementLimit(handle, STRANGERS_W * 1000)
            pynvml.nvmlDeviceSetComputeMode(handle, PROHIBITED)

        self.library.sound(change)

    def untrue(self) -> Iterator[str]:
        """What the document says and is not so."""
        document = self.mailbox.document
        wished = True
        for index, board in enumerate(self.boards):
            watts, mode, persists = self.found(index)
            wished &= (watts, mode, persists) == (POWER_W, COMPUTE_MODE, 1)
            gpus = [gpu for gpu in document["gpus"] if gpu["uuid"] == board.gpu.uuid]
            for row in gpus[0]["settings"] if gpus else []:
                real: object = {"power_limit_w": watts, "persistence_mode": bool(persists)}.get(row["setting"])
                if row["setting"] == "compute_mode":
                    real = {0: "default", 2: "prohibited", 3: "exclusive_process"}[mode]
                if row["state"] == "held" and real is not None and real not in (row["observed"], row["accepted"]):
                    yield f"{row['setting']} held at {row['observed']}, and the board has {real}"
                if not row["in_order"] and not row["message"]:
                    yield f"{row['setting']} is {row['state']} and nobody says why"
            for gpu in gpus:
                if not gpu["in_order"] and not gpu["message"] and all(row["in_order"] for row in gpu["settings"]):
                    yield "a GPU is not in order and nobody says why"
        if self.exit_code == 0 and not wished:
            yield "everything in order, and it is not"
        if self.wait_code == 0 and any(self.found(i)[0] != POWER_W for i in range(len(self.boards))):
            yield "`wait` ended well without a required limit"

    def stated(self) -> bool:
        """Whether everything is as wished, or it is said why not."""
        document = self.mailbox.document
        reasons = [document["driver"]["message"]] + [gpu["message"] for gpu in document["gpus"]]
        reasons += [row["message"] for gpu in document["gpus"] for row in gpu["settings"] if not row["in_order"]]
        return self.exit_code == 0 or any(reasons)


class Table:
    def __init__(self) -> None:
        self.library = Library()
        nvml = Nvml()
        self.boards = nvml.attach()
        nvml.detach()
        self.cases = 0
        self.wrong: list[str] = []
        self.stage = self.began()
        self.stage.ask("restore")
        self.stage.ask("apply")
        self.calls = sorted(self.library.used - TELLING_NOTHING)

    def began(self) -> RealStage:
        stage = RealStage(self.library, self.boards)
        stage.turn(12)  # the costly getters take turns
        assert stage.exit_code == 0, stage.supervisor.exceptions()
        return stage

    def running(self, call: str, code: int) -> None:
        """The call begins to fail while all is well, somebody changes what is held, and the call is well again."""
        stage, case = self.stage, f"running, {call} answers {code}"
        said = len(stage.heard.events)
        with self.library.answering(call, code):
            stage.turn()
            self.check(case, stage)
            stage.strangers()
            stage.turn(3)
            self.check(case, stage)
            if call.startswith(("nvmlDeviceSet", "nvmlDeviceReset")):
                stage.ask("restore")
                self.check(case, stage)
                stage.ask("apply")
                self.check(case, stage)
        said = len(stage.heard.events) - said
        stage.turn(AT_ONCE)
        self.check(case, stage)
        if not stage.stated():
            self.wrong.append(f"{case}: it is over, and nobody says what is wrong")
        self.ends(case, stage)
        if said > 40:
            self.wrong.append(f"{case}: {said} events in four looks")

    def starting(self, call: str, code: int) -> None:
        """The call fails when the driver is attached, and is well again."""
        case = f"starting, {call} answers {code}"
        with self.library.answering(call, code):
            stage = RealStage(self.library, self.boards)
            stage.strangers()
            stage.turn(2)
            self.check(case, stage)
        stage.turn(AT_ONCE)
        self.check(case, stage)
        if not stage.stated():
            self.wrong.append(f"{case}: it is over, and nobody says what is wrong")
        if code not in FOR_GOOD:
            self.ends(case, stage)
        stage.gpus.detach()

    def ends(self, case: str, stage: RealStage) -> None:
        """What failed is over, and so are the pauses."""
        for _ in range(3):
            stage.turn(seconds=LATER_S)
            self.check(case, stage)
            if stage.exit_code == 0:
                return
        self.wrong.append(f"{case}: long over, and still: {'; '.join(stage.supervisor.exceptions())}")
        if stage is self.stage:
            stage.gpus.detach()
            self.stage = self.began()

    def check(self, case: str, stage: RealStage) -> None:
        self.cases += 1
        self.wrong += [f"{case}: {what}" for what in stage.untrue()]

    def play(self) -> dict[str, Any]:
        pairs = [(call, code) for call in self.calls for code in sorted(MEANINGS)]
        for when in (self.running, self.starting):
            for call, code in pairs:
                try:
                    when(call, code)
                except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
                    self.wrong.append(f"{when.__name__}, {call} answers {code}: {type(error).__name__}: {error}")
        return {"pairs": 2 * len(pairs), "looks": self.cases, "calls": self.calls, "wrong": self.wrong}


if __name__ == "__main__":
    json.dump(Table().play(), sys.stdout)
