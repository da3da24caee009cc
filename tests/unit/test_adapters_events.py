"""How an event reaches a person: fields for the journal, one line on a terminal."""

from __future__ import annotations

import io
import os
import pty
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpu_tuned.adapters.journal import Journal, entry, fields, is_journal
from gpu_tuned.adapters.speaker import speaker
from gpu_tuned.adapters.terminal import Terminal
from gpu_tuned.core.events import Event, EventKind, message
from gpu_tuned.core.model import UNLOCKED, ClockLock, Gpu, PowerLimit, Setting

GPU = Gpu("GPU-5b1c9f2e", "0000:01:00.0", "NVIDIA GeForce RTX 5090")
DRIFTED = Event(
    EventKind.DRIFTED,
    at=time.mktime((2026, 11, 22, 14, 2, 11, 0, 0, -1)),
    gpu=GPU,
    setting=Setting.POWER_LIMIT,
    wanted=PowerLimit(450_000),
    found=PowerLimit(575_000),
    cause="back at the factory default",
    origin="20-psu.toml gpu[0].power_limit_w",
)
SLEPT = Event(EventKind.RESUMED, at=0.0, detail={"slept_s": 3600})


def line(environment: dict[str, str], event: Event, folder: Path) -> str:
    """What a terminal would show of it, without one."""
    with open(folder / "err", "w+") as out:
        assert Terminal(out, environment).tell(event, 0.0)
        return Path(out.name).read_text()


def line_on_a_terminal(environment: dict[str, str], event: Event) -> str:
    ours, theirs = pty.openpty()
    with open(theirs, "w") as out:
        assert Terminal(out, environment).tell(event, 0.0)
        shown = os.read(ours, 65536).decode()
    os.close(ours)
    return shown


def test_an_event_as_journal_fields() -> None:
    assert fields(DRIFTED) == {
        "MESSAGE": message(DRIFTED),
        "MESSAGE_ID": EventKind.DRIFTED.message_id,
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "gpu-tuned",
        "GPU_TUNED_EVENT": "drifted",
        "GPU_UUID": "GPU-5b1c9f2e",
        "GPU_PCI": "0000:01:00.0",
        "GPU_NAME": "NVIDIA GeForce RTX 5090",
        "SETTING": "power_limit_w",
        "WANTED": "450 W",
        "FOUND": "575 W",
        "CAUSE": "back at the factory default",
        "ORIGIN": "20-psu.toml gpu[0].power_limit_w",
    }


def test_what_an_event_does_not_have_is_left_out_and_its_own_details_are_fields() -> None:
    assert fields(SLEPT) == {
        "MESSAGE": message(SLEPT),
        "MESSAGE_ID": EventKind.RESUMED.message_id,
        "PRIORITY": "5",
        "SYSLOG_IDENTIFIER": "gpu-tuned",
        "GPU_TUNED_EVENT": "resumed",
        "GPU_TUNED_SLEPT_S": "3600",
    }


def test_values_are_told_as_a_person_reads_them() -> None:
    lost = Event(EventKind.LOCK_LOST, 0.0, GPU, Setting.GPU_CLOCK, wanted=ClockLock(2400, 2550), found=UNLOCKED)
    assert fields(lost)["WANTED"] == "2400-2550 MHz"
    assert fields(lost)["FOUND"] == "unlocked"


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_has_fields_even_when_its_details_are_missing(kind: EventKind) -> None:
    entry = fields(Event(kind, 0.0, cause="why", detail={"odd key\n": "x", "priority": 1}))
    assert entry["MESSAGE"]
    assert entry["GPU_TUNED_EVENT"] == kind.word
    assert entry["PRIORITY"] == str(int(kind.priority))
    assert all(name.replace("_", "").isalnum() and name.isupper() for name in entry)


def test_a_line_on_a_file_is_plain(tmp_path: Path) -> None:
    shown = line({}, DRIFTED, tmp_path)
    assert shown == f"14:02:11 warning  {message(DRIFTED)}  (20-psu.toml gpu[0].power_limit_w)\n"
    assert "450 W" in shown


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(environment: dict[str, str], coloured: bool) -> None:
    shown = line_on_a_terminal(environment, DRIFTED)
    assert ("\x1b[33mwarning" in shown) is coloured
    assert ("\x1b" in shown) is coloured


