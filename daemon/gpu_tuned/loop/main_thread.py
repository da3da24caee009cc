"""One run of the daemon as its main thread lives it: signals, readiness, the watchdog before the driver's first
answer, and an end in time. It never goes into the driver: Python runs no signal handler during a C call.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # made before anything else is imported: until it listens, SIGHUP ends a process
if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_tuned.loop.run import Loop
    from gpu_tuned.ports import LateDriver, Service

READY_AT_LATEST_S = 20.0
"""A driver that does not come must not hold up the boot for longer."""
LOOK_S = 2.0
"""How often a service that began without the driver asks whether its devices may be opened by now."""
STOP_AT_LATEST_S = 1.8
"""After this long a stop no longer waits for a driver call that hangs; the promise is 2 s."""
UNANSWERED_S = 600.0
"""A process that the driver has not answered once is given this long. Another one would hang as well: without this a
hang would mean a new process every minute, and in the end, by the start limit, none at all."""
SILENT_S = 5.0
"""A turn that takes longer hangs in the driver, and the service's status line is of before."""
NO_SIGNALS_OF_OURS = ("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT")
"""They mean nothing here and would end the process, as the real-time ones do: a log rotation's, one for another
program of that process id. By their names, because `signal` is imported when it is needed, and not all know each."""
NOT_RESTORED_STATUS = 5
"""What it ends with where it was to put everything back at its end, and could not: trouble of the driver or a GPU."""
LATE_DRIVER_STATUS = 75
"""What the daemon ends with to be started again; gpu-tuned.service names it in RestartForceExitStatus=."""


class Life:
    """From the first signal handler to the exit status. Everything here belongs to the main thread but `wake`."""

    def __init__(self) -> None:
        self._heard, self._news = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stopping = self._reloading = False
        self._failure: BaseException | None = None
        self._ended = False
        self._code = 0

    def listen_to_signals(self) -> None:
        import signal

        # The handlers below run in this thread, between two steps of Python: a signal that comes just before the poll
        # would be noticed after it. What wakes the poll is written when the signal arrives, in whichever thread.
        signal.set_wakeup_fd(self._news, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: self._signalled("_stopping"))
        signal.signal(signal.SIGINT, lambda *_: self._signalled("_stopping"))
        signal.signal(signal.SIGHUP, lambda *_: self._signalled("_reloading"))
        named = [getattr(signal, name) for name in NO_SIGNALS_OF_OURS if hasattr(signal, name)]
        for number in (*named, *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, signal.SIG_IGN)
        # Whoever started this process may have handed its own mask on.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def wake(self) -> None:
        """From any thread: there is news."""
        import contextlib

        with contextlib.suppress(BlockingIOError):  # full of news already
            os.write(self._news, b"\0")

    def run(
        self,
        loop: Loop,
        service: Service,
        late: LateDriver,
        *,
        managed: bool,
        once_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Run `loop` in a thread of its own until it ends, or until a stop need not wait for it any longer.
        `managed`: started by systemd, which starts it again, and restores after a stop. `once_ready`: called after
        READY=1."""
        import threading

        threading.Thread(target=self._run_loop, args=(loop,), name="gpu-tuned-loop", daemon=True).start()
        self._wait(loop, service, late, once_ready, managed=managed)

    def leave(self, loop: Loop) -> int:
        """After `run`: the exit status; or, where a driver call hangs, the end. Raises what ended the loop."""
        code = NOT_RESTORED_STATUS if loop.owes_restore else self._code
        if not self._ended:
            owed = ', and on_stop = "restore" did not put everything back' if loop.owes_restore else ""
            _note(f"the driver does not answer in time; ending all the same{owed}")
            # The loop thread sits in a C call that cannot be interrupted; a normal exit would wait for it.
            os._exit(code)
        if self._failure is not None:
            raise self._failure
        return code

    def _run_loop(self, loop: Loop) -> None:
        try:
            loop.run()
        except BaseException as error:  # noqa: BLE001  raised again by `leave`, in the main thread
            self._failure = error
        self._ended = True
        self.wake()

    def _signalled(self, flag: str) -> None:
        # Only a flag: a handler may run while this thread holds any lock of its own; and what wakes it is written.
        setattr(self, flag, True)

    def _wait(
        self, loop: Loop, service: Service, late: LateDriver, once_ready: Callable[[], None], *, managed: bool
    ) -> None:
        """Tell readiness, pass signals on, feed the watchdog where the loop cannot yet, end in time."""
        import contextlib
        import select
        import time

        poll = select.poll()
        poll.register(self._heard, select.POLLIN)
        began_s = time.monotonic()
        told = False
        stop_by_s: float | None = None
        silent_since_s: float | None = None
        while not self._ended:
            now_s = time.monotonic()
            if not told and (loop.settled or now_s >= began_s + READY_AT_LATEST_S):
                told = True
                service.ready(loop.supervisor.status if loop.settled else "the driver does not answer yet")
                once_ready()
            if self._reloading:
                self._reloading = False
                loop.reload()
            if self._stopping and stop_by_s is None:
                stop_by_s = now_s + STOP_AT_LATEST_S
                # Under systemd a stop and a restart look the same here; its ExecStopPost helper knows which it is.
                loop.stop(restore=not managed)
            elif managed and stop_by_s is None and late.shut_out(now_s):
                _note("the driver came after this service; starting again")
                self._code, self._stopping = LATE_DRIVER_STATUS, True
                continue
            if stop_by_s is not None and now_s >= stop_by_s:
                return
            dues_s = [stop_by_s] if stop_by_s is not None else [] if told else [began_s + READY_AT_LATEST_S]
            if managed and late.possible and stop_by_s is None:
                dues_s.append(now_s + LOOK_S)
            if managed and told and stop_by_s is None:
                silent_since_s = self._told_silent(loop, service, now_s, silent_since_s)
                dues_s.append(now_s + SILENT_S)
            if service.watchdog_s is not None and unanswered(now_s - began_s, settled=loop.settled):
                service.alive()
                dues_s.append(now_s + service.watchdog_s / 3)
            poll.poll(None if not dues_s else max(0.0, min(dues_s) - now_s) * 1000)
            with contextlib.suppress(BlockingIOError):
                os.read(self._heard, 4096)

    @staticmethod
    def _told_silent(loop: Loop, service: Service, now_s: float, told_s: float | None) -> float | None:
        """Say that what the status line says is of before, once for each turn that hangs: the loop cannot. Returns
        the beginning of the last turn that this was said of, `told_s` before."""
        since_s = loop.in_turn_since_s
        if since_s is None or since_s == told_s or now_s - since_s < SILENT_S:
            return told_s
        service.status(f"the driver does not answer; before that: {loop.supervisor.status}")
        return since_s


def _note(text: str) -> None:
    """A line on standard error, dropped where that takes none at once: an end in time matters more."""
    import contextlib
    import select

    if sys.stderr is None:  # closed by whoever started us
        return
    with contextlib.suppress(OSError, ValueError):  # closed since
        descriptor = sys.stderr.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        if poll.poll(0):
            os.write(descriptor, f"gpu-tuned: {text}\n".encode())


def unanswered(waited_s: float, *, settled: bool) -> bool:
    """Whether this process waits for its first answer, and is to be left waiting; `waited_s`: since its start."""
    return not settled and waited_s < UNANSWERED_S
