"""From what was asked for and what is in force to one line of the policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpu_tuned.adapters.policy_file import load_text
from gpu_tuned.core.goal import Found, Refusal
from gpu_tuned.core.leftover import Ask, Host, Place
from gpu_tuned.core.model import (
    NO_GETTER,
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
)
from gpu_tuned.core.proposal import propose
from gpu_tuned.core.settings import goal_of
from gpu_tuned.core.takeover import Line, line_of
from gpu_tuned.core.wish import Target

RTX = Board(
    Gpu("GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11", "0000:01:00.0", "NVIDIA GeForce RTX 5090"),
    0,
    PowerRange(400_000, 575_000, 575_000),
    (14001, 13801, 7001, 810, 405),
    (3090, 2850, 2550, 2407, 2400, 180),
    absent={Setting.APPLICATION_CLOCKS: "this GPU has no application clocks"},
)
H200 = Board(
    Gpu("GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c12", "0000:02:00.0", "NVIDIA H200"),
    1,
    PowerRange(200_000, 700_000, 700_000),
    (3201, 2201),
    tuple(range(1980, 330, -15)),
    {3201: tuple(range(1980, 330, -15))},
    ApplicationClocks(3201, 1980),
)
AT_REST: dict[Setting, Reading] = {
    Setting.PERSISTENCE_MODE: False,
    Setting.POWER_LIMIT: PowerLimit(575_000),
    Setting.GPU_CLOCK: NO_GETTER,
    Setting.MEMORY_CLOCK: NO_GETTER,
    Setting.COMPUTE_MODE: ComputeMode.DEFAULT,
}


def ask(setting: Setting, target: Target | None, *gpus: str, line: int = 1) -> Ask:
    return Ask(setting, target, f"-x {line}", Place("/root/x.sh", line), gpus)


def host(board: Board, *asks: Ask, mps: bool = False, **found: Reading) -> Host:
    readings = dict(AT_REST) if board is RTX else {**AT_REST, Setting.POWER_LIMIT: PowerLimit(700_000)}
    if board is H200:
        readings[Setting.APPLICATION_CLOCKS] = ApplicationClocks(3201, 1980)
    readings |= {Setting(key): value for key, value in found.items()}
    return Host((board,), {board.gpu.uuid: readings}, asks, mps=mps)


def line(setting: Setting, board: Board, *asks: Ask, mps: bool = False, **found: Reading) -> Line:
    got = line_of(setting, board, host(board, *asks, mps=mps, **found))
    assert got is not None
    return got


def power(watts: float) -> Ask:
    return ask(Setting.POWER_LIMIT, PowerLimit(round(watts * 1000)))


def test_a_board_that_nobody_touched_gets_no_line() -> None:
    for board in (RTX, H200):
        assert [line_of(setting, board, host(board)) for setting in Setting if setting.value != "numa_balancing"] == [
            None
        ] * 6


def test_a_limit_in_force_that_is_not_the_board_s_own_is_held() -> None:
    got = line(Setting.POWER_LIMIT, RTX, power_limit_w=PowerLimit(450_500))
    assert (got.value, got.beside) == ("450.5", "as now")
    assert "not what the board starts with (575 W)" in got.above[0]


def test_a_limit_the_board_refuses_leaves_the_one_in_force() -> None:
    got = line(Setting.POWER_LIMIT, RTX, power(600))
    assert got.value == "575"
    assert "not taken over. The board refuses it: 600 W is outside this board's 400 to 575 W" in got.above[0]
    assert line(Setting.POWER_LIMIT, RTX, power(600), power_limit_w=PowerLimit(450_000)).value == "450"


def test_a_raised_limit_is_said_on_the_line() -> None:
    got = line(Setting.POWER_LIMIT, RTX, power(500), power_limit_w=PowerLimit(450_000))
    assert (got.value, got.beside) == ("500", "RAISES the limit, 450 W now")
    unread = line(Setting.POWER_LIMIT, RTX, power(500), power_limit_w=NO_GETTER)
    assert "may RAISE" in unread.beside


def test_a_lowered_limit_too() -> None:
    assert line(Setting.POWER_LIMIT, RTX, power(500)).beside == "lowers it: 575 W now"


def test_of_several_values_the_one_in_force_is_the_one_that_came_about() -> None:
    asks = (power(500), replace(power(450), words="-y"), power(420))
    got = line(Setting.POWER_LIMIT, RTX, *asks, power_limit_w=PowerLimit(450_000))
    assert (got.value, got.beside) == ("450", "as now")
    assert sum("another value won" in words for words in got.above) == 2
    assert line(Setting.POWER_LIMIT, RTX, *asks).value == "420"


def test_a_value_that_the_text_does_not_tell_is_told() -> None:
    got = line(Setting.POWER_LIMIT, RTX, replace(power(1), target=None, why="a variable decides what it sets"))
    assert "not taken over: a variable decides" in got.above[0]


def test_a_clock_lock_on_the_ladder_is_taken_over_with_its_cost() -> None:
    got = line(Setting.GPU_CLOCK, RTX, ask(Setting.GPU_CLOCK, ClockLock(2400, 2550)))
    assert (got.value, got.beside) == ("{ min = 2400, max = 2550 }", "cannot be read back")
    assert "taken over. It takes a tenth of the boost" in got.above[0]


def test_a_lock_between_two_rungs_is_what_the_driver_made_of_it() -> None:
    got = line(Setting.GPU_CLOCK, H200, ask(Setting.GPU_CLOCK, ClockLock(1400, 1700)))
    assert got.target == ClockLock(1410, 1695)


@pytest.mark.parametrize(("low", "high"), [(2400, 2550), (1980, 345), (1, 1)])
def test_a_lock_far_off_the_ladder_is_taken_back(low: int, high: int) -> None:
    got = line(Setting.GPU_CLOCK, H200, ask(Setting.GPU_CLOCK, ClockLock(low, high)))
    assert (got.target, got.value) == (UNLOCKED, '"unlocked"')
    assert "not taken over" in got.above[0]


@pytest.mark.parametrize("mhz", [3002, 7001, 14001, 14000])
def test_no_memory_lock_is_taken_over_on_a_5090(mhz: int) -> None:
    got = line(Setting.MEMORY_CLOCK, RTX, ask(Setting.MEMORY_CLOCK, ClockLock(mhz, mhz)))
    assert got.target is UNLOCKED
    assert "384 to 344 frames" in got.above[0]
    assert ("half of its bandwidth" in got.above[0]) == (mhz < 13000)


def test_a_memory_lock_at_the_top_is_taken_over_elsewhere_and_a_low_one_is_not() -> None:
    top = line(Setting.MEMORY_CLOCK, H200, ask(Setting.MEMORY_CLOCK, ClockLock(3201, 3201)))
    low = line(Setting.MEMORY_CLOCK, H200, ask(Setting.MEMORY_CLOCK, ClockLock(2201, 2201)))
    assert (top.target, low.target) == (ClockLock(3201, 3201), UNLOCKED)


def test_a_reset_is_a_value_too() -> None:
    lock, reset = ClockLock(2400, 2550), ask(Setting.GPU_CLOCK, UNLOCKED, line=2)
    assert line(Setting.GPU_CLOCK, RTX, ask(Setting.GPU_CLOCK, lock), reset).target is UNLOCKED


def test_application_clocks_are_for_boards_that_have_them() -> None:
    wish = ask(Setting.APPLICATION_CLOCKS, ApplicationClocks(3002, 2550))
    rtx, h200 = line(Setting.APPLICATION_CLOCKS, RTX, wish), line(Setting.APPLICATION_CLOCKS, H200, wish)
    assert (rtx.value, h200.value) == ("", "")
    assert "this GPU has no application clocks" in rtx.above[0]
    assert "no pair of clocks of this board; nearest: memory 3201, gpu 1980 MHz" in h200.above[0]
    good = ask(Setting.APPLICATION_CLOCKS, ApplicationClocks(3201, 1500))
    assert line(Setting.APPLICATION_CLOCKS, H200, good).value == "{ memory = 3201, gpu = 1500 }"


def test_exclusive_process_is_for_one_process_or_for_mps() -> None:
    wish = ask(Setting.COMPUTE_MODE, ComputeMode.EXCLUSIVE_PROCESS)
    alone, served = line(Setting.COMPUTE_MODE, RTX, wish), line(Setting.COMPUTE_MODE, RTX, wish, mps=True)
    assert (alone.target, served.target) == (ComputeMode.DEFAULT, ComputeMode.EXCLUSIVE_PROCESS)
    assert "cudaErrorDevicesUnavailable (46), unless MPS" in alone.above[0]


def test_exclusive_process_in_force_without_a_script_is_somebody_s_choice() -> None:
    got = line(Setting.COMPUTE_MODE, RTX, compute_mode=ComputeMode.EXCLUSIVE_PROCESS)
    assert got.value == '"exclusive_process"'
    assert "unless MPS serves both" in got.above[0]


def test_with_mig_on_compute_mode_is_not_the_board_s() -> None:
    mig = replace(H200, mig=True)
    assert line_of(Setting.COMPUTE_MODE, mig, host(mig)) is None
    assert line(Setting.COMPUTE_MODE, mig, ask(Setting.COMPUTE_MODE, ComputeMode.PROHIBITED)).value == ""


def test_what_the_shipped_profile_would_add_is_told_with_its_cost() -> None:
    roomy = replace(RTX, power=PowerRange(400_000, 600_000, 575_000))
    shipped = load_text(
        '[[gpu]]\nmatch = { name = "*" }\nprofile = "rtx-5090-inference"\n', Path("/x/gpu-tuned.toml")
    )
    text = propose(replace(host(roomy, power_limit_w=PowerLimit(575_000)), profiles={"rtx-5090-inference": shipped}))
    said = " ".join(text.replace("#", "").split())
    assert 'power limit max, here 600 W: only with power_limit_w = "max" in this rule, which RAISES' in said
    assert "gpu clock 2400-2550 MHz: the maximum takes a tenth of the boost" in said
    assert '\n# profile = "rtx-5090-inference"\n' in text
    for taken in ('profile = "rtx-5090-inference"', 'profile = "rtx-5090-inference"\npower_limit_w = "max"'):
        policy = load_text(text.replace('# profile = "rtx-5090-inference"', taken), Path("/x/gpu-tuned.toml"))
        wish = policy.wishes_for(roomy.gpu)[Setting.POWER_LIMIT]
        assert isinstance(goal_of(wish, roomy, Found(before=PowerLimit(575_000))), Refusal) == ("power" not in taken)


@pytest.mark.parametrize("who", ["1", "GPU-5B1C9F2E-8D3A-4C1F-9A57-0E6B2D4F7C12", "02:00.0", "00000000:02:00.0"])
def test_a_command_for_one_gpu_is_for_that_gpu(who: str) -> None:
    wish = ask(Setting.POWER_LIMIT, PowerLimit(500_000), who)
    assert line(Setting.POWER_LIMIT, H200, wish).value == "500"
    assert line_of(Setting.POWER_LIMIT, RTX, host(RTX, wish)) is None
