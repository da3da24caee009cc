"""Random walks with real processes: the daemon on the simulated driver, through every fault that the simulator has.

python -m tests.chaos.process_walker --walks 1000 --seed 1      by hand, two at a time; prints the seed that fails
python -m tests.chaos.process_walker --seed 4711 --walks 1 -v   that walk again, step by step

A process is not asked at a moment of our choosing, so after each step two more looks are waited for; what the
document then says is held against what the boards have, if neither changed meanwhile.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gpu_tuned.adapters.nvml.errors import MEANINGS
from tests.chaos.model import Truth, Wish, check_row, check_whole, must
from tests.chaos.walker import policies
from tests.daemon import Daemon
from tests.nvsim import Nvsim, NvsimError, handed_out, number

BOARDS = {"h200": (200, 700), "rtx-5090-575": (400, 575)}
STEPS, CALM_S = 10, 20.0
GETTERS = (
    *("nvmlDeviceGetPowerManagementLimit", "nvmlDeviceGetFieldValues", "nvmlDeviceGetPersistenceMode"),
    *("nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetHandleByIndex_v2"),
    *("nvmlDeviceGetPowerManagementLimitConstraints", "nvmlDeviceGetTemperature", "nvmlDeviceGetUtilizationRates"),
    *("nvmlDeviceGetCount_v2", "nvmlDeviceGetComputeMode", "nvmlEventSetWait_v2"),
)
SETTERS = ("nvmlDeviceSetPowerManagementLimit", "nvmlDeviceSetPersistenceMode", "nvmlDeviceSetGpuLockedClocks")
GARBAGE = (
    b"\0",
    b"{}\0",
    b"nonsense\0",
    b'{"method":"io.gputuned.Control.Status"',
    b"\xff" * 4000,
    b'{"method":5}\0',
)


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
        self.daemon = Daemon(self.host, self.in_force[0])
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

    def go(self, steps: int) -> None:
        self.daemon.ready()
        self.look()
        for _ in range(steps):
            action = self.random.choice(ACTIONS)
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
        if not host.show()["driver"]["loaded"]:
            load_driver(self)
        for index in range(len(self.boards)):
            host.run("deaf", index, "off")
            host.run("field", index, "all", "none")
            host.run("override", index, "none")
            host.run("runtime", index, "auto")
            if self.names[index] == "h200":
                host.run("mig", index, "off")
            back(self, index)
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

    def close(self) -> None:
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


# --- what happens


def one(walk: Walk) -> int:
    return walk.random.randrange(len(walk.boards))


def stranger(walk: Walk) -> None:
    index = one(walk)
    least, most = BOARDS[walk.names[index]]
    watts = walk.random.randint(least, most)
    try:
        walk.host.set(index, power_limit_w=watts)
    except NvsimError:
        return  # no driver, or the board is lost
    walk.boards[index].had(watts)


def lose(walk: Walk) -> None:
    walk.host.lose(one(walk))


def find(walk: Walk) -> None:
    back(walk, one(walk))


def back(walk: Walk, index: int) -> None:
    if walk.host.gpu(index)["lost"]:
        walk.host.restore(index)
        walk.boards[index].begins_anew()


def answer(walk: Walk) -> None:
    call = walk.random.choice((*GETTERS, *SETTERS, *SETTERS))
    times = walk.random.choice([1, 3, None])
    walk.fault("answer", call, walk.random.choice(sorted(MEANINGS)), *(() if times is None else ("--times", times)))


def faults_end(walk: Walk) -> None:
    walk.faults_end()


def deaf(walk: Walk) -> None:
    walk.host.run("deaf", one(walk), walk.random.choice(["on", "off"]))


def mismatch(walk: Walk) -> None:
    walk.host.run("mismatch", walk.random.choice(["on", "off"]))


def everybody_anew(walk: Walk) -> None:
    for board in walk.boards:
        board.begins_anew()


def unload(walk: Walk) -> None:
    if walk.host.show()["driver"]["loaded"]:
        walk.host.run("unload", "--force")
        everybody_anew(walk)


def load_driver(walk: Walk) -> None:
    if not walk.host.show()["driver"]["loaded"]:
        walk.host.run("load-driver")
        everybody_anew(walk)


def reload_driver(walk: Walk) -> None:
    if walk.host.show()["driver"]["loaded"]:
        walk.host.reload(force=True)
        everybody_anew(walk)


def reset(walk: Walk) -> None:
    index = one(walk)
    if walk.host.show()["driver"]["loaded"]:
        walk.host.reset(index, force=True)


def reinit(walk: Walk) -> None:
    """Settings and counters begin anew; the daemon may notice that later, or never."""
    if walk.host.show()["driver"]["loaded"]:
        walk.host.run("reinit", one(walk))


def suspend(walk: Walk) -> None:
    walk.host.suspend(walk.random.choice([1, 30]), settle_s=0.2)


def hang(walk: Walk) -> None:
    walk.fault("hang", walk.random.choice(["all", *GETTERS]), walk.random.choice([0.3, 1]))


def slow(walk: Walk) -> None:
    walk.fault("slow", walk.random.choice(GETTERS), 30)


def xid(walk: Walk) -> None:
    walk.host.xid(one(walk), walk.random.choice([13, 48, 79]))


def storm(walk: Walk) -> None:
    walk.host.run("storm", one(walk), 500)


def runtime(walk: Walk) -> None:
    walk.host.run("runtime", one(walk), walk.random.choice(["suspended", "active", "auto"]))


def mig(walk: Walk) -> None:
    h200 = [index for index, name in enumerate(walk.names) if name == "h200"]
    if h200:
        walk.host.run("mig", walk.random.choice(h200), walk.random.choice(["on", "off"]))


def nonsense(walk: Walk) -> None:
    """A call hands out what makes no sense, or a field does."""
    index = one(walk)
    kind = walk.random.randrange(4)
    if kind == 0:
        walk.host.field(
            index, walk.random.choice(["all", "185", "186", "74"]), walk.random.choice(["uint=0", "error=999"])
        )
    elif kind == 1:
        walk.host.field(index, "all", "none")
    elif kind == 2:
        walk.host.override(index, "nvmlDeviceGetName", 0, handed_out(b"\xff\xfe"))
        walk.host.override(index, "nvmlDeviceGetPowerManagementLimit", 0, number(0xFFFFFFFF))
    else:
        walk.host.run("override", index, "none")


def load_policy(walk: Walk) -> None:
    new = walk.wanted()
    walk.daemon.config.write_text(new[0])
    reply = walk.daemon.call("Reload")
    must("error" not in reply, "a good policy is taken", reply)
    walk.in_force = new
    walk.looks(1)
    walk.host.clear_writes()


def load_nonsense(walk: Walk) -> None:
    walk.daemon.config.write_text(walk.random.choice(["nonsense", "[daemon]\npoll_interval_s = 0", ""]))
    reply = walk.daemon.call("Reload")
    must(reply.get("error", "").endswith("PolicyRefused"), "a bad policy is refused", reply)
    walk.looks(1)
    must(walk.code(walk.daemon.status()) != 0, "a refused policy is not in order", reply)
    walk.daemon.config.write_text(walk.in_force[0])
    walk.daemon.call("Reload")


def kill(walk: Walk) -> None:
    for index, board in enumerate(walk.boards):
        board.known &= not walk.refused[index]
    walk.refused = [False] * len(walk.boards)
    if walk.random.random() < 0.5:
        walk.daemon.kill()
    else:
        walk.daemon.stop()
    if walk.random.random() < 0.5:
        stranger(walk)
    walk.daemon.manager.told.clear()
    walk.daemon.start()
    walk.daemon.until(walk.daemon.listens, "its socket")
    walk.daemon.until(lambda: walk.daemon.status()["host"]["sequence"] >= 1, "its first look", CALM_S)


def command(walk: Walk) -> None:
    name = walk.random.choice(["Apply", "Plan", "Restore", "Release", "Resume", "Resume"])
    must("not_json" not in walk.daemon.call(name), "a command is answered", name)
    if name == "Restore":
        walk.host.clear_writes()
    for board in walk.boards:
        board.on_purpose = name == "Release" or (board.on_purpose and name != "Resume")


def garbage(walk: Walk) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(walk.daemon.socket))
        connection.sendall(walk.random.choice(GARBAGE))


ACTIONS: tuple[Callable[[Walk], None], ...] = (
    *(stranger, stranger, stranger, lose, find, find, answer, answer, answer, faults_end, deaf, mismatch, unload),
    *(
        load_driver,
        load_driver,
        reload_driver,
        reset,
        reinit,
        suspend,
        hang,
        slow,
        xid,
        storm,
        runtime,
        mig,
        nonsense,
    ),
    *(load_policy, load_policy, load_nonsense, kill, kill, command, command, garbage),
)


def walk_one(folder: Path, seed: int, steps: int = STEPS, verbose: bool = False) -> int:
    """Returns how often the document was held against the boards. Raises AssertionError with the seed."""
    walk = Walk(folder, seed, verbose)
    try:
        walk.go(steps)
    except Exception as error:
        said = walk.daemon.said[-3000:]
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n--- the daemon said:\n{said}") from error
    finally:
        walk.close()
    return walk.checks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walks", type=int, default=20)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1, help="of the first walk; the next have the next numbers")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()

    def walked(seed: int) -> int | str:
        with tempfile.TemporaryDirectory(prefix="gpu-tuned-walk-") as folder:
            try:
                return walk_one(Path(folder), seed, options.steps, options.verbose)
            except AssertionError as error:
                return str(error)

    began, checks, bad = time.monotonic(), 0, 0
    with ThreadPoolExecutor(options.at_once) as pool:
        for outcome in pool.map(walked, range(options.seed, options.seed + options.walks)):
            if isinstance(outcome, str):
                bad += 1
                print(outcome)
            else:
                checks += outcome
    took_s = time.monotonic() - began
    print(json.dumps({"walks": options.walks, "failed": bad, "documents": checks, "seconds": round(took_s)}))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
