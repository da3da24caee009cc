"""How an event reaches a person: fields for the journal, one line on a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpu_tuned.adapters.journal import Journal, fields, is_journal, speaker
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


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


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


def test_a_line_on_a_file_is_plain() -> None:
    out = io.StringIO()
    Terminal(out, {})(DRIFTED)
    assert out.getvalue() == (f"14:02:11 warning  {message(DRIFTED)}  (20-psu.toml gpu[0].power_limit_w)\n")
    assert "450 W" in out.getvalue()


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(environment: dict[str, str], coloured: bool) -> None:
    out = Tty()
    Terminal(out, environment)(DRIFTED)
    assert ("\x1b[33mwarning" in out.getvalue()) is coloured
    assert ("\x1b" in out.getvalue()) is coloured


def test_a_text_from_outside_does_not_steer_the_terminal() -> None:
    out = Tty()
    Terminal(out, {"NO_COLOR": "1"})(Event(EventKind.DRIVER_WAITING, 0.0, cause="\x1b[2J\x07gone"))
    assert "\x1b" not in out.getvalue()
    assert "?[2J?gone" in out.getvalue()


def test_a_terminal_that_went_away_does_not_end_the_daemon() -> None:
    for out in (Broken(), io.StringIO()):
        terminal = Terminal(out, {})
        out.close()
        terminal(DRIFTED)


def test_without_a_journal_the_words_go_to_stderr_and_that_is_said_once(tmp_path: Path) -> None:
    out = io.StringIO()
    say = Journal(out, socket=str(tmp_path / "nobody"))
    say(DRIFTED)
    say(SLEPT)
    first, *entries = out.getvalue().splitlines()
    assert "journal cannot be reached" in first
    assert entries == [f"<4>{message(DRIFTED)}", f"<5>{message(SLEPT)}"]
    Journal(Broken(), socket=str(tmp_path / "nobody"))(DRIFTED)  # nowhere to go: still no error


def test_the_journal_is_chosen_only_where_systemd_connected_this_very_stream(tmp_path: Path) -> None:
    with open(tmp_path / "stream", "w") as stream, open(tmp_path / "other", "w") as other:
        found = os.fstat(stream.fileno())
        named = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert isinstance(speaker(stream, named), Journal)
        assert isinstance(speaker(other, named), Terminal)
        assert isinstance(speaker(stream, {}), Terminal)
        assert isinstance(speaker(stream, {"JOURNAL_STREAM": "rubbish"}), Terminal)
    assert not is_journal(io.StringIO(), "")


def test_a_service_does_not_pay_for_the_terminal(tmp_path: Path) -> None:
    child = (
        "import os, sys\n"
        "found = os.fstat(2)\n"
        "from gpu_tuned.adapters.journal import Journal, speaker\n"
        "say = speaker(sys.stderr, {'JOURNAL_STREAM': f'{found.st_dev}:{found.st_ino}'})\n"
        "print(isinstance(say, Journal), 'structlog' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, timeout=60)
    assert found.stdout.split() == ["True", "False"], found.stderr
