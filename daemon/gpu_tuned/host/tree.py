"""Files below one root, read with limits: another host's /etc must neither escape its folder nor fill our memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

LARGEST_FILE = 256 << 10
"""Bytes; a script that sets up a GPU is a hundredth of that."""
MOST_FILES = 4000
"""Files read in one scan, and as many names looked at in one folder."""
MOST_NAMES = 50_000
"""Names looked at in one scan."""
MOST_LINKS = 20


class Tree:
    """Paths are absolute as on the host ("/etc/rc.local"); symbolic links are followed inside the root alone.

    `unread`: path -> why, for what is there and could not be read.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root).rstrip("/")
        self.unread: dict[str, str] = {}
        self._read = self._named = 0

    def real(self, path: str) -> str:
        """Where a host path lies on this machine; links in it are not resolved."""
        return self.root + os.path.normpath("/" + path.lstrip("/"))

    def resolve(self, path: str) -> str | None:
        """The host path behind all links of `path`, an absolute link starting at the root again; None where there is
        nothing, or links go round in circles."""
        todo, done, links = path.split("/")[::-1], "", 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            try:
                mode = os.lstat(f"{self.root}{done}/{part}").st_mode
                target = os.readlink(f"{self.root}{done}/{part}") if stat.S_ISLNK(mode) else None
            except OSError as error:
                if isinstance(error, PermissionError):
                    self._cannot(f"{done}/{part}", error)
                return None
            if target is None:
                done = f"{done}/{part}"
                continue
            links += 1
            if links > MOST_LINKS:
                return None
            if target.startswith("/"):
                done = ""
            todo += target.split("/")[::-1]
        return done or "/"

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, by name; [] where there is none."""
        where = self.resolve(folder)
        if where is None:
            return []
        try:
            names = sorted(os.listdir(self.root + where))
        except NotADirectoryError:
            return []
        except OSError as error:
            self._cannot(folder, error)
            return []
        if len(names) > MOST_FILES:
            self.unread[folder] = f"holds {len(names)} names; only the first {MOST_FILES} were looked at"
        return names[:MOST_FILES]

    def walk(self, folder: str, depth: int) -> Iterator[str]:
        """Regular files below a folder, `depth` folders deep; links to folders and hidden folders are not entered."""
        for name in self.names(folder):
            path = f"{folder.rstrip('/')}/{name}"
            self._named += 1
            if self._named > MOST_NAMES:
                self.unread.setdefault("more files", f"only the first {MOST_NAMES} names were looked at")
                return
            with suppress(OSError):
                mode = os.lstat(self.real(path)).st_mode
                if stat.S_ISREG(mode):
                    yield path
                elif stat.S_ISDIR(mode) and depth > 0 and not name.startswith("."):
                    yield from self.walk(path, depth - 1)

    def text(self, path: str) -> str | None:
        """A regular file's text, bytes that are no UTF-8 kept as surrogates; None where there is no such file, and
        where it could not be read (`unread` then says why). Binary files are nobody's script: None."""
        where = self.resolve(path)
        if where is None:
            return None
        try:
            # A named pipe would wait for a writer, a device could do anything.
            descriptor = os.open(self.root + where, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._cannot(path, error)
            return None
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            if self._read >= MOST_FILES:
                self.unread.setdefault("more files", f"only the first {MOST_FILES} were read")
                return None
            self._read += 1
            try:
                head = file.read(4096)
                if b"\0" in head:
                    return None
                content = head + file.read(LARGEST_FILE + 1 - len(head))
            except OSError as error:
                self._cannot(path, error)
                return None
        if len(content) > LARGEST_FILE:
            self.unread[path] = f"larger than {LARGEST_FILE >> 10} KiB"
            return None
        return content.decode("utf-8", "surrogateescape")

    def ours_to_change(self, path: str) -> str | None:
        """Why a file is left alone by one who writes as root; None where it may be changed.

        Somebody else's folder is somebody else's: a file in it can become a link between our look and our write.
        """
        allowed = (0, os.geteuid())
        for part in (path, os.path.dirname(path)):
            try:
                status = os.lstat(self.real(part))
            except OSError as error:
                return error.strerror
            if stat.S_ISLNK(status.st_mode):
                return "it is a link"
            if status.st_uid not in allowed:
                return f"it belongs to user {status.st_uid}, not to root"
            if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
                return "everybody may write there"
        return None

    def _cannot(self, path: str, error: OSError) -> None:
        why = "no permission to read it" if isinstance(error, PermissionError) else error.strerror or str(error)
        self.unread[path] = why
