"""Somebody sets the wall clock: what was told before is still told with its time."""

from __future__ import annotations

from datetime import datetime

import pytest

from gpu_tuned.core.errors import DriverAbsent
from tests.loop.stage import CAP, Stage


def ages_s(stage: Stage) -> dict[str, float]:
    """How long ago each thing of the document was, by the wall clock of now."""
    document = stage.mailbox.document
    told = {
        "seen": document["host"]["seen_at"],
        "started": document["host"]["started_at"],
        "loaded": document["policy"]["loaded_at"],
        "answered": document["driver"]["answered_at"],
        "held since": stage.row()["since"],
        "put back": stage.gpu_row()["put_back"]["last"]["at"],
    }
    now = stage.clock.now()
    return {what: now - datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() for what, at in told.items()}


@pytest.mark.parametrize("by_s", [-86400.0, 3600.0, 1.7e9])
@pytest.mark.parametrize("away", [False, True])
def test_times_move_with_a_clock_that_is_set(by_s: float, away: bool) -> None:
    stage = Stage(CAP).turn(2)
    stage.stranger(600)
    stage.turn(50)
    if away:
        stage.gpus.absent = DriverAbsent("not loaded")
        stage.turn(2)
    before = ages_s(stage)
    stage.clock.set_by_s = by_s
    stage.turn()
    for what, age_s in ages_s(stage).items():
        passed_s = 0 if what in ("seen", "answered") and not away else 2
        assert age_s == pytest.approx(before[what] + passed_s, abs=1.1), what
