"""Everything that can go wrong, as one tree.

    GpuTunedError                  exit
    ├── PolicyError                 2   the policy file cannot be used; carries every problem found
    ├── UsageError                  2   a command line or request that makes no sense
    ├── NotReachable                3   no daemon answers on the socket
    ├── NotPermitted                4   the caller may not do this
    ├── AlreadyRunning              5   another daemon owns this driver
    │   └── StillInDriver               ... one that was killed, and sits in a driver call that no signal ends
    └── DriverError                 5   the driver, or one GPU, said no
        ├── DriverAbsent                the driver is not loaded, or its library is not installed
        ├── DriverMismatch              library and kernel module are of different versions (upgrade under way)
        ├── GpuLost                     this GPU fell off the bus or needs a reset
        ├── NotSupported                this board, or this driver, does not have the setting
        ├── DriverRefused               the driver has the setting and refused the value
        ├── DriverPermission            the process lacks CAP_SYS_ADMIN
        └── DriverTrouble               anything else, with the driver's own words

Adapters raise these and nothing else; a test reflects over the vendor's errors and fails for one not mapped.
"""

from __future__ import annotations


class GpuTunedError(Exception):
    """Base of all. `exit_code` is what a command ends with when nobody handles it."""

    exit_code = 5


class PolicyError(GpuTunedError):
    """A policy that cannot be used. `problems` holds one sentence for each thing wrong, never empty."""

    exit_code = 2

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(GpuTunedError):
    exit_code = 2


class NotReachable(GpuTunedError):
    exit_code = 3


class NotPermitted(GpuTunedError):
    exit_code = 4


class AlreadyRunning(GpuTunedError):
    exit_code = 5


class StillInDriver(AlreadyRunning):
    exit_code = 5


class DriverError(GpuTunedError):
    exit_code = 5


class DriverAbsent(DriverError):
    pass


class DriverMismatch(DriverError):
    pass


class GpuLost(DriverError):
    pass


class NotSupported(DriverError):
    pass


class DriverRefused(DriverError):
    pass


class DriverPermission(DriverError):
    pass


class DriverTrouble(DriverError):
    pass
