"""A storm of Xids is a handful of lines, and none of them is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpu_tuned.core.xids import FIRST_INTERVAL_S, LONGEST_INTERVAL_S, MOST_KINDS, Tallies, Told, heard

A, B = "GPU-a", "GPU-b"


def test_the_first_of_each_kind_and_gpu_is_told_at_once() -> None:
    tallies, told = heard({}, [(A, 13), (A, 13), (B, 13), (A, 79)], 100.0)
    assert told == [Told(A, 13), Told(B, 13), Told(A, 79)]
    assert heard(tallies, [(A, 79)], 101.0)[1] == []


def test_more_of_it_is_a_count_when_the_interval_is_over() -> None:
    tallies, _ = heard({}, [(A, 13)], 100.0)
    for second in range(59):
        tallies, told = heard(tallies, [(A, 13)] * 59, 101.0 + second)
        assert told == []
    tallies, (told_now,) = heard(tallies, [], 100.0 + FIRST_INTERVAL_S)
    assert told_now == Told(A, 13, 59 * 59, FIRST_INTERVAL_S)
    assert told_now.cause == "caused by a program; 3481 more in the last 60 s"


def test_after_a_quiet_interval_the_next_one_is_told_at_once_again() -> None:
    tallies, _ = heard({}, [(A, 79)], 0.0)
    tallies, told = heard(tallies, [], FIRST_INTERVAL_S)
    assert (tallies, told) == ({}, [])
    assert heard(tallies, [(A, 79)], FIRST_INTERVAL_S + 1)[1] == [Told(A, 79)]


def test_a_day_of_it_is_a_few_lines() -> None:
    tallies: Tallies = {}
    lines = 0
    for second in range(0, 86400, 2):
        tallies, told = heard(tallies, [(A, 13)] * 100, float(second))
        lines += len(told)
    assert 24 <= lines <= 32


def test_number_after_number_is_a_handful_of_lines_and_takes_no_memory() -> None:
    """A driver that reports what no list names, each time something else."""
    tallies: Tallies = {}
    lines = kept = 0
    for second in range(0, 600, 2):
        tallies, told = heard(tallies, [(A, 1000 + 64 * second + i) for i in range(64)], float(second))
        lines, kept = lines + len(told), max(kept, len(tallies))
    assert kept <= MOST_KINDS + 1
    assert lines <= 10 * (MOST_KINDS + 1), "so many a minute: what is new may be what matters"
    assert heard(tallies, [(B, 79)], 600.0)[1] == [Told(B, 79)], "another GPU's is told at once"


def test_the_rest_is_told_as_a_count_of_several_kinds() -> None:
    tallies, first = heard({}, [(A, kind) for kind in range(100, 200)], 0.0)
    assert first == [Told(A, kind) for kind in range(100, 100 + MOST_KINDS + 1)]
    (told,) = heard(tallies, [], FIRST_INTERVAL_S)[1]
    assert told == Told(A, 199, 200 - 100 - MOST_KINDS - 1, FIRST_INTERVAL_S, mixed=True)
    assert told.cause == "hardware or driver; 83 more of several kinds in the last 60 s"


@given(st.lists(st.tuples(st.floats(0, 500), st.lists(st.sampled_from([(A, 13), (A, 79), (B, 13)])))))
def test_every_one_is_counted_once(looks: list[tuple[float, list[tuple[str, int]]]]) -> None:
    tallies: Tallies = {}
    now_s, came, told_of = 0.0, 0, 0
    for pause_s, xids in [*looks, (LONGEST_INTERVAL_S + 1, [])]:
        now_s += pause_s
        tallies, told = heard(tallies, xids, now_s)
        came += len(xids)
        told_of += sum(one.count for one in told)
    assert told_of == came
