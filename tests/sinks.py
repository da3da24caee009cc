"""Sinks that stand still: a pipe that nobody reads, a disk that does not come back from fsync."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from tests.daemon import Daemon

# A disk that does not come back from fsync while a file is there.
STALLS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
int fsync(int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  while (access(getenv("STALL"), F_OK) == 0) usleep(20000);
  return real(file);
}
"""


def stalling(folder: Path, env: Mapping[str, str]) -> str:
    """LD_PRELOAD of a process whose fsync stands still while there is the file that its variable STALL names."""
    source, library = folder / "stalls.c", folder / "stalls.so"
    source.write_text(STALLS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return f"{library} {env.get('LD_PRELOAD', '')}".strip()


def fill(descriptor: int) -> None:
    """Until a pipe takes nothing more; what it is written by stays blocking."""
    other = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    for size in (4096, 64, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(other, b"\n" * size)
    os.close(other)


class Heard(Daemon):
    """Its standard error is a pipe, which is read into the log as long as `heard` is set."""

    def start(self) -> None:
        if not hasattr(self, "pipe"):
            read, self.pipe = os.pipe()
            self.stderr = self.pipe
            self.heard = Event()
            self.heard.set()
            self._reader = Thread(target=self._read, args=(read,), daemon=True)
            self._reader.start()
        super().start()

    def _read(self, descriptor: int) -> None:
        with open(self.log, "ab", buffering=0) as log:
            while self.heard.wait() and (data := os.read(descriptor, 65536)):
                log.write(data.replace(b"\n\n", b""))
        os.close(descriptor)

    def __exit__(self, *error: object) -> None:
        super().__exit__(None, None, None)
        os.close(self.pipe)
        self.heard.set()
        self._reader.join(5)
