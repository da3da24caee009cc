"""Random walks through everything that can go wrong: nothing untrue is ever said, and nothing forbidden written.

A thousand here, and two hundred that hold every setting; `python -m tests.chaos.walker --walks 100000 [--settings]`
walks on, and repeats one by its seed.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.chaos.actions import ACTIONS
from tests.chaos.walk import Walk
from tests.chaos.walker import walk_one, walk_settings

WALKS, AT_A_TIME = 1000, 125


@pytest.mark.parametrize("first", range(1, WALKS + 1, AT_A_TIME))
def test_nothing_untrue_is_said_on_a_thousand_walks(first: int) -> None:
    for seed in range(first, first + AT_A_TIME):
        walk_one(seed)


@pytest.mark.parametrize("first", [1, 101])
def test_nothing_untrue_is_said_of_any_setting(first: int) -> None:
    for seed in range(first, first + 100):
        walk_settings(seed)


class AnyOrder(RuleBasedStateMachine):
    """The same walks, chosen by Hypothesis, which shortens one that fails."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.walk = Walk(seed)

    @rule(number=st.integers(0, len(ACTIONS) - 1))
    def happens(self, number: int) -> None:
        self.walk.step(ACTIONS[number])

    def teardown(self) -> None:
        if hasattr(self, "walk"):
            self.walk.calm()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
