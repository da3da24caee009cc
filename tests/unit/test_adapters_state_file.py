"""State survives: restarts, power cuts (as far as a killed process shows), damage, a disk that says no."""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_tuned.adapters.state_file import DAMAGED_KEPT, StateFile, WriterLock
from gpu_tuned.core.errors import AlreadyRunning, GpuTunedError

STATE = {"gpus": {"GPU-1": {"power_limit_w": 575}}, "policy": "text\nover lines", "boot": "x"}


def damaged(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "damaged" in path.name)


def test_what_is_saved_is_loaded_by_the_next_process(tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "gpu-tuned"
    StateFile(folder).save(STATE)
    store = StateFile(folder)
    assert store.load() == STATE
    assert store.damage() is None
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert os.listdir(folder) == ["state.json"]


def test_nothing_saved_is_nothing_and_no_damage(tmp_path: Path) -> None:
    store = StateFile(tmp_path / "never")
    assert store.load() == {}
    assert store.damage() is None
    assert not (tmp_path / "never").exists()  # looking creates nothing


def test_keys_that_are_numbers_come_back_as_text_and_are_no_damage(tmp_path: Path) -> None:
    store = StateFile(tmp_path)
    store.save({"counters": {74: 1, 269: 2, 8: 3}})
    assert store.load() == {"counters": {"74": 1, "269": 2, "8": 3}}
    assert store.damage() is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_saving_and_loading_is_the_identity(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any]) -> None:
    store = StateFile(tmp_path_factory.mktemp("state"))
    store.save(state)
    assert store.load() == state
    assert store.damage() is None


GOOD = b'{"format": 1, "crc32": 2745614147, "state": {}}\n'

BAD = {
    "empty": b"",
    "cut short": b'{"format": 1, "crc32": 12, "sta',
    "zeros, as after a power cut": bytes(4096),
    "no UTF-8": b"\xff\xfe\x00",
    "another program's": b'{"hello": 1}',
    "a list": b"[]",
    "a newer format": b'{"format": 2, "crc32": 0, "state": {}}',
    "edited": GOOD.replace(b"{}", b'{"a": 1}'),
    "deep": b"[" * 200_000,
    "not a number": b'{"format": 1, "crc32": "x", "state": {"a": NaN}}',
}


def test_the_good_one_is_good(tmp_path: Path) -> None:
    """Otherwise the damaged ones below would prove nothing."""
    StateFile(tmp_path).save({})
    assert (tmp_path / "state.json").read_bytes() == GOOD


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_damaged_file_is_set_aside_told_once_and_never_fatal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    store = StateFile(tmp_path)
    assert store.load() == {}
    message = store.damage()
    assert message is not None
    assert str(tmp_path / "state.json") in message
    assert store.damage() is None
    (aside,) = damaged(tmp_path)
    assert aside in message
    assert (tmp_path / aside).read_bytes() == content
    store.save(STATE)
    assert StateFile(tmp_path).load() == STATE


def test_every_single_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    store = StateFile(tmp_path)
    store.save(STATE)
    data = (tmp_path / "state.json").read_bytes()
    for place in range(len(data)):
        (tmp_path / "state.json").write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        assert store.load() in ({}, STATE)  # white space may change without changing what it says


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "state.json", "wb") as file:
        file.truncate(1 << 40)
    store = StateFile(tmp_path)
    assert store.load() == {}
    assert "bytes" in (store.damage() or "")


def test_a_folder_in_its_place_is_set_aside_as_well(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    store = StateFile(tmp_path)
    assert store.load() == {}
    assert store.damage()
    store.save(STATE)
    assert store.load() == STATE


def test_damaged_files_do_not_pile_up(tmp_path: Path) -> None:
    store = StateFile(tmp_path)
    for number in range(DAMAGED_KEPT + 4):
        (tmp_path / "state.json").write_text(f"rubbish {number}")
        assert store.load() == {}
    kept = {(tmp_path / name).read_text() for name in damaged(tmp_path)}
    assert kept == {f"rubbish {number}" for number in range(4, DAMAGED_KEPT + 4)}


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GpuTunedError, match=r"state cannot be saved to .*state\.json: Not a directory"):
        StateFile(tmp_path / "file" / "gpu-tuned").save(STATE)


def test_a_full_disk_is_a_clear_error_and_keeps_the_old_state(tmp_path: Path) -> None:
    """A limit on the file's size stands in for the disk: write(2) fails in the middle in the same way."""
    StateFile(tmp_path).save(STATE)
    child = (
        "import resource, signal, sys\n"
        "from gpu_tuned.adapters.state_file import StateFile\n"
        "from gpu_tuned.core.errors import GpuTunedError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    StateFile(sys.argv[1]).save({'x': 'y' * 100_000})\n"
        "except GpuTunedError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", child, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "state cannot be saved" in found.stdout, found.stderr
    assert StateFile(tmp_path).load() == STATE
    assert os.listdir(tmp_path) == ["state.json"]


SAVES_FOR_EVER = """
import sys
from gpu_tuned.adapters.state_file import StateFile
store, number = StateFile(sys.argv[1]), int(sys.argv[2])
while True:
    number += 1
    store.save({"number": number, "filling": str(number) * 20_000})
    print(number, flush=True)
"""


def test_a_daemon_killed_while_saving_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    chance = random.Random(2)
    last = 0
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", SAVES_FOR_EVER, str(tmp_path), str(last)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it saves by now
            select.select([], [], [], chance.uniform(0, 0.03))  # the moment of death is the point of it
            process.send_signal(signal.SIGKILL)
            said = process.stdout.read().split()
        store = StateFile(tmp_path)
        state = store.load()
        assert store.damage() is None
        number = state["number"]
        assert state["filling"] == str(number) * 20_000
        # the last one told is safe; one more may have got through before it could be told
        assert number >= (int(said[-1]) if said and said[-1].isdigit() else last + 1)
        assert os.listdir(tmp_path) == ["state.json"]  # half a file is swept away
        last = number


HOLDS_THE_LOCK = """
import sys
from gpu_tuned.adapters.state_file import WriterLock
WriterLock(sys.argv[1]).take()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_writer_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "run" / "writer.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_THE_LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning, match=re.escape(f"process {process.pid} holds {path}")):
            WriterLock(path).take()
        process.kill()
    with WriterLock(path) as lock:  # the kernel let go of it, however the holder ended
        assert path.read_text() == f"{os.getpid()}\n"
        lock.take()  # holding it twice is holding it
    with WriterLock(path):
        pass


def test_two_locks_on_two_drivers_do_not_meet(tmp_path: Path) -> None:
    with WriterLock(tmp_path / "one"), WriterLock(tmp_path / "two"):
        pass


def test_nobody_else_may_hold_the_lock(tmp_path: Path) -> None:
    """Who may open the file may lock it. One that an earlier version made, or a wider umask, is narrowed."""
    path = tmp_path / "lock"
    path.touch(0o644)
    with WriterLock(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GpuTunedError, match=r"lock .* cannot be made"):
        WriterLock(tmp_path / "file" / "lock").take()


def test_the_format_is_what_it_says(tmp_path: Path) -> None:
    StateFile(tmp_path).save(STATE)
    whole = json.loads((tmp_path / "state.json").read_text())
    assert whole["format"] == 1
    assert whole["state"] == STATE
