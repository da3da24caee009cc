"""Every error of the vendor's has a meaning of ours, and none of the vendor's gets out."""

from __future__ import annotations

import pynvml
import pytest

from gpu_tuned.adapters.nvml.errors import MEANINGS, domain_error, translated, unread
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


def vendors() -> list[type[Exception]]:
    """Every error class of the binding's own, but for the base class, which takes the code as its argument."""
    return [
        kind
        for kind in vars(pynvml).values()
        if isinstance(kind, type)
        and issubclass(kind, Exception)
        and kind.__module__ == "pynvml"
        and kind is not pynvml.NVMLError
    ]


def codes() -> dict[str, int]:
    return {
        name: value
        for name, value in vars(pynvml).items()
        if name.startswith("NVML_ERROR_") and isinstance(value, int)
    }


def test_reflection_finds_the_errors() -> None:
    assert len(vendors()) > 25
    assert pynvml.NVMLLibraryMismatchError in vendors()
    assert pynvml.NVMLError_FunctionNotFound in vendors()


@pytest.mark.parametrize("name", codes())
def test_every_code_has_a_meaning(name: str) -> None:
    assert codes()[name] in MEANINGS


@pytest.mark.parametrize("kind", vendors(), ids=lambda kind: str(kind.__name__))
def test_every_error_is_translated(kind: type[Exception]) -> None:
    with pytest.raises(DriverError) as caught, translated():
        raise kind()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "a traceback would show the vendor's error"
    words = str(caught.value)
    assert len(words) > 10
    assert "NVML" not in words.replace("libnvidia-ml", ""), "words for a person, not the vendor's names"


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        (pynvml.NVML_ERROR_UNINITIALIZED, DriverAbsent, "not attached"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, DriverAbsent, "not loaded"),
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, DriverAbsent, "libnvidia-ml.so.1 is not installed"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, DriverMismatch, "reboot"),
        (pynvml.NVML_ERROR_GPU_IS_LOST, GpuLost, "lost"),
        (pynvml.NVML_ERROR_RESET_REQUIRED, GpuLost, "reset"),
        (pynvml.NVML_ERROR_NOT_SUPPORTED, NotSupported, "not supported"),
        (pynvml.NVML_ERROR_DEPRECATED, NotSupported, "deprecated"),
        (pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, NotSupported, "library"),
        (pynvml.NVML_ERROR_INVALID_ARGUMENT, DriverRefused, "refuses"),
        (pynvml.NVML_ERROR_NO_PERMISSION, DriverPermission, "CAP_SYS_ADMIN"),
        (pynvml.NVML_ERROR_UNKNOWN, DriverTrouble, "unknown"),
    ],
)
def test_what_decisions_hang_on(code: int, kind: type[DriverError], word: str) -> None:
    error = domain_error(pynvml.NVMLError(code))
    assert type(error) is kind
    assert word in str(error)


def test_a_code_of_the_future_is_trouble_with_its_number() -> None:
    error = domain_error(pynvml.NVMLError(777))
    assert type(error) is DriverTrouble
    assert "777" in str(error)


@pytest.mark.parametrize("ours", [ValueError("x"), GpuLost("x"), KeyboardInterrupt()])
def test_other_errors_pass_untouched(ours: BaseException) -> None:
    with pytest.raises(type(ours)) as caught, translated():
        raise ours
    assert caught.value is ours


def test_one_failed_reading_is_unread_unless_the_gpu_is_gone() -> None:
    assert unread(pynvml.NVML_ERROR_UNKNOWN) == Unread("the driver reports an unknown error")
    assert unread(pynvml.NVML_ERROR_NOT_SUPPORTED).why == "not supported by this GPU"
    for code in (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_UNINITIALIZED):
        with pytest.raises(DriverError):
            unread(code)
