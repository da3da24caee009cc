"""The service manager: readiness, status, watchdog, inherited sockets. Without one, nothing happens."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping

import sdnotify

STATUS_LIMIT = 500
"""Characters; `systemctl status` shows one line."""


class SystemdService:
    """`ports.Service` over the notification socket that systemd names in NOTIFY_SOCKET.

    A service manager that is stuck stops nobody: what it does not take at once is sent again with the next
    notification, of each kind the newest. May be called from the loop and from the main thread.

    The text is ASCII: sdnotify encodes Latin-1.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        # sdnotify reads os.environ by itself; without the variable there is nothing to connect to.
        self._notifier = sdnotify.SystemdNotifier() if environment.get("NOTIFY_SOCKET") else None
        if self._notifier is not None and self._notifier.socket is None:
            self._notifier = None  # it names a socket that is not there
        if self._notifier is not None:
            self._notifier.socket.setblocking(False)  # noqa: FBT003 - its parameter has no name
            self._notifier.debug = True  # raises what it would keep to itself
        self._unsent: dict[str, str] = {}  # by the first word
        self._sending = threading.Lock()
        self.watchdog_s = watchdog_s(environment)
        """How often systemd wants to hear from the loop at least, seconds; None: not asked for."""
        self._status: str | None = None

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={_line(status)}")
        self._status = status

    def status(self, status: str) -> None:
        if status != self._status:
            self._send(f"STATUS={_line(status)}")
            self._status = status
        elif self._unsent:
            self._send_all()

    def reloading(self) -> None:
        """Must be followed by `ready`. The time stamp is what systemd 253's Type=notify-reload wants; others
        ignore it."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self, status: str) -> None:
        self._send(f"STOPPING=1\nSTATUS={_line(status)}")
        self._status = status

    def alive(self) -> None:
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if self._notifier is None:
            return
        with self._sending:
            word = state.partition("=")[0]
            self._unsent.pop(word, None)  # its place in the order is that of the newest
            self._unsent[word] = state
        self._send_all()

    def _send_all(self) -> None:
        with self._sending:
            while self._notifier is not None and self._unsent:
                word = next(iter(self._unsent))
                try:
                    self._notifier.notify(self._unsent[word])
                except BlockingIOError:
                    return
                except OSError:
                    pass  # nobody is there any more
                del self._unsent[word]


def _line(text: str) -> str:
    """One line of ASCII: a line break would be read as the next assignment."""
    return " ".join(text.split()).encode("ascii", "replace").decode("ascii")[:STATUS_LIMIT]


def watchdog_s(environment: Mapping[str, str]) -> float | None:
    """The watchdog's interval where systemd asks this process for it, else None (sd_watchdog_enabled(3))."""
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
        asked = int(environment.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and asked == os.getpid() else None


def is_main_process(environment: Mapping[str, str] | None = None) -> bool:
    """Whether systemd started this very process as a service (SYSTEMD_EXEC_PID, since systemd 248).

    A shell inside a service inherits NOTIFY_SOCKET and the rest, but not this."""
    environment = os.environ if environment is None else environment
    return environment.get("SYSTEMD_EXEC_PID") == str(os.getpid())


def inherited_sockets() -> list[int]:
    """File descriptors of the sockets that systemd opened for us, [] when there are none. Ask once: the
    environment variables that name them are taken away, so that no child believes they are its own."""
    if "LISTEN_FDS" not in os.environ:  # spares the import
        return []
    from systemd import daemon

    try:
        return list(daemon.listen_fds(unset_environment=True))
    except (OSError, ValueError):
        return []
    finally:
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
            os.environ.pop(name, None)  # the call above changes the C library's copy alone
