"""What one version saved, another reads: an upgrade keeps the originals, and a downgrade throws nothing away.

tests/golden/state/VERSION.json is what that version wrote. Such a file is never made anew: a version that saves
something else gets one of its own, beside it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.adapters.policy_file import Sources, parse_sources
from gpu_tuned.adapters.state_file import StateFile
from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    ClockLock,
    ComputeMode,
    NumaBalancing,
    PowerLimit,
    Setting,
)
from gpu_tuned.core.policy import OnStop
from gpu_tuned.core.saved import Initialisation, Record, Saved, SavedGpu, from_json, to_json
from gpu_tuned.loop.ledger import Ledger

STATES = Path(__file__).parents[1] / "golden/state"
BOOT = "0b9f4a51-8f3c-4a4e-9d0e-1c7f3b0f6a42"
RTX, H200 = "GPU-5b1c9f2e-0000-4000-8000-000000000000", "GPU-c52be69f-0000-4000-8000-000000000001"
WRITTEN_BY_0_1_0 = Saved(
    boot_id=BOOT,
    gpus={
        RTX: SavedGpu(
            Initialisation("0000:01:00.0 inode 40211", {7: 1_200_000_000, 74: 52_000_000_000}),
            {
                Setting.PERSISTENCE_MODE: Record(False, False, True, True),
                # Half watts; a value that the driver has not answered yet.
                Setting.POWER_LIMIT: Record(PowerLimit(575_500), False, PowerLimit(450_000), None),
                Setting.GPU_CLOCK: Record(UNLOCKED, True, ClockLock(0, 2550), ClockLock(180, 2550)),
                Setting.MEMORY_CLOCK: Record(UNLOCKED, True, ClockLock(405, 14001), ClockLock(405, 14001)),
            },
        ),
        H200: SavedGpu(
            Initialisation("0000:02:00.0 inode 40377"),
            {
                Setting.PERSISTENCE_MODE: Record(True, False),
                Setting.APPLICATION_CLOCKS: Record(
                    ApplicationClocks(3201, 1980), False, ApplicationClocks(3201, 1200), ApplicationClocks(3201, 1200)
                ),
                Setting.COMPUTE_MODE: Record(
                    ComputeMode.EXCLUSIVE_PROCESS, False, ComputeMode.DEFAULT, ComputeMode.DEFAULT
                ),
            },
        ),
    },
    host={Setting.NUMA_BALANCING: Record(NumaBalancing.ON, False, NumaBalancing.OFF, NumaBalancing.OFF)},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder as version 0.1.0 leaves it behind."""
    shutil.copy(STATES / "0.1.0.json", tmp_path / "state.json")
    return tmp_path


def test_what_0_1_0_saved_is_read_with_every_original(folder: Path) -> None:
    store = StateFile(folder)
    saved = from_json(store.load())
    assert store.damage() is None
    assert replace(saved, policy=None) == WRITTEN_BY_0_1_0
    assert saved.policy is not None
    policy = parse_sources(Sources.from_json(saved.policy))
    assert policy.daemon.on_stop is OnStop.RESTORE
    assert policy.numa_balancing is not None and policy.numa_balancing.target is NumaBalancing.OFF
    targets = {wish.setting: wish.target for rule in policy.rules for wish in rule.wishes}
    assert targets[Setting.POWER_LIMIT] == PowerLimit(450_000)


def test_its_file_holds_every_setting_and_kind_of_value() -> None:
    """So that the test above is about all of them; a setting that comes later comes with a file of its version."""
    states = [from_json(state_in(path)) for path in STATES.glob("*.json")]
    records = [(s, r) for saved in states for books in (saved.host, *(g.records for g in saved.gpus.values()))
               for s, r in books.items()]  # fmt: skip
    assert {setting for setting, _ in records} == set(Setting)
    assert {record.assumed for _, record in records} == {True, False}
    assert {type(value) for _, record in records for value in (record.original, record.target, record.accepted)} == {
        bool, PowerLimit, ClockLock, type(UNLOCKED), ApplicationClocks, ComputeMode, NumaBalancing, type(None)
    }  # fmt: skip


def state_in(path: Path) -> Any:
    return json.loads(path.read_text())["state"]


def test_the_ledger_goes_on_with_it_and_saves_it_whole(folder: Path) -> None:
    before = from_json(StateFile(folder).load())
    ledger = Ledger(StateFile(folder), BOOT)
    assert ledger.damage is None
    ledger.after_write(RTX, Setting.POWER_LIMIT, PowerLimit(450_000))
    ledger.sync()
    after = from_json(StateFile(folder).load())
    assert after == before.with_record(
        RTX, Setting.POWER_LIMIT, replace(before.gpus[RTX].records[Setting.POWER_LIMIT], accepted=PowerLimit(450_000))
    )


def from_the_future(folder: Path, edit: str) -> bytes:
    """A file whose checksum is right, and which holds what this version does not know."""
    state = json.loads(json.dumps(StateFile(folder).load()))
    records = state["gpus"][RTX]["records"]
    if edit == "setting":
        records["fan_speed_percent"] = records["power_limit_w"]
    elif edit == "value":
        records["gpu_clock_mhz"]["original"] = {"ladder": [180, 2550]}
    elif edit == "missing":
        del records["power_limit_w"]["original"]
    StateFile(folder).save(state)
    content = (folder / "state.json").read_bytes()
    if edit == "format":
        content = content.replace(b'"format": 1', b'"format": 2')
        (folder / "state.json").write_bytes(content)
    return content


@pytest.mark.parametrize("edit", ["format", "setting", "value", "missing"])
def test_what_it_cannot_use_is_kept_beside_told_and_not_overwritten(folder: Path, edit: str) -> None:
    content = from_the_future(folder, edit)
    ledger = Ledger(StateFile(folder), BOOT)
    assert ledger.saved == Saved(BOOT)
    ledger.keep_policy({})  # the first thing that a daemon saves
    (aside,) = folder.glob("state.json.damaged-*")
    assert aside.read_bytes() == content
    assert ledger.damage is not None and aside.name in ledger.damage and "cannot be used" in ledger.damage
    assert Ledger(StateFile(folder), BOOT).damage is None, "told once"


def test_keys_that_it_does_not_know_are_passed_over(folder: Path) -> None:
    state = json.loads(json.dumps(StateFile(folder).load()))
    state["more"] = state["gpus"][RTX]["more"] = state["gpus"][RTX]["records"]["power_limit_w"]["more"] = 1
    StateFile(folder).save(state)
    assert replace(from_json(StateFile(folder).load()), policy=None) == WRITTEN_BY_0_1_0


def test_this_version_writes_what_is_kept_as_its_file(tmp_path: Path) -> None:
    """Byte for byte. A difference means a file of the new version's and, where an older one would lose something by
    it, a new format number."""
    golden = STATES / "0.1.0.json"
    StateFile(tmp_path).save(to_json(from_json(state_in(golden))))
    assert (tmp_path / "state.json").read_bytes() == golden.read_bytes()
