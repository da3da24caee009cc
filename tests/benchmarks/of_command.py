"""gpu-tunedctl: how long `status` takes, alone and among two hundred others."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Callable

from tests.benchmarks import measure, peers
from tests.benchmarks.measure import BIN, Peer, Report, Row
from tests.daemon import Daemon
from tests.nvsim import Nvsim

STATUS = b'{"method":"io.gputuned.Control.Status"}\0'


def status_ratio(runs: int) -> Report:
    """`gpu-tunedctl status` against a Python that does nothing, in turn, so that both meet the same machine."""
    report = Report()
    with measure.workspace() as folder:
        host = Nvsim.create(folder / "host", "rtx-5090-575")
        with measure.service(host, measure.policy(2), Daemon) as daemon, peers.tuned(folder) as tuned:
            bare, mine, theirs = _in_turn(daemon, tuned, runs)
    ratios = [m / b for m, b in zip(mine, bare, strict=True)]
    beside = []
    if tuned:
        beside.append(Peer("tuned-adm active", [t / b for t, b in zip(theirs, bare, strict=True)]))
    what = "`gpu-tunedctl status` against a bare `python3 -c pass`"
    report.rows.append(Row(what, "times", ratios, budget=3, aim=2, peers=beside, places=2))
    beside = [Peer("bare", [1000 * s for s in bare])]
    beside += [Peer("tuned-adm active", [1000 * s for s in theirs])] if theirs else []
    report.rows.append(Row("... its wall time", "ms", [1000 * s for s in mine], peers=beside, places=0))
    return report


def _in_turn(daemon: Daemon, tuned: peers.Tuned | None, runs: int) -> tuple[list[float], list[float], list[float]]:
    bare: list[float] = []
    mine: list[float] = []
    theirs: list[float] = []
    for run in range(runs + 1):
        b = measure.seconds([sys.executable, "-c", "pass"])
        m = measure.seconds([BIN / "gpu-tunedctl", "status"], daemon.env, ok=(0, 1))
        t = measure.seconds(["tuned-adm", "active"], tuned.env, ok=(0, 1)) if tuned else None
        if run:  # the first one reads from disk
            bare.append(b)
            mine.append(m)
            if t is not None:
                theirs.append(t)
    return bare, mine, theirs


def clients(count: int, rounds: int) -> Report:
    """So many clients ask for the status at the same moment; each one's time until its whole reply was there."""
    took: list[float] = []
    with measure.workspace() as folder:
        host = measure.eight(folder)
        with measure.service(host, measure.policy(2), Daemon) as daemon:
            for _ in range(rounds):
                took += ask_all(daemon, count)
    took_ms = sorted(1000 * s for s in took)
    p99 = took_ms[int(0.99 * (len(took_ms) - 1))]
    rows = [
        Row(f"{count} clients ask for the status at once, 8 GPUs: p50", "ms", [statistics.median(took_ms)]),
        Row("... p99", "ms", [p99], budget=100),
    ]
    return Report(rows, [f"{count} at once: {len(took_ms)} replies, all read by one process, which takes its share."])


def ask_all(daemon: Daemon, count: int) -> list[float]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(count)]
        for one in sockets:
            one.connect(str(daemon.socket))
        wait = stack.enter_context(selectors.DefaultSelector())
        began: dict[socket.socket, float] = {}
        done: dict[socket.socket, float] = {}
        parts = dict.fromkeys(sockets, b"")
        for one in sockets:
            wait.register(one, selectors.EVENT_READ)
            began[one] = time.perf_counter()
            one.sendall(STATUS)
        while len(done) < count:
            for key, _ in wait.select(10):
                assert isinstance(key.fileobj, socket.socket)
                one = key.fileobj
                parts[one] += one.recv(1 << 20)
                if parts[one].endswith(b"\0"):
                    done[one] = time.perf_counter() - began[one]
                    wait.unregister(one)
        assert all(len(json.loads(part[:-1])["parameters"]["gpus"]) == 8 for part in parts.values())
    return list(done.values())


ALL: dict[str, Callable[[bool], Report]] = {
    "status": lambda quick: status_ratio(10 if quick else 30),
    "clients": lambda quick: clients(200, 1 if quick else 5),
}
