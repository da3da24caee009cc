"""A folder that swallows whoever looks into it: the kernel's own kind of wait that no signal ends, SIGKILL neither.

That is how a process looks that sits in a driver call which does not come back. A file system in user space that
reads a request and never answers does the same; needs root and /dev/fuse.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.nvsim import wait_for

INIT = 26  # the one request that is answered; linux/fuse.h
_REQUEST = struct.Struct("=IIQQIIII")
_INIT_REPLY = struct.Struct("=IiQ IIIIHHIIHHI28x")
_DETACH = 2


class Stuck:
    """Mounted over `folder` until `free` or the end of the block; whoever waits there then gets an error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.swallowed = threading.Event()
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        self._libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if self._libc.mount(b"stuck", os.fsencode(folder), b"fuse", 0, options.encode()) != 0:
            os.close(self._device)
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
        self._mounted = True
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    @staticmethod
    def possible() -> bool:
        return os.geteuid() == 0 and os.access("/dev/fuse", os.R_OK | os.W_OK)

    def _serve(self) -> None:
        ready = select.poll()
        ready.register(self._device, select.POLLIN)
        ready.register(self._end, select.POLLIN)
        while self._end not in (fd for fd, _ in ready.poll()):
            _, kind, unique, *_ = _REQUEST.unpack_from(os.read(self._device, 1 << 20))
            if kind == INIT:
                os.write(self._device, _INIT_REPLY.pack(80, 0, unique, 7, 31, 0, 0, 12, 9, 4096, 1, 0, 0, 0))
            else:
                self.swallowed.set()

    def free(self) -> None:
        """Let everybody out."""
        if self._mounted:
            self._mounted = False
            os.eventfd_write(self._end, 1)
            self._server.join()
            os.close(self._device)  # nobody answers any more, so the kernel ends every wait
            os.close(self._end)
            self._libc.umount2(os.fsencode(self.folder), _DETACH)

    def __enter__(self) -> Stuck:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free()


def is_ghost(pid: int) -> bool:
    """Whether the process was killed and cannot end: its first thread is gone, another one is not."""
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
            and len(os.listdir(f"/proc/{pid}/task")) > 1
        )
    return False


def wait_for_ghost(pid: int) -> None:
    wait_for(lambda: is_ghost(pid), timeout_s=10, what=f"process {pid} killed and still there")
