"""systemd's own Varlink client against our server, where it exists (systemd 257 and later: Debian 13)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from gpu_tuned.ports import Answer
from tests.contract.control_socket import Served
from tests.contract.sample_document import document, event

VARLINKCTL = shutil.which("varlinkctl")


def version() -> int:
    if VARLINKCTL is None or not os.path.exists("/proc/self"):  # it opens its sockets through /proc
        return 0
    found = subprocess.run([VARLINKCTL, "--version"], capture_output=True, text=True, timeout=30)
    number = re.match(r"systemd (\d+)", found.stdout)
    return int(number[1]) if number else 0


pytestmark = pytest.mark.skipif(version() < 257, reason="varlinkctl of systemd 257 or later is not here")


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


def varlinkctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [VARLINKCTL or "varlinkctl", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "SYSTEMD_COLORS": "0"},
    )


def test_info_and_introspection(served: Served) -> None:
    info = varlinkctl("info", served.path)
    assert info.returncode == 0, info.stderr
    assert "io.gputuned.Control" in info.stdout
    found = varlinkctl("introspect", served.path, "io.gputuned.Control")
    assert found.returncode == 0, found.stderr
    for part in ("method Status(", "method Watch(", "error NotPermitted", "type Setting"):
        assert part in found.stdout


def test_the_interface_file_is_as_systemd_wants_it(served: Served) -> None:
    described = varlinkctl("--json=short", "introspect", served.path, "io.gputuned.Control")
    assert described.returncode == 0, described.stderr
    text = json.loads(described.stdout)["description"]
    found = subprocess.run(
        [VARLINKCTL or "varlinkctl", "validate-idl", "/dev/stdin"],
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert found.returncode == 0, found.stderr


def test_call(served: Served) -> None:
    found = varlinkctl("--json=short", "call", served.path, "io.gputuned.Control.Status", "{}")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == {key: value for key, value in document().items() if key != "plan"}


def test_call_of_a_command_and_of_an_error(served: Served) -> None:
    def answer(name: str, parameters: dict[str, object]) -> Answer:
        if name == "restore":
            return Answer({"gpu": "7", "known": []}, "NoSuchGpu")
        return Answer({"message": str(parameters["for_s"])})

    with served.answering(answer):
        found = varlinkctl("--json=short", "call", served.path, "io.gputuned.Control.Release", '{"for_s":600}')
        assert json.loads(found.stdout) == {"format": 1, "message": "600.0"}
        found = varlinkctl("call", served.path, "io.gputuned.Control.Restore", '{"gpu":"7"}')
        assert found.returncode != 0
        assert "io.gputuned.Control.NoSuchGpu" in found.stderr


def test_watch_with_more(served: Served) -> None:
    watching = subprocess.Popen(
        [
            VARLINKCTL or "varlinkctl",
            "--json=short",
            "--more",
            "call",
            served.path,
            "io.gputuned.Control.Watch",
            "{}",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        lines = (json.loads(line.strip("\x1e")) for line in watching.stdout)
        assert next(lines)["event"] is None
        served.mailbox.say(event("one"))
        assert next(lines)["event"]["message"] == "one"
        served.mailbox.say(event("two"))
        assert next(lines)["sequence"] == 2
    finally:
        watching.kill()
        watching.wait(10)


def test_watch_without_more_is_told_to_use_it(served: Served) -> None:
    found = varlinkctl("call", served.path, "io.gputuned.Control.Watch", "{}")
    assert found.returncode != 0
    assert "ExpectedMore" in found.stderr
