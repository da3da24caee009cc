"""Times, values and lines of text as gpu-tunedctl prints them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_tuned.core.model import Setting
from gpu_tuned.core.throttle import Kind, Reason
from gpu_tuned.ctl.render import slowed, values
from gpu_tuned.ctl.render.text import WIDTH, clean, wrap
from gpu_tuned.ctl.throttle import WORDS

UTC_TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2400, 1, 1)).map(lambda at: at.replace(microsecond=0))


@given(UTC_TIMES)
def test_a_time_is_what_datetime_makes_of_it(at: datetime) -> None:
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert values.epoch(stamp) == at.replace(tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize("stamp", [None, "", "yesterday", "2026-11"])
def test_what_is_no_time_is_none(stamp: str | None) -> None:
    assert values.epoch(stamp) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3660, "1h 1m"),
        (86400 * 9 + 3600 * 4, "9d 4h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert values.span(seconds) == text


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        ("2026-11-22T00:00:05Z", "00:00"),
        ("2026-11-21T23:59:59Z", "Sat 23:59"),
        ("2026-11-12T10:00:00Z", "2026-11-12"),
        ("2026-11-23T10:00:00Z", "2026-11-23"),  # a clock that was set back: no weekday of the past
        (None, "an unknown time"),
    ],
)
def test_moments(utc: None, stamp: str | None, text: str) -> None:
    assert values.moment(stamp, values.epoch("2026-11-22T14:02:49Z") or 0.0) == text


@pytest.mark.parametrize(
    ("setting", "raw", "text"),
    [
        ("power_limit_w", 450, "450 W"),
        ("power_limit_w", 450.5, "450.5 W"),
        ("power_limit_w", {"max": 450}, "<= 450 W"),
        ("power_limit_w", "max", "max"),
        ("gpu_clock_mhz", {"min": 2400, "max": 2550}, "2400-2550 MHz"),
        ("gpu_clock_mhz", {"min": 0, "max": 2550}, "<= 2550 MHz"),
        ("gpu_clock_mhz", {"min": 1980, "max": 1980}, "1980 MHz"),
        ("gpu_clock_mhz", "unlocked", "unlocked"),
        ("application_clocks_mhz", {"memory": 5001, "gpu": 1590}, "5001,1590 MHz"),
        ("persistence_mode", True, "on"),
        ("compute_mode", "exclusive_process", "exclusive process"),
        ("numa_balancing", None, "-"),
        ("of_tomorrow_rpm", 3, "3"),
    ],
)
def test_values(setting: str, raw: Any, text: str) -> None:
    assert values.value(setting, raw) == text


@given(st.text(), st.integers(0, 6), st.integers(20, WIDTH))
def test_no_line_is_wider_than_it_may_be_and_no_letter_is_lost(text: str, indent: int, width: int) -> None:
    lines = wrap(text, " " * indent, " " * indent, width)
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(clean(text).split())


@given(st.text())
def test_no_control_character_stays(text: str) -> None:
    assert clean(text).isprintable()


def test_every_setting_has_its_words() -> None:
    assert list(values.LABELS) == [setting.value for setting in Setting]
    assert set(values.LOCKS) == {setting.value for setting in Setting if not setting.readable}


def test_every_reason_has_its_words() -> None:
    assert set(WORDS) == {reason.word for reason in Reason}
    assert set(slowed.FAULTS) == {reason.word for reason in Reason if reason.kind is Kind.FAULT}


@pytest.mark.parametrize(
    ("brake_s", "slowdown_s", "thermal_s", "hardware_s"),
    [(0.0, 5.0, 5.0, 0.0), (0.0, 7.0, 5.0, 2.0), (3.0, 3.0, 0.0, 3.0), (0.0, 0.0, 5.0, 0.0)],
)
def test_heat_is_not_told_twice(brake_s: float, slowdown_s: float, thermal_s: float, hardware_s: float) -> None:
    seconds = {"hw_power_brake": brake_s, "hw_slowdown": slowdown_s, "hw_thermal": thermal_s}
    reasons: Any = [{"reason": name, "kind": "fault", "sampled": False, "day_s": s} for name, s in seconds.items()]
    told = {who: s for who, s, _ in slowed.slowed_by(reasons, "day_s")}
    assert (told["heat"], told["hardware"]) == (thermal_s, hardware_s)
