"""The suite can fail: each mutant of mutants.toml is noticed. `tests/mutants/run` does the same by hand."""

from __future__ import annotations

import pytest

from tests.mutants.runner import all_tests, expect_noticed, expect_sound, installed_package, read_list

MUTANTS = {mutant.name: mutant for mutant in read_list()}


@pytest.mark.timeout(300)
def test_unbroken_every_named_test_passes() -> None:
    expect_sound(all_tests(list(MUTANTS.values())), installed_package())


@pytest.mark.parametrize("name", MUTANTS)
def test_is_noticed(name: str) -> None:
    expect_noticed(MUTANTS[name], installed_package())
