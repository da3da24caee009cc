"""A well-known tuning guide's own blocks (environment_audit/guide), audited: each of its variables, keys, options and
syntax gets the verdict that the facts give it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from gpu_tuned.environment.audit import run
from gpu_tuned.environment.audit.ids import Kind
from gpu_tuned.environment.audit.model import Finding
from gpu_tuned.environment.catalogue import Catalogue
from gpu_tuned.environment.shipped import shipped

GUIDE = Path(__file__).parents[1] / "environment_audit/guide"
ROWS = [row for rows in shipped().prescribed.values() for row in rows if row.kind != "command"]
WRONG_VALUE = {Kind.ILLEGAL_VALUE, Kind.HARMFUL_VALUE, Kind.CONTRADICTION, Kind.PRESENCE_ONLY, Kind.OVERWRITTEN}


@pytest.fixture(scope="module")
def findings() -> tuple[Finding, ...]:
    return run.of_files(shipped(), [str(GUIDE)]).findings


def test_all_of_the_guide_is_here() -> None:
    assert len(ROWS) == 56
    texts = "".join(path.read_text() for path in GUIDE.iterdir())
    for row in ROWS:
        if row.kind == "env":
            assert row.name in texts


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "_"))
def test_the_verdict(row: object, findings: tuple[Finding, ...]) -> None:
    from gpu_tuned.environment.facts import Prescribed

    assert isinstance(row, Prescribed)
    assert _verdict(list(_about(row.kind, row.name, findings))) == row.verdict


def _about(kind: str, name: str, findings: Iterable[Finding]) -> Iterable[Finding]:
    """Findings that speak of one row: a variable as a whole, a key of its value, an option among its flags."""
    for one in findings:
        if kind == "env":
            # A comment behind ENV is the guide's own row, and so is what is wrong with a single key or flag.
            mine = one.name == name and not one.part and one.id != "dockerfile-comment"
        elif kind == "key":
            mine = one.name == name.split(":")[0] and one.part == name.split(":")[1]
        elif kind == "flag":
            mine = one.part == name.removeprefix("nvcc:")
        elif kind == "dockerfile":
            mine = one.id == "dockerfile-comment"
        else:
            mine = one.id in _COMPOSE.get(name.removeprefix("compose:").split(" ")[0], ())
        if mine:
            yield one


_COMPOSE = {
    "deploy.resources.reservations.devices": ("compose-device-request",),
    "devices.options": ("compose-device-options",),
    "tmpfs": ("tmpfs-noexec",),
}


def _verdict(findings: list[Finding]) -> str:
    kinds = {one.kind for one in findings}
    if any(one.id == "mps-daemon-only" or one.id == "removed-no-effect" for one in findings):
        return "real-wrong-value"
    if Kind.UNREAD in kinds:
        return "invented"
    if Kind.REMOVED in kinds:
        return "removed"
    if Kind.RENAMED in kinds:
        return "renamed"
    return "real-wrong-value" if kinds & (WRONG_VALUE | {Kind.SYNTAX}) else "real"


def test_the_guides_worst_lines_are_certain(findings: tuple[Finding, ...]) -> None:
    """Seven lines stop the build, and every invented CUDA_ name is known to be read by nobody."""
    stopped = [one for one in findings if one.id == "dockerfile-comment"]
    assert len(stopped) == 7
    assert all(one.certainty.value == "certain" for one in stopped)
    invented = {row.name for row in ROWS if row.verdict == "invented" and row.name.startswith("CUDA_")}
    told = {one.name for one in findings if one.kind is Kind.UNREAD and one.certainty.value == "certain"}
    assert invented <= told


def test_the_catalogue_has_the_rows(tmp_path: Path) -> None:
    """The rows come from the shipped data, not from this test."""
    assert isinstance(shipped(), Catalogue)
    assert json.dumps(sorted({row.verdict for row in ROWS}))
