"""Sinks that stand still: a pipe that nobody reads, a journald that hangs, a disk that does not come back from fsync
or is full."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from tests.daemon import Daemon
from tests.nvsim import Nvsim


def full_pipe() -> tuple[int, int]:
    """A pipe that takes nothing more, and blocks."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    for size in (4096, 1):
        while True:
            try:
                os.write(write, b"x" * size)
            except BlockingIOError:
                break
    os.set_blocking(write, True)
    return read, write


# A disk that does not come back from fsync while a file is there, from nothing at all while that file holds a word,
# and is full while another one is there.
STALLS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }
static void stands(const char *path) {
  struct stat found;
  while (strstr(path, "/state/") && stat(getenv("STALL"), &found) == 0 && found.st_size > 0) usleep(20000);
}
int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  int mode = va_arg(more, int);
  va_end(more);
  stands(path);
  return ((int (*)(const char *, int, ...))next("open64"))(path, flags, mode);
}
int unlink(const char *path) { return stands(path), ((int (*)(const char *))next("unlink"))(path); }
int fsync(int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  while (access(getenv("STALL"), F_OK) == 0) usleep(20000);
  return real(file);
}
int rename(const char *from, const char *to) {
  int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
  const char *full = getenv("FULL");
  stands(to);
  if (full && strstr(to, "/state/") && access(full, F_OK) == 0) return errno = ENOSPC, -1;
  return real(from, to);
}
"""


@cache
def _library() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """Compiled once; the folder goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="gpu-tuned-")
    source, library = Path(folder.name) / "stalls.c", Path(folder.name) / "stalls.so"
    source.write_text(STALLS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library, folder


def stalling(env: Mapping[str, str]) -> str:
    """LD_PRELOAD of a process whose fsync stands still while there is the file that its variable STALL names, as does
    whatever it does in a folder "state" while a word is in that file; and which finds no space for a new state file
    while there is the one that FULL names."""
    return f"{_library()[0]} {env.get('LD_PRELOAD', '')}".strip()


def fill(descriptor: int) -> None:
    """Until a pipe takes nothing more; what it is written by stays blocking."""
    other = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    for size in (4096, 64, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(other, b"\n" * size)
    os.close(other)


class Journald:
    """A socket in journald's place, in a namespace that only the daemon sees; whoever reads it is this test."""

    def __init__(self) -> None:
        # A Unix socket's path holds 107 characters, and pytest's folders are longer.
        self.folder = Path(tempfile.mkdtemp(prefix="gpu-tuned-"))
        self.path = self.folder / "socket"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        inside = f'mount -t tmpfs none /run && mkdir -p "$0" && mount --bind {self.folder} "$0" && exec "$@"'
        self.prefix = ["unshare", "--map-root-user", "--mount", "sh", "-c", inside, "/run/systemd/journal"]

    def read(self) -> str:
        """Everything that arrived."""
        entries = b""
        with suppress(BlockingIOError):
            while True:
                entries += self._socket.recv(1 << 18)
        return entries.decode(errors="replace")

    def hang(self) -> None:
        """Its queue fills up, by everything on a host, and it does not read."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others, suppress(BlockingIOError):
            others.setblocking(False)
            while True:
                others.sendto(b"MESSAGE=of somebody else", str(self.path))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
        shutil.rmtree(self.folder)

    @staticmethod
    @cache
    def possible() -> bool:
        """Whether this machine lets us make a mount namespace."""
        if not shutil.which("unshare"):
            return False
        made = Journald()
        try:
            return subprocess.run([*made.prefix, "true"], capture_output=True).returncode == 0
        finally:
            made.close()


class Heard(Daemon):
    """Its words go to a pipe, or to a journald, and are read into the log as long as `heard` is set."""

    def __init__(self, host: Nvsim, policy: str, journald: Journald | None, environment: dict[str, str]) -> None:
        self.heard, self._closing, self._journald = Event(), Event(), journald
        self.heard.set()
        self._source, self.stderr = os.pipe()
        if journald:
            found = os.fstat(self.stderr)
            environment = {**environment, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
            self.prefix = journald.prefix
        super().__init__(host, policy, root=True, folder=None, **environment)
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def deafen(self) -> None:
        """Nobody reads any more, and there is no room left."""
        self.heard.clear()
        if self._journald:
            self._journald.hang()
        elif self.stderr is not None:
            fill(self.stderr)

    def _read(self) -> None:
        source = self._journald.fileno() if self._journald else self._source
        with open(self.log, "ab", buffering=0) as log:
            while not self._closing.is_set():
                ready = self.heard.wait(0.2) and select.select([source], [], [], 0.2)[0]
                if not ready or not self.heard.is_set():
                    continue
                data = self._journald.read().encode() if self._journald else os.read(source, 65536)
                log.write(data.replace(b"\n\n", b""))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(None, None, None)
        self._closing.set()
        self._reader.join(5)
        for descriptor in (self._source, self.stderr):
            if descriptor is not None:
                os.close(descriptor)
        if self._journald:
            self._journald.close()
