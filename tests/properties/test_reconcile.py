"""Whatever the board and the wishes: a second look writes nothing, and no write leaves the board's limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_tuned.core import transitions
from gpu_tuned.core.drift import new_track
from gpu_tuned.core.gpu_state import Change, GpuState, Presence
from gpu_tuned.core.model import (
    GPU_SETTINGS,
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
    Value,
    wire,
)
from gpu_tuned.core.originals import Accepted, Initialisation, Original, Ours
from gpu_tuned.core.saved import NOT_ASKED, Saved, from_json, to_json
from gpu_tuned.core.settings import factory_default, from_wire
from gpu_tuned.core.track import Moment, State, Track
from gpu_tuned.core.wish import Ceiling, Origin, Percent, Symbol, Wish
from gpu_tuned.loop.inventory import Inventory
from gpu_tuned.loop.reconcile import Reconciler
from gpu_tuned.ports import Look
from tests.fakes import FakeClock, FakeGpu, FakeGpus

GPU = Gpu("GPU-5b1c9f2e-0000-4000-8000-000000000000", "0000:01:00.0", "NVIDIA GeForce RTX 5090")
mhz = st.integers(1, 20_000)
milliwatts = st.integers(0, 1_500_000)
locks = st.tuples(mhz, mhz).map(lambda pair: ClockLock(min(pair), max(pair)))
pairs = st.builds(ApplicationClocks, mhz, mhz)
values: dict[Setting, st.SearchStrategy[Value]] = {
    Setting.PERSISTENCE_MODE: st.booleans(),
    Setting.POWER_LIMIT: milliwatts.map(PowerLimit),
    Setting.GPU_CLOCK: locks | st.just(UNLOCKED),
    Setting.MEMORY_CLOCK: locks | st.just(UNLOCKED),
    Setting.APPLICATION_CLOCKS: pairs,
    Setting.COMPUTE_MODE: st.sampled_from(ComputeMode),
}


@st.composite
def boards(draw: st.DrawFn) -> Board:
    least, most = sorted((draw(milliwatts), draw(milliwatts)))
    default = draw(st.integers(least, most))
    ladder = st.lists(mhz, max_size=6, unique=True).map(lambda rungs: tuple(sorted(rungs, reverse=True)))
    return Board(
        GPU,
        0,
        power=draw(st.none() | st.just(PowerRange(least, most, default))),
        memory_ladder_mhz=draw(ladder),
        gpu_ladder_mhz=draw(ladder),
        default_application_clocks=draw(st.none() | pairs),
        mig=draw(st.booleans()),
        absent=draw(st.dictionaries(st.sampled_from(GPU_SETTINGS), st.just("this board has none"), max_size=3)),
    )


@st.composite
def wishes(draw: st.DrawFn) -> dict[Setting, Wish]:
    out = {}
    for setting in draw(st.sets(st.sampled_from(GPU_SETTINGS))):
        targets: st.SearchStrategy[Any] = values[setting] | st.just(Symbol.ORIGINAL)
        if setting is Setting.POWER_LIMIT:
            targets |= st.sampled_from([Symbol.MAX, Symbol.DEFAULT]) | st.builds(Percent, st.floats(1, 100))
            targets |= milliwatts.map(lambda limit: Ceiling(PowerLimit(limit)))
        origin = Origin("gpu-tuned.toml", f"gpu[0].{setting.value}", shipped=draw(st.booleans()))
        out[setting] = Wish(setting, draw(targets), origin, draw(st.booleans()), draw(st.booleans()))
    return out


def run(
    board: Board, wished: dict[Setting, Wish], found: dict[Setting, Value], looks: int
) -> tuple[FakeGpu, GpuState]:
    """A few looks, two seconds apart, of a loop over one fake board on which `found` was set before."""
    gpu = FakeGpu(board, {setting: value for setting, value in found.items() if setting not in board.absent})
    gpus, clock = FakeGpus(gpu), FakeClock()
    gpus.attach()
    host = transitions.host({}, {}, Moment(0.0, 0.0))
    inventory = Inventory(host, clock, lambda event: None)
    reconciler = Reconciler(gpus, gpus, inventory, lambda: None, clock, lambda event: None)
    reconciler.meet(GpuState(board.gpu), board, "bound", 2.0)
    state = inventory.states[GPU.uuid]
    inventory.take(Change(transitions.wished(state, wished, None, inventory.moment(), named=False)))
    for _ in range(looks):
        clock.mono += 2.0
        reconciler.look(inventory.states[GPU.uuid], Look(), 2.0, writes=True)
    return gpu, inventory.states[GPU.uuid]


saved_values = {**values, Setting.NUMA_BALANCING: st.sampled_from(NumaBalancing)}
found_values = st.fixed_dictionaries({}, optional=values)


@settings(deadline=None)
@given(boards(), wishes(), found_values)
def test_a_second_look_never_writes(board, wished, found):
    first, _ = run(board, wished, found, 1)
    second, state = run(board, wished, found, 5)
    refused = {s for s, track in state.tracks.items() if track.state is State.REFUSED}
    # A write that the driver refused is tried again when it is required; nothing that was accepted is repeated.
    assert [w for w in second.writes if w[0] not in refused] == [w for w in first.writes if w[0] not in refused]


@settings(deadline=None)
@given(boards(), wishes(), found_values)
def test_writes_stay_inside_what_the_board_allows(board, wished, found):
    gpu, _ = run(board, wished, found, 2)
    for setting, value in gpu.writes:
        assert setting not in board.absent
        assert not wished[setting].watched
        if isinstance(value, PowerLimit):
            assert board.power is not None
            assert board.power.min_mw <= value.limit_mw <= board.power.max_mw
        if isinstance(value, ClockLock):
            ladder = board.gpu_ladder_mhz if setting is Setting.GPU_CLOCK else board.memory_ladder_mhz
            assert not ladder or {value.min_mhz, value.max_mhz} <= set(ladder)


@settings(deadline=None)
@given(boards(), wishes(), found_values)
def test_a_shipped_value_never_raises_a_limit(board, wished, found):
    before = found.get(Setting.POWER_LIMIT, factory_default(board, Setting.POWER_LIMIT))
    gpu, _ = run(board, wished, found, 2)
    wish = wished.get(Setting.POWER_LIMIT)
    if wish is not None and wish.origin.shipped and isinstance(before, PowerLimit):
        assert all(value.limit_mw <= before.limit_mw for _, value in gpu.writes if isinstance(value, PowerLimit))


@settings(deadline=None)
@given(boards(), wishes(), found_values)
def test_everything_watched_is_observe_mode(board, wished, found):
    gpu, _ = run(board, {s: replace(w, watched=True) for s, w in wished.items()}, found, 3)
    assert gpu.writes == []


any_value = st.sampled_from(GPU_SETTINGS).flatmap(lambda s: st.tuples(st.just(s), values[s]))


@given(any_value)
def test_a_value_survives_the_wire(pair):
    setting, value = pair
    assert from_wire(setting, wire(value)) == value


originals = st.sampled_from(Setting).flatmap(
    lambda s: st.tuples(st.just(s), saved_values[s], st.none() | saved_values[s])
)


@st.composite
def tracks(draw: st.DrawFn) -> dict[Setting, Track]:
    out = {}
    for setting, value, goal in draw(st.lists(originals, max_size=6)):
        flags = {name: draw(st.booleans()) for name in ("assumed", "late")}
        ours = draw(st.sampled_from(Ours).filter(lambda ours: ours is not Ours.ASKED))
        before = None if goal is None else Accepted(goal, draw(st.text(max_size=20)), goal)
        moment = Moment(0.0, 0.0)
        out[setting] = replace(new_track(moment), original=Original(value, ours=ours, **flags), before=before)
    return out


@st.composite
def states(draw: st.DrawFn) -> GpuState:
    began = Initialisation(
        draw(st.none() | st.text(min_size=1, max_size=20)),
        draw(st.dictionaries(st.integers(0, 300), st.integers(0, 2**63), max_size=8)),
    )
    who = Gpu(draw(st.text(min_size=1, max_size=40)), draw(st.text(max_size=12)), draw(st.text(max_size=12)))
    return GpuState(who, presence=Presence.WAITING, why=NOT_ASKED, initialisation=began, tracks=draw(tracks()))


@given(st.lists(states(), max_size=4, unique_by=lambda state: state.gpu.uuid), tracks())
def test_what_is_known_survives_a_restart(gpus, host):
    import json

    raw = json.loads(json.dumps(to_json("boot", gpus, host)))
    assert from_json(raw, Moment(0.0, 0.0)) == Saved("boot", {state.gpu.uuid: state for state in gpus}, host)
