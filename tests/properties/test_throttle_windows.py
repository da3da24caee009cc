"""Whatever the driver's counters do: nothing lost, nothing invented, windows nest; a restart changes nothing but what
happened beside it under another limit."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_tuned.core.throttle import Capping, Limiter, Throttle

CAPPINGS = st.builds(Capping, st.sampled_from(Limiter), st.booleans())
# (seconds since the last look, which part of them the reason was on, whether the counter is looked at, whose cap)
LOOKS = st.lists(
    st.tuples(st.floats(0.01, 5000, allow_nan=False), st.floats(0, 1, allow_nan=False), st.booleans(), CAPPINGS),
    min_size=1,
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(LOOKS, st.integers(0, 2**60), st.booleans())
def test_seconds_are_the_counters_and_windows_nest(
    looks: list[tuple[float, float, bool, Capping]], base: int, restarts: bool
) -> None:
    throttle, at_s, ns = Throttle(0x4), 0.0, base
    throttle.observe(at_s, 0, {74: ns})
    seen, restarted, nobodys = ns, False, False
    for gap_s, part, look, capping in looks:
        at_s += gap_s
        ns += int(gap_s * part * 1e9)
        # Another's limit is found after a restart: whose the cap was meanwhile is not known, and until the next
        # reading the looks alone tell of it.
        nobodys |= restarted and capping.limiter is not throttle.capping.limiter
        restarted = False
        assert throttle.observe(at_s, 0x4 if part else 0, {74: ns} if look else None, capping) == ()
        if restarts and look:
            throttle = Throttle.from_json(json.loads(json.dumps(throttle.to_json())), at_s, 0x4)
            restarted = True
        seen = ns if look else seen
        rows = throttle.report(at_s)
        slack = 0.001 * len(rows) + 0.001  # rounding to the millisecond
        counted_s = sum(row["start_s"] - row["uncounted_s"] for row in rows)
        if look and nobodys:
            assert counted_s <= at_s + slack
            base, nobodys = seen - round(counted_s * 1e9), False
        elif look:
            assert abs(counted_s - (seen - base) / 1e9) <= slack
        for row in rows:
            assert 0 <= row["minute_s"] <= row["hour_s"] + 0.1
            assert row["hour_s"] <= row["day_s"] + 0.1
            assert row["day_s"] <= row["start_s"] + 0.1
            assert row["minute_s"] <= 60 and row["hour_s"] <= 3600 and row["day_s"] <= 86400
            assert 0 <= row["uncounted_s"] <= row["start_s"] + slack
        if at_s < 58 and not restarts:
            assert abs(sum(row["minute_s"] - row["start_s"] for row in rows)) <= slack


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
            CAPPINGS,
        ),
        max_size=80,
    )
)
def test_each_fault_begins_before_it_ends_whatever_the_driver_says(
    looks: list[tuple[float, int | None, dict[int, int] | None, Capping]],
) -> None:
    throttle, at_s = Throttle(), 0.0
    told: dict[str, float] = {}
    hushed: set[str] = set()
    for gap_s, reasons, counters, capping in looks:
        at_s += gap_s
        for change in throttle.observe(at_s, reasons, counters, capping):
            word = change.reason.word
            if change.began:
                assert word not in told
                assert change.at_s <= at_s
                told[word] = change.at_s
                hushed |= {word} if change.times >= 3 else set()
            else:
                told.pop(word)
                hushed.discard(word)
                assert change.duration_s is not None and change.duration_s >= 0
        on = {fault.reason.word: fault.since_s for fault in throttle.faults}
        assert {word: s for word, s in on.items() if word not in hushed} == {
            word: s for word, s in told.items() if word not in hushed
        }
        assert hushed <= set(told)
        assert Throttle.from_json(json.loads(json.dumps(throttle.to_json())), at_s).to_json() == throttle.to_json()
        throttle.report(at_s)
