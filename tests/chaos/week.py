"""A long time on a clock turned by hand: eight GPUs, some slowed down, strangers, restarts. What is kept stays small.

python -m tests.chaos.week --days 7 --interval 2      prints the figures
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gpu_tuned.core.events import Event
from tests.fakes import FakeStore, Heard
from tests.loop.stage import Stage, board, policy

GPUS = 8
DAY_S, HOUR_S = 86_400, 3_600
STRANGERS_A_DAY = 24
POWER_CAP, THERMAL = 0x4, 0x20


class Latest(FakeStore):
    """Keeps the last save alone."""

    def save(self, state: Mapping[str, Any]) -> None:
        super().save(state)
        del self.saves[:-1]


class Counted(Heard):
    """Counts events, and keeps none."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        self.kinds[event.kind.word] += 1


@dataclass(frozen=True)
class Figures:
    """`saved_bytes`: this boot's state as JSON, at its largest; `document_bytes`: the same of the status document;
    `memory_bytes` and `objects`: of the process at the end of each quarter; `lines`: what the journal got."""

    days: float
    turns: int
    saved_bytes: int
    document_bytes: int
    memory_bytes: list[int]
    objects: list[int]
    lines: int
    kinds: dict[str, int]
    seconds: float


def lived(days: float, interval_s: float, seed: int = 1) -> Figures:
    """Live so long, with a look every `interval_s`."""
    text = policy(
        "persistence_mode = true",
        "power_limit_w = 450",
        "gpu_clock_mhz = { max = 1500 }",
        'required = ["power_limit_w"]',
    ).replace("poll_interval_s = 2", f"poll_interval_s = {interval_s:g}")
    stage = Stage(text, *(board(index) for index in range(GPUS)))
    stage.this_boot, stage.lasting, stage.heard = Latest(), Latest(), Counted()
    stage.start()
    chance, gpus = random.Random(seed), list(stage.gpus.gpus.values())
    turns, hour_turns = round(days * DAY_S / interval_s), max(1, round(HOUR_S / interval_s))
    saved = document = 0
    memory, objects = [], []
    began_s = time.monotonic()
    tracemalloc.start()
    for turn in range(1, turns + 1):
        for gpu in gpus[: GPUS // 2]:  # half of them work, now and then slowed by the cap, one by heat
            reasons = chance.choice((0, POWER_CAP, POWER_CAP)) if gpu is not gpus[0] else chance.choice((0, THERMAL))
            gpu.telemetry = gpu.telemetry._replace(reasons=reasons, utilization_percent=90, pstate=0)
            grown = {
                74: 1e9 * interval_s * bool(reasons & POWER_CAP),
                269: 1e9 * interval_s * bool(reasons & THERMAL),
            }
            gpu.counters_ns = {key: ns + round(grown.get(key, 0)) for key, ns in gpu.counters_ns.items()}
        if chance.random() < STRANGERS_A_DAY * interval_s / DAY_S:
            stage.stranger(chance.randint(200, 700), chance.randrange(GPUS))
        stage.turn(seconds=interval_s)
        if turn % hour_turns == 0:
            stage.gpus.looks.clear()
            for gpu in gpus:
                gpu.writes.clear()
            saved = max(saved, *(len(json.dumps(one)) for one in stage.this_boot.saves))
            document = max(
                document, len(json.dumps({k: v for k, v in stage.mailbox.document.items() if k != "plan"}))
            )
        if turn % (8 * hour_turns) == 0 and chance.random() < 0.5:
            stage.start()  # an upgrade
        if turn % max(1, turns // 4) == 0:
            gc.collect()
            memory.append(tracemalloc.get_traced_memory()[0])
            objects.append(len(gc.get_objects()))
    tracemalloc.stop()
    kinds = dict(stage.heard.kinds)
    took_s = round(time.monotonic() - began_s, 1)
    return Figures(days, turns, saved, document, memory, objects, sum(kinds.values()), kinds, took_s)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--interval", type=float, default=2, metavar="SECONDS")
    options = parser.parse_args()
    print(json.dumps(asdict(lived(options.days, options.interval)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
