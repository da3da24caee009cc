"""What init says against what really happens."""

from __future__ import annotations

from collections.abc import Mapping

from tests.init.boards import model
from tests.init.layout import Layout
from tests.init.sandbox import Run
from tests.init.smi import Odd, Write, factory
from tests.init.truth import Truth

Key = tuple[int, str]
RUNG_MHZ = 15


def same(value: object, real: object, board: str, setting: str) -> bool:
    """Whether a value of a policy is what a board was set to. The end of a range between two rungs is known to one
    rung."""
    if isinstance(real, Odd):
        return False
    if isinstance(value, dict) and isinstance(real, dict) and setting in ("gpu_clock_mhz", "memory_clock_mhz"):
        rungs = model(board).gpu_mhz if setting == "gpu_clock_mhz" else model(board).memory_mhz
        return all(_near(int(value.get(end, 0)), int(real[end]), rungs) for end in ("min", "max"))
    if value == "default" and setting == "application_clocks_mhz":
        return real == factory(model(board))[setting]
    if isinstance(value, (int, float)) and isinstance(real, (int, float)):
        return bool(abs(value - real) < 0.001)
    return value == real


def _near(value: int, real: int, rungs: frozenset[int]) -> bool:
    """The lowest rung is where a lock from 0 begins."""
    if max(value, min(rungs)) == max(real, min(rungs)):
        return True
    return real not in rungs and abs(value - real) <= RUNG_MHZ


def wrong(layout: Layout, truth: Truth, taken: Mapping[Key, object]) -> list[str]:
    """What was taken over and is not what the host leaves in force every time; a sentence each."""
    return [why for key, value in taken.items() if (why := _wrong(layout, truth, key, value))]


def _wrong(layout: Layout, truth: Truth, key: Key, value: object) -> str:
    gpu, setting = key
    board = layout.boards[gpu]
    for given, run in truth.runs:
        end = run.settings[gpu].get(setting)
        if same(value, end, board, setting):
            continue
        said = f"GPU {gpu} {setting} = {value}, but {end} comes of {given}"
        if not given.fails:
            return said
        # A call that failed may leave what was there before it, and it may be the one that was taken over.
        before = {**factory(model(board)), **layout.prior[given.prior]}.get(setting)
        own = any(same(value, w.value, board, setting) for w in run.failed if (w.gpu, w.setting) == key)
        if end != before and not own and not _for_more(truth.plain()[0], key, value, end, board):
            return said
    return ""


def _for_more(run: Run, key: Key, value: object, end: object, board: str) -> bool:
    """Whether what stays is what was set for more GPUs, of which this one gets its own value afterwards."""
    _, setting = key
    mine = [w for w in run.writes if w.setting == setting]
    wide = {w.gpu for w in mine if w.value == end}
    narrow = {w.gpu for w in mine if same(value, w.value, board, setting)}
    return narrow < wide


def contested(layout: Layout, truth: Truth, held: Mapping[Key, object], now: list[Mapping[str, object]]) -> list[str]:
    """What the policy would hold against a script, or change without anybody's having asked for it."""
    found = []
    for key, value in held.items():
        gpu, setting = key
        board = layout.boards[gpu]
        writes = [w.value for run in truth.plain() for w in written(run, key)]
        if writes and (why := _wrong(layout, truth, key, value)):
            found.append(f"held: {why}")
        elif not writes and setting != "persistence_mode" and not same(value, now[gpu].get(setting), board, setting):
            found.append(
                f"held: GPU {gpu} {setting} = {value}, which nothing sets; {now[gpu].get(setting)} is in force"
            )
    return found


def written(run: Run, key: Key) -> list[Write]:
    return [write for write in run.writes if (write.gpu, write.setting) == key]


def certain(layout: Layout, truth: Truth) -> dict[Key, object]:
    """What really comes out the same every time and was set by what starts at boot."""
    plain = truth.plain()
    keys = {(w.gpu, w.setting) for w in plain[0].writes}
    found: dict[Key, object] = {}
    for key in sorted(keys):
        value = plain[0].settings[key[0]].get(key[1])
        always = all(written(run, key) for run in plain)
        if always and not isinstance(value, Odd) and not _wrong(layout, truth, key, value):
            found[key] = value
    return found


def changed(layout: Layout, before: Truth, after: Truth, held: Mapping[Key, object]) -> list[str]:
    """What became different by an edit: everything but the settings that the policy holds, run for run. Of two that
    run at the same time the one or the other may come last, before and after."""
    found = []
    for (given, was), (_, now) in zip(before.runs, after.runs, strict=False):
        if given.fails:
            break
        if _felt(was, given.race) != _felt(now, given.race) and not was.killed:
            found.append(f"it did {_difference(_felt(was, 0), _felt(now, 0))} under {given}")
        for gpu, settings in enumerate(was.settings):
            for setting, value in settings.items():
                end = now.settings[gpu].get(setting)
                set_by_one = any(w.value == end for w in written(was, (gpu, setting)))
                if (gpu, setting) not in held and end != value and not (given.race and set_by_one):
                    found.append(f"GPU {gpu} {setting}: {value} came of it before the edit, {end} after, {given}")
    return found


def _felt(run: Run, race: int) -> list[tuple[str, ...]]:
    """What somebody would miss; to look where a program lies is nothing without what follows from it. In a `race`
    nobody is promised an order."""
    felt = [words for words in run.other if words[0] != "which"]
    return sorted(felt) if race else felt


def _difference(was: list[tuple[str, ...]], now: list[tuple[str, ...]]) -> str:
    gone = [" ".join(words) for words in was if words not in now]
    new = [" ".join(words) for words in now if words not in was]
    return f"{'not ' + repr(gone) if gone else 'more: ' + repr(new)}"
