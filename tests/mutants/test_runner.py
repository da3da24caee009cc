"""The runner can tell a mutant that is noticed from one that survives, and a list that is out of date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutants.runner import Edit, Mutant, OutOfDate, Survived, expect_noticed, expect_sound

EDIT = Edit(file="arithmetic.py", find="return 2 * x", replace="return 3 * x")
NOTICED = Mutant(
    name="doubles-wrongly", breaks="twice(x) is not 2 * x", edits=(EDIT,), tests=("test_it.py::test_twice",)
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in small: a package, and a test of half of it."""
    package = tmp_path / "package" / "small"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "arithmetic.py").write_text("def twice(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n")
    (tmp_path / "test_it.py").write_text(
        "from small.arithmetic import twice\n\n\ndef test_twice():\n    assert twice(2) == 4\n"
    )
    return tmp_path


def outcome(mutant: Mutant, root: Path) -> str:
    return expect_noticed(mutant, root / "package" / "small", root)


def test_a_mutant_that_a_test_notices(root: Path) -> None:
    expect_sound(NOTICED.tests, root / "package" / "small", root)
    assert "1 failed" in outcome(NOTICED, root)


def test_a_mutant_that_no_test_notices_survives(root: Path) -> None:
    with pytest.raises(Survived, match="no test noticed"):
        outcome(replace(NOTICED, edits=(Edit("arithmetic.py", "x / 2", "x / 3"),)), root)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (replace(EDIT, find="return 5 * x"), "has 0 times"),
        (replace(EDIT, find="return"), "has 2 times"),
        (replace(EDIT, file="gone.py"), "there is no gone.py"),
        (replace(EDIT, replace="return ("), "does not compile"),
        (replace(EDIT, replace="return 2 * x\n\n\nraise ImportError"), "did not run"),
    ],
)
def test_an_edit_that_does_not_fit_is_out_of_date(root: Path, edit: Edit, why: str) -> None:
    with pytest.raises(OutOfDate, match=f"^doubles-wrongly: .*{why}"):
        outcome(replace(NOTICED, edits=(edit,)), root)


def test_a_test_that_is_gone_is_out_of_date(root: Path) -> None:
    with pytest.raises(OutOfDate, match="did not run"):
        outcome(replace(NOTICED, tests=("test_it.py::test_gone",)), root)


def test_tests_that_fail_anyway_prove_nothing(root: Path) -> None:
    (root / "test_it.py").write_text("def test_twice():\n    assert False\n")
    with pytest.raises(OutOfDate, match="without any mutant"):
        expect_sound(NOTICED.tests, root / "package" / "small", root)
