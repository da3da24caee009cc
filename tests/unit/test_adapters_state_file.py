"""State survives: restarts, power cuts (as far as a killed process shows), damage, a disk that says no."""

from __future__ import annotations

import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_tuned.adapters.state_file import DAMAGED_KEPT, SIZE_LIMIT, StateFile, WriterLock, volatile
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


def with_checksum(body: str) -> bytes:
    """A state file whose checksum holds, whatever is in it."""
    crc32 = zlib.crc32(json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode())
    return f'{{"format": 1, "crc32": {crc32}, "state": {body}}}\n'.encode()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_none_is_refused_also_with_a_valid_checksum(tmp_path: Path, number: str) -> None:
    content = with_checksum(f'{{"gpus": {{"GPU-1": [{number}]}}}}')
    (tmp_path / "state.json").write_bytes(content)
    store = StateFile(tmp_path)
    assert store.load() == {}
    assert f"it holds {number}, which is no number" in (store.damage() or "")
    assert (tmp_path / damaged(tmp_path)[0]).read_bytes() == content


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    store = StateFile(tmp_path)
    store.save(STATE)
    for state in ({"at": float("inf")}, {"text": "x" * SIZE_LIMIT}, {"object": object()}):
        with pytest.raises(GpuTunedError, match="state cannot be saved"):
            store.save(state)
    assert store.load() == STATE


# In a process of its own, whose memory is bounded: a mistake here would hang, or eat everything.
LOADS = """
import resource, sys
from gpu_tuned.adapters.state_file import StateFile
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
store = StateFile(sys.argv[1])
print(store.load(), store.damage())
store.save({"a": 1})
print(store.load(), store.damage())
"""


@pytest.mark.parametrize("kind", ["a pipe", "an endless device", "a socket", "a link to nowhere", "a link to itself"])
def test_what_is_no_file_hangs_nobody_and_is_set_aside(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state.json"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "an endless device":
        path.symlink_to("/dev/zero")
    elif kind == "a socket":
        short = os.path.relpath(path)  # a Unix socket's path holds 107 characters
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(short if len(short) < len(str(path)) else str(path))
    else:
        path.symlink_to("nowhere" if kind == "a link to nowhere" else "state.json")
    found = subprocess.run([sys.executable, "-c", LOADS, str(tmp_path)], capture_output=True, text=True, timeout=20)
    first, second = found.stdout.splitlines()
    if kind == "a link to nowhere":
        assert first == "{} None"
    else:
        assert first.startswith("{} State file")
        assert ("it is no regular file" in first) == (kind in ("a pipe", "an endless device"))
        assert "set aside as state.json.damaged-" in first
    assert second == "{'a': 1} None"


def test_a_pipe_where_the_next_state_is_written_hangs_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f".state.json.{os.getpid()}.new")
    StateFile(tmp_path).save(STATE)
    assert StateFile(tmp_path).load() == STATE


def test_a_volatile_store_keeps_what_it_saved_and_waits_for_no_disk(tmp_path: Path) -> None:
    store = volatile(tmp_path / "run")
    store.save(STATE)
    assert volatile(tmp_path / "run").load() == STATE
    synced: list[int] = []
    StateFile(tmp_path / "lib", sync=synced.append).save(STATE)
    assert len(synced) == 2, "the file and its folder"


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


TAKES_NO_FILE = """
mount -t tmpfs tmpfs "$1" && mount -o "remount,$2" "$1" || exit 77
exec "$3" -c 'import sys
from gpu_tuned.adapters.state_file import WriterLock
from gpu_tuned.core.errors import AlreadyRunning
first = WriterLock(sys.argv[1])
first.take()
try:
    WriterLock(sys.argv[1]).take()
except AlreadyRunning as error:
    print(error)
' "$1/run/gpu-tuned/writer.lock"
"""


@pytest.mark.parametrize("how", ["ro", "nr_inodes=1"])
def test_a_disk_that_takes_no_file_does_not_keep_the_writer_away_but_the_second_one(tmp_path: Path, how: str) -> None:
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c", TAKES_NO_FILE, "-"]
    command = [*namespace, str(tmp_path), how, sys.executable]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode in (1, 77) and "Traceback" not in done.stderr:
        pytest.skip(f"no mount of its own here: {done.stderr}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"another gpu-tuned writes to this driver: somebody holds {tmp_path}\n"


def test_a_lock_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GpuTunedError, match=r"lock .* cannot be made"):
        WriterLock(tmp_path / "file" / "lock").take()


def test_the_format_is_what_it_says(tmp_path: Path) -> None:
    StateFile(tmp_path).save(STATE)
    whole = json.loads((tmp_path / "state.json").read_text())
    assert whole["format"] == 1
    assert whole["state"] == STATE
