"""The simulated driver, for tests: one `Nvsim` is one simulated host.

Everything goes through the command `nvsim`, as a user would do it; nothing here imports gpu_tuned.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIMULATOR = Path(__file__).resolve().parent / "simulator"
NVSIM = SIMULATOR / "nvsim"

# At hand in `ask` and `client`: `handles`, `h` for GPU 0, `code(call, ...)` for the error that it answers.
_CLIENT = """
import json, sys, time
import pynvml as n
n.nvmlInit()
handles = [n.nvmlDeviceGetHandleByIndex(i) for i in range(n.nvmlDeviceGetCount())]
h = handles[0] if handles else None
def code(call, *args):
    try:
        call(*args)
        return 0
    except n.NVMLError as e:
        return e.value
"""


class NvsimError(AssertionError):
    """A verb was refused; the text is what nvsim printed."""


def build() -> None:
    """Build the simulated driver where it is missing or older than its sources."""
    done = subprocess.run(["make", "-s", "-C", str(SIMULATOR)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NvsimError(f"the simulator does not build:\n{done.stdout}{done.stderr}")


class Client:
    """A process of `Nvsim.client`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def go(self) -> None:
        """Let it run its second part."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def line(self) -> str:
        """The next line that it prints; waits for it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


class Nvsim:
    """A simulated host with its driver and GPUs, its state below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def create(cls, directory: Path, *boards: str, driver: str | None = None, wsl: bool = False) -> Nvsim:
        """Make a host with these boards (names in tests/simulator/boards, or files; `,uuid=`, `,pci=` may follow)."""
        host = cls(directory)
        args = ["create"]
        for board in boards:
            args += ["--gpu", board]
        if driver is not None:
            args += ["--driver", driver]
        if wsl:
            args.append("--wsl")
        host.run(*args)
        return host

    @property
    def root(self) -> Path:
        """Stand-ins for /proc, /sys and /dev."""
        return self.directory / "root"

    @property
    def simulator_env(self) -> dict[str, str]:
        """Only the variables that select this host."""
        out: dict[str, str] = json.loads(self.run("env", "--json"))
        return out

    @property
    def env(self) -> dict[str, str]:
        """The environment for a process that shall see this host's driver."""
        return {**os.environ, **self.simulator_env}

    def run(self, *args: str | int | float) -> str:
        """Run one verb; returns what it printed."""
        command = [str(NVSIM), "--state", str(self.directory), *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise NvsimError(f"{' '.join(command[3:])}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def python(self, code: str, *args: str, timeout: float = 60, env: Mapping[str, str] | None = None) -> str:
        """Run Python code in a process of its own on this host; returns its standard output."""
        command = [sys.executable, "-c", code, *args]
        done = subprocess.run(
            command, env={**self.env, **(env or {})}, capture_output=True, text=True, check=False, timeout=timeout
        )
        if done.returncode != 0:
            raise NvsimError(f"exit {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def ask(self, expression: str, **env: str) -> Any:
        """The value of a Python expression (`n` is pynvml, `h` GPU 0) in a process of its own."""
        return json.loads(self.python(f"{_CLIENT}\nprint(json.dumps({expression}))", env=env))

    @contextmanager
    def client(self, code: str = "", then: str = "", **env: str) -> Iterator[Client]:
        """A process that attaches, runs `code`, waits for `go()`, runs `then`, and is killed (-9) at the end."""
        parts = (_CLIENT, code, "print('ready')", "sys.stdin.readline()", then, "sys.stdin.readline()")
        process = subprocess.Popen(
            [sys.executable, "-uc", "\n".join(parts)],
            env={**self.env, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            client = Client(process)
            line = client.line()
            if line != "ready":
                raise NvsimError(f"the client did not get ready but said: {line!r}")
            yield client
        finally:
            process.kill()
            process.communicate()

    def set(self, gpu: str | int, **values: object) -> None:
        """A stranger's write: `set(0, power_limit_w=450, gpu_clock_mhz="unlocked")`."""
        words = [f"{key}={str(v).lower() if isinstance(v, bool) else v}" for key, v in values.items()]
        self.run("set", gpu, *words)

    def show(self) -> dict[str, Any]:
        """All there is: driver, clients, GPUs with their settings (locks too) and readings."""
        out: dict[str, Any] = json.loads(self.run("show", "--json"))
        return out

    def gpu(self, index: int = 0) -> dict[str, Any]:
        """One GPU of `show`."""
        out: dict[str, Any] = self.show()["gpus"][index]
        return out

    def writes(self, *, strangers: bool = False) -> list[dict[str, Any]]:
        """The set calls that reached the driver, in order; strangers' only when asked for."""
        every: list[dict[str, Any]] = json.loads(self.run("writes", "--json"))
        return every if strangers else [w for w in every if not w["stranger"]]

    def clear_writes(self) -> None:
        self.run("writes", "--clear")

    def calls(self) -> dict[str, int]:
        """How often each function of the library was called."""
        out: dict[str, int] = json.loads(self.run("calls", "--json"))
        return out

    def clients(self) -> list[dict[str, Any]]:
        """Processes that have the GPUs open: pid, comm, since."""
        out: list[dict[str, Any]] = json.loads(self.run("clients", "--json"))
        return out

    def load(self, gpu: str | int, percent: float | str) -> None:
        self.run("load", gpu, percent)

    def lose(self, gpu: str | int) -> None:
        self.run("lose", gpu)

    def restore(self, gpu: str | int) -> None:
        self.run("restore", gpu)

    def reset(self, gpu: str | int, *, force: bool = False) -> None:
        self.run("reset", gpu, *(["--force"] if force else []))

    def reload(self, *, force: bool = False) -> None:
        self.run("reload", *(["--force"] if force else []))

    def xid(self, gpu: str | int, number: int) -> None:
        self.run("xid", gpu, number)

    def hang(self, call: str, seconds: float) -> None:
        self.run("hang", call, seconds)

    def slow(self, call: str, milliseconds: float) -> None:
        self.run("slow", call, milliseconds)

    def answer(self, call: str, code: int | str, *, gpu: str | int | None = None, times: int | None = None) -> None:
        """Let a call (or "all") answer this NVML error: of one GPU, so many times; "none" ends it."""
        only: list[str | int] = [] if gpu is None else ["--gpu", gpu]
        self.run("answer", call, code, *only, *([] if times is None else ["--times", str(times)]))

    def override(self, gpu: str | int, call: str, code: int | str = 0, *words: str) -> None:
        """What a call hands out instead, in a recording's words (tests/simulator/src/answers.c); gpu "host": a call
        without a GPU; code "none" ends it."""
        self.run("override", gpu, call, code, *words)

    def field(self, gpu: str | int, field: int | str, value: str) -> None:
        """What a field (or "all") answers instead: "uint=5", "double=nan", "error=3", "none"."""
        self.run("field", gpu, field, value)

    def suspend(self, seconds: float, *, settle_s: float = 2.0) -> None:
        self.run("suspend", seconds, "--settle", settle_s)

    def speed(self, factor: float) -> None:
        self.run("speed", factor)

    def advance(self, seconds: float) -> None:
        """Let simulated time pass at once."""
        self.run("advance", seconds)


def handed_out(text: str | bytes) -> str:
    """A text as the word of an answer."""
    raw = text.encode() if isinstance(text, str) else text
    return '"' + "".join(f"%{byte:02x}" for byte in raw)


def number(value: int, size: int = 4) -> str:
    """A number as the word of an answer: little-endian, as these machines are."""
    return ">" + (value % (1 << 8 * size)).to_bytes(size, "little").hex()


def pci_info(bus_id: str | bytes) -> str:
    """What nvmlDeviceGetPciInfo_v3 hands out, with this bus id."""
    raw = bus_id.encode() if isinstance(bus_id, str) else bus_id
    return "{:" + "(36)" + (raw + bytes(32))[:32].hex()


def wait_for(condition: Callable[[], object], *, timeout_s: float = 10.0, what: str = "") -> None:
    """Poll until `condition()` is true; fails with `what` after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise NvsimError(f"not within {timeout_s} s: {what or condition}")
        time.sleep(0.01)
