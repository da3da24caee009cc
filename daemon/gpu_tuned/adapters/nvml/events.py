"""Waiting for what the driver says by itself, in a thread of its own.

The event thread makes, waits on and remakes the event set; the loop thread attaches and detaches. NVML's
order for letting go is: stop waiting, free the sets, shut down. So a wait sits in the driver for half a second
at a time and looks between two of them whether the set is to go; `close` waits for it to be out, and
not longer than a second, for a waiter may hang in the driver, and the process must end all the same.

After a lost GPU (Xid 79) the wait answers GPU_IS_LOST at once, at every call: the set is made anew without
that GPU, and the driver is left alone for a growing while.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml.errors import FUNCTION_NOT_FOUND, GPU_IS_LOST, SUCCESS, TIMEOUT
from gpu_tuned.ports import DriverEvent

# nvmlEventType...: Xid, change of power source, MIG configuration, GPU unavailable, recovery action. Not the
# clock events: on an H200 under a power cap they came 3,900 times in 65 s and cost more than looking.
XID = 0x8
WAIT = "nvmlEventSetWait_v2"
WANTED = XID | 0x80 | 0x100 | 0x4000 | 0x8000

SLICE_S = 0.5  # each turn costs 0.2 ms: four a second were a third of the budget at rest
LEAVE_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
AT_ONCE = 64  # events taken together: the loop needs to look once


class EventWatch:
    """The events of one attachment, from `attach` to `close`."""

    def __init__(self, handles: Mapping[str, Any]) -> None:
        self._handles = dict(handles)
        self._uuids = {_address(handle): uuid for uuid, handle in handles.items()}
        self._turn = threading.Condition()
        self._inside = False
        self._closing = False
        self._set: Any = None
        self._in_doubt = False  # somebody is lost, and nobody is known to be
        self._quiet_until = 0.0
        self._pause_s = FIRST_PAUSE_S

    def wait(self, timeout_s: float) -> Sequence[DriverEvent]:
        """Events; () on time-out and as soon as the watch closes. Raises nothing."""
        with self._turn:
            if self._closing or self._inside:
                return ()
            self._inside = True
        try:
            return self._wait(time.monotonic() + timeout_s)
        finally:
            with self._turn:
                self._inside = False
                self._turn.notify_all()

    def close(self) -> bool:
        """Send the waiter out and free the set. False where the waiter hangs in the driver: it still holds
        the set, so nothing is freed."""
        with self._turn:
            self._closing = True
            self._turn.notify_all()
            if not self._turn.wait_for(lambda: not self._inside, LEAVE_S):
                return False
        self._free()
        return True

    def _wait(self, deadline: float) -> Sequence[DriverEvent]:
        while not self._closing:
            now = time.monotonic()
            left_s = deadline - now
            if left_s <= 0:
                break
            if now < self._quiet_until:
                self._sleep(min(left_s, self._quiet_until - now))
                continue
            if self._set is None:
                lost = self._make()
                if lost:
                    return lost
                continue
            code, events = self._take(min(left_s, SLICE_S))
            if events:
                return events
            if code in (SUCCESS, TIMEOUT):
                self._pause_s = FIRST_PAUSE_S
            else:
                self._trouble(code)
        return ()

    def _sleep(self, seconds: float) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._closing, seconds)

    def _make(self) -> list[DriverEvent]:
        """Make the set over all GPUs that take it. Those found lost are told of, and left out from now on."""
        lost = []
        registered = False
        try:
            events = pynvml.nvmlEventSetCreate()
        except pynvml.NVMLError:
            self._pause()
            return []
        for uuid, handle in list(self._handles.items()):
            try:
                types = pynvml.nvmlDeviceGetSupportedEventTypes(handle) & WANTED
                if types:
                    pynvml.nvmlDeviceRegisterEvents(handle, types, events)
                    registered = True
            except pynvml.NVMLError as error:  # one GPU that hands out no events
                if error.value == GPU_IS_LOST:
                    del self._handles[uuid]
                    lost.append(DriverEvent("other", uuid))
        self._set = events
        if self._in_doubt and not lost:
            lost.append(DriverEvent("other", ""))
        self._in_doubt = False
        if not registered:
            self._free()
            self._quiet_until = float("inf")  # nobody to hear from until the driver is attached anew
        return lost

    def _take(self, timeout_s: float) -> tuple[int, Sequence[DriverEvent]]:
        """(nvmlReturn, events): the first within the time-out, and what waits behind it, each with its number."""
        taken: dict[DriverEvent, int] = {}
        timeout_ms = max(1, round(timeout_s * 1000))
        for _ in range(AT_ONCE):
            try:
                data = pynvml.nvmlEventSetWait_v2(self._set, timeout_ms)
            except pynvml.NVMLError as error:
                return error.value, _counted(taken)
            kind = "xid" if data.eventType & XID else "other"
            uuid = self._uuids.get(_address(data.device), "")
            event = DriverEvent(kind, uuid, int(data.eventData))
            taken[event] = taken.get(event, 0) + 1
            timeout_ms = 0
        return SUCCESS, _counted(taken)

    def _trouble(self, code: int) -> None:
        """The wait itself failed: make the set anew, at once the first time, later after a pause."""
        self._free()
        if code == FUNCTION_NOT_FOUND:
            self._quiet_until = float("inf")  # an older library; Board.no_xids says so
            return
        if self._pause_s == FIRST_PAUSE_S:
            self._in_doubt = code == GPU_IS_LOST
        else:
            self._quiet_until = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _pause(self) -> None:
        self._quiet_until = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _free(self) -> None:
        events, self._set = self._set, None
        if events is not None:
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlEventSetFree(events)


def _counted(taken: Mapping[DriverEvent, int]) -> tuple[DriverEvent, ...]:
    return tuple(event._replace(times=times) for event, times in taken.items())


def _address(handle: Any) -> int:
    """A handle as something that compares and hashes: the binding's own never do."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
