"""Budgets that a change can break unseen, with factors generous enough for a busy machine. The figures themselves
come from `python -m tests.benchmarks`; the start of `gpu-tunedctl status` has a test of its own beside this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import at_rest, measure, of_audit
from tests.benchmarks.measure import Peer, Row
from tests.daemon import Daemon
from tests.nvsim import Nvsim

BUDGET_MB = 32
DRIVER_MS = 2 * 0.5
"""Twice the budget: a getter that takes part in every pass instead of taking turns costs more than that."""
# Each costs memory or start-up time that the service does without; the reason is what one imports instead.
NOT_IN_THE_SERVICE = {
    "hashlib": "loads OpenSSL, 3.6 MB; zlib.crc32 tells texts apart",
    "_hashlib": "is OpenSSL",
    "structlog": "is for terminals; a service writes to the journal",
    "asyncio": "nothing here needs it",
    "ssl": "nothing here needs it",
    "email": "comes with http and importlib.metadata",
    "importlib.metadata": "takes longer than the whole of `status`",
}


def test_the_service_stays_below_its_memory_budget(tmp_path: Path) -> None:
    host = measure.eight(tmp_path)
    with measure.service(host, measure.policy(at_rest.FAST_S), Daemon) as daemon:
        used = at_rest.memory_in_use(host, daemon, passes=20)
    assert used["Rss"] <= BUDGET_MB


def test_the_driver_is_not_asked_for_dear_things_in_every_pass(tmp_path: Path) -> None:
    host = Nvsim.create(tmp_path / "host", "h200")
    host.run("costs", "on")
    with measure.service(host, measure.policy(at_rest.FAST_S), at_rest.TimedDaemon) as daemon:
        samples, calls = at_rest.per_pass(daemon, gpus=1, rounds=1, passes=30)
    assert 0.2 < samples[0] <= DRIVER_MS, calls  # less than the cheap getters take: the stopwatch is broken


def test_what_the_service_does_without(tmp_path: Path) -> None:
    host = Nvsim.create(tmp_path / "host", "rtx-5090-575")
    with measure.service(host, measure.policy(at_rest.FAST_S), at_rest.TimedDaemon) as daemon:
        daemon.ctl("status")
        loaded = set(daemon.read()[1]["modules"])
    assert "pynvml" in loaded and "gpu_tuned.loop.run" in loaded
    assert {name: why for name, why in NOT_IN_THE_SERVICE.items() if name in loaded} == {}


@pytest.mark.parametrize(
    ("samples", "worst", "verdict"),
    [([1.0, 2.0, 9.0], False, "met"), ([1.0, 2.0, 9.0], True, "missed"), ([3.5], False, "missed")],
)
def test_a_row_is_judged_by_its_median_or_by_its_worst(samples: list[float], worst: bool, verdict: str) -> None:
    row = Row("x", "ms", samples, budget=3, worst=worst, peers=[Peer("other", [5.0])])
    assert row.verdict == verdict
    assert row.cells[3] == "other 5.0"


@pytest.mark.parametrize("name", of_audit.KINDS)
def test_an_audit_of_a_large_file_stays_linear(tmp_path: Path, name: str) -> None:
    """A third of the budget of 100,000 lines a second, for a busy machine; the square of anything shows at once."""
    assert of_audit.lines_a_second(tmp_path, name, 20_000) > 33_000
