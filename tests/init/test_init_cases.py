"""`gpu-tunedctl init` on hosts as people set them up: what it takes over, what it leaves, what it changes, the undo."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.adapters import policy_file
from gpu_tuned.main import first_policy, offline_plan
from tests.conftest import MakeHost
from tests.init.cases import Case, below, changed, every, picture, problems, same
from tests.nvsim import Nvsim

POLICY = "/etc/gpu-tuned/gpu-tuned.toml"
ALL = every()


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def host(case: Case, nvsim: MakeHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nvsim]:
    """The case's boards with somebody attached, so that settings last, and its files below the host's root."""
    made = nvsim(*case.boards)
    for name, value in {**made.simulator_env, "NVSIM_CAP_SYS_ADMIN": "1"}.items():
        monkeypatch.setenv(name, value)
    with made.client():
        for verb in case.before:
            made.run(*verb.split())
        case.lay_out(made.root)
        yield made


def held(document: dict[str, Any], host: Nvsim) -> dict[tuple[int, str], object]:
    """What the policy would hold, as `plan` sees it: everything whose value it would write or has found in place."""
    policy = policy_file.load_text(document["policy"], Path(POLICY))
    return {
        (gpu["index"], wish.setting.value): wish.target
        for gpu in document["gpus"]
        for rule in policy.rules
        for wish in rule.wishes
        if rule.match.pattern in (gpu["name"], gpu["uuid"], gpu["pci"], "*") and not wish.watched
    }


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name, indirect=True)
def test_what_it_takes_over(case: Case, host: Nvsim) -> None:
    before = picture(host.root)
    document = first_policy(str(host.root), False, False)
    assert list(problems(case, document)) == []
    assert changed(before, picture(host.root)) == set()
    assert host.writes() == []
    keys = {setting for _, setting in held(document, host)}
    assert keys.isdisjoint(case.expected.get("not_held", ()))


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name, indirect=True)
def test_what_it_writes_and_puts_back(case: Case, host: Nvsim) -> None:
    before = picture(host.root)
    document = first_policy(str(host.root), True, False)
    assert list(problems(case, document)) == []
    after = picture(host.root)
    gone = changed(before, after)
    wanted, may = set(case.expected.get("changed", ())), set(case.expected.get("may_change", ()))
    assert wanted <= gone <= wanted | may | {folder for path in wanted | may for folder in _folders(path)}
    assert all(path in after for path in case.expected.get("stays", ()))
    assert {row["path"] for row in document["files"] if row["action"] != "leave"} >= {
        p for p in gone if p in case.files
    }
    plan = offline_plan(str(below(host.root, POLICY)))
    _changes_only_what_was_taken(case, document, plan)
    subprocess.run(document["written"]["undo"], shell=True, check=True, capture_output=True, timeout=20)
    assert changed(before, picture(host.root)) == set()
    assert not below(host.root, POLICY).exists()


def _folders(path: str) -> list[str]:
    return [str(folder) for folder in Path(path).parents]


def _changes_only_what_was_taken(case: Case, document: dict[str, Any], plan: dict[str, Any]) -> None:
    taken = {(row["gpu"], row["setting"]): row["value"] for row in document["taken"]}
    for change in plan["changes"]:
        if change["setting"] == "persistence_mode" and change["wanted"] is True:
            continue
        key = change["gpu"], change["setting"]
        assert key in taken, change
        assert same(change["setting"], change["wanted"], taken[key]), change
