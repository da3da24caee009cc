"""NVML's errors in words for a person, as errors of `core.errors`.

`translated` is the one way out: code that calls pynvml runs inside it. A code that NVML gets in future
becomes `DriverTrouble` with the driver's own words; a test reflects over the binding's error classes and
fails for one that is not in `MEANINGS`.
"""

from __future__ import annotations

from types import TracebackType

import pynvml

from gpu_tuned.core.errors import (
    DriverAbsent,
    DriverError,
    DriverMismatch,
    DriverPermission,
    DriverRefused,
    DriverTrouble,
    GpuLost,
    NotSupported,
)
from gpu_tuned.core.model import Unread

# nvmlReturn_t, from nvml.h (CUDA 13): the ones that decisions hang on.
SUCCESS = 0
INVALID_ARGUMENT = 2
NOT_SUPPORTED = 3
NOT_FOUND = 6
INSUFFICIENT_SIZE = 7
TIMEOUT = 10
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
LIB_RM_VERSION_MISMATCH = 18
ARGUMENT_VERSION_MISMATCH = 25
DEPRECATED = 26
UNKNOWN = 999

# Answers that stay what they are until the driver is attached anew: asking again is wasted. An older driver
# says INVALID_ARGUMENT to a field id that it does not know (seen on 580.159 for ids of later drivers).
FOR_GOOD = frozenset(
    {
        INVALID_ARGUMENT,
        NOT_SUPPORTED,
        NOT_FOUND,
        FUNCTION_NOT_FOUND,
        ARGUMENT_VERSION_MISMATCH,
        DEPRECATED,
    }
)

# These concern the whole GPU or driver; any other error concerns the one call that got it.
WHOLE = (DriverAbsent, DriverMismatch, GpuLost)

MEANINGS: dict[int, tuple[type[DriverError], str]] = {
    1: (DriverAbsent, "the driver library is not attached"),
    INVALID_ARGUMENT: (DriverRefused, "the driver refuses this value"),
    NOT_SUPPORTED: (NotSupported, "not supported by this GPU"),
    4: (DriverPermission, "not permitted: the driver asks for CAP_SYS_ADMIN (root)"),
    5: (DriverTrouble, "the driver library was attached already"),
    NOT_FOUND: (DriverTrouble, "the driver finds no such thing"),
    INSUFFICIENT_SIZE: (DriverTrouble, "the driver's answer does not fit into the room it was given"),
    8: (DriverTrouble, "a power cable of the GPU is missing or does not deliver"),
    9: (DriverAbsent, "the NVIDIA driver is not loaded"),
    TIMEOUT: (DriverTrouble, "the driver did not answer in its own time limit"),
    11: (DriverTrouble, "the kernel has trouble with the GPU's interrupts"),
    12: (DriverAbsent, "the NVIDIA driver's library libnvidia-ml.so.1 is not installed"),
    FUNCTION_NOT_FOUND: (
        NotSupported,
        "the installed driver library does not have this call (another version)",
    ),
    14: (DriverTrouble, "the GPU's infoROM is corrupted"),
    GPU_IS_LOST: (GpuLost, "the GPU is lost: it fell off the bus, or cannot be reached any more"),
    16: (GpuLost, "the GPU needs a reset before it can be used again"),
    17: (
        DriverTrouble,
        "the operating system blocks the access to the GPU (device permissions, or a container)",
    ),
    LIB_RM_VERSION_MISMATCH: (
        DriverMismatch,
        "the NVIDIA library and the loaded kernel module are of different versions: "
        "the driver was upgraded; reload it or reboot",
    ),
    19: (DriverRefused, "the GPU is in use, and the driver does not change this meanwhile"),
    20: (DriverTrouble, "the driver is out of memory"),
    21: (DriverTrouble, "the driver has no data"),
    22: (NotSupported, "not available for a virtual GPU while ECC is on"),
    23: (DriverTrouble, "the driver is out of resources"),
    24: (DriverRefused, "the GPU does not support this clock"),
    ARGUMENT_VERSION_MISMATCH: (
        NotSupported,
        "the driver library does not take this form of the call (another version)",
    ),
    DEPRECATED: (NotSupported, "this driver has given it up (deprecated)"),
    27: (DriverTrouble, "the driver is not ready"),
    28: (GpuLost, "the driver finds no such GPU"),
    29: (DriverRefused, "the GPU is in a state that does not allow it"),
    30: (NotSupported, "the GPU does not have this kind of reset"),
    UNKNOWN: (DriverTrouble, "the driver reports an unknown error"),
}

BINDING_MISMATCH = "the Python binding nvidia-ml-py and the installed driver library do not fit together"


def meaning(code: int, words: str = "") -> tuple[type[DriverError], str]:
    """What an nvmlReturn_t means. `words`: the driver's own, used for a code without a meaning here."""
    known = MEANINGS.get(code)
    return known or (DriverTrouble, f"the driver reports error {code}{words and f' ({words})'}")


def domain_error(error: BaseException) -> DriverError | None:
    """The error of ours that says the same; None for one that is not NVML's."""
    if isinstance(error, pynvml.NVMLError):
        kind, words = meaning(error.value, "" if error.value in MEANINGS else str(error))
        return kind(words)
    if isinstance(error, pynvml.NVMLLibraryMismatchError):
        return DriverTrouble(BINDING_MISMATCH)
    if isinstance(error, UnicodeError):  # the binding decodes what the driver hands out
        return DriverTrouble("the driver hands out a text that cannot be read")
    return None


class translated:
    """Runs NVML calls; whatever the vendor raises leaves as an error of `core.errors`."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ours = domain_error(error) if error is not None else None
        if ours is not None:
            raise ours from None


def unread(code: int) -> Unread:
    """One reading that failed with `code`. Raises where the code speaks of the whole GPU or driver."""
    kind, words = meaning(code)
    if issubclass(kind, WHOLE):
        raise kind(words)
    return Unread(words)
