"""Files of a host, read with limits: a pipe is not waited for, and nothing fills our memory."""

from __future__ import annotations

import os
import stat

SMALL = 64 << 10
"""Bytes; more than any attribute of sysfs, unit or configuration that is read as a whole."""


def content(path: str, most: int = SMALL) -> bytes:
    """At most `most` bytes of a regular file. Raises OSError, also for what is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file")
        chunks = []
        while most > 0 and (chunk := os.read(descriptor, min(most, 1 << 20))):
            chunks.append(chunk)
            most -= len(chunk)
    finally:
        os.close(descriptor)
    return b"".join(chunks)


def text(path: str, most: int = SMALL) -> str | None:
    """A file's text, stripped, what is no UTF-8 replaced; None where it cannot be read."""
    try:
        return content(path, most).decode("utf-8", "replace").strip()
    except OSError:
        return None
