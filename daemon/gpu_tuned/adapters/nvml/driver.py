"""`Nvml`: the port `Gpus`, by NVML.

Every method but `wait_events` is called from the loop thread. NVML attaches every GPU at once and lets go of
all at once, so that is what `attach` and `detach` do; after a driver reload or for a new GPU, detach and
attach.
"""

from __future__ import annotations

import _ctypes
import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml.board import describe
from gpu_tuned.adapters.nvml.calls import MOST_GPUS, words
from gpu_tuned.adapters.nvml.errors import translated
from gpu_tuned.adapters.nvml.events import EventWatch
from gpu_tuned.adapters.nvml.fields import version_of
from gpu_tuned.adapters.nvml.reads import Reader
from gpu_tuned.adapters.nvml.settings import write
from gpu_tuned.core.errors import (
    DriverAbsent,
    DriverError,
    DriverMismatch,
    DriverRefused,
    DriverTrouble,
    GpuLost,
)
from gpu_tuned.core.model import Board, Reading, Seen, Setting, Value
from gpu_tuned.ports import DriverEvent, Look


class Nvml:
    """One driver with its GPUs, by `libnvidia-ml.so.1`."""

    def __init__(self) -> None:
        self._attached = False
        self._version: str | None = None
        self._boards: dict[str, Board] = {}
        self._handles: dict[str, Any] = {}
        self._readers: dict[str, Reader] = {}
        self._left_out: dict[int, str] = {}
        self._watch: EventWatch | None = None
        self._watched = threading.Condition()
        self._abandoned = False  # a waiter hangs inside the library

    @property
    def left_out(self) -> Mapping[int, str]:
        """Index -> why, of the GPUs that the driver counts and that could not be described at the last
        attach."""
        return self._left_out

    def attach(self) -> tuple[Board, ...]:
        """Initialise the library once and describe every board. A GPU that is lost is left out (see
        `left_out`).

        Raises DriverAbsent, DriverMismatch, DriverTrouble; nothing stays attached then."""
        self.detach()
        try:
            with translated():
                self._init()
                self._attached = True
                self._version = words(pynvml.nvmlSystemGetDriverVersion)
                self._enumerate()
        except (DriverAbsent, DriverMismatch, DriverTrouble):
            self.detach()
            raise
        except DriverError as error:
            self.detach()
            raise DriverTrouble(str(error)) from None
        with self._watched:
            self._watch = EventWatch(self._handles)
            self._watched.notify_all()
        return tuple(self._boards.values())

    def detach(self) -> None:
        """Let go of every GPU. Never raises; may be called twice. Takes up to 0.6 s while a thread waits for
        events, a second where that one hangs in the driver."""
        with self._watched:
            watch, self._watch = self._watch, None
        if watch is not None and not watch.close():
            self._abandoned = True
        self._boards, self._handles, self._readers, self._left_out = {}, {}, {}, {}
        self._version = None
        if self._attached:
            self._attached = False
            # NVML counts: one init, so one shutdown.
            with contextlib.suppress(DriverError), translated():
                pynvml.nvmlShutdown()

    def see(self, uuid: str, look: Look) -> Seen:
        with translated():
            seen = self._reader(uuid).see(look)
        if seen.board is not None:
            self._boards[uuid] = seen.board
        return seen

    def read(self, uuid: str, setting: Setting) -> Reading:
        with translated():
            return self._reader(uuid).read(setting)

    def write(self, uuid: str, setting: Setting, value: Value) -> None:
        reader = self._reader(uuid)
        if setting is Setting.POWER_LIMIT:
            reader.doubt_limits()
        try:
            write(self._handles[uuid], self._boards[uuid], setting, value)
        except DriverRefused:
            reader.doubt_ladders()
            raise

    def wait_events(self, timeout_s: float) -> Sequence[DriverEvent]:
        """Wait for driver events; () on time-out, and while nothing is attached."""
        with self._watched:
            watch = self._watch
            if watch is None:
                self._watched.wait_for(lambda: self._watch is not None, timeout_s)
                return ()
        return watch.wait(timeout_s)

    def driver_version(self) -> str | None:
        """None where the library does not say: a Jetson's answers "N/A"."""
        return None if self._version in ("", "N/A") else self._version

    def _init(self) -> None:
        """nvmlInit. The library stays mapped from the first use on; when the driver was upgraded and reloaded
        since, it is the old one that does not fit, so it is let go of and what is installed now gets one
        try."""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError_LibRmVersionMismatch:
            if not self._unload():
                raise
        else:
            return
        pynvml.nvmlInit()

    def _unload(self) -> bool:
        """Let the library go, so that the next init loads what is installed then. Not while a thread is
        inside."""
        library = pynvml.nvmlLib
        if library is None or self._abandoned:
            return False
        pynvml.nvmlLib = None
        pynvml._nvmlGetFunctionPointer_cache.clear()  # noqa: SLF001  the binding has no other way to forget
        _ctypes.dlclose(library._handle)  # noqa: SLF001  nor ctypes one to close
        return True

    def describe_left_out(self) -> tuple[Board, ...]:
        """Try again, on the same connection, to describe the GPUs that could not be described; the events of one that
        comes are heard from the next attach on."""
        found = []
        with contextlib.suppress(DriverError), translated():  # it may count more by now
            known = {board.index for board in self._boards.values()} | set(self._left_out)
            self._left_out |= dict.fromkeys({*range(min(pynvml.nvmlDeviceGetCount(), MOST_GPUS))} - known, "new")
        for index in [index for index in self._left_out if index < MOST_GPUS]:
            try:
                board = self._describe(index)
            except DriverError as error:
                self._left_out[index] = str(error)
            else:
                del self._left_out[index]
                found.append(board)
        return tuple(found)

    def describe(self, uuid: str) -> Board:
        """Describe one attached GPU anew. Raises DriverError."""
        return self._describe(self._board_of(uuid).index)

    def _board_of(self, uuid: str) -> Board:
        self._reader(uuid)
        return self._boards[uuid]

    def _enumerate(self) -> None:
        failed: DriverError | None = None
        count = pynvml.nvmlDeviceGetCount()
        if count > MOST_GPUS:
            self._left_out[MOST_GPUS] = f"the driver counts {count} GPUs; {MOST_GPUS} are looked at"
        for index in range(min(count, MOST_GPUS)):
            try:
                self._describe(index)
            except DriverError as error:
                # One GPU that cannot be used must not cost the others.
                self._left_out[index], failed = str(error), error
        if not self._boards and isinstance(failed, (DriverAbsent, DriverMismatch)):
            raise failed

    def _describe(self, index: int) -> Board:
        """Raises DriverError."""
        with translated():
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            board = describe(handle, index)
            reader = Reader(handle, board, version_of(self._version))
        uuid = board.gpu.uuid
        twin = self._boards.get(uuid)
        if twin is not None and twin.index != index:
            raise DriverTrouble(f"it has the UUID of the GPU with index {twin.index}")
        self._boards[uuid], self._handles[uuid], self._readers[uuid] = board, handle, reader
        return board

    def _reader(self, uuid: str) -> Reader:
        reader = self._readers.get(uuid)
        if reader is not None:
            return reader
        if not self._attached:
            raise DriverAbsent("the driver library is not attached")
        why = next(iter(self._left_out.values()), "the driver does not list it")
        raise GpuLost(f"the GPU was not there when the driver was attached: {why}")
