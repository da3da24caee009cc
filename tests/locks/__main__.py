"""Tells many stories of locks and prints what was said of what: python -m tests.locks [HOW MANY] [FIRST SEED]."""

from __future__ import annotations

import sys
from collections import Counter

from gpu_tuned.core.lock_proof import Proof
from tests.locks.scenarios import DEEDS, WORK, Story, matrix, tell, told_apart

TRUTHS = {
    "ours": "our lock is in force",
    "lower": "another lock, below ours",
    "alike": "another lock, within two steps of ours",
    "free": "no lock, or one above ours",
}


def table(counts: Counter[tuple[str, Proof]]) -> list[str]:
    heads = [proof.value for proof in Proof]
    lines = ["| what was so | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    for truth, words in TRUTHS.items():
        lines.append(f"| {words} | " + " | ".join(str(counts[truth, proof]) for proof in Proof) + " |")
    return lines


def noticed(stories: list[Story]) -> list[str]:
    """Where somebody undid our lock and a clock showed it: in how many stories it was said, and how soon."""
    lines = ["| work | undone and to be seen | said | median | longest |", "| --- | ---: | ---: | ---: | ---: |"]
    for work in WORK:
        undone = [s for s in stories if s.work == work and s.noticeable]
        times = sorted(min(s.first_s[p] for p in _GONE if p in s.first_s) for s in undone if _gone(s))
        spans = f"{times[len(times) // 2]:.1f} s | {times[-1]:.1f} s" if times else "- | -"
        lines.append(f"| {work} | {len(undone)} | {len(times)} | {spans} |")
    return lines


_GONE = (Proof.LOST, Proof.NOT_OBEYED)


def _gone(story: Story) -> bool:
    return any(proof in story.first_s for proof in _GONE)


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    stories = [tell(seed) for seed in range(first, first + many)]
    print(f"{many} scenarios from seed {first}: {len({s.board for s in stories})} boards, {len(WORK)} kinds of work,")
    print(f"{len(DEEDS)} of deeds. Looks:\n")
    print("\n".join(table(matrix(stories))), "\n\nScenarios in which it was said at least once:\n", sep="")
    print("\n".join(table(told_apart(stories))), "\n", sep="")
    print("\n".join(noticed(stories)))
    wrong = [s.seed for s in stories if any(("ours", p) in s.said or ("lower", p) in s.said for p in _GONE)]
    rash = [s.seed for s in stories if ("free", Proof.CONFIRMED) in s.said or ("lower", Proof.CONFIRMED) in s.said]
    if wrong or rash:
        sys.exit(f"\nlost said of a lock in force, seeds {wrong}; confirmed of none in force, seeds {rash}")


if __name__ == "__main__":
    main()
