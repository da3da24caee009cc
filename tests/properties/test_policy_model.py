"""A legal policy comes to the wishes that a model of a few lines says: the last word on each key counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gpu_tuned.core.model import UNLOCKED, ClockLock, ComputeMode, Gpu, PowerLimit
from gpu_tuned.core.policy.parser import Document, parse
from gpu_tuned.core.wish import Auto, Ceiling, Percent, Symbol

BOARDS = [
    Gpu("GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11", "0000:01:00.0", "NVIDIA GeForce RTX 5090"),
    Gpu("GPU-00000000-0000-0000-0000-000000000001", "0000:02:00.0", "NVIDIA GeForce RTX 5090 Laptop GPU"),
    Gpu("GPU-00000000-0000-0000-0000-000000000002", "0000:c3:00.0", "NVIDIA H200"),
]

milliwatts = st.integers(1_000, 10_000_000)
percents = st.integers(1, 100)
mhz = st.integers(1, 100_000)


def watts(limit_mw: int) -> Any:
    return limit_mw // 1000 if limit_mw % 1000 == 0 else limit_mw / 1000


# (as a file has it, as a wish has it)
powers = (
    milliwatts.map(lambda mw: (watts(mw), PowerLimit(mw)))
    | milliwatts.map(lambda mw: ({"max": watts(mw)}, Ceiling(PowerLimit(mw))))
    | percents.map(lambda percent: (f"{percent}%", Percent(percent)))
    | st.sampled_from(list(Symbol)).map(lambda symbol: (symbol.value, symbol))
)
clocks = (
    mhz.map(lambda at: (at, ClockLock(at, at)))
    | mhz.map(lambda at: ({"max": at}, ClockLock(0, at)))
    | st.tuples(mhz, mhz).map(lambda ends: ({"min": min(ends), "max": max(ends)}, ClockLock(min(ends), max(ends))))
    | st.just(("unlocked", UNLOCKED))
)
VALUES: dict[str, st.SearchStrategy[tuple[Any, Any]]] = {
    "power_limit_w": powers,
    "gpu_clock_mhz": clocks,
    "compute_mode": st.sampled_from(list(ComputeMode)).map(lambda mode: (mode.value, mode)),
    "persistence_mode": st.sampled_from([(True, True), (False, False), ("auto", Auto.AUTO)]),
}
KEYS = sorted(VALUES)


@dataclass(frozen=True)
class Written:
    """One rule as the test wrote it: which boards, which values, and the value of each as a target."""

    matches: frozenset[int]
    table: dict[str, Any]
    targets: dict[str, Any]


@st.composite
def rules(draw: st.DrawFn) -> Written:
    board = draw(st.integers(0, len(BOARDS) - 1))
    match, matches = draw(
        st.sampled_from(
            [
                ({"name": "*"}, {0, 1, 2}),
                ({"name": "*5090*"}, {0, 1}),
                ({"name": BOARDS[board].name}, {board}),
                ({"pci": BOARDS[board].pci.upper()}, {board}),
                ({"uuid": BOARDS[board].uuid}, {board}),
                ({"name": "nvidia h200"}, set()),
            ]
        )
    )
    chosen = draw(st.lists(st.sampled_from(KEYS), unique=True))
    values = {key: draw(VALUES[key]) for key in chosen}
    table = {"match": match, **{key: raw for key, (raw, _) in values.items()}}
    for word in ("required", "watch"):
        named = draw(st.lists(st.sampled_from(KEYS), unique=True))
        if named:
            table[word] = named
    return Written(frozenset(matches), table, {key: target for key, (_, target) in values.items()})


@given(st.lists(rules(), max_size=6), st.data())
def test_the_last_word_on_each_key_counts(written: list[Written], data: st.DataObject) -> None:
    # What is required must have a value somewhere, or the policy is refused.
    somewhere = {key for rule in written for key in rule.targets}
    for rule in written:
        if "required" in rule.table:
            rule.table["required"] = [key for key in rule.table["required"] if key in somewhere]
    cut = data.draw(st.integers(0, len(written)))
    files = [Document("a.toml", {"gpu": [rule.table for rule in written[:cut]]})]
    files.append(Document("b.toml", {"gpu": [rule.table for rule in written[cut:]]}))
    policy = parse(files)

    for index, board in enumerate(BOARDS):
        mine = [rule for rule in written if index in rule.matches]
        found = policy.wishes_for(board)
        for key in KEYS:
            speaking = [rule for rule in mine if key in rule.targets or key in rule.table.get("watch", ())]
            wish = next((wish for setting, wish in found.items() if setting.value == key), None)
            required = any(key in rule.table.get("required", ()) for rule in mine)
            if not speaking:  # what is required all the same, and has no value here, is not forgotten
                assert (wish is not None) == required
                assert wish is None or (wish.target, wish.watched, wish.required) == (None, False, True)
                continue
            assert wish is not None
            valued = [rule for rule in mine if key in rule.targets]
            assert wish.target == (valued[-1].targets[key] if valued else None)
            assert wish.watched == (key in speaking[-1].table.get("watch", ()))
            assert wish.required == required
            if valued:
                at = max(i for i, rule in enumerate(written) if rule is valued[-1])
                file, position = ("a.toml", at) if at < cut else ("b.toml", at - cut)
                assert str(wish.origin) == f"{file} gpu[{position}].{key}"
    silent = [str(rule.origin) for rule in policy.unmatched(BOARDS)]
    assert len(silent) == sum(not rule.matches for rule in written)
