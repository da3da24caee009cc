"""What reaches the service manager: datagrams on its socket, and nothing without one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gpu_tuned.adapters.clock import SystemClock
from gpu_tuned.adapters.systemd import SystemdService, inherited_sockets, is_main_process


class Manager:
    """The receiving end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(5)
        self.environment = {"NOTIFY_SOCKET": str(path)}

    def heard(self) -> dict[str, str]:
        lines = self.socket.recv(4096).decode("ascii").split("\n")
        return dict(line.split("=", 1) for line in lines)

    def silent(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        return False


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"):
        monkeypatch.delenv(name, raising=False)
    receiver = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", receiver.environment["NOTIFY_SOCKET"])
    yield receiver
    receiver.socket.close()


def test_the_life_of_a_service(manager: Manager) -> None:
    service = SystemdService()
    service.ready("6 of 6 settings held")
    assert manager.heard() == {"READY": "1", "STATUS": "6 of 6 settings held"}
    service.status("5 of 6 settings held")
    assert manager.heard() == {"STATUS": "5 of 6 settings held"}
    before = int(SystemClock().monotonic() * 1e6)
    service.reloading()
    reloading = manager.heard()
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= SystemClock().monotonic() * 1e6
    service.stopping("settings are kept")
    assert manager.heard() == {"STOPPING": "1", "STATUS": "settings are kept"}
    assert manager.silent()


def test_a_status_that_did_not_change_is_not_sent_again(manager: Manager) -> None:
    service = SystemdService()
    service.ready("held")
    manager.heard()
    service.status("held")
    assert manager.silent()


def test_the_text_is_one_line_of_ascii_whatever_a_policy_says(manager: Manager) -> None:
    SystemdService().status("limit ≤ 450 W — Schaltkreis „4B“\nREADY=1" + "x" * 5000)
    heard = manager.heard()
    assert set(heard) == {"STATUS"}
    assert heard["STATUS"].startswith("limit ? 450 W ? Schaltkreis ?4B? READY=1xxx")


def test_the_watchdog_is_fed_only_where_systemd_asks_this_process(manager: Manager) -> None:
    SystemdService().alive()
    assert manager.silent()
    mine = manager.environment | {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    service = SystemdService(mine)
    assert service.watchdog_s == 30
    service.alive()
    manager.socket.settimeout(5)
    assert manager.heard() == {"WATCHDOG": "1"}
    for other in ({"WATCHDOG_USEC": "0"}, {"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}):
        SystemdService(mine | other).alive()
    assert manager.silent()


def test_a_manager_that_is_stuck_holds_nobody_up_and_learns_everything_later(manager: Manager) -> None:
    service = SystemdService()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
        others.setblocking(False)
        others.connect(os.environ["NOTIFY_SOCKET"])
        with suppress(BlockingIOError):
            while True:
                others.send(b"X=of somebody else")
    began_s = time.monotonic()
    service.ready("1 of 1")
    service.status("2 of 2")
    service.status("3 of 3")
    assert time.monotonic() - began_s < 0.2
    told: list[str] = []
    while "STATUS=3 of 3" not in told:
        service.status("3 of 3")  # nothing new, and what waits goes with it
        told.append(manager.socket.recv(4096).decode())
    assert told[-2:] == ["READY=1\nSTATUS=1 of 1", "STATUS=3 of 3"]


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    gone = {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1000000"}
    for environment in ({}, gone):
        service = SystemdService(environment)
        service.ready("a")
        service.status("b")
        service.reloading()
        service.alive()
        service.stopping("c")


def test_a_shell_that_inherited_the_socket_is_no_service() -> None:
    assert is_main_process({"SYSTEMD_EXEC_PID": str(os.getpid())})
    assert not is_main_process({"SYSTEMD_EXEC_PID": str(os.getppid()), "NOTIFY_SOCKET": "/run/systemd/notify"})
    assert not is_main_process({})


def test_no_inherited_sockets_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    assert inherited_sockets() == []


@pytest.mark.parametrize(("for_us", "expected"), [(True, "[3, 4] False"), (False, "[] False")])
def test_inherited_sockets_are_taken_once_and_only_when_meant_for_us(
    tmp_path: Path, for_us: bool, expected: str
) -> None:
    """A process as systemd starts it: descriptors from 3 on, their number and its id in the environment."""
    child = (
        "import os, sys\n"
        "os.environ['LISTEN_PID'] = str(os.getpid() if sys.argv[1] == 'True' else 1)\n"
        "from gpu_tuned.adapters.systemd import inherited_sockets\n"
        "print(inherited_sockets(), 'LISTEN_FDS' in os.environ)\n"
    )
    listeners = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for number, listener in enumerate(listeners):
        listener.bind(str(tmp_path / f"socket{number}"))
        listener.listen()
    first, second = (listener.fileno() for listener in listeners)
    # the shell puts them where systemd would: 3 and 4
    shell = f'exec 8<&{first} 9<&{second}; exec 3<&8 4<&9 8<&- 9<&-; exec "$@"'
    found = subprocess.run(
        ["bash", "-c", shell, "-", sys.executable, "-c", child, str(for_us)],
        pass_fds=[first, second],
        env=os.environ | {"LISTEN_FDS": "2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    for listener in listeners:
        listener.close()
    assert found.stderr == ""
    assert found.stdout.strip() == expected


def test_the_clocks_run_and_boot_time_is_never_behind() -> None:
    clock = SystemClock()
    assert clock.now() > 1_700_000_000
    assert clock.monotonic() <= clock.monotonic()
    assert clock.boottime() >= clock.monotonic() - 0.001
