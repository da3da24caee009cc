"""The kernel's log of this boot, as far as it speaks of GPUs: from /dev/kmsg, or the journal where that lost its
head."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from contextlib import suppress

from gpu_tuned.core.host_view import LogLine
from gpu_tuned.core.model import Unread

ABOUT_GPUS = re.compile(
    r"NVRM|nvidia|nouveau|Key was rejected|Loading of (?:unsigned )?module|unsigned module loading|BAR \d",
    re.IGNORECASE,
)
RECORD = 8192
"""Bytes; a record of /dev/kmsg is smaller (CONSOLE_EXT_LOG_MAX), and a buffer that is too small reads as an error."""
_KMSG = re.compile(r"\d+,(\d+),(\d+),[^;]*;(.*)")
_MONOTONIC = re.compile(r"\[\s*(\d+\.\d+)\] (?:\S+ )?kernel: (.*)")


def kernel_log(root: str, timeout_s: float) -> tuple[tuple[LogLine, ...] | Unread, float]:
    """The lines, and from which second after boot on they are kept (0: from the beginning).

    `root` "" is this machine; below another root a plain file dev/kmsg takes the device's place."""
    lines, first, why = _kmsg(f"{root}/dev/kmsg")
    if lines is not None and first == 0:
        return lines, 0.0
    if not root:
        kept = _journal(timeout_s)
        if kept is not None:
            return kept, 0.0
    if lines is not None:
        return lines, max(first, 1.0)
    return Unread(f"the kernel's log cannot be read ({why})"), 0.0


def _kmsg(path: str) -> tuple[tuple[LogLine, ...] | None, float, str]:
    """Lines, the time in seconds of the oldest record (0 where it is the very first one), why there are none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        others = "; root can" if isinstance(error, PermissionError) and os.geteuid() != 0 else ""
        return None, 0.0, f"/dev/kmsg: {error.strerror}{others}"
    chunks = []
    try:
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
            return None, 0.0, "/dev/kmsg is no log"
        while True:
            try:
                chunk = os.read(descriptor, RECORD)
            except BrokenPipeError:  # a record was overwritten meanwhile
                continue
            except OSError:  # EAGAIN: the end of what is there
                break
            if not chunk:
                break
            chunks.append(chunk)
    finally:
        os.close(descriptor)
    lines, oldest = [], None
    for row in b"".join(chunks).decode("utf-8", "replace").splitlines():
        if match := _KMSG.match(row):
            at_s = int(match[2]) / 1e6
            if oldest is None:
                oldest = at_s if int(match[1]) else 0.0
            if ABOUT_GPUS.search(match[3]):
                lines.append(LogLine(at_s, match[3]))
    if oldest is None:
        return None, 0.0, "/dev/kmsg is empty here"
    return tuple(lines), oldest, ""


def _journal(timeout_s: float) -> tuple[LogLine, ...] | None:
    """None where there is no journal, or none of the kernel's that this user may read."""
    command = ["journalctl", "-k", "-b", "-q", "--no-pager", "-o", "short-monotonic"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            command, capture_output=True, timeout=timeout_s, check=False, env={**os.environ, "LC_ALL": "C"}
        )
        rows = done.stdout.decode("utf-8", "replace").splitlines()
        found = [match for row in rows if (match := _MONOTONIC.match(row))]
        if found:
            return tuple(LogLine(float(m[1]), m[2]) for m in found if ABOUT_GPUS.search(m[2]))
    return None
