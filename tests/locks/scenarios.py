"""Seeded stories of one lock on one board: what was true at each look, and what was said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from gpu_tuned.core.lock_proof import LockProofs, Proof, Requested
from gpu_tuned.core.model import ClockLock, Setting
from tests.locks.gpu_model import Chip, Model, board_paths, draw_model

WORK = ("idle", "light", "steady", "bursty", "capped", "hot")
"""Light: 20 to 49 % utilisation."""
DEEDS = ("nothing", "unlock", "lower", "higher", "deaf")
"""What somebody else does to the lock, at some time; "deaf": the driver takes every request and does nothing."""
STEP_MHZ = 15
LOOKS = 150


@dataclass(frozen=True)
class Story:
    """One scenario, and what came of it. `first_s`: seconds from the deed to the first look that said so."""

    seed: int
    board: str
    work: str
    deed: str
    noticeable: bool  # after the deed some looks under load had a clock that our lock would not have let be
    said: Counter[tuple[str, Proof]] = field(compare=False)
    first_s: dict[Proof, float] = field(compare=False)


def loads(work: str, rng: Random) -> Callable[[float], float]:
    """Share of full work by time."""
    if work == "idle":
        return lambda at_s: 0.0
    if work == "light":
        level = rng.uniform(0.2, 0.49)
        return lambda at_s: level
    if work == "bursty":
        period_s, part, level = rng.uniform(0.5, 60), rng.uniform(0.1, 0.9), rng.uniform(0.3, 1.0)
        return lambda at_s: level if at_s % period_s < part * period_s else 0.0
    level, begin_s = rng.uniform(0.5, 1.0), rng.choice([0.0, rng.uniform(0, 60)])
    end_s = rng.choice([1e6, 1e6, begin_s + rng.uniform(5, 60)])
    return lambda at_s: level if begin_s <= at_s < end_s else 0.0


def tell(seed: int, paths: Iterable[Path] | None = None) -> Story:
    """One scenario. Each seed is another board, work, deed and pace, and always the same ones."""
    rng = Random(seed)
    path = rng.choice(list(paths) if paths is not None else board_paths())
    work, deed = rng.choice(WORK), rng.choice(DEEDS)
    model = draw_model(path, rng, hot=work == "hot", capped=work == "capped")
    chip = Chip(model, loads(work, rng), rng)
    proofs = LockProofs(model.board)
    ours = _ours(model, rng)
    interval_s = rng.choice([0.2, 0.5, 1.0, 2.0, 2.0, 5.0, 10.0])
    seen_free = rng.random() < 0.3  # it worked before there was any lock
    request_s = 20 * interval_s if seen_free else 0.0
    theirs = _theirs(deed, ours, model, rng)
    wait_s = rng.uniform(5, 60) * interval_s
    deed_s = request_s if deed == "deaf" else request_s + wait_s
    requested: dict[Setting, Requested] = {}
    said: Counter[tuple[str, Proof]] = Counter()
    first_s: dict[Proof, float] = {}
    done, noticeable, at_s = False, False, 0.0
    for _ in range(LOOKS):
        at_s += interval_s * rng.uniform(0.9, 1.1)
        if at_s >= request_s and not requested:
            requested = {Setting.GPU_CLOCK: Requested(ours, at_s)}
            if deed != "deaf":
                chip.request(ours)
        if at_s >= deed_s and requested and not done and deed not in ("nothing", "deaf"):
            done, deed_s = True, at_s
            chip.request(theirs)
        telemetry = chip.look(at_s)
        verdicts = proofs.observe(telemetry, at_s, requested)
        if Setting.GPU_CLOCK not in verdicts:
            continue
        truth = _truth(chip, ours)
        over = (telemetry.gpu_clock_mhz or 0) > ours.max_mhz + STEP_MHZ
        noticeable = noticeable or (truth == "free" and over and chip.load(at_s) > 0 and at_s > deed_s + 10)
        proof = verdicts[Setting.GPU_CLOCK].proof
        said[truth, proof] += 1
        if proof not in first_s and at_s >= deed_s:
            first_s[proof] = at_s - deed_s
    return Story(seed, path.stem, work, deed, noticeable, said, first_s)


def _ours(model: Model, rng: Random) -> ClockLock:
    rungs = [rung for rung in model.board.gpu_ladder_mhz if rung >= 0.3 * model.board.max_gpu_mhz]
    # Often near where the board would run freely: there the two are hard to tell apart.
    near = [rung for rung in rungs if abs(rung - model.boost_mhz) < 0.1 * model.boost_mhz]
    high = rng.choice(near if near and rng.random() < 0.4 else rungs)
    low = rng.choice([model.board.gpu_ladder_mhz[-1], high, rng.choice([r for r in rungs if r <= high])])
    return ClockLock(low, high)


def _theirs(deed: str, ours: ClockLock, model: Model, rng: Random) -> ClockLock | None:
    rungs = model.board.gpu_ladder_mhz
    if deed == "lower":
        below = [rung for rung in rungs if rung < ours.max_mhz - 2 * STEP_MHZ]
        return ClockLock(rungs[-1], rng.choice(below)) if below else ours
    if deed == "higher":
        above = [rung for rung in rungs if rung > ours.max_mhz]
        return ClockLock(rungs[-1], rng.choice(above)) if above else None
    return None


def _truth(chip: Chip, ours: ClockLock) -> str:
    """What is in force at this look, or about to be: our lock, one below it, none that would hold the clock to ours,
    or another one that no reading tells from ours: a reading may lie a step off, and so may the next."""
    if chip.lock == ours or chip.awaits(ours):
        return "ours"
    if chip.lock is None or chip.lock.max_mhz > ours.max_mhz + 2 * STEP_MHZ:
        return "free"
    return "lower" if chip.lock.max_mhz < ours.max_mhz - 2 * STEP_MHZ else "alike"


def matrix(stories: Iterable[Story]) -> Counter[tuple[str, Proof]]:
    """Looks by what was true and what was said of it."""
    total: Counter[tuple[str, Proof]] = Counter()
    for story in stories:
        total += story.said
    return total


def told_apart(stories: Iterable[Story]) -> Counter[tuple[str, Proof]]:
    """Scenarios by what was true at some look and what was said then, each counted once."""
    return Counter(key for story in stories for key in story.said)
