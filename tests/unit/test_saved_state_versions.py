"""What one version saved, another reads: an upgrade keeps the originals, and a downgrade throws nothing away.

tests/golden/state/VERSION.json is what that version wrote. Such a file is never made anew: a version that saves
something else gets one of its own, beside it.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.adapters.policy_file import Sources, parse_sources
from gpu_tuned.adapters.state_file import POLICY_FILE, StateFile, volatile
from gpu_tuned.core import transitions
from gpu_tuned.core.drift import new_track
from gpu_tuned.core.gpu_state import GpuState, Presence
from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    ClockLock,
    ComputeMode,
    Gpu,
    NumaBalancing,
    PowerLimit,
    Setting,
)
from gpu_tuned.core.originals import Accepted, Initialisation, Original, Ours
from gpu_tuned.core.policy import OnStop
from gpu_tuned.core.saved import NOT_ASKED, Saved, from_json, to_json
from gpu_tuned.core.track import Moment, Track
from gpu_tuned.loop.ledger import Ledger

STATES = Path(__file__).parents[1] / "golden/state"
BOOT = "0b9f4a51-8f3c-4a4e-9d0e-1c7f3b0f6a42"
RTX, H200 = "GPU-5b1c9f2e-0000-4000-8000-000000000000", "GPU-c52be69f-0000-4000-8000-000000000001"
THEN = Moment(0.0, 0.0)


def track(setting: Setting, original: Any, assumed: bool, target: Any = None, accepted: Any = None) -> Track:
    before = None if accepted is None else Accepted(target, "", accepted)
    ours = Ours.PERHAPS if target is not None else Ours.NEVER
    known = Original(original, assumed, ours=ours, put=accepted)
    return replace(new_track(THEN), original=known, before=before)


def gpu(uuid: str, began: Initialisation, tracks: dict[Setting, Track]) -> GpuState:
    return GpuState(Gpu(uuid, "", ""), presence=Presence.WAITING, why=NOT_ASKED, initialisation=began, tracks=tracks)


def known(*rows: tuple[Any, ...]) -> dict[Setting, Track]:
    return {setting: track(setting, *rest) for setting, *rest in rows}


WRITTEN_BY_0_1_0 = Saved(
    boot_id=BOOT,
    gpus={
        RTX: gpu(
            RTX,
            Initialisation("0000:01:00.0 inode 40211", {7: 1_200_000_000, 74: 52_000_000_000}),
            known(
                (Setting.PERSISTENCE_MODE, False, False, True, True),
                # Half watts; a value that the driver has not answered yet.
                (Setting.POWER_LIMIT, PowerLimit(575_500), False, PowerLimit(450_000), None),
                (Setting.GPU_CLOCK, UNLOCKED, True, ClockLock(0, 2550), ClockLock(180, 2550)),
                (Setting.MEMORY_CLOCK, UNLOCKED, True, ClockLock(405, 14001), ClockLock(405, 14001)),
            ),
        ),
        H200: gpu(
            H200,
            Initialisation("0000:02:00.0 inode 40377"),
            known(
                (Setting.PERSISTENCE_MODE, True, False),
                (
                    Setting.APPLICATION_CLOCKS,
                    ApplicationClocks(3201, 1980),
                    False,
                    ApplicationClocks(3201, 1200),
                    ApplicationClocks(3201, 1200),
                ),
                (
                    Setting.COMPUTE_MODE,
                    ComputeMode.EXCLUSIVE_PROCESS,
                    False,
                    ComputeMode.DEFAULT,
                    ComputeMode.DEFAULT,
                ),
            ),
        ),
    },
    host=known((Setting.NUMA_BALANCING, NumaBalancing.ON, False, NumaBalancing.OFF, NumaBalancing.OFF)),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder as version 0.1.0 leaves it behind."""
    shutil.copy(STATES / "0.1.0.json", tmp_path / "state.json")
    return tmp_path


def test_what_0_1_0_saved_is_read_with_every_original(folder: Path) -> None:
    store = StateFile(folder)
    saved = from_json(store.load(), THEN)
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
    states = [from_json(state_in(path), THEN) for path in STATES.glob("*.json")]
    rows = [(s, t) for saved in states for tracks in (saved.host, *(g.tracks for g in saved.gpus.values()))
            for s, t in tracks.items()]  # fmt: skip
    assert {setting for setting, _ in rows} == set(Setting)
    assert {track.original.assumed for _, track in rows if track.original} == {True, False}
    values = [v for _, t in rows for v in (t.original and t.original.value, t.before and t.before.value)]
    assert {type(value) for value in values} == {
        bool, PowerLimit, ClockLock, type(UNLOCKED), ApplicationClocks, ComputeMode, NumaBalancing, type(None)
    }  # fmt: skip


