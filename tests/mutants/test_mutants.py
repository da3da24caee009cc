"""The suite can fail: each mutant of mutants.toml is noticed. `tests/mutants/run` does the same by hand."""

from __future__ import annotations

import pytest

from tests.mutants.runner import all_tests, expect_noticed, expect_sound, installed_package, read_list

MUTANTS = {mutant.name: mutant for mutant in read_list()}


def test_unbroken_the_named_tests_pass() -> None:
    """One from each folder; `tests/mutants/run` has them all. That a copy can be tested is what is to be seen: on the
    package itself the suite runs every one of them."""
    first = {test.rpartition("/")[0]: test for test in reversed(all_tests(list(MUTANTS.values())))}
    expect_sound(sorted(first.values()), installed_package())


@pytest.mark.parametrize("name", MUTANTS)
def test_is_noticed(name: str) -> None:
    expect_noticed(MUTANTS[name], installed_package())
