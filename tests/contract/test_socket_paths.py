"""Where the daemon listens: paths that are stale, taken or impossible, and sockets that systemd hands over."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gpu_tuned.control import listen
from gpu_tuned.control.mailbox import Mailbox
from gpu_tuned.control.server import Server
from gpu_tuned.core.errors import AlreadyRunning, GpuTunedError, UsageError
from tests.contract.control_socket import Served


def answers(served: Served) -> None:
    with served.connect() as client:
        client.ask("Status")
        reply = client.reply()
        assert reply is not None and "host" in reply["parameters"]


def refused(path: str | Path, kind: type[GpuTunedError]) -> str:
    """The message with which opening this path fails; nothing at the path has changed after it."""
    before = os.lstat(path).st_ino if os.path.lexists(path) else None
    server = Server(Mailbox(), str(path))
    with pytest.raises(kind) as error:
        server.open()
    server.close()
    assert (os.lstat(path).st_ino if os.path.lexists(path) else None) == before
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path leaves room for a socket's name."""
    folder = tmp_path_factory.mktemp("s")
    assert len(str(folder)) < 90
    return folder


def test_everybody_may_connect_and_the_path_is_gone_at_the_end() -> None:
    with Served() as served:
        path = Path(served.path)
        assert stat.S_IMODE(path.lstat().st_mode) == 0o666
        answers(served)
        served.server.close()
        assert not path.exists()


def test_what_a_dead_daemon_left_is_replaced(short: Path) -> None:
    path = short / "sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    with Served(str(path)) as served:
        answers(served)


def test_a_living_daemons_path_is_left_alone() -> None:
    with Served() as served:
        assert "a daemon answers there" in refused(served.path, AlreadyRunning)
        answers(served)


@contextmanager
def full_queue(path: Path) -> Iterator[None]:
    """Somebody listens at `path`, accepts nobody, and more wait than the kernel keeps."""
    with ExitStack() as sockets:
        busy, *waiting = (sockets.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(4))
        busy.bind(str(path))
        busy.listen(0)
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(str(path))
        yield


def test_a_living_daemon_that_is_too_busy_to_accept_is_left_alone(short: Path) -> None:
    with full_queue(short / "sock"):
        refused(short / "sock", AlreadyRunning)


def test_a_dead_daemons_path_is_replaced_although_its_queue_is_full(short: Path) -> None:
    """Anybody may connect, so anybody could keep the next daemon away."""
    with full_queue(short / "sock"):
        listen.own(str(short / "sock"), lambda pid: pid is None).close()


def test_a_successors_path_is_not_removed(short: Path) -> None:
    path = short / "sock"
    with Served(str(path)) as served:
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
            served.server.close()
            assert path.exists()


def test_a_missing_folder_a_file_a_folder_and_a_long_path_are_told_apart(short: Path) -> None:
    assert f"there is no folder {short}/no" in refused(short / "no" / "sock", GpuTunedError)
    file = short / "file"
    file.write_text("precious")
    assert "no socket is there" in refused(file, GpuTunedError)
    assert file.read_text() == "precious"
    assert "no socket is there" in refused(short, GpuTunedError)
    assert "the kernel allows 107" in refused(short / ("x" * 108), UsageError)


def test_a_dangling_link_is_not_followed(short: Path) -> None:
    link = short / "link"
    link.symlink_to(short / "elsewhere")
    assert "no socket is there" in refused(link, GpuTunedError)


def listening(path: Path) -> int:
    """A descriptor as systemd hands it over."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock.detach()


def test_inherited_sockets_are_served_all_and_their_paths_stay(short: Path) -> None:
    paths = [short / "one", short / "two"]
    with Served(str(paths[0]), inherited=[listening(path) for path in paths]) as served:
        for path in paths:
            served.path = str(path)
            answers(served)
    assert all(path.exists() for path in paths)


def test_a_path_that_was_inherited_is_not_opened_again(short: Path) -> None:
    path = short / "one"
    served = Served(str(path))
    served.server = Server(served.mailbox, str(path), [listening(path)])
    served.thread = type(served.thread)(target=served.server.serve, daemon=True)
    with served:
        answers(served)


def test_what_cannot_be_served_is_refused_by_number(short: Path) -> None:
    pair = socket.socketpair()
    file = os.open(short / "file", os.O_CREAT | os.O_RDWR)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for fd in (pair[0].detach(), file, udp.detach(), 999):
        server = Server(Mailbox(), None, [fd])
        with pytest.raises(UsageError, match=f"inherited descriptor {fd} "):
            server.open()
        server.close()
    pair[1].close()
    os.close(file)
