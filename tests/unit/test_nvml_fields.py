"""Numbers whose meaning depends on the driver."""

from __future__ import annotations

import ctypes

import pynvml
import pytest

from gpu_tuned.adapters.nvml import calls
from gpu_tuned.adapters.nvml.errors import UNKNOWN
from gpu_tuned.adapters.nvml.fields import recovery_action, slowdown_counters, version_of


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("580.159.04", (580, 159)),
        ("580.65.06", (580, 65)),
        ("418.226.00", (418, 226)),
        ("610.43", (610, 43)),
        ("N/A", None),
        ("", None),
        (None, None),
        ("\N{REPLACEMENT CHARACTER}80.1", None),
        ("580", None),
        ("580.x", None),
        ("99999999999.1", None),
    ],
)
def test_a_version_is_branch_and_release(text: str | None, version: tuple[int, int] | None) -> None:
    assert version_of(text) == version


NONE: dict[int, int] = {}
OLD, NEW = {269: 251, 270: 252, 271: 253}, {269: 269, 270: 270, 271: 271}


@pytest.mark.parametrize(
    ("driver", "counters"),
    [
        (None, NONE),
        ((418, 226), NONE),
        ((570, 999), NONE),
        ((575, 0), OLD),
        ((575, 64), OLD),
        ((580, 65), OLD),
        ((580, 81), OLD),
        ((580, 82), NEW),
        ((580, 159), NEW),
        ((590, 48), NEW),
        ((615, 71), NEW),
    ],
)
def test_slowdown_counters_changed_places_at_580_82(driver: tuple[int, int] | None, counters: dict[int, int]) -> None:
    assert slowdown_counters(driver) == counters


@pytest.mark.parametrize(
    ("number", "driver", "words"),
    [
        (1, None, "reset the GPU"),
        (2, (570, 86), "reboot the host"),
        (5, (580, 126), "reset the bus"),
        (5, (590, 48), "action 5"),
        (5, (610, 43), "recover the IMEX domain"),
        (6, (610, 43), "action 6"),
        (6, (615, 71), "reset the bus"),
        (7, (615, 71), "reboot the system"),
        (5, None, "action 5"),
        (99, (615, 71), "action 99"),
    ],
)
def test_a_recovery_action_whose_name_is_not_known_is_told_by_its_number(
    number: int, driver: tuple[int, int] | None, words: str
) -> None:
    assert recovery_action(number, driver) == words


def test_an_answer_that_names_another_field_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that writes over what it was asked costs that field, and not the daemon."""
    answers = (pynvml.c_nvmlFieldValue_t * 2)()
    for answer, field in zip(answers, (74, 999), strict=True):
        answer.fieldId, answer.valueType, answer.value.uiVal = field, 1, 5
    monkeypatch.setattr(pynvml, "nvmlDeviceGetFieldValues", lambda handle, ids: answers)
    assert calls.fields(ctypes.c_void_p(), (74, 77)) == {74: (0, 5), 77: (UNKNOWN, 0)}


@pytest.mark.parametrize("count", [2, calls.MOST_CLOCKS, calls.MOST_CLOCKS + 1, 2**32 - 1])
def test_more_clocks_than_there_was_room_for_are_no_list(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """A driver that says SUCCESS, and that it wrote more than it was given room for."""

    def listing(handle: object, told: object, room: ctypes.Array[ctypes.c_uint]) -> int:
        told._obj.value = count  # type: ignore[attr-defined]
        room[0], room[1] = 900, 800
        return 0

    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer", lambda name: listing)
    if count > calls.MOST_CLOCKS:
        with pytest.raises(pynvml.NVMLError_InsufficientSize):
            calls.clocks("nvmlDeviceGetSupportedMemoryClocks", ctypes.c_void_p())
    else:
        found = calls.clocks("nvmlDeviceGetSupportedMemoryClocks", ctypes.c_void_p())
        assert found[:2] == [900, 800] and len(found) == count
