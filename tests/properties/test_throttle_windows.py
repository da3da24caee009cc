"""Whatever the driver's counters do: nothing is lost, nothing is invented, windows nest."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_tuned.core.throttle import Throttle

# (seconds since the last look, which part of them the reason was on, whether the counter is looked at)
LOOKS = st.lists(
    st.tuples(st.floats(0.01, 5000, allow_nan=False), st.floats(0, 1, allow_nan=False), st.booleans()),
    min_size=1,
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(LOOKS, st.integers(0, 2**60))
def test_seconds_are_the_counters_and_windows_nest(looks: list[tuple[float, float, bool]], base: int) -> None:
    throttle, at_s, ns = Throttle(0x4), 0.0, base
    throttle.observe(at_s, 0, {74: ns})
    seen = ns
    for gap_s, part, look in looks:
        at_s += gap_s
        ns += int(gap_s * part * 1e9)
        assert throttle.observe(at_s, 0x4 if part else 0, {74: ns} if look else None) == ()
        seen = ns if look else seen
        (row,) = throttle.report(at_s, False)
        assert row["start_s"] == round((seen - base) / 1e9, 3)
        slack = 0.002  # rounding to the millisecond
        assert 0 <= row["minute_s"] <= row["hour_s"] + slack
        assert row["hour_s"] <= row["day_s"] + slack
        assert row["day_s"] <= row["start_s"] + slack
        assert row["minute_s"] <= 60 and row["hour_s"] <= 3600 and row["day_s"] <= 86400
        if at_s < 58:
            assert abs(row["minute_s"] - row["start_s"]) <= slack


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 50, allow_nan=False),
            st.one_of(st.none(), st.integers(0, 2**32)),
            st.one_of(
                st.none(),
                st.dictionaries(st.sampled_from([74, 78, 269, 270, 271, 999]), st.integers(0, 2**64 - 1)),
            ),
        ),
        max_size=80,
    )
)
def test_each_fault_begins_before_it_ends_whatever_the_driver_says(
    looks: list[tuple[float, int | None, dict[int, int] | None]],
) -> None:
    throttle, at_s = Throttle(), 0.0
    on: dict[str, float] = {}
    for gap_s, reasons, counters in looks:
        at_s += gap_s
        for change in throttle.observe(at_s, reasons, counters):
            if change.began:
                assert change.reason.word not in on
                assert change.at_s <= at_s
                on[change.reason.word] = change.at_s
            else:
                on.pop(change.reason.word)
                assert change.duration_s is not None and change.duration_s >= 0
        assert {fault.reason.word for fault in throttle.faults} == set(on)
        if throttle.fault:
            assert throttle.fault.since_s == on[throttle.fault.reason.word]
        throttle.report(at_s, True)
