"""`gpu-tunedctl init` on hosts as people set them up: what it takes over, leaves and changes, and its undo."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.adapters import policy_file
from gpu_tuned.adapters.nvml import Nvml
from gpu_tuned.ctl.render import first_policy as rendered
from gpu_tuned.main import first_policy, offline_plan, write_first_policy
from tests.conftest import MakeHost
from tests.daemon import Daemon
from tests.init.case import Case, below, changed, every, picture, problems, same
from tests.nvsim import Nvsim

POLICY = "/etc/gpu-tuned/gpu-tuned.toml"
ALL = every()


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def host(case: Case, nvsim: MakeHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nvsim]:
    """The case's boards, with us attached so that settings last, and its files below the host's root."""
    made = nvsim(*case.boards)
    for name, value in {**made.simulator_env, "NVSIM_CAP_SYS_ADMIN": "1"}.items():
        monkeypatch.setenv(name, value)
    in_force = Nvml()
    in_force.attach()
    try:
        for verb in case.before:
            made.run(*verb.split())
        case.lay_out(made.root)
        yield made
    finally:
        in_force.detach()


def held(document: dict[str, Any]) -> dict[tuple[int, str], object]:
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
def test_what_becomes_of_it(case: Case, host: Nvsim) -> None:
    _looks(case, host)
    _writes_and_puts_back(case, host)
    _without_modes(case, host)


def _looks(case: Case, host: Nvsim) -> None:
    before = picture(host.root)
    document = first_policy(str(host.root))
    assert list(problems(case, document)) == []
    assert changed(before, picture(host.root)) == set()
    assert host.writes() == []
    keys = {setting for _, setting in held(document)}
    assert keys.isdisjoint(case.expected.get("not_held", ()))
    _can_be_read(document)


def _can_be_read(document: dict[str, Any]) -> None:
    """In 80 columns; what will be enforced, what is left and who goes on setting come before the policy's text."""
    lines = rendered.lines(document)
    long = [line for line in lines if len(line) > 80]
    assert [line for line in long if " " in line.lstrip("# ")] == []  # a path alone cannot be broken
    policy = lines.index("# ---- the policy")
    head = " ".join(line.lstrip("# ") for line in lines[:policy])
    said = re.sub(r"\s+", " ", head)
    for row in document["taken"]:
        assert Path(row["file"]).name in said, row
    for row in [*document["writers"], *document["left"]]:
        assert re.sub(r"\s+", " ", row["file"]) in said, row
    assert any("gpu-tunedctl init --write" in line for line in lines[-8:])
    policy_file.load_text("\n".join(lines), Path(POLICY))  # all of it is one policy file


def _writes_and_puts_back(case: Case, host: Nvsim) -> None:
    before = picture(host.root)
    document = write_first_policy(str(host.root), replace=False)
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
    _changes_only_what_was_taken(document, plan)
    subprocess.run(document["written"]["undo"], shell=True, check=True, capture_output=True, timeout=20)
    assert changed(before, picture(host.root)) == set()
    assert not below(host.root, POLICY).exists()


def _without_modes(case: Case, host: Nvsim) -> None:
    """Read out of an archive or a repository, no file may be executed; what it says is the same."""
    if any(not mode & 0o111 for path, mode in case.modes.items() if case.files[path].startswith("#!")):
        return  # what is not executable is what this case is about
    for path in case.files:
        below(host.root, path).chmod(0o444)
    assert list(problems(case, first_policy(str(host.root)))) == []


def _folders(path: str) -> list[str]:
    return [str(folder) for folder in Path(path).parents]


def _changes_only_what_was_taken(document: dict[str, Any], plan: Any) -> None:
    taken = {(row["gpu"], row["setting"]): row["value"] for row in document["taken"]}
    for change in plan["changes"]:
        if change["setting"] == "persistence_mode" and change["wanted"] is True:
            continue
        key = change["gpu"], change["setting"]
        assert key in taken, change
        assert same(change["setting"], change["wanted"], taken[key]), change


SETTINGS = ("power_limit_w", "gpu_clock_mhz", "memory_clock_mhz", "application_clocks_mhz", "compute_mode")
LIVE = [
    "unit-that-resets-at-stop",
    "off-branch-of-a-script",
    "values-in-environment",
    "watcher-of-processes",
    "day-and-night-limits",
    "limit-follows-a-reading",
    "restarting-chain-for-two-boards",
    "half-of-a-unit",
]


@pytest.mark.parametrize(
    "case", [case for case in ALL if case.name in LIVE], ids=lambda case: case.name, indirect=True
)
def test_the_daemon_contests_nothing_and_changes_nothing_else(case: Case, host: Nvsim) -> None:
    before = host.show()["gpus"]
    document = write_first_policy(str(host.root), replace=False)
    taken = {(row["gpu"], row["setting"]): row["value"] for row in document["taken"]}
    with Daemon(host, below(host.root, POLICY).read_text()) as daemon:
        daemon.ready()
        rows = [(gpu["uuid"], row) for gpu in daemon.status()["gpus"] for row in gpu["settings"]]
    assert [row for _, row in rows if row["state"] in ("contested", "refused", "drifted")] == []
    for gpu, was, now in zip(document["gpus"], before, host.show()["gpus"], strict=True):
        for setting in SETTINGS:
            if now[setting] != was[setting]:
                assert (gpu["uuid"], setting) in taken, (setting, was[setting], now[setting])
