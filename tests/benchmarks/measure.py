"""What every benchmark needs: figures with their spread, what the kernel says of a process, simulated hosts."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.daemon import Daemon
from tests.nvsim import Nvsim

BIN = Path(sys.executable).parent
POLICY = """
[daemon]
poll_interval_s = {interval}

[[gpu]]
match = {{ name = "*" }}
persistence_mode = true

[[gpu]]
match = {{ name = "NVIDIA GeForce RTX 5090" }}
profile = "rtx-5090-inference"
power_limit_w = "max"
required = ["power_limit_w"]

[[gpu]]
match = {{ name = "NVIDIA H200" }}
power_limit_w = 600
application_clocks_mhz = {{ memory = 3201, gpu = 1500 }}
memory_clock_mhz = {{ min = 3201, max = 3201 }}
compute_mode = "default"
watch = ["compute_mode"]
"""
"""Every kind of setting and rule. `required`: a setting that is put back in every trial must not become contested."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What another program took for the like, measured in the same run."""

    name: str
    samples: Sequence[float]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `samples` in `unit`; judged is their median, or with `worst` their maximum."""

    what: str
    unit: str
    samples: Sequence[float]
    budget: float | None = None
    aim: float | None = None
    worst: bool = False
    peers: Sequence[Peer] = ()
    note: str = ""
    places: int = 1

    @property
    def value(self) -> float:
        return max(self.samples) if self.worst else statistics.median(self.samples)

    @property
    def verdict(self) -> str:
        if self.budget is None:
            return "-"
        if self.value > self.budget:
            return "missed"
        return "met, aim missed" if self.aim is not None and self.value > self.aim else "met"

    def figure(self, samples: Sequence[float]) -> str:
        """Median, and minimum to maximum where there is more than one."""
        text = f"{statistics.median(samples):.{self.places}f}"
        if len(samples) > 1:
            text += f" ({min(samples):.{self.places}f} to {max(samples):.{self.places}f}, n={len(samples)})"
        return text

    @property
    def cells(self) -> tuple[str, ...]:
        limit = "-" if self.budget is None else f"{self.budget:g} {self.unit}"
        limit += f" (aim {self.aim:g})" if self.aim is not None else ""
        limit += ", worst case" if self.worst else ""
        peers = "; ".join(f"{peer.name} {self.figure(peer.samples)}" for peer in self.peers) or "-"
        return self.what, limit, f"{self.figure(self.samples)} {self.unit}", peers, self.verdict


@dataclass(slots=True)
class Report:
    """What a benchmark hands back: rows, and sentences on what could not be measured or has to be known."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def memory_mb(pid: int) -> dict[str, float]:
    """Rss, Pss and Uss of a process, in MB of 1024 kB."""
    kb: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        kb[name] = int(value.split()[0])
    kb["Uss"] = kb["Private_Clean"] + kb["Private_Dirty"]
    return {name: kb[name] / 1024 for name in ("Rss", "Pss", "Uss")}


def cpu_s(pid: int) -> float:
    """User and system time of all threads, seconds. schedstat's first figure is nanoseconds on a processor; the
    ticks in stat are too coarse for 0.3 %."""
    total_ns = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError):
            total_ns += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return total_ns / 1e9


def seconds(command: Sequence[str | Path], env: dict[str, str] | None = None, ok: Sequence[int] = (0,)) -> float:
    """Wall time of one run, seconds. Fails for an exit code that is not in `ok`: a command that breaks is quick."""
    began = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=60)
    took = time.perf_counter() - began
    if done.returncode not in ok:
        raise RuntimeError(f"{command}: exit {done.returncode}\n{done.stdout!r}{done.stderr!r}")
    return took


@contextmanager
def workspace() -> Iterator[Path]:
    """A short path: a Unix socket's holds 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="gpu-tuned-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def eight(folder: Path) -> Nvsim:
    """Four RTX 5090 and four H200, in turn."""
    return Nvsim.create(folder / "host", *["rtx-5090-575", "h200"] * 4)


def policy(interval_s: float) -> str:
    return POLICY.format(interval=interval_s)


def looks(daemon: Daemon, count: int) -> None:
    """Wait for so many more passes, asking seldom: what is measured is not the asking."""
    goal = daemon.status()["host"]["sequence"] + count
    while daemon.status()["host"]["sequence"] < goal:
        if daemon.gone:
            raise RuntimeError(f"the daemon ended: {daemon.said}")
        time.sleep(0.5)


D = TypeVar("D", bound=Daemon)


@contextmanager
def service(host: Nvsim, text: str, make: type[D]) -> Iterator[D]:
    """The daemon as a service runs it: JOURNAL_STREAM names its standard error, so that the journal's adapter speaks.
    Where no journal listens, that adapter writes its words into the file instead."""
    folder = host.directory.parent / f"daemon-{host.directory.name}"
    folder.mkdir(exist_ok=True)
    (folder / "log").touch()
    log = os.stat(folder / "log")
    with make(host, text, folder=folder, JOURNAL_STREAM=f"{log.st_dev}:{log.st_ino}") as daemon:
        daemon.ready()
        yield daemon
        daemon.stop()
