"""What a generated host really leaves in force: all of it run, under everything that is not known beforehand."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tests.init.boards import gpus
from tests.init.layout import Group, Layout
from tests.init.sandbox import Run, Sandbox
from tests.init.smi import Smi

MOST_RUNS = 12
MOST_AGAIN = 4


@dataclass(frozen=True)
class Given:
    """One assignment of what is not known. `fails`: calls of nvidia-smi that come to nothing; none in a run that
    counts as plain."""

    prior: int = 0
    unknown: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    groups: tuple[int, ...] = ()
    fails: frozenset[int] = frozenset()
    race: int = 0


@dataclass
class Truth:
    runs: list[tuple[Given, Run]]

    def plain(self) -> list[Run]:
        return [run for given, run in self.runs if not given.fails]


def find(sandbox: Sandbox, layout: Layout) -> Truth:
    """Run the host."""
    sandbox.lay_out(layout, layout.files)
    chosen = list(assignments(layout))
    runs = [(given, _run(sandbox, layout, given)) for given in chosen]
    for number in range(1, min(runs[0][1].calls, 4) + 1):
        given = replace(chosen[0], fails=frozenset([number]))
        runs.append((given, _run(sandbox, layout, given)))
    return Truth(runs)


def again(sandbox: Sandbox, layout: Layout, files: Mapping[str, str]) -> Truth:
    """Run what became of it: the first few of the plain runs."""
    sandbox.lay_out(layout, files)
    chosen = itertools.islice(assignments(layout), MOST_AGAIN)
    return Truth([(given, _run(sandbox, layout, given)) for given in chosen])


def assignments(layout: Layout) -> Iterator[Given]:
    """Every one, or a seeded sample that has both prior states; the first is what happens where nothing is odd."""
    groups = [*layout.boot, *layout.sometimes]
    boot = tuple(range(len(layout.boot)))
    orders = [boot] if layout.ordered or len(boot) < 2 else [boot, boot[::-1]]
    later = [tuple(range(len(boot), len(groups))), (), tuple(range(len(groups) - 1, len(boot) - 1, -1))]
    orders = list(dict.fromkeys(order + late for order in orders for late in later))
    axes: list[list[object]] = [[0, 1], list(orders), [1, -1] if layout.racing else [0]]
    tables = (layout.unknown, layout.variables, layout.coming)
    axes += [list(choices) for table in tables for choices in table.values()]
    every = list(itertools.islice(itertools.product(*axes), 20_000))
    if len(every) > MOST_RUNS:
        rng = random.Random(layout.seed)
        every = [every[0], next(e for e in every if e[0] == 1), *rng.sample(every, MOST_RUNS - 2)]
    names = [list(table) for table in tables]
    for prior, order, race, *rest in every:
        it = iter(rest)
        unknown, variables, coming = ({name: next(it) for name in part} for part in names)
        env = {name: value for name, value in variables.items() if value is not None}
        yield Given(prior, unknown, env, coming, order, race=race)  # type: ignore[arg-type]


def _run(sandbox: Sandbox, layout: Layout, given: Given) -> Run:
    for path, text in given.files.items():
        if text is not None:
            sandbox.put(path, text, layout.modes.get(path, 0o644))
        else:
            sandbox.remove(path)
    smi = Smi(gpus(layout.boards))
    for gpu in smi.gpus:
        gpu.settings.update(layout.prior[given.prior])
    groups = [*layout.boot, *layout.sometimes]
    chosen: list[Group] = [groups[number] for number in given.groups]
    return sandbox.run(chosen, smi, given.unknown, given.variables, given.fails, given.race)
