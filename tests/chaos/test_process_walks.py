"""Twenty random walks with real processes; `python -m tests.chaos.process_walker --walks 1000` walks on, and repeats
one by its seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.process_walker import walk_one

STEPS = 6


@pytest.mark.parametrize("seed", range(1, 21))
def test_nothing_untrue_is_said_by_a_daemon_on_a_random_walk(tmp_path: Path, seed: int) -> None:
    assert walk_one(tmp_path, seed, STEPS) > STEPS
