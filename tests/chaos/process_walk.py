"""One walk with a real process: a host of the simulated driver, a daemon on it, and what is true of the boards."""

from __future__ import annotations

import random
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.model import Truth, Wish, check_row, check_whole, must
from tests.chaos.walker import policies
from tests.nvsim import Nvsim
from tests.sinks import Heard, stalling

BOARDS = {"h200": (200, 700), "rtx-5090-575": (400, 575)}
CALM_S = 20.0


class Board(Truth):
    """A board of the walk: `known`, whether the daemon has looked at this initialisation; until then, whatever the
    board has had may turn out to be its original. `initialisation`: the simulator's count, -1 where the next is told
    by the kernel's binding. `vague`: one began that leaves no such trace, so nobody knows when it is noticed."""

    known = vague = False
    initialisation = -1

    def had(self, watts: float) -> None:
        if not self.known or self.vague:
            self.originals.add(watts)

    def begins_anew(self) -> None:
        self.originals, self.known, self.vague, self.initialisation = {self.most_w}, False, False, -1


class Walk:
    """One host with one or two boards, one daemon, and what is true of them."""

    def __init__(self, folder: Path, seed: int, verbose: bool = False) -> None:
        self.random = random.Random(seed)
        self.verbose = verbose
        self.checks = 0
        self.names = self.random.choices(list(BOARDS), k=self.random.choice([1, 2, 2]))
        self.host = Nvsim.create(folder / "host", *self.names)
        self.boards = [Board(*BOARDS[name], watts=BOARDS[name][1]) for name in self.names]
        for board in self.boards:
            board.begins_anew()
        self.in_force = self.wanted()
        self.stall = folder / "stall"
        """While this file is there, the disk does not come back from fsync."""
        self.daemon = Heard(
            self.host, self.in_force[0], LD_PRELOAD=stalling(folder, self.host.env), STALL=str(self.stall)
        )
        self.deaf_clients: list[socket.socket] = []
        self.refused = [False] * len(self.boards)
        self.faults: set[tuple[str, str, int | None]] = set()  # verb, call, GPU

    def fault(self, verb: str, call: str, value: float, *more: str | int) -> None:
        """Let a call fail, hang or be slow, on one GPU or on all."""
        gpu = self.random.choice([None, None, *range(len(self.boards))])
        self.faults.add((verb, call, gpu))
        self.host.run(verb, call, value, *more, *(() if gpu is None else ("--gpu", gpu)))

    def faults_end(self) -> None:
        for verb, call, gpu in self.faults:
            ends = "none" if verb == "answer" else 0
            self.host.run(verb, call, ends, *(() if gpu is None else ("--gpu", gpu)))
        self.faults.clear()

    def wanted(self) -> tuple[str, Wish, bool]:
        text, wish, observing = policies(self.random)
        return text.replace("poll_interval_s = 2", "poll_interval_s = 0.1"), wish, observing

    def go(self, actions: Sequence[Callable[[Walk], None]], steps: int) -> None:
        self.daemon.ready()
        self.look()
        for _ in range(steps):
            action = self.random.choice(actions)
            if self.verbose:
                print(f"--- {action.__name__}", file=sys.stderr)
            action(self)
            self.look()
        self.calm()

    # -- looking

    def looks(self, count: int = 2) -> dict[str, Any] | None:
        """The document after so many more looks; None where the driver hangs."""
        began = self.daemon.status()
        end = time.monotonic() + CALM_S
        while time.monotonic() < end:
            document = self.daemon.status()
            if document["host"]["sequence"] >= began["host"]["sequence"] + count:
                return document
            if document["driver"]["state"] == "not_answering":
                return document
            assert not self.daemon.gone, "the daemon ended"
            time.sleep(0.01)
        raise AssertionError(f"not {count} looks within {CALM_S:g} s")

    def look(self) -> None:
        self.looks(2)
        for _ in range(50):
            before = self.host.show()
            document = self.daemon.status()
            if document["driver"]["state"] == "not_answering":
                must(self.code(document) == 5, "a driver that does not answer is trouble", document["driver"])
                self.looks(2)
                continue
            after = self.daemon.status()
            if words(document) == words(after) and limits(before) == limits(self.host.show()):
                self.check(document, before)
                return
            self.looks(1)
        raise AssertionError("no quiet moment")

    def check(self, document: dict[str, Any], shown: dict[str, Any]) -> None:
        """Hold one document against what the boards have."""
        self.checks += 1
        _, wish, observing = self.in_force
        boards: list[tuple[Truth, bool, Wish]] = []
        for board, real in zip(self.boards, shown["gpus"], strict=True):
            board.watts = real["power_limit_w"]
            if real["initialisation"] != board.initialisation:
                board.vague |= board.initialisation != -1  # the last client left, say
                board.initialisation = real["initialisation"]
                board.originals.add(board.most_w)
            board.had(board.watts)
            gpu = next((gpu for gpu in document["gpus"] if gpu["uuid"] == real["uuid"]), None)
            row = power_row(gpu)
            board.seen = gpu is not None and gpu["state"] == "ok"
            board.readable = row.get("observed") is not None
            must(not (board.seen and real["lost"]), "a lost GPU is looked at", gpu)
            check_row(row, board, wish, observing)
            if board.seen and row.get("original") is not None:
                board.known = True
                board.originals = board.originals if board.vague else {row["original"]}
            self.refused[self.boards.index(board)] |= row.get("state") == "refused"
            boards.append((board, gpu is not None and gpu["state"] == "asleep", wish))
        check_whole(self.code(document), self.waited(document), boards, observing)
        for write in self.host.writes():
            if write["function"] == "nvmlDeviceSetPowerManagementLimit" and write["result"] == "SUCCESS":
                allowed = {watts for board in self.boards for watts in (board.least_w, board.most_w)}
                must(min(allowed) <= write["args"][0] / 1000 <= max(allowed), "inside of what boards allow", write)
        must(not (observing and self.host.writes()), "observe mode writes nothing", self.host.writes())
        self.host.clear_writes()

    @staticmethod
    def code(document: Any) -> int:
        from gpu_tuned.ctl import verdict

        return verdict.exit_code(document)

    @staticmethod
    def waited(document: Any) -> int:
        import contextlib
        import io

        from gpu_tuned.ctl import wait

        with contextlib.redirect_stderr(io.StringIO()):
            return wait.tell(document)

    def calm(self) -> None:
        """The faults stop; everything is as wished soon, or it is said why not."""
        host = self.host
        self.faults_end()
        host.run("mismatch", "off")
        self.load_driver()
        self.daemon.heard.set()
        self.stall.unlink(missing_ok=True)
        for index in range(len(self.boards)):
            host.run("deaf", index, "off")
            host.run("field", index, "all", "none")
            host.run("override", index, "none")
            host.run("runtime", index, "auto")
            if self.names[index] == "h200":
                host.run("mig", index, "off")
            self.back(index)
        self.daemon.call("Resume")
        self.looks(2)
        end = time.monotonic() + CALM_S
        while True:
            self.daemon.call("Apply")
            self.look()
            document = self.daemon.status()
            if self.code(document) == 0 or time.monotonic() > end:
                break
        _, wish, observing = self.in_force
        for board, gpu in zip(self.boards, document["gpus"], strict=True):
            row = power_row(gpu)
            if wish.watts is None or not wish.enforced or observing:
                continue
            possible = board.least_w <= wish.watts <= board.most_w or (wish.ceiling and wish.watts > board.most_w)
            if possible:
                must(wish.met_by(board.watts), "the faults are over, and it is not as wished", (row, gpu["message"]))
            must(row["in_order"] or row["message"], "why it is not as wished is said", row)

    def load_driver(self) -> None:
        if not self.host.show()["driver"]["loaded"]:
            self.host.run("load-driver")
            self.everybody_anew()

    def back(self, index: int) -> None:
        """A GPU that was lost is found."""
        if self.host.gpu(index)["lost"]:
            self.host.restore(index)
            self.boards[index].begins_anew()

    def everybody_anew(self) -> None:
        for board in self.boards:
            board.begins_anew()

    def begins_again(self) -> None:
        """The daemon was ended, and is started."""
        self.daemon.manager.told.clear()
        self.daemon.start()
        self.daemon.until(self.daemon.listens, "its socket")
        self.daemon.until(lambda: self.daemon.status()["host"]["sequence"] >= 1, "its first look", CALM_S)

    def close(self) -> None:
        self.stall.unlink(missing_ok=True)
        for client in self.deaf_clients:
            client.close()
        self.daemon.__exit__(None, None, None)


def power_row(gpu: dict[str, Any] | None) -> dict[str, Any]:
    rows: list[dict[str, Any]] = gpu["settings"] if gpu else []
    return next((row for row in rows if row["setting"] == "power_limit_w"), {})


def words(document: dict[str, Any]) -> object:
    """What a document says, but for what changes with each look."""
    rows = [
        (
            gpu["uuid"],
            gpu["state"],
            gpu["message"],
            [(r["setting"], r["state"], r["observed"]) for r in gpu["settings"]],
        )
        for gpu in document["gpus"]
    ]
    return rows, document["driver"]["state"], document["policy"]["state"], document["policy"]["error"]


def limits(shown: dict[str, Any]) -> object:
    return [(gpu["power_limit_w"], gpu["lost"]) for gpu in shown["gpus"]], shown["driver"]
