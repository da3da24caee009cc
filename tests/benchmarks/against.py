"""This version against an earlier one, both measured in the same run, in turn or at the same time.

    .venv/bin/python -m tests.benchmarks.against ../earlier/.venv/bin
    .venv/bin/python -m tests.benchmarks.against ../earlier/.venv/bin at-rest     # or memory, or start

Its first argument is the folder of the other version's `gpu-tuned` and `gpu-tunedctl`: in a checkout of it, after
packaging/test was run there once. Exit: 0 printed, 2 usage, or not the simulated driver.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from tests.benchmarks import measure
from tests.benchmarks.__main__ import page
from tests.benchmarks.at_rest import DEFAULT_S, FAST_S, memory_in_use
from tests.benchmarks.measure import Peer, Report, Row
from tests.daemon import Daemon
from tests.marker import NotTheSimulator, require_simulator
from tests.nvsim import SIMULATOR, build

BOTH = ("this", "other")


class Part(Protocol):
    def __call__(self, kinds: dict[str, type[Daemon]], *, quick: bool) -> list[Row]: ...


def daemons(other: Path) -> dict[str, type[Daemon]]:
    class Other(Daemon):
        bin = other

    return dict(zip(BOTH, (Daemon, Other), strict=True))


def row(what: str, unit: str, found: dict[str, list[float]], places: int = 1) -> Row:
    return Row(what, unit, found["this"], peers=[Peer("the other version", found["other"])], places=places)


def memory(kinds: dict[str, type[Daemon]], *, quick: bool) -> list[Row]:
    passes = 50 if quick else 300
    found: dict[str, list[float]] = {which: [] for which in BOTH}
    for which in BOTH * 3:
        with measure.workspace() as folder:
            host = measure.eight(folder)
            with measure.service(host, measure.policy(FAST_S), kinds[which]) as daemon:
                found[which].append(memory_in_use(host, daemon, passes)["Rss"])
    return [row("resident memory as a service, 8 GPUs, in use", "MB", found)]


def at_rest(kinds: dict[str, type[Daemon]], *, quick: bool) -> list[Row]:
    """Both run all along: the same spans of time for their processor time, `status` in turn."""
    length_s, runs = (10.0, 3) if quick else (120.0, 300)
    shares: dict[str, list[float]] = {which: [] for which in BOTH}
    took: dict[str, list[float]] = {which: [] for which in BOTH}
    with ExitStack() as stack:
        running: dict[str, Daemon] = {}
        for which in BOTH:
            folder = stack.enter_context(measure.workspace())
            host = measure.eight(folder)
            running[which] = stack.enter_context(measure.service(host, measure.policy(DEFAULT_S), kinds[which]))
        time.sleep(2 * DEFAULT_S)
        for _ in range(5):
            began = time.monotonic()
            before = {which: measure.cpu_s(running[which].pid) for which in BOTH}
            time.sleep(length_s / 5)
            for which in BOTH:
                used = measure.cpu_s(running[which].pid) - before[which]
                shares[which].append(100 * used / (time.monotonic() - began))
        for run in range(runs + 1):
            for which in BOTH if run % 2 else BOTH[::-1]:
                command: list[str | Path] = [running[which].bin / "gpu-tunedctl", "status"]
                spent = measure.seconds(command, running[which].env, ok=(0, 1))
                took[which] += [1000 * spent] if run else []  # the first one reads from disk
    return [
        row("processor time at the default interval, 8 GPUs", "% of a core", shares, 3),
        row("`gpu-tunedctl status`, 8 GPUs", "ms", took),
    ]


def start(kinds: dict[str, type[Daemon]], *, quick: bool) -> list[Row]:
    runs = 3 if quick else 15
    took: dict[str, list[float]] = {which: [] for which in BOTH}
    for run in range(runs + 1):
        for which in BOTH if run % 2 else BOTH[::-1]:
            with measure.workspace() as folder:
                host = measure.eight(folder)
                with kinds[which](host, measure.policy(DEFAULT_S)) as daemon:
                    daemon.ready()
                    took[which] += [measure.cpu_s(daemon.pid)] if run else []
                    daemon.stop()
    return [row("processor time from start to READY=1, 8 GPUs", "s", took, 2)]


PARTS: dict[str, Part] = {"memory": memory, "at-rest": at_rest, "start": start}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.against", description=__doc__.splitlines()[0])
    parser.add_argument("bin", type=Path, help="the folder of the other version's commands")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer runs: figures to look at, not to quote")
    options = parser.parse_args()
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(PARTS)}")
    build()
    os.environ["LD_LIBRARY_PATH"] = f"{SIMULATOR / 'build'}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    try:
        require_simulator()
    except NotTheSimulator as refusal:
        print(refusal, file=sys.stderr)
        return 2
    kinds, quick = daemons(options.bin.resolve()), options.quick
    rows: list[Row] = []
    for part in options.parts or PARTS:
        rows += PARTS[part](kinds, quick=quick)
    print(page(Report(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
