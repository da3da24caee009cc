"""The daemon as its owner runs it: a process with a policy file, a socket and a state folder, on a simulated host."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tests.nvsim import Nvsim, wait_for

BIN = Path(sys.executable).parent


class Manager:
    """A service manager's notification socket: what the daemon told it, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.told: list[tuple[float, str]] = []

    def lines(self) -> list[str]:
        """Every assignment received so far."""
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return [line for _, text in self.told for line in text.splitlines()]
            self.told.append((time.monotonic(), data.decode("ascii")))

    def close(self) -> None:
        self._socket.close()


D = TypeVar("D", bound="Daemon")


class Daemon:
    """One `gpu-tuned` process. `policy` is the text of its file; `dropins` go into gpu-tuned.d."""

    prefix: Sequence[str] = ()
    """Commands that run it."""
    stderr: int | None = None
    """Its standard error; None: the log."""
    bin: Path = BIN
    """Where gpu-tuned and gpu-tunedctl lie."""

    def __init__(
        self,
        host: Nvsim,
        policy: str | None,
        *arguments: str,
        folder: Path | None = None,
        root: bool = True,
        **environment: str,
    ) -> None:
        self.host = host
        self.folder = folder or host.directory.parent / f"daemon-{host.directory.name}"
        self.folder.mkdir(exist_ok=True)
        self.config = self.folder / "gpu-tuned.toml"
        if policy is not None:
            self.config.write_text(policy)
        self.state_dir = self.folder / "state"
        # A Unix socket's path holds 107 characters, and pytest's folders are longer.
        self._short = tempfile.TemporaryDirectory(prefix="gpu-tuned-")
        short = Path(self._short.name)
        self.socket = short / "io.gputuned.Control"
        self.manager = Manager(short / "notify")
        self.log = self.folder / "log"
        self.env = {
            **host.env,
            "NVSIM_CAP_SYS_ADMIN": "1" if root else "0",
            "NOTIFY_SOCKET": str(self.manager.path),
            "GPU_TUNED_SOCKET": str(self.socket),
            **environment,
        }
        self.arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [
            *self.prefix,
            str(self.bin / "gpu-tuned"),
            "--config",
            str(self.config),
            "--state-dir",
            str(self.state_dir),
        ]
        command += ["--socket", str(self.socket), *self.arguments]
        self.began_s = time.monotonic()
        with open(self.log, "ab") as log:
            stderr = log if self.stderr is None else self.stderr
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=stderr)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def listens(self) -> bool:
        """Whether its socket takes clients: the path is there a moment before."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def ready(self: D, timeout_s: float = 15.0) -> D:
        """Wait for READY=1."""
        self.until(lambda: "READY=1" in self.manager.lines(), "READY=1", timeout_s)
        return self

    def until(self, condition: Any, what: str = "", timeout_s: float = 10.0) -> None:
        """Poll; fails with the daemon's own words."""
        try:
            wait_for(lambda: self.gone or condition(), timeout_s=timeout_s, what=what)
            assert not self.gone, "the daemon ended"
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- the daemon said:\n{self.said}") from error

    @property
    def gone(self) -> bool:
        return self.process is None or self.process.poll() is not None

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def ctl(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run gpu-tunedctl against this daemon."""
        done = subprocess.run(
            [str(self.bin / "gpu-tunedctl"), *arguments],
            env={**self.env, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        if check and done.returncode not in (0, 1, 5):
            raise AssertionError(f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.said}")
        return done

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One Varlink call; the reply's parameters, or {"error": name, ...}."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(self.socket))
            request = {"method": f"io.gputuned.Control.{method}", "parameters": parameters}
            connection.sendall(json.dumps(request).encode() + b"\0")
            data = b""
            while not data.endswith(b"\0"):
                chunk = connection.recv(65536)
                if not chunk:
                    raise AssertionError(f"{method}: the daemon closed the connection")
                data += chunk
        reply = json.loads(data[:-1])
        out = dict(reply.get("parameters", {}))
        if "error" in reply:
            out["error"] = reply["error"]
        return out

    def status(self) -> dict[str, Any]:
        return self.call("Status")

    def setting(self, name: str, gpu: int = 0) -> dict[str, Any]:
        """One row of the status; {} where there is none."""
        gpus = self.status()["gpus"]
        rows = gpus[gpu]["settings"] if gpu < len(gpus) else []
        return next((row for row in rows if row["setting"] == name), {})

    def state(self, name: str, gpu: int = 0) -> str | None:
        return self.setting(name, gpu).get("state")

    def writes(self) -> list[tuple[str, list[int], str]]:
        """What this daemon's processes wrote: (function, arguments, answer)."""
        return [(w["function"], w["args"], w["result"]) for w in self.host.writes()]

    def turns(self, count: int) -> None:
        """Wait until the daemon has looked at its GPUs `count` more times."""
        goal = self.status()["host"]["sequence"] + count
        self.until(lambda: self.status()["host"]["sequence"] >= goal, f"{count} looks")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, timeout_s: float = 5.0) -> int:
        """SIGTERM, and its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL, as an out-of-memory kill or a crash would be."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(5)

    def __enter__(self: D) -> D:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.gone and "COVERAGE_PROCESS_CONFIG" in os.environ:
            # A process that is killed writes down nothing of what it ran.
            assert self.process is not None
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        if not self.gone:
            self.kill()
        self.manager.close()
        self._short.cleanup()
        if kind is not None:
            print(f"--- the daemon said:\n{self.said}")
