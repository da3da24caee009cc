"""What is at rest is passed over by a look: on walks, each time that is done, the look would have changed nothing."""

from __future__ import annotations

import pytest

from gpu_tuned.core import drift
from gpu_tuned.core.model import Reading
from gpu_tuned.core.track import Moment, Step, Track
from tests.chaos.walker import walk_one


def test_what_is_passed_over_would_not_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    passed_over = 0

    def checked(track: Track, reading: Reading | None, rests: object = drift.rests) -> bool:
        nonlocal passed_over
        found = bool(rests(track, reading))  # type: ignore[operator]
        if found:
            passed_over += 1
            assert drift.look(track, reading, None, 2.0, Moment(track.since + 1, 1e9)) == Step(track)
        return found

    monkeypatch.setattr(drift, "rests", checked)
    for seed in range(60):
        walk_one(seed, 25)
    assert passed_over > 1000
