"""Whose a power cap was, what is shown of it before the driver's counter is read, and what a restart keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpu_tuned.core.model import Telemetry
from gpu_tuned.core.throttle import Capping, Limiter, Reason, Throttle, capping
from tests.unit.test_throttle import BOARD, IDLE, OTHER, OWN, caps, feed, row

S = 1_000_000_000  # nanoseconds


def working(power_w: int = 600, enforced_w: int | None = 600, **other: Any) -> Telemetry:
    fields = {"utilization_percent": 100, "pstate": 0, **other}
    return Telemetry(power_mw=power_w * 1000, enforced_limit_mw=enforced_w and enforced_w * 1000, **fields)


@pytest.mark.parametrize(
    ("enforced_w", "requested_w", "ours_w", "default_w", "limiter"),
    [
        (700, 700, None, 700, "board"),
        (700, 700, 700, 700, "board"),  # our wish is the default: it caps nothing
        (450, 450, 450, 700, "own"),
        (450, 450, None, 700, "other"),  # somebody's value, not ours
        (400, 400, 450, 700, "other"),  # ours was changed, and is not put back yet
        (500, 700, 700, 700, "other"),  # a BMC, a rack's power manager
        (400, 450, 450, 700, "other"),  # the same below a cap of ours: the lower one caps
        (449.5, 450, 450, 700, "own"),  # two readings of one limit
        (None, 450, 450, 700, "own"),
        (450, None, None, 700, "board"),
        (450, 450, 450, None, "board"),  # what the board would do by itself is not known
        (800, 800, 800, 700, "board"),  # raised above the default: no cap of ours holds it down
    ],
)
def test_whose_limit_it_is(
    enforced_w: float | None, requested_w: int | None, ours_w: int | None, default_w: int | None, limiter: str
) -> None:
    def mw(watts: float | None) -> int | None:
        return None if watts is None else int(watts * 1000)

    seen = Telemetry(power_mw=440_000, enforced_limit_mw=mw(enforced_w), utilization_percent=100, pstate=0)
    assert capping(seen, mw(requested_w), mw(ours_w), mw(default_w)) == Capping(Limiter(limiter))


@pytest.mark.parametrize(
    ("telemetry", "idle"),
    [
        (Telemetry(power_mw=24_000, enforced_limit_mw=575_000, utilization_percent=0, pstate=8), True),  # a 5090
        (Telemetry(power_mw=24_000, enforced_limit_mw=575_000, utilization_percent=3, pstate=8), True),  # its desktop
        (working(utilization_percent=0, power_w=560), False),  # a pause between two kernels
        (working(utilization_percent=20, power_w=200), False),
        (working(utilization_percent=None, pstate=8, power_w=20), True),
        (working(utilization_percent=None, pstate=0, power_w=200), False),
        (working(utilization_percent=None, pstate=None, power_w=200), False),
        (Telemetry(), False),
    ],
)
def test_idle_is_no_cap(telemetry: Telemetry, idle: bool) -> None:
    assert capping(telemetry, 575_000, None, 575_000).idle is idle


def test_what_the_bit_tells_is_shown_at_once_and_marked_until_the_counter_is_read() -> None:
    throttle = Throttle()
    throttle.observe(0, 0, {74: 0}, OWN)
    for look in range(1, 9):
        throttle.observe(look * 2.0, 0x4, None, OWN)
        shown = row(throttle, look * 2.0, Reason.SW_POWER_CAP)
        assert shown["active"]
        for window in ("minute_s", "hour_s", "day_s", "start_s", "uncounted_s"):
            assert shown[window] == pytest.approx(2.0 * look, abs=1.0)
    throttle.observe(18, 0, {74: int(15.36 * S)}, OWN)
    shown = row(throttle, 18, Reason.SW_POWER_CAP)
    assert (shown["start_s"], shown["uncounted_s"], shown["active"], shown["sampled"]) == (15.36, 0, False, False)
    assert shown["minute_s"] == pytest.approx(15.36, abs=0.001)


def test_a_board_without_a_counter_is_sampled_and_nothing_waits_for_one() -> None:
    throttle = Throttle()
    feed(throttle, 0, 20, 0x4, {78: 0})
    shown = row(throttle, 20, Reason.SW_POWER_CAP)
    assert (shown["sampled"], shown["uncounted_s"], shown["start_s"]) == (True, 0, 20)


def test_seconds_belong_to_the_state_of_then() -> None:
    """Ten seconds under the board's limit, ten under ours, ten under somebody's; then our rule goes."""
    throttle = Throttle()
    throttle.observe(0, 0x4, {74: 0}, BOARD)
    for look in range(1, 31):
        now = BOARD if look <= 10 else OWN if look <= 20 else OTHER
        throttle.observe(look, 0x4, {74: look * S} if look % 10 == 5 else None, now)
    throttle.observe(31, 0, {74: 30 * S}, BOARD)
    found = {key: shown["start_s"] for key, shown in caps(throttle, 31).items()}
    assert found == pytest.approx({("limit", "board"): 10, ("own", "own"): 10, ("limit", "other"): 10}, abs=1.1)
    assert sum(found.values()) == pytest.approx(30, abs=0.002)


def test_a_cap_that_no_look_saw_belongs_to_whoever_limited_then() -> None:
    throttle = Throttle()
    throttle.observe(0, 0, {74: 0}, IDLE)
    for look in range(1, 10):
        throttle.observe(look, 0, None, IDLE if look < 5 else BOARD)
    throttle.observe(10, 0, {74: S}, BOARD)
    found = {key: shown["start_s"] for key, shown in caps(throttle, 10).items()}
    assert found[("own", "own")] == pytest.approx(0.45, abs=0.06)
    assert found[("limit", "board")] == pytest.approx(0.55, abs=0.06)


def test_an_idle_gpu_that_shows_the_bit_was_not_capped() -> None:
    throttle = Throttle()
    for look in range(41):
        throttle.observe(look * 2.0, 0x4, {74: look * 2 * S} if look % 10 == 0 else None, IDLE)
    found = caps(throttle, 80)
    assert found[("own", "own")]["start_s"] == 0 and not found[("own", "own")]["active"]
    assert found[("benign", None)]["start_s"] == 80 and found[("benign", None)]["active"]


def test_the_end_of_work_is_no_idle_time() -> None:
    """The bit stays for a moment after the work, when nothing runs any more."""
    throttle = Throttle()
    throttle.observe(0, 0x4, {74: 0}, OWN)
    throttle.observe(2, 0x4, None, IDLE)
    throttle.observe(4, 0, {74: 2 * S}, IDLE)
    assert {key: shown["start_s"] for key, shown in caps(throttle, 4).items()} == {("own", "own"): 2}


def test_a_counter_that_never_comes_again_takes_no_memory_and_loses_nothing() -> None:
    throttle = Throttle()
    throttle.observe(0, 0, {74: 0})
    for look in range(1, 4001):
        throttle.observe(look, 0x4 if look % 4 < 2 else 0, None)
    (meter,) = [meter for meter in throttle._meters if meter.reason is Reason.SW_POWER_CAP]
    assert len(meter._waiting) <= 32
    assert row(throttle, 4000, Reason.SW_POWER_CAP)["start_s"] == pytest.approx(2000, abs=1)
    throttle.observe(4001, 0, {74: 2000 * S})
    assert row(throttle, 4001, Reason.SW_POWER_CAP)["start_s"] == pytest.approx(2000, abs=1)


def restarted(throttle: Throttle, at_s: float) -> Throttle:
    return Throttle.from_json(json.loads(json.dumps(throttle.to_json())), at_s)


def test_windows_survive_a_restart_and_the_time_between_is_counted() -> None:
    throttle = Throttle()
    throttle.observe(0, 0x4, {74: 7 * S}, OWN)
    throttle.observe(20, 0x4, {74: 27 * S}, OWN)
    before = caps(throttle, 20)[("own", "own")]
    throttle = restarted(throttle, 21)
    assert caps(throttle, 20)[("own", "own")] == {**before, "active": False}
    throttle.observe(30, 0x4, {74: 37 * S}, OWN)
    shown = caps(throttle, 30)[("own", "own")]
    assert (shown["start_s"], shown["hour_s"]) == (30, 30)


def test_seven_days_of_eight_busy_gpus_are_small() -> None:
    size = 0
    for gpu in range(8):
        throttle = Throttle()
        for look in range(0, 7 * 86400, 600):
            who = (BOARD, OWN, OTHER, IDLE)[look // 3600 % 4]
            counters = dict.fromkeys((74, 76, 77, 78, 79, 269, 270, 271), look * S // 2)
            throttle.observe(look + gpu, 0x7FF if look % 1200 else 0, counters, who)
        size += len(json.dumps(throttle.to_json()))
    assert size < 300_000


GOOD: dict[str, Any] = {
    "limiter": "own",
    "reasons": {"sw_power_cap": {"base": [1, 2.0], "windows": {"own": [5, [1, 5], [0, 5], [0, 5]]}}},
}


def test_the_good_one_is_taken() -> None:
    assert caps(Throttle.from_json(GOOD, 10.0), 10.0)[("own", "own")]["hour_s"] == 0.005


@pytest.mark.parametrize(
    "change",
    [
        {"limiter": "nobody"},
        {"limiter": None},
        {"reasons": []},
        {"reasons": {"sw_power_cap": []}},
        {"reasons": {"sw_power_cap": {"base": [1]}}},
        {"reasons": {"sw_power_cap": {"base": [1, float("inf")]}}},
        {"reasons": {"sw_power_cap": {"base": [1, float("nan")]}}},
        {"reasons": {"sw_power_cap": {"base": [1.5, 2.0]}}},
        {"reasons": {"sw_power_cap": {"base": [-1, 2.0]}}},
        {"reasons": {"sw_power_cap": {"base": [1, 11.0]}}},  # of another boot
        {"reasons": {"sw_power_cap": {"windows": {"own": [5, [11, 5], [0, 5], [0, 5]]}}}},
        {"reasons": {"sw_power_cap": {"windows": {"own": [5, [1, 60_001], [0, 5], [0, 5]]}}}},
        {"reasons": {"sw_power_cap": {"windows": {"own": [5, [1, float("inf")], [0, 5], [0, 5]]}}}},
        {"reasons": {"sw_power_cap": {"windows": {"own": [5, [1, *[0] * 62], [0, 5], [0, 5]]}}}},
        {"reasons": {"sw_power_cap": {"windows": {"own": [5, [1, 5]]}}}},
        {"reasons": {"sw_power_cap": {"windows": {"own": []}}}},
        {"reasons": {"sw_power_cap": {"windows": {"mine": [5, [1, 5], [0, 5], [0, 5]]}}}},
        {"reasons": {"sw_power_cap": {"windows": None}}},
    ],
)
def test_what_it_cannot_have_written_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Throttle.from_json(GOOD | change, 10.0)
