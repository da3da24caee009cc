"""How gpu-tunedctl lives as a process: watching, being interrupted, a closed pipe, what it imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.golden.fake_daemon import fake_daemon
from tests.golden.kept import document
from tests.golden.test_golden_command import ENTRY, command


def test_watch_tells_events_what_was_missed_and_that_the_daemon_went_away(tmp_path: Path) -> None:
    event = {"kind": "put_back", "at": "2026-11-22T14:02:11Z", "message": "power limit put back", "priority": 5}
    answer = [
        {"format": 1, "sequence": 7, "missed": 0, "event": None},
        {"format": 1, "sequence": 8, "missed": 0, "event": event},
        {"format": 1, "sequence": 21, "missed": 12, "event": event},
    ]
    with fake_daemon(tmp_path, {"Watch": answer}) as daemon:
        done = command("watch", "--socket", daemon.path)
        as_json = command("watch", "--json", "--socket", daemon.path)
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        "14:02:11  power limit put back",
        "          (12 events missed: read too slowly)",
        "14:02:11  power limit put back",
    ]
    assert "closed the connection" in done.stderr
    assert [json.loads(line)["sequence"] for line in as_json.stdout.splitlines()] == [8, 21]


def test_watch_ends_by_ctrl_c_without_a_trace(tmp_path: Path) -> None:
    event = {"kind": "started", "at": "2026-11-22T14:02:11Z", "message": "started", "priority": 6}
    answer = [
        {"format": 1, "sequence": 0, "missed": 0, "event": None},
        {"format": 1, "sequence": 1, "missed": 0, "event": event},
    ]

    class Endless(list):
        def __iter__(self) -> Any:
            yield from answer
            done.wait(30)

    done = threading.Event()
    with fake_daemon(tmp_path, {"Watch": Endless()}) as daemon:
        process = subprocess.Popen(
            [sys.executable, "-c", ENTRY, "watch", "--socket", daemon.path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # As a terminal starts it: `nohup packaging/test &` hands an ignored SIGINT down to every child.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stdout is not None
        assert process.stdout.readline().endswith("started\n")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        done.set()
    assert (process.returncode, said) == (0, "")


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    with fake_daemon(tmp_path, {"Status": document("eight")}) as daemon:
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [sys.executable, "-c", ENTRY, "status", "--json", "--socket", daemon.path],
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=60,
        )
        os.close(write)
    assert (done.returncode, done.stderr) == (5, b""), "of what was found, as if somebody had read it"


def test_no_escape_of_a_policys_text_reaches_the_terminal(tmp_path: Path) -> None:
    hostile = document("one")
    hostile["gpus"][0]["settings"][0]["reason"] = "red \x1b[31m and \r over\nwritten"
    hostile["gpus"][0]["name"] = "NVIDIA \x1b]0;title\x07"
    hostile["policy"]["warnings"] = ["a \x1b[2J clear"]
    with fake_daemon(tmp_path, {"Status": hostile}) as daemon:
        done = command("status", "--socket", daemon.path)
    assert done.returncode == 0
    assert not set(done.stdout) & {"\x1b", "\r", "\x07"}


DEAR = {
    "dataclasses": "it makes the start three times a bare interpreter's",
    "varlink": "it makes it four times",
    "pynvml": "status must answer while the driver hangs",
    "structlog": "",
    "systemd": "",
    "tomli": "",
    "typing": "",
    "datetime": "",
    "logging": "",
    "socket": "its enums take as long as all of json",
    "subprocess": "",
    "gpu_tuned.core.model": "",
    "gpu_tuned.ctl.plan": "a verb imports itself alone",
}


@pytest.mark.parametrize("name", ["one", "eight"])
def test_status_imports_no_more_than_it_needs(name: str, tmp_path: Path) -> None:
    status = (
        "before = set(sys.modules); from gpu_tuned.ctl.main import run; from gpu_tuned.main import _Looks; "
        "run(sys.argv[1:], _Looks()); print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    with fake_daemon(tmp_path, {"Status": document(name)}) as daemon:
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                "-c",
                f"import sys; sys.path[:0] = {sys.path!r}\n{status}",
                "status",
                "--socket",
                daemon.path,
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )
    imported = set(done.stderr.split())
    assert "gpu_tuned.ctl.status" in imported
    assert {module: why for module, why in DEAR.items() if module in imported} == {}
