"""Makes hosts, runs them, asks init, compares. What the test and the command share."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.init import hosts, judge, truth
from tests.init.boards import model
from tests.init.layout import Layout
from tests.init.sandbox import Sandbox
from tests.init.smi import Odd, factory
from tests.init.subject import Answer, Subject
from tests.init.truth import Truth

NOBODY = 65534
AHEAD = 32


@dataclass
class Verdict:
    """What was found of one host. `certain` is what it really leaves in force every time, `found` that part of it
    that was taken over, `held` that part that the policy holds, for whatever reason."""

    layout: Layout
    wrong: list[str] = field(default_factory=list)
    contested: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    certain: int = 0
    found: int = 0
    held: int = 0
    taken: int = 0
    missed: list[str] = field(default_factory=list)

    def bad(self) -> list[str]:
        return [*self.wrong, *self.contested, *self.changed]

    def __str__(self) -> str:
        rows = [f"seed {self.layout.seed} ({' '.join(self.layout.kinds)}, {' '.join(self.layout.boards)})"]
        for path, text in self.layout.files.items():
            mode = "" if path not in self.layout.modes else f" ({self.layout.modes[path]:o})"
            rows += [f"--- {path}{mode}", text.rstrip("\n")]
        rows += [f"{path} -> {target}" for path, target in self.layout.links.items()]
        return "\n".join([*rows, *(f"!! {why[:500]}" for why in self.bad()[:4])])


class Examiner:
    """Runs hosts in `workers` processes of their own, which have given up what rights they have. A context
    manager."""

    def __init__(self, workers: int = 2) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="smi-"))
        self.base.chmod(0o711)
        self.subject = Subject(self.base / "subject")
        self.workers = workers

    def __enter__(self) -> Examiner:
        (self.base / "subject").mkdir(mode=0o700)
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(self.workers, context, _ready, (str(self.base),))
        self.subject.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        self.subject.__exit__()
        shutil.rmtree(self.base, ignore_errors=True)

    def all(self, seeds: Iterable[int]) -> Iterator[Verdict]:
        """One verdict for each seed, in order."""
        waiting: list[tuple[Layout, Future[Truth]]] = []
        for seed in seeds:
            layout = hosts.make(seed)
            waiting.append((layout, self.pool.submit(_truth, layout)))
            if len(waiting) > AHEAD:
                yield self._one(*waiting.pop(0))
        for each in waiting:
            yield self._one(*each)

    def _one(self, layout: Layout, running: Future[Truth]) -> Verdict:
        real = running.result()
        verdict = Verdict(layout)
        now = in_force(layout, real)
        answer = self.subject.ask(layout, now, write=True)
        self._judge(verdict, real, answer, now)
        self._judge_by_text(verdict, real)
        return verdict

    def _judge_by_text(self, verdict: Verdict, real: Truth) -> None:
        """What it makes of the files alone, while the boards have their defaults and nothing keeps them there: a
        witness that knows nothing."""
        layout = verdict.layout
        now: list[Mapping[str, object]] = [
            {**factory(model(board)), "persistence_mode": False} for board in layout.boards
        ]
        answer = self.subject.ask(layout, now, place="at-rest")
        verdict.wrong += [f"by the text: {why}" for why in judge.wrong(layout, real, answer.taken)]
        verdict.contested += [f"by the text: {why}" for why in judge.contested(layout, real, answer.held, now)]

    def _judge(self, verdict: Verdict, real: Truth, answer: Answer, now: list[Mapping[str, object]]) -> None:
        layout = verdict.layout
        verdict.wrong = judge.wrong(layout, real, answer.taken)
        verdict.contested = judge.contested(layout, real, answer.held, now)
        if answer.files is not None and answer.files != layout.files:
            after = self.pool.submit(_again, layout, answer.files).result()
            verdict.changed = judge.changed(layout, real, after, answer.held)
        verdict.taken = len(answer.taken)
        if not after_boot(layout):
            return
        certain = judge.certain(layout, real)
        verdict.certain = len(certain)
        for key, value in certain.items():
            held = answer.held.get(key)
            verdict.held += held is not None and judge.same(held, value, layout.boards[key[0]], key[1])
            if key in answer.taken and judge.same(answer.taken[key], value, layout.boards[key[0]], key[1]):
                verdict.found += 1
            else:
                rows = [row for row in answer.document["left"] if row["setting"] in (key[1], None)]
                verdict.missed.append(f"GPU {key[0]} {key[1]} = {value}: {' / '.join(map(_row, rows)) or 'not seen'}")


def _row(row: Mapping[str, object]) -> str:
    return f"{row['file']}:{row['line']} {row['kind']}: {row['reason']}"


def after_boot(layout: Layout) -> bool:
    """Whether init comes when the host has booted with all of this; otherwise something else is in force, and the
    share of what it takes over says nothing."""
    return layout.seed % 4 != 3


def in_force(layout: Layout, real: Truth) -> list[Mapping[str, object]]:
    """The settings that init sees: those after a boot, and on every fourth host those of before."""
    if not after_boot(layout):
        return [{**factory(model(board)), **layout.prior[1]} for board in layout.boards]
    found: list[Mapping[str, object]] = []
    for settings in real.plain()[0].settings:
        before = layout.prior[0]
        found.append(
            {name: before.get(name, "unlocked") if isinstance(v, Odd) else v for name, v in settings.items()}
        )
    return found


def summed(verdicts: Iterable[Verdict]) -> Counter[str]:
    total: Counter[str] = Counter()
    for verdict in verdicts:
        total["hosts"] += 1
        total["certain"] += verdict.certain
        total["of these taken over"] += verdict.found
        total["of these in the policy"] += verdict.held
        total["taken over"] += verdict.taken
        total["wrong"] += len(verdict.wrong)
        total["contested"] += len(verdict.contested)
        total["changed by an edit"] += len(verdict.changed)
        total["hosts with a fault"] += bool(verdict.bad())
    return total


_sandbox: Sandbox | None = None


def _ready(base: str) -> None:
    """In a worker, once: a folder of its own, and no rights."""
    global _sandbox
    own = Path(base) / str(os.getpid())
    own.mkdir()
    if os.geteuid() == 0:
        os.chown(own, NOBODY, NOBODY)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    os.environ["TMPDIR"] = str(own)
    _sandbox = Sandbox(own)


def _truth(layout: Layout) -> Truth:
    assert _sandbox is not None
    return truth.find(_sandbox, layout)


def _again(layout: Layout, files: dict[str, str]) -> Truth:
    assert _sandbox is not None
    return truth.again(_sandbox, layout, files)
