"""The main thread: no signal is lost, whatever arrives with it and wherever it is delivered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from gpu_tuned.adapters.memory import NoService
from gpu_tuned.loop.main_thread import Life
from tests.sinks import full_pipe

SOON_S = 5.0


class FakeLoop:
    """What `Life` needs of a loop: runs until it is stopped, remembers what it was asked."""

    settled = True
    in_turn_since_s: float | None = None
    owes_restore = False

    def __init__(self, at_run: Callable[[], None] = lambda: None) -> None:
        self.stopped = threading.Event()
        self.reloads = 0
        self._at_run = at_run

    def run(self) -> None:
        self._at_run()
        self.stopped.wait(SOON_S)

    def reload(self) -> None:
        self.reloads += 1

    def stop(self, restore: bool) -> None:
        self.stopped.set()

    @property
    def supervisor(self) -> FakeLoop:
        return self

    status = "fine"


class NeverLate:
    possible = False

    def shut_out(self, now_s: float) -> bool:
        return False


@pytest.fixture
def life() -> Iterator[Life]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    made = Life()
    made.listen_to_signals()
    yield made
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


class AboutToPoll(NoService):
    """Tells when the main thread is about to sleep: it asks for the watchdog last."""

    def __init__(self) -> None:
        self.told = threading.Event()

    @property
    def watchdog_s(self) -> None:  # type: ignore[override]
        self.told.set()


def lived_s(life: Life, loop: FakeLoop, service: NoService | None = None) -> float:
    began_s = time.monotonic()
    life.run(loop, service or NoService(), NeverLate(), managed=False)  # type: ignore[arg-type]
    return time.monotonic() - began_s


@pytest.fixture
def hands_over_only_when_it_waits() -> Iterator[None]:
    """No thread takes the interpreter from one that runs."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(10 * SOON_S)
    yield
    sys.setswitchinterval(before_s)


def test_a_signal_that_another_thread_receives_wakes_the_main_thread(
    life: Life, hands_over_only_when_it_waits: None
) -> None:
    """As one does that comes between the last step of Python and the poll: nothing interrupts the poll."""
    service = AboutToPoll()

    def at_run() -> None:
        assert service.told.wait(SOON_S)  # and then the main thread has gone on, as far as its poll
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    loop = FakeLoop(at_run)
    assert lived_s(life, loop, service) < SOON_S / 2
    assert loop.stopped.is_set()


def test_a_reload_and_a_stop_right_behind_it_are_both_heard(life: Life) -> None:
    def at_run() -> None:
        for number in (signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)

    loop = FakeLoop(at_run)
    assert lived_s(life, loop) < SOON_S / 2
    assert loop.stopped.is_set()
    assert loop.reloads == 1
    assert life.leave(loop) == 0  # type: ignore[arg-type]


class Told(NoService):
    def __init__(self, enough: int) -> None:
        self.lines: list[str] = []
        self.enough, self._many = threading.Event(), enough

    def status(self, status: str) -> None:
        self.lines.append(status)
        if len(self.lines) == self._many:
            self.enough.set()


def test_the_status_line_of_a_driver_that_hangs_says_so_once_for_each_hang(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu_tuned.loop.main_thread.SILENT_S", 0.01)
    service = Told(2)

    def at_run() -> None:
        for _ in range(2):
            loop.in_turn_since_s = time.monotonic()
            time.sleep(0.1)  # the hang: some ten looks of the main thread
            loop.in_turn_since_s = None
        assert service.enough.wait(SOON_S)
        os.kill(os.getpid(), signal.SIGTERM)

    loop = FakeLoop(at_run)
    life.run(loop, service, NeverLate(), managed=True)  # type: ignore[arg-type]
    assert service.lines == ["the driver does not answer; before that: fine"] * 2


LAST_WORD = "from gpu_tuned.loop.main_thread import Life; Life().leave(type('Loop', (), {'owes_restore': True}))"


def test_the_last_word_of_a_hanging_driver_waits_for_no_reader() -> None:
    """Standard error is a full pipe that nobody reads."""
    read, write = full_pipe()
    ended = subprocess.run([sys.executable, "-c", LAST_WORD], stderr=write, timeout=20)
    assert ended.returncode == 5, "what was to be put back was not"
    os.close(read)
    os.close(write)


def test_the_last_word_needs_no_standard_error() -> None:
    """Whoever started the process closed it, as some supervisors and `2>&-` do: the exit status still counts."""
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
    assert subprocess.run([*closed, sys.executable, "-c", LAST_WORD], timeout=20).returncode == 5


MEANS_NOTHING = ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT"]
LISTENING = """
import os, signal
from gpu_tuned.loop.main_thread import Life
life = Life()
life.listen_to_signals()
"""


def test_a_signal_that_means_nothing_here_ends_nothing() -> None:
    names = [name for name in MEANS_NOTHING if hasattr(signal, name)]
    assert len(names) > 6
    child = f"""{LISTENING}
for number in [*(getattr(signal, name) for name in {names}), *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)]:
    os.kill(os.getpid(), number)
"""
    assert subprocess.run([sys.executable, "-c", child], timeout=20).returncode == 0


def test_a_stop_is_heard_by_a_process_that_was_started_with_it_blocked() -> None:
    """Whoever starts a process hands its own mask on, as a thread does that waits for signals by itself."""
    child = f"""{LISTENING}
for number in (signal.SIGTERM, signal.SIGHUP):
    os.kill(os.getpid(), number)
assert life._stopping and life._reloading
"""
    blocked = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        ended = subprocess.run([sys.executable, "-c", child], timeout=20)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert ended.returncode == 0
