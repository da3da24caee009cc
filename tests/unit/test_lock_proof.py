"""What samples of a GPU prove about a clock lock, and what they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_tuned.core.lock_proof import LockWatch, Proof
from gpu_tuned.core.model import Board, ClockLock, Gpu, Setting, Telemetry

BOARD = Board(Gpu("GPU-1", "0000:01:00.0", "NVIDIA GeForce RTX 5090"), 0, max_gpu_mhz=3090, max_memory_mhz=14001)


def gpu_watch(low: int = 2400, high: int = 2550, board: Board = BOARD) -> LockWatch:
    return LockWatch.on(board, Setting.GPU_CLOCK, ClockLock(low, high))


def memory_watch(mhz: int = 13801) -> LockWatch:
    return LockWatch.on(BOARD, Setting.MEMORY_CLOCK, ClockLock(mhz, mhz))


def busy(gpu_mhz: int | None = 2550, memory_mhz: int = 13801, reasons: int | None = 0, **other: int) -> Telemetry:
    fields = {"pstate": 1, "utilization_percent": 100, **other}
    return Telemetry(gpu_clock_mhz=gpu_mhz, memory_clock_mhz=memory_mhz, reasons=reasons, **fields)


def said(watch: LockWatch, *samples: Telemetry) -> list[str]:
    return [watch.observe(sample).value for sample in samples]


def test_three_samples_above_the_maximum_under_load_prove_the_loss_and_say_it_once() -> None:
    watch = gpu_watch()
    assert said(watch, *[busy(2850)] * 5) == ["nothing", "nothing", "lost", "nothing", "nothing"]
    assert said(watch, busy(2850)) == ["lost"]


def test_a_loss_shows_under_a_power_cap_too() -> None:
    assert said(gpu_watch(), *[busy(2700, reasons=0x4)] * 3)[-1] == "lost"


def test_a_sample_between_that_says_otherwise_starts_the_count_anew() -> None:
    watch = gpu_watch()
    assert "lost" not in said(watch, busy(2850), busy(2850), busy(2550), busy(2850), busy(2850))
    assert said(watch, busy(2850)) == ["lost"]


@pytest.mark.parametrize("mhz", [2535, 2542, 2550, 2557, 2565])
def test_at_the_maximum_within_one_step_with_nothing_else_in_the_way_it_is_confirmed(mhz: int) -> None:
    watch = gpu_watch()
    assert said(watch, *[busy(mhz)] * 4) == ["nothing", "nothing", "confirmed", "confirmed"]


@pytest.mark.parametrize("reasons", [0x4, 0x8, 0x20, 0x40, 0x80, 0x10, 0x200, 0x400, 0x1000, 0x1, None])
def test_where_anything_else_may_hold_the_clock_nothing_is_claimed(reasons: int | None) -> None:
    assert set(said(gpu_watch(), *[busy(2550, reasons=reasons)] * 5)) == {"nothing"}


def test_the_bit_that_nvml_no_longer_uses_does_not_matter() -> None:
    assert said(gpu_watch(), *[busy(2550, reasons=0x2)] * 3)[-1] == "confirmed"


@pytest.mark.parametrize(
    "sample",
    [
        busy(2850, utilization_percent=49),
        busy(2850, pstate=3),
        busy(22, reasons=0x4, utilization_percent=0),  # as an idle 5090 was seen
        busy(1980, pstate=0, utilization_percent=0),  # an H200 after work: top clock, P0, nothing to do
        busy(None),
        Telemetry(),
        Telemetry(gpu_clock_mhz=2850, pstate=0),
        Telemetry(gpu_clock_mhz=2850, utilization_percent=100),
    ],
)
def test_without_load_no_clock_proves_anything(sample: Telemetry) -> None:
    assert set(said(gpu_watch(), *[sample] * 5)) == {"nothing"}


@pytest.mark.parametrize("mhz", [210, 1200, 2300, 2392, 2500])
def test_below_the_maximum_nothing_is_proven_least_of_all_a_loss(mhz: int) -> None:
    assert set(said(gpu_watch(), *[busy(mhz)] * 5)) == {"nothing"}
    assert set(said(gpu_watch(low=0), *[busy(mhz)] * 5)) == {"nothing"}


def test_a_lock_without_a_minimum_is_confirmed_at_its_ceiling() -> None:
    assert said(gpu_watch(low=0), *[busy(2550)] * 3)[-1] == "confirmed"


@pytest.mark.parametrize("high", [3075, 3090, 3200])
def test_a_maximum_that_a_free_clock_never_passes_cannot_be_confirmed(high: int) -> None:
    assert set(said(gpu_watch(high=high), *[busy(min(high, 3090))] * 5)) == {"nothing"}


def test_a_board_that_does_not_say_its_top_clock_confirms_nothing_but_can_lose() -> None:
    unknown = Board(BOARD.gpu, 0)
    assert set(said(gpu_watch(board=unknown), *[busy(2550)] * 5)) == {"nothing"}
    assert said(gpu_watch(board=unknown), *[busy(2850)] * 3)[-1] == "lost"


def test_the_memory_clock_on_its_rung_is_confirmed_above_it_lost_below_it_nothing() -> None:
    assert said(memory_watch(), *[busy(memory_mhz=13803)] * 3)[-1] == "confirmed"
    assert said(memory_watch(), *[busy(memory_mhz=13801, reasons=0x4)] * 3)[-1] == "confirmed"
    assert said(memory_watch(), *[busy(memory_mhz=14001)] * 3)[-1] == "lost"
    assert set(said(memory_watch(14001), *[busy(memory_mhz=13801)] * 5)) == {"nothing"}


def test_a_gpu_that_was_away_starts_anew() -> None:
    watch = gpu_watch()
    said(watch, busy(2850), busy(2850))
    watch.reset()
    assert said(watch, busy(2850), busy(2850)) == ["nothing", "nothing"]


def test_the_recorded_load_confirms_no_lock_that_was_not_there() -> None:
    """The H200 ran free, held down by its power limit: no lock may be confirmed, a low one is seen to be gone."""
    trace = json.loads((Path(__file__).parent / "data" / "h200_throttle.json").read_text())
    h200 = Board(BOARD.gpu, 0, max_gpu_mhz=1980)
    watches = {high: gpu_watch(0, high, h200) for high in (1200, 1470, 1500, 1700, 1980)}
    heard: dict[int, set[Proof]] = {high: set() for high in watches}
    for _, reasons, util, sm_mhz, *_ in trace["samples"]:
        sample = Telemetry(gpu_clock_mhz=sm_mhz, utilization_percent=util, pstate=0, reasons=reasons)
        for high, watch in watches.items():
            heard[high].add(watch.observe(sample))
    assert Proof.LOST in heard[1200]
    assert all(Proof.CONFIRMED not in each for each in heard.values())
    assert heard[1700] == heard[1980] == {Proof.NOTHING}


SAMPLES = st.builds(
    Telemetry,
    gpu_clock_mhz=st.none() | st.integers(0, 3200),
    memory_clock_mhz=st.none() | st.sampled_from([405, 810, 7001, 13801, 14001]),
    utilization_percent=st.none() | st.integers(0, 100),
    pstate=st.none() | st.integers(0, 15),
    reasons=st.none() | st.sampled_from([0, 1, 2, 4, 0x28]),
)


@given(st.lists(SAMPLES, max_size=30), st.integers(0, 3090))
def test_nothing_is_said_that_the_last_three_samples_do_not_show(samples: list[Telemetry], high: int) -> None:
    watch = gpu_watch(0, high)
    for number, sample in enumerate(samples):
        proof = watch.observe(sample)
        clocks = [s.gpu_clock_mhz or 0 for s in samples[max(0, number - 2) : number + 1]]
        if proof is Proof.LOST:
            assert len(clocks) == 3 and min(clocks) > high + 15
        elif proof is Proof.CONFIRMED:
            assert len(clocks) == 3 and all(abs(clock - high) <= 15 for clock in clocks)
