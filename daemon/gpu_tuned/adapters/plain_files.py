"""Files of a host, read with limits: a pipe is not waited for, and nothing fills our memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

PAGE = 4096
SMALL = 64 << 10
"""Bytes; more than any attribute of sysfs, unit or configuration that is read as a whole."""


class NoRegularFile(OSError):
    """A folder, a pipe or a device: to read it as a file could wait for ever, or never end."""


def content(path: str | Path, most: int = SMALL) -> bytes:
    """At most `most` bytes of a regular file. Raises OSError, NoRegularFile among them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NoRegularFile(0, "it is no regular file")
        # Room for what the file has, not for what it may have: what a read has too much is cut off again, and leaves
        # a long-lived process with a heap of holes. The kernel's files say 0 or a page.
        at_once = min(max(found.st_size + 1, PAGE), 1 << 20)
        chunks = []
        while most > 0 and (chunk := os.read(descriptor, min(most, at_once))):
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
