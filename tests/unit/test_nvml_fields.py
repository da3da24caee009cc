"""Numbers whose meaning depends on the driver."""

from __future__ import annotations

import pytest

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
