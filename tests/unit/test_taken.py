"""What the driver made of a write: the value itself, its own rounding of it, or something else."""

from __future__ import annotations

import pytest

from gpu_tuned.core.goal import application_clocks_taken, power_limit_taken
from gpu_tuned.core.model import ApplicationClocks, PowerLimit


@pytest.mark.parametrize(
    ("after_w", "taken"),
    [(450, True), (449, True), (441, True), (440.9, False), (450.5, True), (451, True), (451.1, False), (459, False)],
)
def test_rounding_goes_down_by_a_fiftieth_and_up_by_a_watt(after_w: float, taken: bool) -> None:
    """A cap that is exceeded is not in force, whoever set it between our write and our reading."""
    before, goal, after = (PowerLimit(round(1000 * w)) for w in (575, 450, after_w))
    assert power_limit_taken(goal, before, after) == (after if taken else None)


def test_a_limit_that_did_not_move_was_not_taken() -> None:
    assert power_limit_taken(PowerLimit(450_000), PowerLimit(449_000), PowerLimit(449_000)) is None


@pytest.mark.parametrize(
    ("after", "taken"),
    [
        (ApplicationClocks(2619, 1500), True),
        (ApplicationClocks(2619, 1485), True),
        (ApplicationClocks(2619, 1470), False),
        (ApplicationClocks(1593, 1500), False),
    ],
)
def test_both_clocks_of_a_pair_are_near(after: ApplicationClocks, taken: bool) -> None:
    """A driver that kept its memory clock did not take the pair."""
    before, goal = ApplicationClocks(1593, 1980), ApplicationClocks(2619, 1500)
    assert application_clocks_taken(goal, before, after) == (after if taken else None)