def test_a_text_from_outside_does_not_steer_the_terminal() -> None:
    shown = line_on_a_terminal({"NO_COLOR": "1"}, Event(EventKind.DRIVER_WAITING, 0.0, cause="\x1b[2J\x07gone"))
    assert "\x1b" not in shown
    assert "?[2J?gone" in shown


@pytest.mark.parametrize("stream", [None, io.StringIO(), "closed"])
def test_a_standard_error_that_is_none_does_not_end_the_daemon(stream: object, tmp_path: Path) -> None:
    if stream == "closed":
        with open(tmp_path / "closed", "w") as stream:
            pass
    say = speaker(stream, {})  # type: ignore[arg-type]
    say(DRIFTED)
    say.close()
    stall = say.stall()
    assert stall is not None
    assert stall.message.startswith("standard error: ")
    assert stall.message.endswith("; events that could not be told: 1")


@pytest.mark.parametrize("there", ["nothing", "a file", "a stream socket", "a link to itself", "no folder"])
def test_without_a_journal_the_words_go_to_stderr_and_that_is_said_once(tmp_path: Path, there: str) -> None:
    path = tmp_path / "socket"
    if there == "a file":
        path.touch()
    elif there == "a stream socket":
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind(str(path))
    elif there == "a link to itself":
        path.symlink_to("socket")
    elif there == "no folder":
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "socket"
    with open(tmp_path / "err", "w") as out:
        outlet = Journal(out, str(path))
        assert outlet.tell(DRIFTED, 0.0)
        assert outlet.tell(SLEPT, 0.0)
    first, *entries = (tmp_path / "err").read_text().splitlines()
    assert "journal cannot be reached" in first
    assert entries == [f"<4>{message(DRIFTED)}", f"<5>{message(SLEPT)}"]


def test_an_entry_that_is_too_large_for_a_datagram_goes_as_a_file(tmp_path: Path) -> None:
    large = Event(EventKind.POLICY_REFUSED, 0.0, cause="x" * 5_000_000, detail={"kept": "k"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "socket"))
        assert Journal(None, str(tmp_path / "socket")).tell(large, 0.0)
        data, files, _, _ = socket.recv_fds(journald, 100, 1)
    assert data == b""
    with open(files[0], "rb") as sent:
        assert os.pread(sent.fileno(), 6_000_000 * 2, 0) == entry(fields(large))


@pytest.mark.timeout(10)
def test_a_journald_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "socket"))
        outlet = Journal(None, str(tmp_path / "socket"))
        told = 0
        while outlet.tell(SLEPT, 0.0):
            told += 1
        assert told < 10_000
        journald.recv(65536)
        assert outlet.tell(SLEPT, 0.0)


def test_an_event_that_waited_says_so() -> None:
    assert fields(SLEPT, 12.4)["MESSAGE"] == f"{message(SLEPT)} (told 12 s late)"
    assert fields(SLEPT, 0.4)["MESSAGE"] == message(SLEPT)


def test_text_that_is_no_unicode_is_told_all_the_same() -> None:
    sent = entry({"CAUSE": "a name \udcff of bytes", "MESSAGE": "two\nlines"})
    assert sent == b"CAUSE=a name ? of bytes\nMESSAGE\n" + (9).to_bytes(8, "little") + b"two\nlines\n"


def test_the_journal_is_chosen_only_where_systemd_connected_this_very_stream(tmp_path: Path) -> None:
    with open(tmp_path / "stream", "w") as stream, open(tmp_path / "other", "w") as other:
        found = os.fstat(stream.fileno())
        named = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert is_journal(stream, named["JOURNAL_STREAM"])
        assert not is_journal(other, named["JOURNAL_STREAM"])
        assert not is_journal(stream, "")
        assert not is_journal(stream, "rubbish")
    assert not is_journal(io.StringIO(), "")
    assert not is_journal(None, "")


def test_a_service_does_not_pay_for_the_terminal(tmp_path: Path) -> None:
    child = (
        "import os, sys\n"
        "found = os.fstat(2)\n"
        "from gpu_tuned.adapters.speaker import speaker\n"
        "say = speaker(sys.stderr, {'JOURNAL_STREAM': f'{found.st_dev}:{found.st_ino}'})\n"
        "print(say.outlet.name, *(name in sys.modules for name in ('structlog', 'systemd.journal')), sep=', ')\n"
    )
    found = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, timeout=60)
    assert found.stdout == "the journal, False, False\n", found.stderr
