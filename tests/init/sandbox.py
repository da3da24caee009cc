"""Runs a generated host's programs where they can reach nothing: a folder with shells, a few plain tools, and the
shim under every other name. What nvidia-smi was asked for ends in a simulated state."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.init.layout import Group, Layout, Step
from tests.init.smi import Smi, Write

HERE = Path(__file__).parent
TOOLS = [
    "sh",
    "bash",
    "env",
    "true",
    "false",
    "cat",
    "grep",
    "head",
    "tail",
    "tr",
    "cut",
    "sed",
    "awk",
    "seq",
    "expr",
    "test",
    "[",
    "basename",
    "dirname",
    "tee",
    "wc",
    "sort",
    "nohup",
    "timeout",
    "nice",
    "printf",
    "echo",
    "xargs",
    "mkdir",
    "touch",
    "rm",
    "uname",
    "readlink",
    "realpath",
]
SHIMS = [
    "nvidia-smi",
    "sudo",
    "doas",
    "sleep",
    "logger",
    "modprobe",
    "nvidia-modprobe",
    "nvidia-settings",
    "nvidia-persistenced",
    "systemctl",
    "date",
    "hostname",
    "id",
    "on_ac_power",
    "pgrep",
    "lspci",
    "curl",
    "sysctl",
    "notify-send",
    "mail",
    "docker",
    "getent",
    "marker",
    "systemd-cat",
    "udevadm",
    "ionice",
    "chrt",
    "which",
]
FOLDERS = ("usr/local/bin", "usr/local/sbin", "opt", "etc", "var/log", "run", "tmp", "root")
_ABSOLUTE = re.compile(r"(?<![\w./}*])/(?=(?:usr|bin|sbin|etc|opt|root|home|var|run|tmp|srv|scripts|proc|sys|lib)/)")
MOST_SLEEPS, MOST_CALLS, LONGEST_S = 3, 80, 10.0
MOST_CPU_S = 1
KNOB = "/proc/sys/kernel/numa_balancing"
NOT_FOUND = 127


@dataclass
class Run:
    """What came of one run: the settings of every GPU, and what was asked for on the way. `calls` counts nvidia-smi's
    calls that set something; `failed` are the writes that came to nothing because a call was made to fail; `other` is
    everything else that was asked for, in order."""

    settings: list[dict[str, object]]
    writes: list[Write] = field(default_factory=list)
    failed: list[Write] = field(default_factory=list)
    other: list[tuple[str, ...]] = field(default_factory=list)
    calls: int = 0
    killed: bool = False


@dataclass
class _Case:
    """What the shim answers by during one run."""

    smi: Smi
    unknown: Mapping[str, tuple[int, str]]
    fails: frozenset[int]
    run: Run
    race: int = 0
    sleeps: int = 0


class Sandbox:
    """One folder, used for one layout after another. `base` is an empty folder with a short name that is ours."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = self.base / "r"
        self.bin = self.base / "bin"
        self.bin.mkdir()
        build = ["cc", "-O1", "-o", str(self.bin / "shim"), str(HERE / "shim.c")]
        if subprocess.run([*build, "-static"], check=False, capture_output=True).returncode != 0:
            subprocess.run(build, check=True)
        self._tools()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.getcwd()
        os.chdir(self.bin)
        self.listener.bind("socket")
        os.chdir(before)
        self.listener.listen(64)
        # Those that a script leaves behind become ours, so that a run ends when the last of them has.
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)

    def lay_out(self, layout: Layout, files: Mapping[str, str | None]) -> None:
        """Make the folder anew but for its tools, with `files` instead of the layout's own."""
        for name in os.listdir(self.root):
            if name not in ("usr", "bin"):
                shutil.rmtree(self.root / name, ignore_errors=True)
        shutil.rmtree(self.root / "usr/local", ignore_errors=True)
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.put(KNOB, "1\n", 0o644)
        for path, text in files.items():
            if text is not None:
                self.put(path, text, layout.modes.get(path, 0o644))

    def _tools(self) -> None:
        (self.root / "usr/bin").mkdir(parents=True)
        (self.root / "bin").symlink_to("usr/bin")
        for name in TOOLS:
            if real := shutil.which(name, path="/usr/bin:/bin"):
                (self.root / "usr/bin" / name).symlink_to(real)
        for name in SHIMS:
            (self.root / "usr/bin" / name).symlink_to(self.bin / "shim")

    def put(self, path: str, text: str, mode: int) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.inside(text), encoding="utf-8", errors="surrogateescape", newline="")
        file.chmod(mode | 0o444)

    def remove(self, path: str) -> None:
        (self.root / path.lstrip("/")).unlink(missing_ok=True)

    def inside(self, text: str) -> str:
        """The same text with every path of the host below our folder; who runs it is root there, as `id` says too."""
        return _ABSOLUTE.sub(f"{self.root}/", text).replace("$EUID", "0")

    def run(
        self,
        groups: Iterable[Group],
        smi: Smi,
        unknown: Mapping[str, tuple[int, str]],
        variables: Mapping[str, str],
        fails: frozenset[int] = frozenset(),
        race: int = 0,
    ) -> Run:
        """`fails`: the numbers of the calls of nvidia-smi that come to nothing. `race`: 1 where of two
        that run at the same time the first to start comes first, -1 where it comes last, 0 where nothing does."""
        case = _Case(smi, unknown, fails, Run([gpu.settings for gpu in smi.gpus]), race)
        for group in groups:
            for step in group.steps:
                if self._step(step, case, variables) != 0 and not step.goes_on:
                    break
        case.run.settings = [dict(gpu.settings) for gpu in smi.gpus]
        return case.run

    def _step(self, step: Step, case: _Case, variables: Mapping[str, str]) -> int:
        words = [self.inside(word) for word in step.words]
        program = shutil.which(words[0], path=str(self.root / "usr/bin")) or words[0]
        env = {"PATH": f"{self.root}/usr/bin:{self.root}/usr/local/bin:{self.root}/usr/local/sbin"}
        env |= {**variables, **{name: self.inside(text) for name, text in step.env.items()}}
        while select.select([self.listener], [], [], 0)[0]:
            self.listener.accept()[0].close()  # of a program that was killed before it got its answer
        null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
        os.chdir(self.root / "tmp")
        try:
            pid = os.posix_spawn(program, words, env, file_actions=null, setpgroup=0)
        except OSError:
            return NOT_FOUND
        with suppress(ProcessLookupError):  # a loop that neither sleeps nor calls anything ends by this
            resource.prlimit(pid, resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
        watch = os.pidfd_open(pid)
        try:
            return self._wait(pid, watch, case)
        finally:
            os.close(watch)

    def _wait(self, pid: int, watch: int, case: _Case) -> int:
        """Answer the shim until the program and all that it left running have ended; its exit status."""
        status, ended = NOT_FOUND, False
        ends = time.monotonic() + LONGEST_S
        case.sleeps = 0
        while True:
            waiting: list[socket.socket | int] = [self.listener] if ended else [self.listener, watch]
            ready, _, _ = select.select(waiting, [], [], 0.001 if ended else 0.1)
            if self.listener in ready and not self._answer(case):
                case.run.killed = True
                _end(pid)
            try:  # all that the script left behind are our children by now
                while (found := os.waitpid(-1, os.WNOHANG))[0]:
                    if found[0] == pid:
                        status, ended = os.waitstatus_to_exitcode(found[1]), True
                        case.run.killed = case.run.killed or status == -signal.SIGKILL
            except ChildProcessError:
                return status
            if time.monotonic() > ends:
                case.run.killed = True
                _end(pid)
                ends += LONGEST_S

    def _answer(self, case: _Case) -> bool:
        """What the shim asks now; False where the script goes on for ever and must be ended."""
        channels = [self.listener.accept()[0]]
        while case.race and select.select([self.listener], [], [], 0.008)[0]:
            channels.append(self.listener.accept()[0])
        for channel in sorted(channels, key=lambda each: case.race * _pid(each)):
            self._serve(channel, case)
        most = MOST_SLEEPS * (4 if case.race else 1)  # what runs beside a loop comes to its end meanwhile
        return case.sleeps <= most and case.run.calls <= MOST_CALLS

    def _serve(self, channel: socket.socket, case: _Case) -> None:
        with channel:
            asked = b""
            with suppress(ConnectionResetError):
                while chunk := channel.recv(65536):
                    asked += chunk
            if not asked:
                return  # it was killed before it could ask
            name, *words = asked.decode("utf-8", "surrogateescape").split("\0")[:-1]
            words = [word.replace(f"{self.root}/", "/") for word in words]
            status, output = self._reply(name, words, case)
            with suppress(OSError):
                channel.sendall(bytes([status]) + output.encode())

    def _reply(self, name: str, words: list[str], case: _Case) -> tuple[int, str]:
        run = case.run
        if name == "nvidia-smi":
            run.calls += 1
            fails = run.calls in case.fails
            status, output, writes = case.smi.call(words, fails)
            (run.failed if fails else run.writes).extend(writes)
            if not writes:
                run.other.append((name, *words))
            return status, output
        if name == "sleep":
            case.sleeps += 1
            return 0, ""
        if name in case.unknown:
            return case.unknown[name]
        run.other.append((name, *words))
        if name == "which":
            found = [w for w in words if (self.root / "usr/bin" / w).exists()]
            return (0, "".join(f"/usr/bin/{w}\n" for w in found)) if found else (1, "")
        return 0, {"id": "0\n", "hostname": "node1\n", "date": "2026\n"}.get(name, "")


def _pid(channel: socket.socket) -> int:
    """The process at the other end."""
    return int(struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def _end(group: int) -> None:
    """Kill a script and what it left in groups of their own, as `timeout` does."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    for child in Path("/proc/self/task").glob("*/children"):
        for pid in child.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