def state_in(path: Path) -> Any:
    return json.loads(path.read_text())["state"]


def ledger_on(folder: Path) -> Ledger:
    """Both halves in one folder, as with --state-dir."""
    return Ledger(StateFile(folder), StateFile(folder, POLICY_FILE), BOOT, THEN)


def test_the_ledger_goes_on_with_it_and_saves_it_whole(folder: Path) -> None:
    ledger = ledger_on(folder)
    assert ledger.damage is None
    host = transitions.host(ledger.found.host, {}, THEN)
    ledger.sync(ledger.remembered(), host)
    after = from_json(StateFile(folder).load(), THEN)
    assert after == WRITTEN_BY_0_1_0
    assert ledger.policies, "the policy is still known"


def test_what_0_1_0_left_in_var_is_taken_over_into_run(folder: Path, tmp_path: Path) -> None:
    """The originals of this boot, and the last good policy; a later look at /run is not overruled by it."""
    run = tmp_path / "run"
    ledger = Ledger(StateFile(run), StateFile(folder), BOOT, THEN)
    assert replace(ledger.found, policy=None) == WRITTEN_BY_0_1_0 and ledger.policies
    ledger.sync([replace(state, tracks={}) for state in ledger.remembered()], transitions.host({}, {}, THEN))
    again = Ledger(StateFile(run), StateFile(folder), BOOT, THEN)
    assert all(not state.tracks for state in again.found.gpus.values())
    assert again.policies == ledger.policies


def test_nothing_of_another_boot_is_believed_but_the_policy(folder: Path) -> None:
    ledger = Ledger(StateFile(folder), StateFile(folder, POLICY_FILE), "another boot", THEN)
    assert ledger.found == Saved("another boot")
    assert ledger.policies


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
    ledger = ledger_on(folder)
    assert ledger.found == Saved(BOOT)
    ledger.sync([], transitions.host({}, {}, THEN))
    (aside,) = folder.glob("state.json.damaged-*")
    assert aside.read_bytes() == content
    assert ledger.damage is not None and aside.name in ledger.damage and "cannot be used" in ledger.damage
    assert ledger_on(folder).damage is None, "told once"


def test_keys_that_it_does_not_know_are_passed_over(folder: Path) -> None:
    state = json.loads(json.dumps(StateFile(folder).load()))
    state["more"] = state["gpus"][RTX]["more"] = state["gpus"][RTX]["records"]["power_limit_w"]["more"] = 1
    StateFile(folder).save(state)
    assert replace(from_json(StateFile(folder).load(), THEN), policy=None) == WRITTEN_BY_0_1_0


def test_this_version_writes_what_is_kept_as_its_file(tmp_path: Path) -> None:
    """Byte for byte. A difference means a file of the new version's and, where an older one would lose something by
    it, a new format number."""
    golden = STATES / "after-0.1.0.json"
    saved = from_json(state_in(golden), THEN)
    StateFile(tmp_path).save(to_json(saved.boot_id, saved.gpus.values(), saved.host))
    assert (tmp_path / "state.json").read_bytes() == golden.read_bytes()


def test_0_1_0_could_read_it() -> None:
    """After a downgrade: the keys that it asks for are all there, under their names."""
    state = state_in(STATES / "after-0.1.0.json")
    records = [r for gpu in (*state["gpus"].values(), {"records": state["host"]}) for r in gpu["records"].values()]
    assert all({"original", "assumed", "target", "accepted"} <= set(record) for record in records)
    assert all({"binding", "counters_ns", "records"} <= set(gpu) for gpu in state["gpus"].values())


def test_of_what_is_damaged_it_is_told_what_it_held_and_of_both_where_both_are(tmp_path: Path) -> None:
    run, lasting = tmp_path / "run", tmp_path / "lib"
    for folder in (run, lasting):
        folder.mkdir()
        (folder / "state.json").write_text("{")
    told = Ledger(volatile(run), StateFile(lasting), BOOT, THEN).damage or ""
    assert re.findall(r"State file (\S+) cannot .*?; ([a-z ]+) is not known any more", told) == [
        (str(run / "state.json"), "what was found at first"),
        (str(lasting / "state.json"), "the last good policy"),
    ]
    (lasting / "state.json").write_text("{")
    ledger = Ledger(volatile(run), StateFile(lasting), BOOT, THEN)
    assert ledger.damage is not None
    assert "found at first" not in ledger.damage
