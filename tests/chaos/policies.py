"""Good policies drawn at random: their text, and what they ask of the power limit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.chaos.model import Wish
from tests.loop.stage import policy

BOARDS = ((200, 700), (200, 700), (400, 575))
"""The least and the most watts that the boards of a walk allow."""
Policy = tuple[str, Wish, bool]
RANGES = {"max": lambda least, most: most, "default": lambda least, most: most, "80%": lambda least, most: most * 0.8}
"""What a symbol means on a board whose default is its maximum, watts."""


@dataclass(frozen=True)
class Fleet:
    """A good policy for several boards: its text; the wish for the power limit of each; whether it observes; which
    boards a rule names by UUID; and whether it says how many GPUs there must be."""

    text: str
    wishes: tuple[Wish, ...]
    observing: bool
    named: frozenset[int] = frozenset()
    counted: bool = False


def fleet_policies(random_: random.Random, uuids: Sequence[str]) -> Fleet:
    """A policy as `policies` makes it, perhaps with a rule of its own for one board, a symbol instead of a number, or
    a number of GPUs that there must be."""
    text, wish, observing = policies(random_)
    wishes = [wish] * len(uuids)
    named: set[int] = set()
    if random_.random() < 0.3:
        index = random_.randrange(len(uuids))
        word = random_.choice([*RANGES, "original", str(random_.randint(150, 750))])
        target = word if word.isdigit() else f'"{word}"'
        text += f'\n[[gpu]]\nmatch = {{ uuid = "{uuids[index]}" }}\npower_limit_w = {target}\n'
        least, most = BOARDS[index]
        watts = int(word) if word.isdigit() else round(RANGES[word](least, most)) if word in RANGES else None
        # A later value ends a watch; what was required stays so.
        wishes[index] = replace(wish, watts=watts, enforced=True, ceiling=False, original=word == "original")
        named.add(index)
    counted = random_.random() < 0.2
    if counted:
        text = text.replace("[[gpu]]", f"[host]\ngpus = {len(uuids)}\n[[gpu]]", 1)
    return Fleet(text, tuple(wishes), observing, frozenset(named), counted)


def policies(random_: random.Random) -> Policy:
    """A good policy: its text, what it asks of the power limit, and whether it observes."""
    watts = random_.choice([420, 450, 500, 575])
    observing = random_.random() < 0.15
    kind = random_.choice(["plain", "plain", "required", "ceiling", "watched", "none"])
    lines = ["persistence_mode = true", "gpu_clock_mhz = { max = 1500 }"]
    if kind == "ceiling":
        lines.append(f"power_limit_w = {{ max = {watts} }}")
    elif kind != "none":
        lines.append(f"power_limit_w = {watts}")
    if random_.random() < 0.5:
        lines += ['compute_mode = "exclusive_process"', "application_clocks_mhz = { memory = 3201, gpu = 1500 }"]
    lines += {"required": ['required = ["power_limit_w"]'], "watched": ['watch = ["power_limit_w"]']}.get(kind, [])
    text = policy(*lines, daemon='mode = "observe"' if observing else "")
    wish = Wish(None if kind == "none" else watts, kind != "watched", kind == "ceiling", kind == "required")
    return text, wish, observing
