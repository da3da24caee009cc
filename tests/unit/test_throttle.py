"""Seconds by reason, and what counts as a fault: the recorded load of a real H200, and made-up faults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.core.throttle import Capping, FaultChange, Limiter, Reason, Throttle

TRACE = json.loads((Path(__file__).parent / "data" / "h200_throttle.json").read_text())
NO_HEAT = {270: 0, 271: 0, 269: 0, 74: 0}


OWN, OTHER, BOARD = (Capping(limiter) for limiter in (Limiter.OWN, Limiter.OTHER, Limiter.BOARD))
IDLE = Capping(Limiter.OWN, idle=True)


def row(throttle: Throttle, at_s: float, reason: Reason) -> Mapping[str, Any]:
    (found,) = [r for r in throttle.report(at_s) if r["reason"] == reason.word]
    return found


def caps(throttle: Throttle, at_s: float) -> dict[tuple[str, str | None], Mapping[str, Any]]:
    """The rows of the power cap, by kind and limiter."""
    return {(r["kind"], r["limiter"]): r for r in throttle.report(at_s) if r["reason"] == "sw_power_cap"}


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


def test_a_power_cap_is_whose_limit_it_is_at_each_look() -> None:
    throttle = Throttle()
    throttle.observe(0, 0x4, {74: 0}, BOARD)
    assert list(caps(throttle, 0)) == [("limit", "board")]
    throttle.observe(2, 0x4, None, OWN)
    assert [key for key, found in caps(throttle, 2).items() if found["active"]] == [("own", "own")]
    throttle.observe(4, 0x4, None, OTHER)
    assert [key for key, found in caps(throttle, 4).items() if found["active"]] == [("limit", "other")]
    assert row(throttle, 4, Reason.BOARD_LIMIT)["kind"] == "limit"


def test_unknown_bits_are_tolerated_and_unsupported_reasons_are_left_out() -> None:
    throttle = Throttle(0x4 | 0x1)
    assert throttle.observe(0, 0xFFFF_F000 | 0x4, {999: 1}) == ()
    assert {r["reason"] for r in throttle.report(0)} == {"sw_power_cap", "idle"}


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


def test_a_counter_that_runs_back_is_started_from_again_and_drops_nothing() -> None:
    throttle = Throttle()
    feed(throttle, 0, 2, 0x4, {74: 5_000_000_000, 269: 0})
    assert row(throttle, 2, Reason.SW_POWER_CAP)["start_s"] == 0  # the counter stands still, whatever the bit says
    feed(throttle, 4, 10, 0x4)
    throttle.observe(12, 0x4, {74: 1_000_000_000, 269: 0})
    assert row(throttle, 12, Reason.SW_POWER_CAP)["start_s"] == 10  # what the bits had shown
    throttle.observe(14, 0x4, {74: 2_500_000_000, 269: 0})
    assert row(throttle, 14, Reason.SW_POWER_CAP)["start_s"] == 11.5


def test_a_counter_that_runs_ahead_of_time_is_no_time() -> None:
    throttle = Throttle()
    throttle.observe(0, 0x4, {74: 0, 270: 0})
    assert throttle.observe(2, 0x4, {74: 2**62, 270: 2**62}) == ()
    assert row(throttle, 2, Reason.SW_POWER_CAP)["start_s"] == 2
    throttle.observe(4, 0x4, {74: 2**62 + 10**9, 270: 2**62})
    assert row(throttle, 4, Reason.SW_POWER_CAP)["start_s"] == 3


def test_a_gpu_that_comes_back_is_not_charged_for_its_absence() -> None:
    throttle = Throttle()
    throttle.observe(0, 0, {74: 1_000_000_000})
    throttle.rebase()
    throttle.observe(500, 0, {74: 400_000_000_000})  # a new initialisation that overtook the old value
    throttle.observe(502, 0, {74: 401_000_000_000})
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
    assert ended[0].at_s == 18  # the second look without it
    assert ended[0].duration_s == pytest.approx(6, abs=2)
    assert throttle.fault is None


def test_a_fault_between_two_looks_is_seen_by_its_counter_and_lasts_as_long_as_the_counter_says() -> None:
    throttle = Throttle()
    feed(throttle, 0, 8, 0, NO_HEAT)
    began = throttle.observe(10, 0, NO_HEAT | {270: 300_000_000})
    assert told(list(began)) == [("hw_thermal", True)]
    assert began[0].at_s == pytest.approx(9.7)
    (ended,) = feed(throttle, 12, 14, 0, NO_HEAT | {270: 300_000_000})
    assert (ended.reason, ended.began, ended.duration_s) == (Reason.HW_THERMAL, False, 0.3)


def test_a_counter_that_creeps_by_milliseconds_is_no_fault() -> None:
    throttle = Throttle()
    for look in range(100):
        assert not throttle.observe(look * 2.0, 0, NO_HEAT | {271: look * 5_000_000})


def test_what_comes_and_goes_is_told_three_times_and_once_more_when_it_is_over() -> None:
    throttle = Throttle()
    changes: list[FaultChange] = []
    for look in range(360):
        changes += throttle.observe(look * 1.0, 0x20 if look % 6 < 3 else 0, None)
        assert bool(throttle.fault) == (look % 6 in (1, 2, 3)), "what is shown keeps up, whatever is told"
    assert [(c.began, c.times) for c in changes] == [(True, 1), (False, 1), (True, 2), (False, 1), (True, 3)]
    (over,) = feed(throttle, 360, 1100, 0)
    assert (over.began, over.times) == (False, 58)
    assert over.duration_s == pytest.approx(58 * 3, abs=1)
    again = feed(throttle, 2000, 2002, 0x20)
    assert [(c.began, c.times) for c in again] == [(True, 1)]


@pytest.mark.parametrize("every", [1, 5, 10, 30])
@pytest.mark.parametrize("reason", [Reason.HW_THERMAL, Reason.HW_POWER_BRAKE, Reason.SW_THERMAL])
def test_over_within_two_looks_however_rarely_its_counter_is_read(reason: Reason, every: int) -> None:
    assert reason.counter is not None
    throttle, ns = Throttle(), 0
    changes: list[FaultChange] = []
    for look in range(100):
        on = 20 <= look < 57
        ns += 2_000_000_000 if 20 < look <= 57 else 0
        counters = {reason.counter: ns} if look % every == 0 else None
        changes += throttle.observe(look * 2.0, reason.bit if on else 0, counters)
    assert told(changes) == [(reason.word, True), (reason.word, False)]
    assert changes[1].at_s <= 2.0 * 59  # the looks 57 and 58 are clear, and with 57 the counter's last growth comes
    assert changes[1].duration_s == pytest.approx(74, abs=2)
    assert row(throttle, 198, reason)["start_s"] == pytest.approx(74, abs=1)


def test_while_a_fault_is_on_its_counters_are_asked_for_at_every_look() -> None:
    """Nothing but the counter shows it: read out of turn it is one fault, and over when the counter stands still."""
    throttle, ns, last = Throttle(), 0, 0.0
    changes: list[FaultChange] = []
    for look in range(100):
        ns += 60_000_000 if look < 60 else 0
        wanted = throttle.counters_due or look % 5 == 0
        found = throttle.observe(look * 2.0, 0, {269: ns} if wanted else None)
        changes += found
        last = look * 2.0 if found else last
    assert told(changes) == [("sw_thermal", True), ("sw_thermal", False)]
    assert last == 2.0 * 61
    assert not throttle.counters_due


def test_a_counter_that_stops_answering_does_not_keep_a_fault_on() -> None:
    throttle = Throttle()
    changes = feed(throttle, 0, 4, 0x20, NO_HEAT)
    changes += feed(throttle, 6, 20, 0, None)
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
    assert sorted(r.counter for r in Reason if r.counter) == [74, 76, 77, 78, 79, 269, 270, 271]
    assert len({reason.word for reason in Reason}) == len(Reason)


def test_what_is_counted_between_two_questions_is_seen_at_the_next() -> None:
    """Also within one bucket of the longer windows, where nothing else changes."""
    throttle = Throttle()
    for at_s in (0.0, 1.0, 2.0):
        throttle.observe(at_s, Reason.SW_THERMAL.bit, None)
        counted = row(throttle, at_s, Reason.SW_THERMAL)
        assert (counted["minute_s"], counted["hour_s"], counted["day_s"]) == pytest.approx(
            (at_s, at_s, at_s), abs=0.6
        )
        assert counted["day_s"] == counted["hour_s"]
