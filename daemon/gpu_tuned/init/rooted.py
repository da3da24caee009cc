"""Files below one root, read and written so that no link and no race leads out of it.

With openat2(2) the kernel resolves every path inside the root (RESOLVE_IN_ROOT), where it has that; where not, each
folder is opened from the one before it and links are followed here. Reading has limits: another host's /etc must not
fill our memory. Who may change a file is modes.py.
"""

from __future__ import annotations

import ctypes
import errno
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
_OPENAT2 = 437  # on every architecture that Linux has it on
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened without following a link."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _possible(name: str) -> str:
    """A name, or a path, that a file can have. Raises FileNotFoundError for one with a NUL: it stands for what only
    the running host knows, and the kernel would end the name there."""
    if "\0" in name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return name


def _openat2(folder: int, path: str, flags: int) -> int:
    name = os.fsencode(_possible(path))
    how = _How(flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = int(library.syscall(_OPENAT2, folder, name, ctypes.byref(how), ctypes.sizeof(how)))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


class Rooted:
    """Paths are absolute as on the host ("/etc/rc.local"); symbolic links are followed inside the root alone.

    `unread`: path -> why, for what is there and could not be read.
    """

    def __init__(self, root: str, *, openat2: bool = True) -> None:
        self.root = os.path.realpath(root).rstrip("/")
        self.unread: dict[str, str] = {}
        self._top = os.open(self.root or "/", FOLDER)
        self._by_kernel = openat2
        self._read = self._named = 0
        self._texts: dict[str, str | None] = {}

    def close(self) -> None:
        os.close(self._top)

    def __enter__(self) -> Rooted:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def real(self, path: str) -> str:
        """Where a host path lies on this machine; links in it are not resolved. For words and for undo.sh alone."""
        return self.root + os.path.normpath("/" + path.lstrip("/"))

    def there(self, path: str) -> bool:
        """Whether something has this name, be it a link that leads nowhere."""
        folder = self.resolve(os.path.dirname(path))
        if folder is None:
            return False
        try:
            with self.folder(folder) as descriptor:
                os.stat(_possible(os.path.basename(path)), dir_fd=descriptor, follow_symlinks=False)
        except OSError:
            return False
        return True

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
                target = self._link(done, part)
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

    def target(self, path: str) -> str | None:
        """The text of a link, be it one that leads nowhere; None for what is no link."""
        try:
            return self._link(self.resolve(os.path.dirname(path)) or "/", os.path.basename(path))
        except OSError:
            return None

    def _link(self, folder: str, name: str) -> str | None:
        """Where a link leads; None for what is no link. Raises OSError where there is nothing."""
        with self.folder(folder or "/") as descriptor:
            if not stat.S_ISLNK(os.stat(_possible(name), dir_fd=descriptor, follow_symlinks=False).st_mode):
                return None
            return os.readlink(name, dir_fd=descriptor)

    def folder(self, path: str) -> _Folder:
        """A folder without a link in its path, opened step by step. Raises OSError."""
        return _Folder(self._walked(path))

    def _walked(self, path: str) -> int:
        descriptor = os.dup(self._top)
        try:
            for part in path.split("/"):
                if part in ("", "."):
                    continue
                if part == "..":
                    raise OSError(errno.ELOOP, "a path that goes back up")
                inner = os.open(_possible(part), FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _open(self, path: str) -> int:
        """A file for reading, links followed inside the root."""
        # A named pipe would wait for a writer, a device could do anything.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        if self._by_kernel:
            try:
                return _openat2(self._top, path.lstrip("/"), flags)
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.EPERM, errno.EINVAL):
                    raise
                self._by_kernel = False
        where = self.resolve(path)
        if where is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        with self.folder(os.path.dirname(where)) as descriptor:
            return os.open(os.path.basename(where), flags | os.O_NOFOLLOW, dir_fd=descriptor)

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, by name; [] where there is none."""
        where = self.resolve(folder)
        if where is None:
            return []
        try:
            with self.folder(where) as descriptor:
                names = sorted(os.listdir(descriptor))
        except NotADirectoryError:
            return []
        except OSError as error:
            self._cannot(folder, error)
            return []
        if len(names) > MOST_FILES:
            self.unread[folder] = f"holds {len(names)} names; only the first {MOST_FILES} were looked at"
        return names[:MOST_FILES]

    def walk(self, folder: str, depth: int) -> Iterator[str]:
        """Regular files below a folder, and links to such, `depth` folders deep; links to folders and hidden folders
        are not entered."""
        where = self.resolve(folder)
        for name in self.names(folder) if where else ():
            path = f"{folder.rstrip('/')}/{name}"
            self._named += 1
            if self._named > MOST_NAMES:
                self.unread.setdefault("more files", f"only the first {MOST_NAMES} names were looked at")
                return
            with suppress(OSError):
                mode = self._mode(f"{where}/{name}")
                if stat.S_ISLNK(mode):
                    target = self.resolve(path)
                    mode = self._mode(target) if target else mode
                    if stat.S_ISREG(mode):
                        yield path
                elif stat.S_ISREG(mode):
                    yield path
                elif stat.S_ISDIR(mode) and depth > 0 and not name.startswith("."):
                    yield from self.walk(path, depth - 1)

    def _mode(self, path: str) -> int:
        """Of a path without links on the way. Raises OSError."""
        with self.folder(os.path.dirname(path) or "/") as descriptor:
            return os.stat(os.path.basename(path), dir_fd=descriptor, follow_symlinks=False).st_mode

    def text(self, path: str) -> str | None:
        """A regular file's text, bytes that are no UTF-8 kept as surrogates; None where there is no such file, and
        where it could not be read (`unread` then says why). Binary files are nobody's script: None."""
        if path not in self._texts:
            self._texts[path] = self._text(path)
        return self._texts[path]

    def _text(self, path: str) -> str | None:
        try:
            descriptor = self._open(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno != errno.ELOOP:
                self._cannot(path, error)
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        with open(descriptor, "rb") as file:
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

    def is_folder(self, path: str) -> bool:
        """Whether a path without links in it is that of a folder."""
        try:
            with self.folder(path):
                return True
        except OSError:
            return False

    def _cannot(self, path: str, error: OSError) -> None:
        why = "no permission to read it" if isinstance(error, PermissionError) else error.strerror or str(error)
        self.unread[path] = why


class _Folder:
    """An open folder that closes itself."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> int:
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)
