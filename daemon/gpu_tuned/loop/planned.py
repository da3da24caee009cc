"""The plan: what the next turn would write and why, what is refused, and what is left as it is.

Of the policy file as it lies on the disk: whoever edits it asks for the plan before asking for the reload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gpu_tuned.core import report
from gpu_tuned.core.model import GPU_SETTINGS, Gpu, Setting, Unread
from gpu_tuned.core.plan import Goal, Refusal, satisfies
from gpu_tuned.core.track import Track
from gpu_tuned.core.wish import Wish
from gpu_tuned.loop.reconcile import Book

Wishes = Mapping[Setting, Wish]

FORGETS = (
    "persistence mode is off and no rule turns it on, so the driver forgets every setting when its last client "
    "leaves: for a moment at each restart of this daemon, if nothing else holds the GPU open"
)


class Plan:
    """Collects rows; `rows` is what the Varlink method Plan replies with."""

    def __init__(self, pending: bool) -> None:
        self.rows: dict[str, Any] = {"pending": pending, "changes": [], "refusals": [], "left": [], "notes": []}

    def add(self, gpu: Gpu | None, setting: Setting, track: Track, wish: Wish | None, goal: Goal | None) -> None:
        """Hold one setting against one wish; `goal` is what the wish means on this board."""
        if wish is None:
            if track.ours:
                self.rows["left"].append(report.left_row(gpu, setting, track.observed))
        elif isinstance(goal, Refusal):
            self.rows["refusals"].append(report.refusal_row(gpu, setting, goal, wish))
        elif goal is not None and not wish.watched and track.observed is not None and not _done(track, wish, goal):
            why = _why(track, wish, goal)
            self.rows["changes"].append(report.change_row(gpu, setting, track.observed, goal, wish, why))


def plan_of(
    books: Iterable[Book],
    wishes_of: Callable[[Book], Wishes],
    goal: Callable[[Book, Wish], Goal | None],
    pending: bool,
) -> Plan:
    """The plan for every GPU that can be seen. `wishes_of` gives a GPU's wishes, watched where the policy says so."""
    plan = Plan(pending)
    for book in books:
        wishes = wishes_of(book) if book.away is None else {}
        if wishes and _forgets(book, wishes):
            plan.rows["notes"].append(f"{book.board.gpu.name} {book.board.gpu.pci}: {FORGETS}")
        for setting in GPU_SETTINGS if book.away is None else ():
            track, wish = book.tracks.get(setting), wishes.get(setting)
            if track is not None and setting not in book.handed_back:
                plan.add(book.board.gpu, setting, track, wish, goal(book, wish) if wish else None)
    return plan


def _forgets(book: Book, wishes: Wishes) -> bool:
    """Whether this GPU will lose its settings with its last client."""
    track, wish = book.tracks.get(Setting.PERSISTENCE_MODE), wishes.get(Setting.PERSISTENCE_MODE)
    turned_on = wish is not None and wish.target is True and not wish.watched
    return track is not None and track.observed is False and not turned_on


def _done(track: Track, wish: Wish, goal: Goal) -> bool:
    if not wish.setting.readable:
        return track.accepted == goal
    if track.observed is None or isinstance(goal, Refusal):
        return False
    # What the driver made of this very goal counts as the goal.
    wanted = track.accepted if track.goal == goal and track.accepted is not None else goal
    return satisfies(wish, wanted, track.observed)


def _why(track: Track, wish: Wish, goal: Goal) -> str:
    if track.goal == goal and track.message and not wish.watched:
        return track.message
    if not wish.setting.readable:
        return "cannot be read, so it is requested anew"
    return "cannot be read" if isinstance(track.observed, Unread) else "differs from the policy"
