"""Somebody who looks at the driver more than 100 times a second, and can prove it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.machine.machine import Machine

PID = "/run/watching"
# In front of everybody else, so that a busy machine takes no looks away; real-time where the kernel lets us.
WATCH = f"""
echo $$ >{PID}
if chrt --fifo 1 true 2>/dev/null; then exec chrt --fifo 1 nvsim watch 0; fi
exec nice -n -20 nvsim watch 0
"""


class Watched:
    """What was seen of GPU 0, and what the simulated driver itself wrote down; known when watching ended."""

    looks: dict[str, Any]
    writes: list[dict[str, Any]]
    writes_before: list[dict[str, Any]]

    def looked_often_enough(self) -> None:
        """100 looks a second over the whole time, every 10 ms for four fifths of it at least.

        No bound for the longest gap: a host may stop a virtual machine for as long as it likes (7 % of the time in
        gaps of 30 ms was seen, none at all beside four processes that spin). What happened in a gap is in the
        driver's own record.
        """
        found = self.looks
        span_ms = (found["last_ns"] - found["first_ns"]) / 1e6
        told = (
            f"{found['looks']} looks in {span_ms:.0f} ms: median gap {found['median_gap_ms']} ms, longest "
            f"{found['longest_gap_ms']} ms, {found['late_ms']} ms in gaps over 10 ms"
        )
        print(told)
        assert span_ms > 0, told
        assert found["looks"] >= span_ms / 10, told
        assert found["median_gap_ms"] <= 10, told
        assert found["late_ms"] <= span_ms / 5, told

    def never_fell_back(self) -> None:
        """The policy's limit and lock at every look, and nothing else written between two looks."""
        self.looked_often_enough()
        assert not self.looks["overflow"]
        seen = [
            {
                "loaded": sight["loaded"],
                "limit_w": sight["power_limit_w"],
                "max_mhz": (sight["gpu_clock_mhz"] or {}).get("max"),
            }
            for sight in self.looks["seen"]
        ]
        assert [sight for sight in seen if sight != {"loaded": True, "limit_w": 450, "max_mhz": 2400}] == []
        # The whole of it too: the lock's lower end, persistence mode, and that the driver never began anew.
        assert len(self.looks["seen"]) == 1, self.looks["seen"]
        # A lock cannot be read back, so a new daemon sets it again: to the same, and without letting go first.
        known = {_write(write) for write in self.writes_before}
        assert [write for write in self.writes if _write(write) not in known] == []
        assert [write for write in self.writes if write["function"].startswith("nvmlDeviceReset")] == []


def _write(write: dict[str, Any]) -> tuple[str, str, tuple[int, ...]]:
    return write["gpu"], write["function"], tuple(write["args"])


@contextmanager
def watching(machine: Machine) -> Iterator[Watched]:
    """Watches while the block runs."""
    process = machine.spawn(WATCH)
    assert process.stdout is not None
    watched = Watched()
    try:
        said = process.stdout.readline()
        assert said.startswith("{"), said
        yield watched
    finally:
        machine.sh(f"kill -TERM $(cat {PID})", check=False)
        rest, _ = process.communicate(timeout=30)
        machine.sh(f"rm -f {PID}")
    watched.looks = json.loads(rest.splitlines()[-1])
    writes = json.loads(machine.nvsim("writes --json"))
    first_ns, last_ns = watched.looks["first_ns"], watched.looks["last_ns"]
    watched.writes_before = [write for write in writes if write["monotonic_ns"] < first_ns]
    watched.writes = [write for write in writes if first_ns <= write["monotonic_ns"] <= last_ns]
