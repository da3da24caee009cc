"""Whatever boards a host has and whatever its scripts asked for: what `init` proposes is a policy, one that no board
refuses, and a raised limit is said on its line."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

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
    NumaBalancing,
    PowerLimit,
    PowerRange,
    Setting,
)
from gpu_tuned.core.proposal import propose
from gpu_tuned.core.settings import goal_of
from gpu_tuned.core.wish import Symbol

CONFIG = Path("/etc/gpu-tuned/gpu-tuned.toml")
NAMES = st.one_of(
    st.sampled_from(["NVIDIA GeForce RTX 5090", "NVIDIA H200", "NVIDIA RTX PRO 6000 [x]", "a\n[[gpu]]\nb", '"', "*"]),
    st.text(max_size=20),
)
WATTS = st.integers(0, 12_000_000).map(PowerLimit)
MHZ = st.sampled_from([0, 1, 180, 1395, 1400, 2400, 2550, 3002, 3201, 14001, 999_999])
LOCKS = st.builds(ClockLock, MHZ, MHZ)
WORDS = st.text(max_size=40)
VALUES = {
    Setting.PERSISTENCE_MODE: st.booleans(),
    Setting.POWER_LIMIT: WATTS,
    Setting.GPU_CLOCK: st.one_of(LOCKS, st.just(UNLOCKED)),
    Setting.MEMORY_CLOCK: st.one_of(LOCKS, st.just(UNLOCKED)),
    Setting.APPLICATION_CLOCKS: st.builds(ApplicationClocks, MHZ, MHZ),
    Setting.COMPUTE_MODE: st.sampled_from(ComputeMode),
}
UUIDS = [f"GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c1{n}" for n in range(4)]


@st.composite
def boards(draw: st.DrawFn, index: int) -> Board:
    low, mid, high = sorted(draw(st.tuples(WATTS, WATTS, WATTS)), key=lambda limit: limit.limit_mw)
    power = PowerRange(low.limit_mw, high.limit_mw, mid.limit_mw) if draw(st.booleans()) else None
    memory, gpu = draw(st.sampled_from([((14001, 810), (2550, 2400, 180)), ((3201,), (1980, 1395)), ((), ())]))
    absent = draw(st.sets(st.sampled_from(list(VALUES)), max_size=2))
    return Board(
        Gpu(UUIDS[index], f"0000:0{index + 1}:00.0", draw(NAMES)),
        index,
        power,
        memory,
        gpu,
        dict.fromkeys(memory, gpu),
        ApplicationClocks(memory[0], gpu[0]) if memory else None,
        mig=draw(st.booleans()),
        absent=dict.fromkeys(absent, draw(WORDS)),
    )


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    setting = draw(st.sampled_from([*VALUES, Setting.NUMA_BALANCING]))
    if setting is Setting.NUMA_BALANCING:
        target = draw(st.sampled_from(NumaBalancing))
    else:
        extra = [st.none()] + ([st.just(Symbol.DEFAULT)] if setting is Setting.APPLICATION_CLOCKS else [])
        target = draw(st.one_of(VALUES[setting], *extra))
    place = Place(draw(WORDS), draw(st.integers(0, 99)), draw(st.booleans()))
    gpus = tuple(draw(st.lists(st.sampled_from(["0", "1", "9", UUIDS[0], "02:00.0", "\n"]), max_size=2)))
    return Ask(setting, target, draw(WORDS), place, gpus, draw(WORDS))


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    every = tuple(draw(boards(index)) for index in range(draw(st.integers(0, 3))))
    readings = {}
    for board in every:
        readings[board.gpu.uuid] = {
            setting: draw(values) if setting.readable and draw(st.booleans()) else draw(st.just(NO_GETTER))
            for setting, values in VALUES.items()
            if draw(st.integers(0, 4))
        }
    numa = draw(st.sampled_from([None, *NumaBalancing]))
    found = tuple(draw(st.lists(asks(), max_size=6)))
    return Host(
        every,
        readings,
        found,
        {},
        numa,
        draw(st.integers(1, 2)),
        draw(st.booleans()),
        tuple(draw(st.lists(WORDS, max_size=1))),
    )


@settings(max_examples=100, deadline=None)
@given(hosts())
def test_what_is_proposed_is_a_policy_that_no_board_refuses(host: Host) -> None:
    text = propose(host)
    policy = load_text(text, CONFIG)
    sections = re.split(r"^\[\[gpu\]\]", text, flags=re.MULTILINE)[1:]
    assert len(sections) == len(policy.rules)
    for board in host.boards:
        readings = host.readings[board.gpu.uuid]
        for setting, wish in policy.wishes_for(board.gpu).items():
            if setting is Setting.PERSISTENCE_MODE:
                continue  # the rule for every board may speak to one that has none
            found = readings.get(setting)
            goal = goal_of(wish, board, Found())
            assert not isinstance(goal, Refusal), (setting, wish, goal)
            if isinstance(goal, PowerLimit):
                section = sections[int(wish.origin.path.split("[")[1].split("]")[0])]
                (line,) = [row for row in section.splitlines() if row.startswith("power_limit_w")]
                raised = not isinstance(found, PowerLimit) or goal.limit_mw > found.limit_mw
                assert ("RAISE" in line) == raised, line


@settings(max_examples=60, deadline=None)
@given(hosts())
def test_it_fits_a_terminal(host: Host) -> None:
    """80 columns, a word that is longer by itself excepted."""
    for row in propose(host).splitlines():
        assert len(row) <= 80 or max(map(len, row.split())) > 35 or row.startswith("[[gpu]]"), row
