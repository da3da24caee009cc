"""Numbers and lists of things in words."""

from __future__ import annotations

TYPE_CHECKING = False  # verbs that are typed all day come by here, and `typing` would be dear
if TYPE_CHECKING:
    from collections.abc import Iterable


def counted(number: int, thing: str) -> str:
    """ "1 GPU", "2 GPUs", "0 processes"."""
    plural = "es" if thing.endswith("s") else "s"
    return f"{number} {thing}" if number == 1 else f"{number} {thing}{plural}"


def listed(words: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"; "" of none."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} and {last}" if first else last
