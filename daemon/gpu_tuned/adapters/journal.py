"""The journal: one entry an event, its parts in fields of their own, so that `journalctl SETTING=power_limit_w`
finds them.

Entries go to journald's socket in its native protocol, by a send that never waits. libsystemd's own call waits where
journald does not read, and systemd-python makes it with the interpreter's lock held: that stops every thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from array import array
from collections.abc import Mapping
from typing import TextIO

from gpu_tuned.adapters.stream import Stream
from gpu_tuned.core.events import Event, words
from gpu_tuned.core.model import Value, text

IDENTIFIER = "gpu-tuned"
SOCKET = "/run/systemd/journal/socket"
LATE_S = 1.0
"""An event that waited for longer says so: the entry's own time is that of its arrival."""
_GONE = (
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ECONNREFUSED, errno.ENOTSOCK, errno.EPROTOTYPE),
    *(errno.EACCES, errno.EPERM),  # another security module's or namespace's doing
)


def is_journal(stream: TextIO | None, journal_stream: str) -> bool:
    """Whether `stream` is the one that systemd means by JOURNAL_STREAM, "device:inode" (systemd.exec(5)). A shell
    inherits the variable, and redirects the stream."""
    try:
        found = os.fstat(stream.fileno()) if stream is not None else None
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return found is not None and journal_stream == f"{found.st_dev}:{found.st_ino}"


class Journal:
    """An outlet of `Speaker`. Where the journal is away, the words go to `stream`, and that is said once."""

    name = "the journal"

    def __init__(self, stream: TextIO | None, path: str = SOCKET) -> None:
        self._stream = Stream(stream)
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._away = False

    def tell(self, event: Event, late_s: float) -> bool:
        """Hand one event over; False where journald takes nothing at the moment. Raises OSError."""
        try:
            self._send(entry(fields(event, late_s)))
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return self._instead(event, error)
        self._away = False
        return True

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._path)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_as_file(data)

    def _send_as_file(self, data: bytes) -> None:
        """What is too large for a datagram: a sealed file in memory, as the native protocol has it."""
        file = os.memfd_create(IDENTIFIER, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(file, "wb", closefd=False) as written:
                written.write(data)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file]))
            self._socket.sendmsg([], [rights], 0, self._path)
        finally:
            os.close(file)

    def _instead(self, event: Event, error: OSError) -> bool:
        if not self._away:
            why = f"{self._path}: {error.strerror}"
            self._away = self._stream.put(f"<4>The journal cannot be reached ({why}); events go here instead")
            if not self._away:
                return False
        return self._stream.put(f"<{int(event.kind.priority)}>{words(event)}")


def entry(all_fields: Mapping[str, str]) -> bytes:
    """Fields as systemd's "Journal Native Protocol" has them; what is no Unicode text becomes question marks."""
    parts = []
    for name, value in all_fields.items():
        data = value.encode("utf-8", "replace")
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


def fields(event: Event, late_s: float = 0.0) -> dict[str, str]:
    """The event as journal fields; what it does not have is left out. Values as a person reads them ("450 W");
    what only some kinds carry (`Event.detail`) is prefixed with GPU_TUNED_. `late_s`: seconds that it waited."""
    gpu, setting = event.gpu, event.setting
    late = f" (told {late_s:.0f} s late)" if late_s >= LATE_S else ""
    all_fields = {
        "MESSAGE": words(event) + late,
        "MESSAGE_ID": event.kind.message_id,
        "PRIORITY": str(int(event.kind.priority)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "GPU_TUNED_EVENT": event.kind.word,
        "GPU_UUID": gpu.uuid if gpu else None,
        "GPU_PCI": gpu.pci if gpu else None,
        "GPU_NAME": gpu.name if gpu else None,
        "SETTING": setting.value if setting else None,
        "WANTED": _text(event.wanted),
        "FOUND": _text(event.found),
        "CAUSE": event.cause,
        "ORIGIN": event.origin,
    }
    for key, value in event.detail.items():
        name = "GPU_TUNED_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in key).upper()
        if value is not None and name not in all_fields:
            all_fields[name] = str(value)
    return {name: value for name, value in all_fields.items() if value is not None}


def _text(value: Value | None) -> str | None:
    return None if value is None else text(value)
