"""The journal: one entry an event, its parts in fields of their own, so that `journalctl SETTING=power_limit_w`
finds them."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from gpu_tuned.core.events import Event, message
from gpu_tuned.core.model import Value, text
from gpu_tuned.ports import Say

IDENTIFIER = "gpu-tuned"
SOCKET = "/run/systemd/journal/socket"


def speaker(stream: TextIO, environment: Mapping[str, str] | None = None) -> Say:
    """Where events go: the journal when systemd connected `stream` (stderr) to it, else the terminal or file
    behind `stream`."""
    environment = os.environ if environment is None else environment
    if is_journal(stream, environment.get("JOURNAL_STREAM", "")):
        return Journal(stream)
    from gpu_tuned.adapters.terminal import Terminal  # structlog costs 9 MB, which a service does without

    return Terminal(stream, environment)


def is_journal(stream: TextIO, journal_stream: str) -> bool:
    """Whether `stream` is the one that systemd means by JOURNAL_STREAM, "device:inode" (systemd.exec(5)). A shell
    inherits the variable, and redirects the stream."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return journal_stream == f"{found.st_dev}:{found.st_ino}"


class Journal:
    """`ports.Say` over systemd.journal.send. Never raises: where the journal is away, the words go to `stream`."""

    def __init__(self, stream: TextIO, socket: str = SOCKET) -> None:
        from systemd import journal

        self._send = journal.send
        self._stream = stream
        self._socket = socket
        self._away = False
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        try:
            # libsystemd reports success when there is nobody to send to.
            why = None if os.path.exists(self._socket) else f"no {self._socket}"
            if why is None:
                entry = fields(event)
                # Any CODE_ field keeps send() from walking the stack for all three.
                self._send(entry.pop("MESSAGE"), CODE_FUNC=event.kind.word, **entry)
        except Exception as error:  # an entry that cannot be written must not end the daemon
            why = str(error)
        with self._lock, suppress(Exception):
            if why is not None and not self._away:
                print(f"<4>The journal cannot be reached ({why}); events go here instead", file=self._stream)
            self._away = why is not None
            if why is not None:
                print(f"<{int(event.kind.priority)}>{words(event)}", file=self._stream, flush=True)


def fields(event: Event) -> dict[str, str]:
    """The event as journal fields; what it does not have is left out. Values as a person reads them ("450 W");
    what only some kinds carry (`Event.detail`) is prefixed with GPU_TUNED_."""
    gpu, setting = event.gpu, event.setting
    all_fields = {
        "MESSAGE": words(event),
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


def words(event: Event) -> str:
    """The event's message; where its detail lacks a part, its name and what there is, rather than nothing."""
    try:
        return message(event)
    except (LookupError, ValueError, TypeError):
        return f"{event.kind.word}: {event.cause or dict(event.detail)}"


def _text(value: Value | None) -> str | None:
    return None if value is None else text(value)
