"""How cost grows: with 1, 8 and 64 GPUs, and with 1 to 200 clients. Linear in the one, flat in the other."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import at_rest, measure, of_command
from tests.benchmarks.in_time import Clocked
from tests.benchmarks.measure import BIN, Report, Row
from tests.daemon import Daemon
from tests.nvsim import Nvsim, wait_for

GPUS = (1, 8, 64)
CLIENTS = (1, 20, 200)
LINEAR = 1.25
"""A GPU among 64 may cost so many times what one among 8 does."""
FLAT = 1.5
"""A reply among 200 clients may take so many times the processor time of one alone."""
INTERVAL_S = 0.5


def hosts(folder: Path, count: int) -> Nvsim:
    """RTX 5090 and H200 in turn, as the other benchmarks have them."""
    boards = [("rtx-5090-575", "h200")[i % 2] for i in range(count)]
    return Nvsim.create(folder / f"host{count}", *boards)


def gpus(quick: bool) -> Report:
    """Everything that is asked of one daemon, for each number of GPUs."""
    report = Report()
    shares: dict[int, tuple[float, float]] = {}
    with measure.workspace() as folder:
        for count in GPUS:
            shares[count] = _one(folder, count, quick, report)
    for what, grown in (
        ("processor time", (shares[64][0] / 64) / (shares[8][0] / 8)),
        ("driver time", shares[64][1] / shares[8][1]),
    ):
        row = Row(f"{what} a GPU, among 64 against among 8", "times", [grown], budget=LINEAR, places=2)
        report.rows.append(row)
    report.notes.append(
        "Growth: the simulator moves all its GPUs inside the daemon's calls, at most every 10 ms, which is part of "
        "the processor time."
    )
    return report


def _one(folder: Path, count: int, quick: bool, report: Report) -> tuple[float, float]:
    """The rows of one number of GPUs; hands back its processor time, % of a core, and its driver time, ms a GPU."""
    many = f"{count} GPU{'s' if count > 1 else ''}"
    host = hosts(folder, count)
    started = []
    for _ in range(2 if quick else 5):
        started.append(_start_s(host))
    report.rows.append(Row(f"{many}: start to READY=1", "s", started, places=2))
    with measure.service(host, measure.policy(at_rest.DEFAULT_S), Daemon) as daemon:
        time.sleep(2 * at_rest.DEFAULT_S)
        share, _ = at_rest.shares(daemon.pid, None, 20 if quick else 40)
        status = [1000 * measure.seconds([BIN / "gpu-tunedctl", "status"], daemon.env, ok=(0, 1)) for _ in range(10)]
        used = measure.memory_mb(daemon.pid)
    report.rows.append(Row(f"{many}: processor time at the default interval", "% of a core", share, places=2))
    report.rows.append(Row(f"{many}: resident memory", "MB", [used["Rss"]]))
    report.rows.append(Row(f"{many}: `gpu-tunedctl status`, wall time", "ms", status, places=0))
    late_ms = sorted(1000 * s for s in _drifts(host, count, 8 if quick else 40))
    p99 = late_ms[int(0.99 * (len(late_ms) - 1))]
    what = f"{many}: drift to put right, beyond the interval of {INTERVAL_S:g} s: p50"
    report.rows.append(Row(what, "ms", [statistics.median(late_ms)], places=0))
    report.rows.append(Row("... p99", "ms", [p99], budget=50, places=0))
    host.run("costs", "on")
    with at_rest.TimedDaemon(host, measure.policy(0.5)) as timed:
        timed.ready()
        samples, _ = at_rest.per_pass(timed, gpus=count, rounds=1, passes=30)
    report.rows.append(Row(f"{many}: driver time a GPU and pass", "ms", samples, places=3))
    return statistics.median(share), statistics.median(samples)


def _start_s(host: Nvsim) -> float:
    with Clocked(host, measure.policy(at_rest.DEFAULT_S)) as daemon:
        while "READY=1" not in daemon.manager.lines():
            if daemon.gone:
                raise RuntimeError(f"the daemon ended: {daemon.said}")
            time.sleep(0.002)
        took_s = time.monotonic() - daemon.began_s
        daemon.stop()
    return took_s


def _drifts(host: Nvsim, count: int, trials: int) -> list[float]:
    """From a stranger's write on any GPU to the daemon's there, less the interval."""
    late = []
    with measure.service(host, measure.policy(INTERVAL_S), Daemon):
        for _ in range(trials):
            gpu = random.randrange(0, count, 2)  # an RTX 5090: its limit is required, so never contested
            time.sleep(random.uniform(0, INTERVAL_S))
            host.clear_writes()
            host.set(gpu, power_limit_w=random.randint(401, 570))
            wait_for(host.writes, timeout_s=30, what="put right")
            writes = host.writes(strangers=True)
            began = next(w["monotonic_ns"] for w in writes if w["stranger"])
            late.append((next(w["monotonic_ns"] for w in writes if not w["stranger"]) - began) / 1e9 - INTERVAL_S)
    return late


def clients(quick: bool) -> Report:
    """So many clients ask for the status of 8 GPUs at the same moment, again and again."""
    report = Report()
    a_reply_us: dict[int, float] = {}
    with measure.workspace() as folder:
        host = measure.eight(folder)
        with measure.service(host, measure.policy(at_rest.DEFAULT_S), Daemon) as daemon:
            before_mb = measure.memory_mb(daemon.pid)["Rss"]
            for count in CLIENTS:
                rounds = max(2, (200 if quick else 1000) // count)
                began_s = measure.cpu_s(daemon.pid)
                took_ms = sorted(1000 * s for _ in range(rounds) for s in of_command.ask_all(daemon, count))
                a_reply_us[count] = 1e6 * (measure.cpu_s(daemon.pid) - began_s) / len(took_ms)
                many = f"{count} client{'s' if count > 1 else ''} at once, 8 GPUs"
                report.rows.append(Row(f"{many}: p50", "ms", [statistics.median(took_ms)]))
                report.rows.append(Row("... p99", "ms", [took_ms[int(0.99 * (len(took_ms) - 1))]]))
                report.rows.append(Row("... processor time a reply", "us", [a_reply_us[count]], places=0))
            time.sleep(2 * at_rest.DEFAULT_S)
            kept_mb = measure.memory_mb(daemon.pid)["Rss"] - before_mb
            size = len(json.dumps(daemon.status()))
    what = "processor time a reply, among 200 clients against one alone"
    report.rows.append(Row(what, "times", [a_reply_us[200] / a_reply_us[1]], budget=FLAT, places=2))
    report.rows.append(Row("memory kept after all of them", "MB", [kept_mb], budget=3))
    report.notes.append(f"Growth: a status of 8 GPUs is {size / 1000:.0f} kB. Passes go on while clients ask.")
    return report


ALL: dict[str, Callable[[bool], Report]] = {"growth": gpus, "growth-clients": clients}
