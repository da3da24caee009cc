"""`nvsim watch`: looks at a GPU all the time, and holds nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.nvsim import NVSIM, Nvsim

MakeHost = Callable[..., Nvsim]


class Watch:
    """A running `nvsim watch`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.sums: dict[str, Any] = {}

    def next(self) -> dict[str, Any]:
        """The next value that was not seen before; waits for it."""
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


@contextmanager
def watching(host: Nvsim) -> Iterator[Watch]:
    command = [str(NVSIM), "--state", str(host.directory), "watch", "0"]
    watch = Watch(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    try:
        yield watch
    finally:
        watch.process.send_signal(signal.SIGTERM)
        text, _ = watch.process.communicate(timeout=10)
    assert watch.process.returncode == 0
    watch.sums = json.loads(text.splitlines()[-1])


def test_every_value_is_told_when_seen_first_and_counted(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575", "h200")
    with host.client("n.nvmlDeviceSetPersistenceMode(h, 1)"), watching(host) as watch:
        assert watch.next()["power_limit_w"] == 575
        host.set(0, power_limit_w=450)
        assert watch.next()["power_limit_w"] == 450
        host.set(1, power_limit_w=600)  # another GPU's
        host.set(0, power_limit_w=575)  # nothing new either
        host.set(0, power_limit_w=500)
        assert watch.next()["power_limit_w"] == 500
    assert [sight["power_limit_w"] for sight in watch.sums["seen"]] == [575, 450, 500]
    assert sum(sight["count"] for sight in watch.sums["seen"]) == watch.sums["looks"]
    times = [sight["first_ns"] for sight in watch.sums["seen"]]
    assert watch.sums["first_ns"] == times[0] < times[1] < times[2] <= watch.sums["last_ns"]
    # The grid: never more looks than one in 5 ms, and the one at its beginning.
    assert watch.sums["looks"] <= (watch.sums["last_ns"] - watch.sums["first_ns"]) / 5e6 + 2


def test_it_is_no_client_and_keeps_nothing_alive(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    with watching(host) as watch:
        before = watch.next()["initialisation"]
        assert host.clients() == []
        with host.client("n.nvmlDeviceSetGpuLockedClocks(h, 600, 2400)"):
            assert watch.next()["gpu_clock_mhz"]["max"] > 2000
        after = watch.next()  # the client was killed, and nobody else had the GPU open
        assert (after["initialisation"], after["gpu_clock_mhz"]) == (before + 1, None)
        host.run("unload")
        assert watch.next()["loaded"] is False


def test_gaps_are_told(nvsim: MakeHost) -> None:
    """A watcher that was held up says so; what its readers assert is worth no more than that."""
    host = nvsim("rtx-5090-575")
    with host.client("n.nvmlDeviceSetPersistenceMode(h, 1)"), watching(host) as watch:
        watch.next()
        watch.process.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        host.set(0, power_limit_w=450)
        watch.process.send_signal(signal.SIGCONT)
        watch.next()
    assert watch.sums["longest_gap_ms"] >= 300
    assert watch.sums["late_ms"] >= watch.sums["longest_gap_ms"]
