"""A driver that is loaded after the service was started, and whose devices this process may therefore not open."""

from __future__ import annotations

import os
from pathlib import Path

from gpu_tuned.ports import Kernel

PATIENCE_S = 3.0
"""The device nodes are made after the module is loaded, by udev or by nvidia-modprobe; that long it may take."""


class LateDriver:
    """Asked now and then; says when only a new start of the service can help.

    systemd resolves DeviceAllow=char-nvidia* when it starts the service: without the driver there is nothing to
    resolve, and the list stays empty. Only a process that began without the driver ever says so, so that it cannot
    happen twice in a row.
    """

    def __init__(self, kernel: Kernel, root: str | Path = "/") -> None:
        self._kernel = kernel
        self._control = Path(root) / "dev/nvidiactl"
        self._since_s: float | None = None
        self.possible = kernel.driver_loaded() is None
        """False once it cannot happen any more: there is no need to ask again."""

    def shut_out(self, now_s: float) -> bool:
        """Whether the driver is there and its control device cannot be opened, for PATIENCE_S by now. `now_s`:
        monotonic seconds."""
        if not self.possible or self._kernel.driver_loaded() is None:
            self._since_s = None
            return False
        # access(2) asks the device filter too, and unlike open(2) it never enters the driver.
        if os.access(self._control, os.R_OK | os.W_OK):
            self.possible = False
            return False
        self._since_s = now_s if self._since_s is None else self._since_s
        return now_s - self._since_s >= PATIENCE_S
