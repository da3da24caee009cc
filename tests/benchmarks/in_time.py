"""How long until: readiness after a start, a write after drift, a look after an event, a write after a resume."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from tests.benchmarks import measure, peers
from tests.benchmarks.measure import Peer, Report, Row
from tests.daemon import Daemon
from tests.nvsim import Nvsim, wait_for

SETTLE_S = 2.5
"""What the daemon waits after a resume before it reads; by design, so it is taken off."""


def start(runs: int) -> Report:
    """From exec to READY=1, one GPU under a policy with a profile; every start finds the settings undone."""
    report = Report()
    took, worked, bare = [], [], []
    with measure.workspace() as folder:
        for run in range(runs + 1):
            host = Nvsim.create(folder / f"host{run}", "rtx-5090-575")
            bare.append(measure.seconds([sys.executable, "-c", "pass"]))
            wall_s, cpu_s = _ready_s(host)
            took.append(wall_s)
            worked.append(cpu_s)
    beside = []
    with measure.workspace() as folder:
        for run in range(3 if peers.why_no_tuned() is None else 0):
            (folder / str(run)).mkdir()
            with peers.tuned(folder / str(run)) as tuned:
                beside.append(tuned.ready_s if tuned else 0.0)
    other = [Peer("tuned without a profile", beside)] if beside else []
    other.append(Peer("a bare python3 -c pass", bare[1:]))
    report.rows.append(Row("start to READY=1, one GPU", "s", took[1:], budget=0.6, peers=other, places=2))
    report.rows.append(Row("... processor time until then", "s", worked[1:], places=2))
    return report


def _ready_s(host: Nvsim) -> tuple[float, float]:
    """From just before exec until the datagram was there, to 2 ms; and the processor time until then."""
    with Clocked(host, measure.policy(2)) as daemon:
        while "READY=1" not in daemon.manager.lines():
            if daemon.gone:
                raise RuntimeError(f"the daemon ended: {daemon.said}")
            time.sleep(0.002)
        took_s, cpu_s = time.monotonic() - daemon.began_s, measure.cpu_s(daemon.pid)
        daemon.stop()
    return took_s, cpu_s


class Clocked(Daemon):
    """Knows when it was started."""

    def start(self) -> None:
        self.began_s = time.monotonic()
        super().start()


def drift(interval_s: float, trials: int) -> Report:
    """From a stranger's write to the daemon's, both as the simulated driver saw them, less the interval."""
    with measure.workspace() as folder:
        host = Nvsim.create(folder / "host", "rtx-5090-575")
        with measure.service(host, measure.policy(interval_s), Daemon):
            late = [_put_right_s(host, interval_s) - interval_s for _ in range(trials)]
    what = f"drift to put right, beyond the interval of {interval_s:g} s"
    return Report([Row(what, "ms", [1000 * s for s in late], budget=50, worst=True, places=0)])


def _put_right_s(host: Nvsim, interval_s: float) -> float:
    time.sleep(random.uniform(0, interval_s))  # any moment between two looks
    host.clear_writes()
    host.set(0, power_limit_w=random.randint(401, 570))
    wait_for(lambda: any(not w["stranger"] for w in host.writes(strangers=True)), timeout_s=30, what="put right")
    writes = host.writes(strangers=True)
    began = next(w["monotonic_ns"] for w in writes if w["stranger"])
    return (next(w["monotonic_ns"] for w in writes if not w["stranger"]) - began) / 1e9


def event(trials: int) -> Report:
    """From an Xid to the write of the look that it caused: what a stranger did just before is found by it."""
    took = []
    with measure.workspace() as folder:
        host = Nvsim.create(folder / "host", "rtx-5090-575")
        with measure.service(host, measure.policy(600), Daemon):
            for _ in range(trials):
                host.clear_writes()
                host.set(0, power_limit_w=450)
                began_ns = time.monotonic_ns()
                host.xid(0, 31)
                wait_for(lambda: host.writes(), what="put right after the event")
                took.append((host.writes()[0]["monotonic_ns"] - began_ns) / 1e6)
                time.sleep(0.1)  # the listener's own pause between two wakes
    row = Row("an event (Xid) to the write of the look after it", "ms", took, budget=100, worst=True, places=0)
    return Report([row], ["The Xid's figure includes the start of the command that raised it."])


def resume(trials: int) -> Report:
    """From waking up to the write that puts right what the sleep undid, less the settle time."""
    rows = []
    for interval_s in (0.2, 2.0):
        with measure.workspace() as folder:
            host = Nvsim.create(folder / "host", "rtx-5090-575")
            with measure.service(host, measure.policy(interval_s), Daemon):
                took = [1000 * (_after_waking_s(host) - SETTLE_S) for _ in range(trials)]
        what = f"resume to the first write, beyond the settle time of {SETTLE_S:g} s, interval {interval_s:g} s"
        rows.append(Row(what, "ms", took, budget=1000 * interval_s + 100, worst=True, places=0))
    return Report(rows)


def _after_waking_s(host: Nvsim) -> float:
    host.clear_writes()
    host.suspend(30)
    woke_ns = time.monotonic_ns()
    wait_for(host.writes, timeout_s=20, what="put right after waking")
    return (host.writes()[0]["monotonic_ns"] - woke_ns) / 1e9


ALL: dict[str, Callable[[bool], Report]] = {
    "start": lambda quick: start(5 if quick else 20),
    "drift": lambda quick: drift(2.0, 5 if quick else 30),
    "drift-fast": lambda quick: drift(0.2, 10 if quick else 30),
    "event": lambda quick: event(5 if quick else 30),
    "resume": lambda quick: resume(1 if quick else 4),
}
