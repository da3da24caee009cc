"""Which line of a start has the last word on a setting, and what may stay where another one fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpu_tuned.core.model import Board, Setting, Value
from gpu_tuned.init import verdict
from gpu_tuned.init.model import Doubt, Effect, Kind
from gpu_tuned.init.verdict import Fit, Host

Certain = Sequence[tuple[Effect, Fit]]
"""What is certain by itself, in order, with what the board makes of it."""
_IN_ORDER = frozenset({Kind.BRANCH, Kind.LOOP, Kind.COMPUTED, Kind.GPU_UNKNOWN})
"""Doubts about what a line does, and not about when."""


class Order:
    """The effects of all starts, each numbered in the order of its own. `accepted`: by number, whether every board
    takes it."""

    def __init__(self, host: Host, effects: tuple[Effect, ...], accepted: Mapping[int, bool]) -> None:
        self._host, self._effects, self._accepted = host, effects, accepted
        self._persistent = frozenset(
            e.number for e in effects if e.setting is Setting.PERSISTENCE_MODE and e.gpus == ()
        )

    def dead(self, effect: Effect) -> bool:
        """A fallback for a command that every board takes never runs. One that sets something else than that command
        is none: it says what happens when the driver is not ready."""
        if effect.doubt:
            return False
        tried = [self._effects[number] for number in effect.unless]
        for_it = all(one.setting is effect.setting and self._same_gpus(one, effect) for one in tried)
        return bool(effect.unless) and for_it and all(self._accepted[number] for number in effect.unless)

    def _same_gpus(self, one: Effect, other: Effect) -> bool:
        boards = self._host.boards
        return all(verdict.names(one.gpus, board) == verdict.names(other.gpus, board) for board in boards)

    def overwritten(self, effect: Effect, certain: Certain) -> bool:
        """Whether a later line of the same start sets it in any case, whatever this one does."""
        later = [other for other, _ in certain if other.start == effect.start and other.number > effect.number]
        if not later or effect.unordered or (effect.doubt and effect.doubt.kind not in _IN_ORDER):
            return False
        return not later[-1].unordered and not self._between(effect, later[-1])

    def left_half(self, certain: Certain) -> Doubt | None:
        """Why an earlier value of the same start may stay: where a command between the two fails, the later one is
        not set."""
        for start in dict.fromkeys(effect.start for effect, _ in certain):
            mine = [(effect, judged.value) for effect, judged in certain if effect.start == start]
            last, value = mine[-1]
            for effect, other in mine[:-1]:
                if other != value and self._between(effect, last):
                    return Doubt(
                        Kind.BRANCH, f"`{effect.words}` stays where a command between the two fails or does not end"
                    )
        return None

    def fallen_back(self, certain: Certain, dead: list[Effect], board: Board) -> Doubt | None:
        """Why a fallback counts after all: where it runs, the line that would have the last word does not."""
        for effect in dead:
            mine = [(other, judged.value) for other, judged in certain if other.start == effect.start]
            judged = verdict.fit(effect, board, self._host) if effect.target is not None else None
            same = bool(mine) and isinstance(judged, Fit) and judged.value == mine[-1][1]
            if mine and not same and effect.unless & mine[-1][0].needs:
                return Doubt(Kind.BRANCH, f"`{effect.words}` is set instead where the command before it fails")
        return None

    def _between(self, effect: Effect, last: Effect) -> bool:
        """Whether something has to succeed after one command of a start for a later one to run. That persistence mode
        is refused does not happen; an exception for some GPUs is meant to be one."""
        there = [e for e in self._effects if (e.file, e.line, e.setting) == (last.file, last.line, last.setting)]
        everywhere = all(any(verdict.names(e.gpus, board) for e in there) for board in self._host.boards)
        meant = self._persistent if effect.gpus == () and not everywhere else frozenset()
        return bool(last.needs - effect.needs - {effect.number} - meant or last.passed - effect.passed)


def last_words(certain: Certain) -> list[Value]:
    """What each start ends with; more than one where their order is not known."""
    found: list[Value] = []
    for start in dict.fromkeys(effect.start for effect, _ in certain):
        mine = [(effect, judged.value) for effect, judged in certain if effect.start == start]
        aside = any(effect.unordered for effect, _ in mine)
        found += [value for _, value in mine] if aside else [mine[-1][1]]
    return [value for number, value in enumerate(found) if value not in found[:number]]
