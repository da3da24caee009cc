"""When the application clocks are read."""

from __future__ import annotations

import pytest

from gpu_tuned.core.model import ApplicationClocks, Telemetry
from gpu_tuned.core.rotation import SELDOM, application_clocks_due, shows_others

OURS = ApplicationClocks(memory_mhz=3201, gpu_mhz=1755)
FITS = Telemetry(gpu_clock_mhz=1755, memory_clock_mhz=3201, pstate=0, utilization_percent=99)


@pytest.mark.parametrize(
    ("seen", "others"),
    [
        (FITS, False),
        (Telemetry(), False),
        (Telemetry(gpu_clock_mhz=345, memory_clock_mhz=3201, pstate=0, utilization_percent=0), False),
        (Telemetry(gpu_clock_mhz=1770, memory_clock_mhz=3201, pstate=0), False),
        (Telemetry(gpu_clock_mhz=1785, memory_clock_mhz=3201, pstate=0), True),
        (Telemetry(gpu_clock_mhz=1980, memory_clock_mhz=None), True),
        (Telemetry(gpu_clock_mhz=1700, memory_clock_mhz=2201, pstate=0, utilization_percent=99), True),
        (Telemetry(gpu_clock_mhz=345, memory_clock_mhz=2201, pstate=0, utilization_percent=0), False),
        (Telemetry(gpu_clock_mhz=1700, memory_clock_mhz=2201, pstate=2, utilization_percent=99), False),
        (Telemetry(gpu_clock_mhz=1410, memory_clock_mhz=3201, pstate=0, utilization_percent=99), False),
    ],
)
def test_what_clocks_show_of_application_clocks(seen: Telemetry, others: bool) -> None:
    assert shows_others(OURS, seen) is others


def test_they_are_read_while_not_known_and_seldom_then() -> None:
    assert all(application_clocks_due(turn, 2.0, None, FITS) for turn in range(7))
    assert sum(application_clocks_due(turn, 2.0, OURS, FITS) for turn in range(10 * SELDOM)) == 10
    assert not application_clocks_due(1, 2.0, OURS, None)


def test_looks_that_are_far_apart_leave_them_unread_for_three_minutes_at_most() -> None:
    assert [turn for turn in range(1, 10) if application_clocks_due(turn, 60.0, OURS, FITS)] == [3, 6, 9]
    assert all(application_clocks_due(turn, 3600.0, OURS, FITS) for turn in range(4))


def test_clocks_that_do_not_fit_have_them_read_soon_but_not_in_every_look() -> None:
    above = Telemetry(gpu_clock_mhz=1980)
    turns = [turn for turn in range(1, SELDOM) if application_clocks_due(turn, 2.0, OURS, above)]
    assert turns == list(range(5, SELDOM, 5))
