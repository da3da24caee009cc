"""Near misses: which known name somebody may have meant.

Whole names are compared, never parts: CUDA_COPY_SPLIT_THRESHOLD is not CUDA_COPY_SPLIT_THRESHOLD_MB, and is near it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

LIKE_ENOUGH = 0.84
"""How alike two names must be (difflib's ratio); below it come names that only share a word."""


def near(name: str, known: Sequence[str], most: int) -> list[str]:
    """At most `most` of `known` that are near `name`, best first; never `name` itself."""
    wanted = _Parts(name)
    scored = sorted(
        (-score, len(other), other) for other in known if other != name and (score := _score(wanted, other))
    )
    return [other for _, _, other in scored[:most]]


class _Parts:
    """A name taken apart once, since it is held against thousands."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bare = _bare(name)
        self.words = name.upper().split("_")
        self.sorted = sorted(self.words)
        from difflib import SequenceMatcher  # only a name that is not known pays for it

        self.matcher = SequenceMatcher(None, b=self.bare, autojunk=False)


def _score(wanted: _Parts, other: str) -> float:
    bare = _bare(other)
    if bare == wanted.bare:  # another case, or other underscores: PYTHON_PATH, RAY_MEMORY_USAGE_THRESHOLD
        return 3.0
    words = other.upper().split("_")
    if sorted(words) == wanted.sorted:  # SGLANG_GC_LOG and SGLANG_LOG_GC
        return 2.0
    if _abbreviated(wanted.words, words):  # LLAMA_ARG_NGL
        return 1.5
    # Cheap bounds first: at most this alike by length, then by letters, then really.
    shorter, longer = sorted((len(bare), len(wanted.bare)))
    if 2 * shorter < LIKE_ENOUGH * (shorter + longer) or bare[:1] != wanted.bare[:1]:
        return 0.0
    wanted.matcher.set_seq1(bare)
    if wanted.matcher.quick_ratio() < LIKE_ENOUGH:
        return 0.0
    ratio = wanted.matcher.ratio()
    return ratio if ratio >= LIKE_ENOUGH else 0.0


def _abbreviated(wanted: list[str], words: list[str]) -> bool:
    """Whether the last word of the one is made of the initials of the other's last words."""
    short = wanted[-1]
    shared = len(wanted) - 1
    if not 3 <= len(short) <= 5 or shared < 1 or words[:shared] != wanted[:shared]:
        return False
    rest = "".join(words[shared:])
    return len(words) - shared > 1 and "".join(_initials(short, words[shared:])) == short and rest != short


def _initials(short: str, words: list[str]) -> Iterator[str]:
    """Letters of `short` that the words begin with, in order; a last word may be left out (N_GPU_LAYERS: NGL)."""
    for letter, word in zip(short, words, strict=False):
        if word.startswith(letter):
            yield letter


def _bare(name: str) -> str:
    return name.replace("_", "").upper()
