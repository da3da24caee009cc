"""What the daemon takes while nothing happens: memory, processor time, time in the driver."""

from __future__ import annotations

import json
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks import measure, peers
from tests.benchmarks.measure import Peer, Report, Row
from tests.daemon import Daemon
from tests.nvsim import Nvsim, wait_for

TIMED = Path(__file__).with_name("timed.py")
FAST_S = 0.1
DEFAULT_S = 2.0


@contextmanager
def watching(daemon: Daemon) -> Iterator[None]:
    """A client of Watch, as `gpu-tunedctl watch` is one; what it gets is left unread in its socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
        client.sendall(b'{"method":"io.gputuned.Control.Watch","more":true}\0')
        yield


def memory(passes: int) -> Report:
    """Resident memory after so many passes over eight GPUs, with every part of the daemon in use."""
    report = Report()
    with measure.workspace() as folder, peers.tuned(folder) as tuned:
        host = measure.eight(folder)
        beside = [Peer(name, [value]) for name, value in peers.nvml_clients_mb(host).items()]
        if tuned is not None:
            beside.insert(0, Peer("tuned", [measure.memory_mb(tuned.pid)["Rss"]]))
        else:
            report.notes.append(f"tuned was not measured: {peers.why_no_tuned()}.")
        with measure.service(host, measure.policy(FAST_S), Daemon) as daemon:
            used = memory_in_use(host, daemon, passes)
        minutes = passes * DEFAULT_S / 60
        what = f"resident memory as a service, 8 GPUs, after {minutes:.0f} minutes' worth of passes"
        report.rows.append(Row(what, "MB", [used["Rss"]], budget=32, aim=28, peers=beside))
        report.rows.append(Row("... of these its own (USS)", "MB", [used["Uss"]]))
        report.rows.append(Row("... proportional (PSS)", "MB", [used["Pss"]]))
        with Daemon(host, measure.policy(FAST_S)) as daemon:
            used = memory_in_use(host, daemon.ready(), min(passes, 100))
        report.rows.append(Row("resident memory on a terminal (structlog)", "MB", [used["Rss"]]))
    return report


def memory_in_use(host: Nvsim, daemon: Daemon, passes: int) -> dict[str, float]:
    """The socket answers, a client watches, drift is put right, a reload comes; then the passes; then the figures."""
    with watching(daemon):
        for limit_w in (450, 460, 470):
            host.set(0, power_limit_w=limit_w)
            daemon.until(lambda: host.gpu()["power_limit_w"] == 575, "drift put right")
        daemon.signal(signal.SIGHUP)
        daemon.ctl("plan")
        for _ in range(5):
            daemon.ctl("status")
            measure.looks(daemon, passes // 5)
        return measure.memory_mb(daemon.pid)


def cpu(length_s: float) -> Report:
    """Processor time of eight GPUs at the default interval, per cent of one core."""
    report = Report()
    with measure.workspace() as folder, peers.tuned(folder) as tuned:
        host = measure.eight(folder)
        with measure.service(host, measure.policy(DEFAULT_S), Daemon) as daemon:
            time.sleep(2 * DEFAULT_S)  # start-up's own work is not what is asked for
            share = shares(daemon.pid, tuned.pid if tuned else None, length_s)
    beside = [Peer("tuned without a profile", share[1])] if tuned else []
    what = "processor time at the default interval, 8 GPUs"
    report.rows.append(Row(what, "% of a core", share[0], budget=0.3, peers=beside, places=2))
    return report


def shares(pid: int, other: int | None, length_s: float) -> tuple[list[float], list[float]]:
    """Five spans of time after each other, both processes over the same spans."""
    mine, theirs = [], []
    for _ in range(5):
        began, before = time.monotonic(), (measure.cpu_s(pid), measure.cpu_s(other) if other else 0.0)
        time.sleep(length_s / 5)
        took = time.monotonic() - began
        mine.append(100 * (measure.cpu_s(pid) - before[0]) / took)
        if other:
            theirs.append(100 * (measure.cpu_s(other) - before[1]) / took)
    return mine, theirs


class TimedDaemon(Daemon):
    """The daemon with a stopwatch around the driver's calls."""

    def start(self) -> None:
        self.totals = self.folder / "totals"
        command = [sys.executable, str(TIMED), str(self.totals), "--config", str(self.config)]
        command += ["--state-dir", str(self.state_dir), "--socket", str(self.socket)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)

    def read(self) -> tuple[int, dict[str, Any]]:
        """Passes so far, and what `timed.py` tells."""
        self.totals.unlink(missing_ok=True)
        passes = self.status()["host"]["sequence"]
        self.signal(signal.SIGRTMIN)
        wait_for(self.totals.exists, what="the stopwatch")
        return passes, json.loads(self.totals.read_text())


def driver(rounds: int) -> Report:
    """Time inside the driver's library for one GPU and pass, every call as slow as it was on an H200."""
    report = Report()
    for board, label in (("rtx-5090-575", "RTX 5090"), ("h200", "H200 with application clocks")):
        with measure.workspace() as folder:
            host = Nvsim.create(folder / "host", *[board] * 4)
            host.run("costs", "on")
            with TimedDaemon(host, measure.policy(FAST_S)) as daemon:
                daemon.ready()
                samples, calls = per_pass(daemon, gpus=4, rounds=rounds)
        what = f"driver time a GPU and pass, {label}"
        report.rows.append(Row(what, "ms", samples, budget=0.5, places=3))
        dear = sorted(calls.items(), key=lambda item: -item[1])[:6]
        report.notes.append(
            f"{what}: " + ", ".join(f"{name[4:]} {us:.0f} us" for name, us in dear) + ", the rest less."
        )
    return report


def per_pass(daemon: TimedDaemon, gpus: int, rounds: int, passes: int = 60) -> tuple[list[float], dict[str, float]]:
    """Milliseconds a GPU and pass over each round of so many passes (30 hold every rotation at least once), and
    call -> microseconds over all of them. Every call counts as its median: one that another program interrupted
    says nothing about the driver."""
    before = daemon.read()[0]
    samples: list[float] = []
    shares: dict[str, float] = {}
    for _ in range(rounds):
        measure.looks(daemon, passes)
        now, told = daemon.read()
        looks = (now - before) * gpus
        before = now
        us = {name: 1e6 * statistics.median(every) * len(every) / looks for name, every in told["calls"].items()}
        samples.append(sum(us.values()) / 1000)
        shares = {name: shares.get(name, 0.0) + share / rounds for name, share in us.items()}
    return samples, shares


ALL: dict[str, Callable[[bool], Report]] = {
    "memory": lambda quick: memory(100 if quick else 900),
    "cpu": lambda quick: cpu(20 if quick else 60),
    "driver": lambda quick: driver(1 if quick else 5),
}
