"""What is kept and told over a long time stays small; `python -m tests.chaos.week` lives seven whole days."""

from __future__ import annotations

from tests.chaos.week import STRANGERS_A_DAY, lived

MOST_SAVED = 1_000_000


def test_what_is_kept_of_a_long_time_is_bounded() -> None:
    figures = lived(days=3, interval_s=1200)  # windows of a day are full by the second quarter
    assert figures.saved_bytes < MOST_SAVED
    assert figures.memory_bytes[-1] < figures.memory_bytes[1] * 1.1, "memory grows with time"
    assert figures.objects[-1] < figures.objects[1] * 1.1, "objects stay behind"
    assert figures.lines < 60 * STRANGERS_A_DAY, figures.kinds
