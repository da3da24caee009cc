"""The service manager: readiness, status, watchdog, inherited sockets. Without one, nothing happens."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import sdnotify

STATUS_LIMIT = 500
"""Characters; `systemctl status` shows one line."""

SEND_S = 0.5
"""Seconds that one notification may take; then it is lost."""


class SystemdService:
    """`ports.Service` over the notification socket that systemd names in NOTIFY_SOCKET.

    The text is ASCII: sdnotify encodes Latin-1, and a datagram it cannot encode is lost without a word.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        # sdnotify reads os.environ by itself; without the variable there is nothing to connect to.
        self._notifier = sdnotify.SystemdNotifier() if environment.get("NOTIFY_SOCKET") else None
        if self._notifier is not None and self._notifier.socket is not None:
            # A datagram socket waits for its reader: a service manager that is stuck must not stop the loop.
            self._notifier.socket.settimeout(SEND_S)
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
        if self._notifier is not None:
            self._notifier.notify(state)


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
