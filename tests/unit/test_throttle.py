"""Seconds by reason, and what counts as a fault: the recorded load of a real H200, and made-up faults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.core.reasons import COUNTERS, Reason
from gpu_tuned.core.throttle import FaultChange, Throttle

TRACE = json.loads((Path(__file__).parent / "data" / "h200_throttle.json").read_text())
NO_HEAT = {270: 0, 271: 0, 269: 0, 74: 0}


def row(throttle: Throttle, at_s: float, reason: Reason, own_cap: bool = False) -> dict[str, Any]:
    (found,) = [r for r in throttle.report(at_s, own_cap) if r["reason"] == reason.word]
    return found


def told(changes: list[FaultChange]) -> list[tuple[str, bool]]:
    return [(change.reason.word, change.began) for change in changes]


def feed(
    throttle: Throttle,
    from_s: float,
    to_s: float,
    reasons: int | None,
    counters: Mapping[int, int] | None = None,
    step_s: float = 2.0,
) -> list[FaultChange]:
    """Observe the same thing every `step_s` seconds, both ends included."""
    changes: list[FaultChange] = []
    at_s = from_s
    while at_s <= to_s:
        changes += throttle.observe(at_s, reasons, counters)
        at_s += step_s
    return changes


@pytest.mark.parametrize("every", [1, 5, 20], ids=["0.1s", "0.5s", "2s"])
def test_the_recorded_load_is_15_36_s_of_power_cap_and_no_fault(every: int) -> None:
    throttle = Throttle(511)  # what the H200 said it can report
    changes: list[FaultChange] = []
    for at_s, reasons, _, _, *counters in TRACE["samples"][::every]:
        changes += throttle.observe(at_s, reasons, dict(zip(TRACE["counter_ids"], counters, strict=True)))
        assert not throttle.went_back
    assert changes == []
    assert throttle.fault is None
    cap = row(throttle, at_s, Reason.SW_POWER_CAP)
    assert cap["start_s"] == cap["hour_s"] == cap["day_s"] == 15.356
    assert cap["minute_s"] == pytest.approx(15.356, abs=0.001)
    assert not cap["sampled"]
    for reason in (Reason.SW_THERMAL, Reason.HW_THERMAL, Reason.HW_POWER_BRAKE, Reason.HW_SLOWDOWN):
        assert row(throttle, at_s, reason)["start_s"] == 0


def test_counters_that_come_every_fifth_pass_lose_nothing() -> None:
    throttle = Throttle(511)
    for number, (at_s, reasons, _, _, *counters) in enumerate(TRACE["samples"]):
        named = dict(zip(TRACE["counter_ids"], counters, strict=True))
        assert not throttle.observe(at_s, reasons, named if number % 5 == 0 else None)
    assert row(throttle, at_s, Reason.SW_POWER_CAP)["start_s"] == 15.356


def test_sampled_bits_alone_come_close_to_the_counter_and_say_that_they_are_sampled() -> None:
    throttle = Throttle(511)
    for at_s, reasons, *_ in TRACE["samples"]:
        throttle.observe(at_s, reasons, None)
    cap = row(throttle, at_s, Reason.SW_POWER_CAP)
    assert cap["sampled"]
    assert cap["start_s"] == pytest.approx(15.36, abs=0.2)


def test_a_power_cap_is_our_own_while_a_limit_of_ours_is_in_force() -> None:
    throttle = Throttle()
    throttle.observe(0, 0x4, {74: 0})
    assert row(throttle, 0, Reason.SW_POWER_CAP, own_cap=True)["kind"] == "own"
    assert row(throttle, 0, Reason.SW_POWER_CAP, own_cap=False)["kind"] == "limit"
    assert row(throttle, 0, Reason.BOARD_LIMIT, own_cap=True)["kind"] == "limit"
    assert row(throttle, 0, Reason.SW_POWER_CAP)["active"]


def test_unknown_bits_are_tolerated_and_unsupported_reasons_are_left_out() -> None:
    throttle = Throttle(0x4 | 0x1)
    assert throttle.observe(0, 0xFFFF_F000 | 0x4, {999: 1}) == ()
    assert {r["reason"] for r in throttle.report(0, False)} == {"sw_power_cap", "idle"}


def test_windows_forget_the_total_does_not() -> None:
    throttle = Throttle()
    throttle.observe(0, 0, {74: 0})
    throttle.observe(10, 0x4, {74: 10_000_000_000})
    throttle.observe(20, 0, {74: 10_000_000_000})
    for at_s, minute_s, hour_s, day_s in [
        (20, 10, 10, 10),
        (65, 5, 10, 10),
        (75, 0, 10, 10),
        (3600 + 30, 0, 5, 10),
    ]:
        found = row(throttle, at_s, Reason.SW_POWER_CAP)
        assert found["minute_s"] == pytest.approx(minute_s, abs=1)
        assert found["hour_s"] == pytest.approx(hour_s, abs=5.1)
        assert found["day_s"] == pytest.approx(day_s, abs=0.1)
        assert found["start_s"] == 10
    late = row(throttle, 3 * 86400, Reason.SW_POWER_CAP)
    assert (late["minute_s"], late["hour_s"], late["day_s"], late["start_s"]) == (0, 0, 0, 10)


def test_a_long_gap_counts_by_the_counter_but_not_by_samples() -> None:
    throttle = Throttle()
    throttle.observe(0, 0x8 | 0x4, {74: 0})
    throttle.observe(2, 0x8 | 0x4, {74: 2_000_000_000})
    throttle.observe(1000, 0x8 | 0x4, {74: 1_000_000_000_000})  # the driver hung for a quarter of an hour
    assert row(throttle, 1000, Reason.HW_SLOWDOWN)["start_s"] == 2
    assert row(throttle, 1000, Reason.SW_POWER_CAP)["start_s"] == 1000


def test_a_counter_running_backwards_starts_a_new_base_and_says_so() -> None:
    throttle = Throttle()
    throttle.observe(0, 0, {74: 5_000_000_000, 269: 0})
    throttle.observe(2, 0, {74: 6_000_000_000, 269: 0})
    assert not throttle.went_back
    assert throttle.observe(4, 0, {74: 1_000_000_000, 269: 0}) == ()
    assert throttle.went_back
    throttle.observe(6, 0, {74: 1_500_000_000, 269: 0})
    assert not throttle.went_back
    assert row(throttle, 6, Reason.SW_POWER_CAP)["start_s"] == 1.5


def test_a_gpu_that_comes_back_is_not_charged_for_its_absence() -> None:
    throttle = Throttle()
    throttle.observe(0, 0, {74: 1_000_000_000})
    throttle.rebase()
    throttle.observe(500, 0, {74: 400_000_000_000})  # a new initialisation that overtook the old value
    throttle.observe(502, 0, {74: 401_000_000_000})
    assert not throttle.went_back
    assert row(throttle, 502, Reason.SW_POWER_CAP)["start_s"] == 1


@pytest.mark.parametrize("reason", [Reason.HW_SLOWDOWN, Reason.HW_THERMAL, Reason.HW_POWER_BRAKE, Reason.SW_THERMAL])
def test_one_sample_is_a_blip_two_are_a_fault(reason: Reason) -> None:
    throttle = Throttle()
    changes = feed(throttle, 0, 4, 0)
    changes += throttle.observe(6, reason.bit, None)
    changes += throttle.observe(8, 0, None)
    assert changes == []
    changes += feed(throttle, 10, 14, reason.bit)
    assert told(changes) == [(reason.word, True)]
    assert changes[0].at_s == 10
    assert throttle.fault is not None
    assert throttle.fault.reason is reason
    ended = feed(throttle, 16, 30, 0)
    assert told(ended) == [(reason.word, False)]
    assert ended[0].at_s == 24  # ten quiet seconds after the last sign
    assert ended[0].duration_s == pytest.approx(6, abs=2)
    assert throttle.fault is None


def test_a_fault_between_two_looks_is_seen_by_its_counter_and_lasts_as_long_as_the_counter_says() -> None:
    throttle = Throttle()
    feed(throttle, 0, 8, 0, NO_HEAT)
    began = throttle.observe(10, 0, NO_HEAT | {270: 300_000_000})
    assert told(list(began)) == [("hw_thermal", True)]
    assert began[0].at_s == pytest.approx(9.7)
    (ended,) = feed(throttle, 12, 40, 0, NO_HEAT | {270: 300_000_000})
    assert (ended.reason, ended.began, ended.duration_s) == (Reason.HW_THERMAL, False, 0.3)


def test_a_counter_that_creeps_by_milliseconds_is_no_fault() -> None:
    throttle = Throttle()
    for look in range(100):
        assert not throttle.observe(look * 2.0, 0, NO_HEAT | {271: look * 5_000_000})


def test_a_fault_that_comes_and_goes_within_the_quiet_time_is_told_once() -> None:
    throttle = Throttle()
    changes: list[FaultChange] = []
    for look in range(60):
        changes += throttle.observe(look * 1.0, 0x20 if look % 6 < 3 else 0, None)
    assert told(changes) == [("sw_thermal", True)]
    changes = feed(throttle, 60, 80, 0)
    assert told(changes) == [("sw_thermal", False)]


def test_counters_looked_at_rarely_do_not_make_a_lasting_fault_flap() -> None:
    """Nothing but the counter shows it, and it is read every 10 s, which is as long as the quiet time."""
    throttle = Throttle()
    changes: list[FaultChange] = []
    for look in range(100):
        counters = NO_HEAT | {269: look * 300_000_000} if look % 5 == 0 else None
        changes += throttle.observe(look * 2.0, 0, counters)
    assert told(changes) == [("sw_thermal", True)]


def test_a_counter_that_stops_answering_does_not_keep_a_fault_on_for_ever() -> None:
    throttle = Throttle()
    changes = feed(throttle, 0, 4, 0x20, NO_HEAT)
    changes += feed(throttle, 6, 200, 0, None)
    assert told(changes) == [("sw_thermal", True), ("sw_thermal", False)]


def test_a_slowdown_with_a_name_is_one_fault_and_the_name_is_the_specific_one() -> None:
    throttle = Throttle()
    changes = feed(throttle, 0, 10, 0x8 | 0x80)
    changes += feed(throttle, 12, 16, 0x8)  # the same episode, while only the general bit is left
    changes += feed(throttle, 18, 40, 0)
    assert told(changes) == [("hw_power_brake", True), ("hw_power_brake", False)]


def test_a_slowdown_that_gets_its_name_later_is_handed_over() -> None:
    throttle = Throttle()
    changes = feed(throttle, 0, 4, 0x8)
    changes += feed(throttle, 6, 10, 0x8 | 0x40)
    assert told(changes) == [("hw_slowdown", True), ("hw_slowdown", False), ("hw_thermal", True)]
    assert [fault.reason for fault in throttle.faults] == [Reason.HW_THERMAL]


def test_the_worst_of_two_faults_is_the_one_shown() -> None:
    throttle = Throttle()
    feed(throttle, 0, 4, 0x20)
    feed(throttle, 6, 10, 0x20 | 0x40)
    assert [fault.reason for fault in throttle.faults] == [Reason.HW_THERMAL, Reason.SW_THERMAL]
    assert throttle.fault is not None
    assert throttle.fault.reason is Reason.HW_THERMAL
    assert throttle.fault.since_s == 6


def test_a_power_cap_however_long_is_no_fault() -> None:
    throttle = Throttle()
    for look in range(1000):
        assert not throttle.observe(look * 2.0, 0x4 | 0x10 | 0x200, {74: look * 2_000_000_000, 77: look * 10**9})
    assert throttle.fault is None


def test_a_driver_that_says_no_reasons_changes_nothing() -> None:
    throttle = Throttle()
    changes = feed(throttle, 0, 4, 0x20)
    changes += feed(throttle, 6, 60, None)
    assert told(changes) == [("sw_thermal", True)]  # not knowing is not the end of it


def test_the_table_is_what_nvml_says() -> None:
    bits = [reason.bit for reason in Reason]
    assert sorted(bits) == [1 << n for n in range(11)]
    assert COUNTERS == (74, 76, 77, 78, 79, 269, 270, 271)
    assert len({reason.word for reason in Reason}) == len(Reason)
