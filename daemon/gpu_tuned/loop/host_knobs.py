"""The kernel's knobs in the form of a device: so that the host's settings go the way of a GPU's."""

from __future__ import annotations

from gpu_tuned.core.errors import NotSupported
from gpu_tuned.core.gpu_state import HOST
from gpu_tuned.core.model import NO_INDEX, Board, NumaBalancing, Reading, Seen, Setting, Telemetry, Unread, Value
from gpu_tuned.ports import Kernel, Look

NO_KNOB = "this kernel has no numa_balancing that can be read"


class HostKnobs:
    """`ports.Device` for the host, which has no UUID."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._absent = False

    def absent(self) -> dict[Setting, str]:
        """The knobs that this kernel does not have, and why."""
        self._absent = self._kernel.numa_balancing() is None
        return {Setting.NUMA_BALANCING: NO_KNOB} if self._absent else {}

    def see(self, uuid: str, look: Look) -> Seen:
        found = self.read(uuid, Setting.NUMA_BALANCING)
        board = None
        if self._absent and not isinstance(found, Unread):  # what could not be read at the start was there all along
            self._absent, board = False, Board(HOST, NO_INDEX)
        return Seen({Setting.NUMA_BALANCING: found}, Telemetry(), board=board)

    def read(self, uuid: str, setting: Setting) -> Reading:
        found = self._kernel.numa_balancing()
        return Unread(NO_KNOB) if found is None else found

    def write(self, uuid: str, setting: Setting, value: Value) -> None:
        if setting is not Setting.NUMA_BALANCING or not isinstance(value, NumaBalancing):
            raise NotSupported(f"{setting.label} is no setting of the host")
        self._kernel.set_numa_balancing(value)
