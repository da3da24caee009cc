"""Advice: every hazard is seen where it is and not seen where it is not; every id has its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_tuned.core.advice import (
    ADVICE_IDS,
    CATALOGUE,
    Advice,
    Around,
    Case,
    Severity,
    advise,
    advise_offline,
    advise_policy,
)
from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    Board,
    ClockLock,
    ComputeMode,
    Gpu,
    PowerLimit,
    PowerRange,
    Reading,
    Setting,
    Unread,
)
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.policy.parser import Document, parse
from gpu_tuned.core.wish import Auto, Ceiling, Origin, Percent, Symbol, Target, Wish

PAGES = Path(__file__).parents[2] / "docs" / "advice"
GPU = Setting.GPU_CLOCK
LIMIT, MODE, KEEP = Setting.POWER_LIMIT, Setting.COMPUTE_MODE, Setting.PERSISTENCE_MODE
RTX = Board(
    Gpu("GPU-1", "0000:01:00.0", "NVIDIA GeForce RTX 5090"),
    0,
    power=PowerRange(400_000, 575_000, 575_000),
    memory_ladder_mhz=(14001, 13801, 7001, 810, 405),
    gpu_ladder_mhz=(3090, 2550, 2400, 180),
    max_gpu_mhz=3090,
)
RTX_600 = replace(RTX, power=PowerRange(400_000, 600_000, 575_000))
ADA = replace(
    RTX,
    gpu=Gpu("GPU-2", "0000:02:00.0", "NVIDIA GeForce RTX 4090"),
    power=PowerRange(10_000, 600_000, 450_000),
    memory_ladder_mhz=(10501, 5001, 810, 405),
    max_gpu_mhz=3120,
)
LAPTOP = replace(RTX, gpu=Gpu("GPU-3", "0000:01:00.0", "NVIDIA GeForce RTX 5090 Laptop GPU"))
PRO_5000 = replace(RTX, gpu=Gpu("GPU-6", "0000:01:00.0", "NVIDIA RTX PRO 5000 Blackwell"))
D_V2 = replace(RTX, gpu=Gpu("GPU-7", "0000:01:00.0", "NVIDIA GeForce RTX 5090 D v2"))
H200 = Board(
    Gpu("GPU-4", "0000:1b:00.0", "NVIDIA H200"),
    0,
    power=PowerRange(200_000, 700_000, 700_000),
    memory_ladder_mhz=(3201, 2201),
    gpu_ladder_mhz=(1980, 345),
    max_gpu_mhz=1980,
)
A100 = replace(H200, gpu=Gpu("GPU-5", "0000:1b:00.0", "NVIDIA A100-SXM4-40GB"), max_gpu_mhz=1410)
UNKNOWN = Around()
AWAY = Around(laptop=True, persistenced=False)
MPS, NO_MPS = Around(mps=True), Around(mps=False)


def case(
    board: Board, around: Around = UNKNOWN, found: dict[Setting, Reading] | None = None, **wishes: Target
) -> Case:
    """`case(RTX, memory_clock_mhz=...)`."""
    made = {Setting(key): Wish(Setting(key), target, Origin("p.toml", key)) for key, target in wishes.items()}
    return Case(board, made, found or {}, around)


def watched(of: Case) -> Case:
    return replace(of, wishes={setting: replace(wish, watched=True) for setting, wish in of.wishes.items()})


LOCK_250 = ClockLock(2400, 2550)
# id, where it is true, where it is not
ROWS: list[tuple[str, list[Case], list[Case]]] = [
    ("memory-lock",
     [case(RTX, memory_clock_mhz=ClockLock(14001, 14001)), case(PRO_5000, memory_clock_mhz=ClockLock(0, 14001)),
      case(D_V2, memory_clock_mhz=ClockLock(0, 14001))],
     [case(ADA, memory_clock_mhz=ClockLock(0, 10501)), case(RTX, memory_clock_mhz=UNLOCKED), case(RTX),
      case(LAPTOP, memory_clock_mhz=ClockLock(0, 14001))]),
    ("slow-memory",
     [case(RTX, memory_clock_mhz=ClockLock(0, 7001)), case(H200, memory_clock_mhz=ClockLock(2201, 2201)),
      case(replace(RTX, memory_ladder_mhz=()), memory_clock_mhz=ClockLock(3002, 3002))],
     [case(RTX, memory_clock_mhz=ClockLock(0, 13801)), case(H200, memory_clock_mhz=ClockLock(0, 3201)),
      case(replace(ADA, memory_ladder_mhz=()), memory_clock_mhz=ClockLock(0, 100))]),
    ("exclusive-process",
     [case(RTX, NO_MPS, compute_mode=ComputeMode.EXCLUSIVE_PROCESS), case(RTX, compute_mode=ComputeMode.EXCLUSIVE_PROCESS)],
     [case(RTX, MPS, compute_mode=ComputeMode.EXCLUSIVE_PROCESS), case(RTX, NO_MPS, compute_mode=ComputeMode.DEFAULT)]),
    ("prohibited",
     [case(H200, compute_mode=ComputeMode.PROHIBITED)], [case(H200, compute_mode=ComputeMode.DEFAULT), case(H200)]),
    ("application-clocks",
     [case(RTX, application_clocks_mhz=ApplicationClocks(14001, 2550)),
      case(H200, Around(driver="595.71.05"), application_clocks_mhz=ApplicationClocks(3201, 1755)),
      case(H200, application_clocks_mhz=Symbol.DEFAULT)],
     [case(H200), case(RTX, gpu_clock_mhz=LOCK_250)]),
    ("limit-out-of-range",
     [case(RTX, power_limit_w=PowerLimit(600_000)), case(RTX, power_limit_w=PowerLimit(350_000)),
      case(RTX, power_limit_w=Percent(50)), case(RTX, power_limit_w=Ceiling(PowerLimit(399_999))),
      case(RTX, power_limit_w=PowerLimit(399_999)), case(RTX, power_limit_w=PowerLimit(575_001)),
      case(RTX, power_limit_w=Percent(69.5))],
     [case(RTX_600, power_limit_w=PowerLimit(600_000)), case(RTX, power_limit_w=Symbol.MAX),
      case(RTX, power_limit_w=Ceiling(PowerLimit(600_000))), case(replace(RTX, power=None), power_limit_w=PowerLimit(1)),
      case(RTX, power_limit_w=Percent(100)), case(RTX, power_limit_w=PowerLimit(400_000)),
      case(RTX, power_limit_w=PowerLimit(575_000)), case(RTX, power_limit_w=Ceiling(PowerLimit(400_000))),
      case(RTX, power_limit_w=Percent(69.6))]),
    ("share-above-default",
     [case(ADA, power_limit_w=Percent(80)), case(ADA, power_limit_w=Percent(75.1)), case(RTX_600, power_limit_w=Percent(100))],
     [case(ADA, power_limit_w=Percent(75)), case(ADA, power_limit_w=Percent(74.9)), case(RTX, power_limit_w=Percent(100)), case(ADA, power_limit_w=Symbol.MAX)]),
    ("max-above-default",
     [case(RTX_600, power_limit_w=Symbol.MAX)],
     [case(RTX, power_limit_w=Symbol.MAX), case(RTX_600, power_limit_w=Symbol.DEFAULT),
      case(replace(RTX, power=None), power_limit_w=Symbol.MAX)]),
    ("cap-not-reached",
     [case(H200, power_limit_w=PowerLimit(500_000)), case(H200, power_limit_w=Ceiling(PowerLimit(400_000))),
      case(H200, power_limit_w=Percent(60))],
     [case(H200, power_limit_w=PowerLimit(299_999)), case(H200, power_limit_w=PowerLimit(250_000)), case(H200, power_limit_w=Symbol.MAX),
      case(H200, power_limit_w=PowerLimit(700_000)), case(RTX, power_limit_w=PowerLimit(500_000)),
      case(H200, power_limit_w=PowerLimit(500_000), gpu_clock_mhz=ClockLock(0, 1400))]),
    ("laptop-limit",
     [case(LAPTOP, power_limit_w=PowerLimit(120_000))], [case(RTX, power_limit_w=PowerLimit(450_000)), case(LAPTOP)]),
    ("lock-below-boost",
     [case(RTX, gpu_clock_mhz=LOCK_250), case(A100, gpu_clock_mhz=ClockLock(0, 1200)),
      case(RTX, gpu_clock_mhz=ClockLock(0, 2764))],
     [case(RTX, gpu_clock_mhz=ClockLock(0, 2850)), case(RTX, gpu_clock_mhz=ClockLock(0, 2765)), case(A100, gpu_clock_mhz=ClockLock(0, 1410)),
      case(RTX, gpu_clock_mhz=UNLOCKED), case(replace(A100, max_gpu_mhz=0), gpu_clock_mhz=ClockLock(0, 1200))]),
    ("idle-power",
     [case(RTX, gpu_clock_mhz=LOCK_250), case(RTX, gpu_clock_mhz=ClockLock(181, 2550))],
     [case(RTX, gpu_clock_mhz=ClockLock(0, 2550)), case(RTX, gpu_clock_mhz=ClockLock(180, 2550))]),
    ("minimum-no-promise",
     [case(RTX, gpu_clock_mhz=LOCK_250), case(LAPTOP, gpu_clock_mhz=LOCK_250),
      case(RTX, gpu_clock_mhz=ClockLock(181, 2550))],
     [case(RTX, gpu_clock_mhz=ClockLock(0, 2550)), case(RTX, gpu_clock_mhz=ClockLock(180, 2550)), case(ADA, gpu_clock_mhz=LOCK_250)]),
    ("settings-forgotten",
     [case(RTX, power_limit_w=PowerLimit(450_000), persistence_mode=False),
      case(RTX, found={KEEP: False}, gpu_clock_mhz=LOCK_250),
      case(H200, found={KEEP: False}, application_clocks_mhz=ApplicationClocks(3201, 1755)),
      case(LAPTOP, AWAY, found={KEEP: False}, gpu_clock_mhz=LOCK_250, persistence_mode=Auto.AUTO)],
     [case(RTX, power_limit_w=PowerLimit(450_000), persistence_mode=True), case(RTX, persistence_mode=False),
      case(RTX, found={KEEP: True}, gpu_clock_mhz=LOCK_250), case(RTX, gpu_clock_mhz=LOCK_250),
      case(RTX, found={KEEP: Unread("no")}, gpu_clock_mhz=LOCK_250),
      case(RTX, found={KEEP: False}, gpu_clock_mhz=LOCK_250, persistence_mode=Auto.AUTO),
      case(LAPTOP, AWAY, found={KEEP: True}, gpu_clock_mhz=LOCK_250, persistence_mode=Auto.AUTO)]),
    ("legacy-persistence",
     [case(RTX, Around(persistenced=False), persistence_mode=True),
      case(RTX, Around(persistenced=False), persistence_mode=Auto.AUTO)],
     [case(RTX, Around(persistenced=True), persistence_mode=True), case(RTX, persistence_mode=True),
      case(RTX, Around(persistenced=False), persistence_mode=False),
      case(LAPTOP, AWAY, persistence_mode=Auto.AUTO)]),
    ("laptop-awake",
     [case(LAPTOP, persistence_mode=True), case(RTX, Around(laptop=True), persistence_mode=True)],
     [case(LAPTOP, persistence_mode=Auto.AUTO), case(RTX, Around(laptop=False), persistence_mode=True), case(LAPTOP)]),
]  # fmt: skip


def ids(found: tuple[Advice, ...]) -> list[str]:
    return [advice.id for advice in found]


@pytest.mark.parametrize(("id", "true", "false"), ROWS, ids=[row[0] for row in ROWS])
def test_every_condition_true_and_false(id: str, true: list[Case], false: list[Case]) -> None:
    for one in true:
        (advice,) = [advice for advice in advise(one) if advice.id == id]
        assert advice.message and advice.gpu == one.board.gpu
        assert id not in ids(advise(one, accepted={id}))
        assert id not in ids(advise(watched(one))), "a watched setting is somebody else's"
    for one in false:
        assert id not in ids(advise(one)), one


def test_all_of_the_catalogue_is_tried() -> None:
    assert tuple(row[0] for row in ROWS) == ADVICE_IDS


@pytest.mark.parametrize("hazard", CATALOGUE, ids=ADVICE_IDS)
def test_every_id_has_its_page(hazard: object) -> None:
    page = (PAGES / f"{hazard.id}.md").read_text()  # type: ignore[attr-defined]
    for heading in ("## Why", "## What to do", "## Evidence", f'accept = ["{hazard.id}"]'):  # type: ignore[attr-defined]
        assert heading in page


def test_the_index_names_them_all_and_no_page_is_an_orphan() -> None:
    index = (PAGES / "README.md").read_text()
    for hazard in CATALOGUE:
        assert f"| [{hazard.id}]({hazard.id}.md) | {hazard.severity.value} |" in index
    assert {path.stem for path in PAGES.glob("*.md")} == {*ADVICE_IDS, "README"}


def policy(*rules: Mapping[str, object], **host: object) -> Policy:
    tables = {"gpu": list(rules), **({"host": host} if host else {})}
    return parse([Document("p.toml", tables)])


SEED = {
    "match": {"name": "NVIDIA GeForce RTX 5090"},
    "power_limit_w": 600,
    "gpu_clock_mhz": {"min": 2400, "max": 2550},
    "memory_clock_mhz": 3002,
    "compute_mode": "exclusive_process",
}


def test_what_the_widely_copied_guide_asks_for_is_advised_against_worst_first() -> None:
    found = advise_policy(policy(SEED), [RTX], {RTX.gpu.uuid: {KEEP: False}}, NO_MPS)
    assert ids(found) == [
        "memory-lock", "slow-memory", "exclusive-process", "limit-out-of-range", "settings-forgotten", "lock-below-boost",
        "idle-power", "minimum-no-promise",
    ]  # fmt: skip
    assert found[0].severity is Severity.HARM
    assert str(found[3]) == (
        "caution: p.toml gpu[0].power_limit_w: 600 W is outside of 400 to 575 W and is refused; "
        '"max" is what each board allows [limit-out-of-range]'
    )


def test_accept_is_by_rule_or_for_all() -> None:
    assert "memory-lock" not in ids(advise_policy(policy({**SEED, "accept": ["memory-lock"]}), [RTX]))
    other = {"match": {"name": "*4090"}, "accept": ["memory-lock"]}
    assert "memory-lock" in ids(advise_policy(policy(SEED, other), [RTX]))
    assert "memory-lock" not in ids(advise_policy(policy(SEED, accept=["memory-lock"]), [RTX]))


def test_without_a_board_what_a_board_allows_is_not_spoken_of() -> None:
    found = advise_offline(policy(SEED))
    assert "limit-out-of-range" not in ids(found)
    assert {"memory-lock", "slow-memory", "exclusive-process", "lock-below-boost", "idle-power"} <= set(ids(found))
    assert len(ids(found)) == len(set(ids(found)))


@pytest.mark.parametrize(("pattern", "told"), [("*RTX 5090", True), ("*4090", False), ("*", False)])
def test_without_a_board_patterns_mean_the_models_that_they_name(pattern: str, told: bool) -> None:
    rule = {"match": {"name": pattern}, "memory_clock_mhz": {"max": 14001}}
    assert ("memory-lock" in ids(advise_offline(policy(rule)))) == told


def test_the_shipped_first_policy_needs_no_advice() -> None:
    assert advise_offline(policy({"match": {"name": "*"}, "persistence_mode": True})) == ()


def test_a_memory_clock_is_advised_on_as_the_rung_that_it_comes_to() -> None:
    """An L40S has 9001 and 405 MHz, so at most 8500 is 405."""
    board = replace(RTX, memory_ladder_mhz=(9001, 405))
    found = advise(case(board, memory_clock_mhz=ClockLock(0, 8500)))
    assert [one.message[:16] for one in found if one.id == "slow-memory"] == ["405 of 9001 MHz:"]
