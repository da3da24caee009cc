"""What libsystemd puts on journald's socket for our events: a socket of ours in journald's place, seen by one
process alone (a mount namespace of its own)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

# Stands in for journald, says three events through the real library, prints what arrived.
CHILD = r"""
import json, os, socket, sys
os.makedirs("/run/systemd/journal")
journald = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journald.bind("/run/systemd/journal/socket")
journald.settimeout(20)

from gpu_tuned.adapters.journal import Journal
from gpu_tuned.adapters.speaker import Speaker
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.model import Gpu, PowerLimit, Setting

def received():
    data, entry = journald.recv(65536), {}
    while data:
        name, _, rest = data.partition(b"\n")
        if b"=" in name:  # NAME=value
            key, _, value = name.partition(b"=")
        else:  # NAME, length as 64 bits, value: how the protocol carries line breaks
            key, size = name, int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[9 + size :]
        entry[key.decode()], data = value.decode(), rest
    return entry

stderr = open("/run/stderr", "w")
say = Speaker(Journal(stderr))
gpu = Gpu("GPU-1", "0000:01:00.0", "NVIDIA GeForce RTX 5090")
say(Event(EventKind.PUT_BACK, 0.0, gpu, Setting.POWER_LIMIT, PowerLimit(450000), PowerLimit(575500)))
entries = [received()]
say(Event(EventKind.POLICY_REFUSED, 0.0, cause="line 1: ≤ expected\nline 2: no", detail={"kept": "the old one"}))
entries.append(received())
journald.close()
say(Event(EventKind.RESUMED, 0.0, detail={"slept_s": 7}))  # the socket is there, nobody listens: journald died
say.close()
os.unlink("/run/systemd/journal/socket")
say(Event(EventKind.RESUMED, 0.0, detail={"slept_s": 8}))
say.close()
print(json.dumps([entries, open("/run/stderr").read().splitlines()]))
"""


@pytest.fixture(scope="module")
def heard() -> tuple[list[dict[str, str]], list[str]]:
    own_run = 'mount -t tmpfs none /run && exec "$@"'
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c", own_run, "-"]
    if not shutil.which("unshare") or subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a mount namespace")
    found = subprocess.run([*namespace, sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    entries, stderr = json.loads(found.stdout)
    return entries, stderr


def test_an_event_arrives_with_its_fields(heard: tuple[list[dict[str, str]], list[str]]) -> None:
    entry = heard[0][0]
    assert {name: entry[name] for name in entry if not name.startswith("CODE_")} == {
        "MESSAGE": "NVIDIA GeForce RTX 5090 0000:01:00.0: power limit put back to 450 W, was 575.5 W",
        "MESSAGE_ID": "fc0f40e9826341aca39afa8826c04e9b",
        "PRIORITY": "5",
        "SYSLOG_IDENTIFIER": "gpu-tuned",
        "GPU_TUNED_EVENT": "put_back",
        "GPU_UUID": "GPU-1",
        "GPU_PCI": "0000:01:00.0",
        "GPU_NAME": "NVIDIA GeForce RTX 5090",
        "SETTING": "power_limit_w",
        "WANTED": "450 W",
        "FOUND": "575.5 W",
    }


def test_line_breaks_and_letters_beyond_ascii_survive(heard: tuple[list[dict[str, str]], list[str]]) -> None:
    entry = heard[0][1]
    assert entry["CAUSE"] == "line 1: ≤ expected\nline 2: no"
    assert entry["MESSAGE"] == "Policy refused, the old one: line 1: ≤ expected line 2: no"


def test_a_journal_that_goes_away_costs_no_event(heard: tuple[list[dict[str, str]], list[str]]) -> None:
    said_once, *events = heard[1]
    assert "journal cannot be reached" in said_once
    assert [line.partition(" slept ")[2][:3] for line in events] == ["7 s", "8 s"]
