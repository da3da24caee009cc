"""What samples of a GPU prove about a clock lock, and what they do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_tuned.core.lock_proof import FreeClocks, LockProofs, Proof, Requested
from gpu_tuned.core.model import ApplicationClocks, Board, ClockLock, Gpu, Setting, Telemetry

BOARD = Board(Gpu("GPU-1", "0000:01:00.0", "NVIDIA GeForce RTX 5090"), 0, max_gpu_mhz=3090, max_memory_mhz=14001)


LAPTOP = Board(
    Gpu("GPU-1", "0000:01:00.0", "NVIDIA GeForce RTX 5090 Laptop GPU"), 0, max_gpu_mhz=3090, max_memory_mhz=14001
)
SETTLED_S = 10.0


class Watch:
    """One lock, requested at 0 s, looked at every two seconds from `SETTLED_S` on."""

    def __init__(
        self, setting: Setting, lock: ClockLock, board: Board = BOARD, free: FreeClocks | None = None
    ) -> None:
        self.setting, self.lock, self.at_s = setting, lock, SETTLED_S
        self.proofs = LockProofs(board, free)
        self.requested_s = 0.0
        self.evidence = ""
        # Seen at rest after the request: from then on anything may have happened.
        self.observe(Telemetry(utilization_percent=0, pstate=8, gpu_clock_mhz=22))

    def observe(self, sample: Telemetry, step_s: float = 2.0, application_mhz: int | None = None) -> Proof:
        wanted = {self.setting: Requested(self.lock, self.requested_s)}
        application = None if application_mhz is None else ApplicationClocks(application_mhz, application_mhz)
        verdict = self.proofs.observe(sample, self.at_s, wanted, application)[self.setting]
        self.at_s += step_s
        self.evidence = verdict.evidence
        return verdict.proof


def gpu_watch(low: int = 2400, high: int = 2550, board: Board = BOARD, free: int = 0) -> Watch:
    return Watch(Setting.GPU_CLOCK, ClockLock(low, high), board, FreeClocks(gpu_mhz=free))


def memory_watch(mhz: int = 13801, free: int = 0) -> Watch:
    return Watch(Setting.MEMORY_CLOCK, ClockLock(mhz, mhz), BOARD, FreeClocks(memory_mhz=free))


def busy(gpu_mhz: int | None = 2550, memory_mhz: int = 13801, reasons: int | None = 0, **other: int) -> Telemetry:
    fields: dict[str, Any] = {"pstate": 1, "utilization_percent": 100, **other}
    return Telemetry(gpu_clock_mhz=gpu_mhz, memory_clock_mhz=memory_mhz, reasons=reasons, **fields)


def said(watch: Watch, *samples: Telemetry, step_s: float = 2.0) -> list[str]:
    return [watch.observe(sample, step_s).value for sample in samples]


def test_three_samples_above_the_maximum_under_load_prove_the_loss_and_say_it_once() -> None:
    watch = gpu_watch()
    assert said(watch, *[busy(2850)] * 5) == ["nothing", "nothing", "lost", "nothing", "nothing"]
    assert said(watch, busy(2850)) == ["lost"]
    assert watch.evidence == "2850 MHz under load, above the 2550 MHz asked for"


@pytest.mark.parametrize("percent", [10, 20, 30, 49])
def test_little_load_is_enough_to_see_a_lock_gone(percent: int) -> None:
    assert said(gpu_watch(), *[busy(2850, utilization_percent=percent)] * 3)[-1] == "lost"


def test_work_that_pauses_shows_it_too() -> None:
    rest = busy(2850, utilization_percent=0)
    assert said(gpu_watch(), busy(2850), rest, busy(2850), rest, rest, busy(2850))[-1] == "lost"


def test_three_samples_within_a_moment_are_no_proof() -> None:
    watch = gpu_watch()
    assert set(said(watch, *[busy(2850)] * 10, step_s=0.2)) == {"nothing"}
    assert "lost" in said(watch, busy(2850), busy(2850), step_s=0.2)


def test_samples_minutes_apart_are_no_row() -> None:
    assert set(said(gpu_watch(), *[busy(2850)] * 5, step_s=121.0)) == {"nothing"}


def test_right_after_a_request_a_clock_may_still_be_on_its_way() -> None:
    watch = gpu_watch()
    watch.requested_s = watch.at_s
    assert set(said(watch, *[busy(2850)] * 5, step_s=1.0)) == {"nothing"}


def test_what_never_obeyed_is_nobodys_doing() -> None:
    watch = gpu_watch()
    watch.requested_s = watch.at_s
    assert said(watch, *[busy(2850)] * 5)[-1] == "not obeyed"
    assert watch.evidence.endswith("never seen to obey since then")
    watch.requested_s = watch.at_s
    assert "lost" in said(watch, busy(2550), *[busy(2850)] * 5)
    watch.requested_s = watch.at_s
    assert "lost" in said(watch, busy(None), *[busy(2850)] * 5), "what happened meanwhile is not known"


def test_where_utilisation_is_not_told_power_says_whether_it_works() -> None:
    def mig(power_mw: int) -> Telemetry:
        return Telemetry(gpu_clock_mhz=2850, pstate=0, power_mw=power_mw, enforced_limit_mw=575_000, reasons=0)

    assert said(gpu_watch(), *[mig(400_000)] * 3)[-1] == "lost"
    assert set(said(gpu_watch(), *[mig(100_000)] * 5)) == {"nothing"}


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
        busy(2850, utilization_percent=9),
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
@pytest.mark.parametrize("low", [0, 2400])
def test_below_the_maximum_nothing_is_proven_least_of_all_a_loss(low: int, mhz: int) -> None:
    assert set(said(gpu_watch(low), *[busy(mhz)] * 9)) <= {"nothing", "suspect"}
    assert set(said(gpu_watch(low), *[busy(mhz, reasons=0x4)] * 9)) == {"nothing"}


def test_a_lock_without_a_minimum_is_confirmed_at_its_ceiling() -> None:
    assert said(gpu_watch(low=0), *[busy(2550)] * 3)[-1] == "confirmed"


@pytest.mark.parametrize("high", [2625, 2850, 3075, 3090, 3200])
def test_where_a_free_clock_may_be_just_there_nothing_is_confirmed(high: int) -> None:
    assert set(said(gpu_watch(high=high), *[busy(min(high, 3090))] * 5)) == {"nothing"}


def test_what_was_seen_free_says_what_a_free_clock_looks_like() -> None:
    assert said(gpu_watch(high=2700, free=2910), *[busy(2700)] * 3)[-1] == "confirmed"
    assert set(said(gpu_watch(high=2700, free=2800), *[busy(2700)] * 5)) == {"nothing"}
    assert set(said(gpu_watch(high=2550, free=2580), *[busy(2550)] * 5)) == {"nothing"}


def test_it_learns_while_no_lock_of_ours_holds_it() -> None:
    watch = gpu_watch(high=2700)
    assert set(said(watch, *[busy(2700)] * 5)) == {"nothing"}
    assert watch.proofs.free == FreeClocks(memory_mhz=13801)
    assert said(watch, *[busy(2910)] * 3)[-1] == "lost"
    assert watch.proofs.free.gpu_mhz == 2910
    watch.requested_s = watch.at_s
    assert said(watch, *[busy(2700)] * 3)[-1] == "confirmed"
    watch.proofs.observe(busy(2925, reasons=0x4), watch.at_s, {})
    assert watch.proofs.free.gpu_mhz == 2910, "under a cap it says nothing of a free clock"
    watch.proofs.observe(busy(2925), watch.at_s, {})
    assert watch.proofs.free.gpu_mhz == 2925


def test_a_laptop_runs_far_below_its_highest_clock_by_itself() -> None:
    assert set(said(gpu_watch(low=0, high=2160, board=LAPTOP), *[busy(2160)] * 5)) == {"nothing"}
    assert said(gpu_watch(low=0, high=1500, board=LAPTOP), *[busy(1500)] * 3)[-1] == "confirmed"


def test_application_clocks_hold_a_clock_as_well() -> None:
    a100 = Board(BOARD.gpu, 0, default_application_clocks=ApplicationClocks(1215, 1095), max_gpu_mhz=1410)
    assert set(said(gpu_watch(0, 1095, a100), *[busy(1095)] * 5)) == {"nothing"}
    assert set(said(gpu_watch(0, 1300, a100), *[busy(1095)] * 9)) == {"nothing"}, "nor is it a suspicion"
    raised = gpu_watch(0, 1095, a100)
    assert [raised.observe(busy(1095), application_mhz=1410).value for _ in range(3)][-1] == "confirmed"


def test_little_load_confirms_nothing() -> None:
    assert set(said(gpu_watch(), *[busy(2550, utilization_percent=49)] * 5)) == {"nothing"}


@pytest.mark.parametrize(("low", "high", "mhz"), [(2400, 2550, 1800), (0, 2550, 1800), (0, 2850, 2300)])
def test_flat_below_with_work_and_nothing_that_holds_it_is_a_suspicion(low: int, high: int, mhz: int) -> None:
    watch = gpu_watch(low, high)
    assert said(watch, *[busy(mhz)] * 6) == ["nothing"] * 4 + ["suspect"] * 2
    assert f"flat at {mhz} MHz under load" in watch.evidence
    assert said(watch, busy(high)) == ["nothing"]


@pytest.mark.parametrize(
    "samples",
    [
        [busy(1800, reasons=0x4)] * 9,
        [busy(1800, reasons=None)] * 9,
        [busy(1800, utilization_percent=49)] * 9,
        [busy(1800), busy(1900)] * 5,  # not flat
        [busy(2395)] * 9,  # a step below the minimum may be a reading
    ],
)
def test_no_suspicion_where_anything_else_may_be_the_cause(samples: list[Telemetry]) -> None:
    assert set(said(gpu_watch(), *samples)) == {"nothing"}


def test_a_board_that_does_not_say_its_top_clock_confirms_nothing_but_can_lose() -> None:
    unknown = Board(BOARD.gpu, 0)
    assert set(said(gpu_watch(0, board=unknown), *[busy(2550)] * 5)) == {"nothing"}
    assert said(gpu_watch(board=unknown), *[busy(2850)] * 3)[-1] == "lost"


def test_the_memory_clock_on_its_rung_is_confirmed_where_a_free_one_is_elsewhere() -> None:
    assert said(memory_watch(7001), *[busy(memory_mhz=7001)] * 3)[-1] == "confirmed"
    assert said(memory_watch(7001), *[busy(memory_mhz=7001, reasons=0x4)] * 3)[-1] == "confirmed"
    # CUDA runs a free 5090's memory at 13801.
    assert set(said(memory_watch(13801), *[busy(memory_mhz=13803)] * 5)) == {"nothing"}
    assert said(memory_watch(13801, free=14001), *[busy(memory_mhz=13803)] * 3)[-1] == "confirmed"
    assert said(memory_watch(), *[busy(memory_mhz=14001)] * 3)[-1] == "lost"
    assert set(said(memory_watch(14001), *[busy(memory_mhz=13801)] * 9)) == {"nothing"}


@pytest.mark.parametrize("reasons", [0, 0x4, 0x1])
def test_memory_far_below_its_lock_under_load_is_a_suspicion(reasons: int) -> None:
    """Half of the bandwidth and less; a power cap lowers the GPU's clock, and not the memory's."""
    watch = Watch(Setting.MEMORY_CLOCK, ClockLock(0, 7001))
    sample = busy(memory_mhz=810, reasons=reasons)
    assert said(watch, *[sample] * 6) == ["nothing"] * 4 + ["suspect"] * 2
    assert watch.evidence.startswith(
        "flat at 810 MHz under load, where <= 7001 MHz was asked for, and nothing here lowers"
    )
    assert said(watch, *[busy(memory_mhz=7001)] * 3)[-1] == "confirmed"


@pytest.mark.parametrize(
    "sample",
    [
        busy(memory_mhz=810, utilization_percent=49),
        busy(memory_mhz=810, pstate=5),
        busy(memory_mhz=810, reasons=None),
        busy(memory_mhz=810, reasons=0x40),  # heat
        busy(memory_mhz=810, reasons=0x8),
    ],
)
def test_no_suspicion_of_memory_where_anything_else_may_be_the_cause(sample: Telemetry) -> None:
    assert set(said(Watch(Setting.MEMORY_CLOCK, ClockLock(0, 7001)), *[sample] * 9)) == {"nothing"}


def test_application_clocks_hold_the_memory_as_well() -> None:
    """A free one would be there too, so neither is it confirmed nor suspected."""
    for lock_mhz, seen_mhz in ((7001, 7001), (13801, 7001)):
        watch = memory_watch(lock_mhz)
        shown = [watch.observe(busy(memory_mhz=seen_mhz), application_mhz=7001).value for _ in range(9)]
        assert set(shown) == {"nothing"}


def test_a_new_request_is_watched_anew() -> None:
    watch = gpu_watch()
    said(watch, busy(2850), busy(2850))
    watch.requested_s = watch.at_s
    assert said(watch, busy(2850), busy(2850)) == ["nothing", "nothing"]


def heard_of(high: int, samples: list[Telemetry], step_s: float) -> set[Proof]:
    h200 = Board(Gpu("GPU-1", "0000:01:00.0", "NVIDIA H200"), 0, max_gpu_mhz=1980, max_memory_mhz=3201)
    watch = gpu_watch(0, high, h200)
    return {watch.observe(sample, step_s) for sample in samples}


@pytest.mark.parametrize("every", [1, 5, 20], ids=["0.1s", "0.5s", "2s"])
def test_the_recorded_load_loses_no_lock_that_it_keeps_to_and_confirms_none_that_was_not_there(every: int) -> None:
    """The H200 ran free, held down by its power limit to about 1485 MHz."""
    trace = json.loads((Path(__file__).parent / "data" / "h200_throttle.json").read_text())
    samples = [
        Telemetry(gpu_clock_mhz=sm_mhz, utilization_percent=util, pstate=0, reasons=reasons)
        for _, reasons, util, sm_mhz, *_ in trace["samples"][::every]
    ]
    assert Proof.LOST in heard_of(1200, samples, every * 0.1)
    for high in range(1200, 1981, 15):
        heard = heard_of(high, samples, every * 0.1)
        assert not heard & {Proof.CONFIRMED, Proof.SUSPECT, Proof.NOT_OBEYED}
        if high >= 1700:  # above it for a moment only, and after its work
            assert heard == {Proof.NOTHING}


SAMPLES = st.builds(
    Telemetry,
    gpu_clock_mhz=st.none() | st.integers(0, 3200),
    memory_clock_mhz=st.none() | st.sampled_from([405, 810, 7001, 13801, 14001]),
    utilization_percent=st.none() | st.integers(0, 100),
    pstate=st.none() | st.integers(0, 15),
    reasons=st.none() | st.sampled_from([0, 1, 2, 4, 0x28]),
)


@given(st.lists(SAMPLES, max_size=30), st.integers(0, 3090))
def test_nothing_is_said_that_the_last_samples_do_not_show(samples: list[Telemetry], high: int) -> None:
    watch = gpu_watch(0, high)
    for number, sample in enumerate(samples):
        proof = watch.observe(sample)
        clocks = [s.gpu_clock_mhz or 0 for s in samples[max(0, number - 2) : number + 1]]
        at_work = [s for s in samples[: number + 1] if (s.utilization_percent or 0) >= 10 and (s.pstate or 0) <= 2]
        if proof is Proof.LOST:
            assert len(at_work) >= 3 and min(s.gpu_clock_mhz or 99999 for s in at_work[-3:]) > high + 15
        elif proof is Proof.CONFIRMED:
            assert len(clocks) == 3 and all(abs(clock - high) <= 15 for clock in clocks)
