"""`gpu-tunedctl plan`: what would be written and why, and what is refused. Writes nothing, needs no root."""

from __future__ import annotations

import json
import sys
import time
from itertools import groupby, pairwise

from gpu_tuned.control import client
from gpu_tuned.core.errors import NotReachable
from gpu_tuned.core.words import counted, listed, short_pci
from gpu_tuned.ctl import mps, verdict
from gpu_tuned.ctl.render.advice import of_gpus
from gpu_tuned.ctl.render.text import WIDTH, Colour, colour_for, complain, say, wrap
from gpu_tuned.ctl.render.values import (
    LOCKS,
    heading,
    label,
    origin,
    quantity,
    short_name,
    silent_since,
    value,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import TypeVar

    from gpu_tuned.core.wire import Change, Left, PlanReply, Refusal
    from gpu_tuned.ctl.options import Options

    Row = TypeVar("Row", Change, Refusal, Left)
    Who = tuple[str | None, str | None, str | None]

EXAMPLES = """\
examples:
  gpu-tunedctl plan                    what the policy files would have written
                                       now, also before they are loaded
  gpu-tunedctl plan --config new.toml  what another file would do
"""
MANY = 3
"""From so many boards on, those of one model with the same rows are told together."""
OBVIOUS = "differs from the policy"  # "575 W -> 450 W" says that already
WITHOUT_DAEMON = "no daemon answers: planning from the policy file and one look at the boards"


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("--config", metavar="FILE", help="plan this policy file, offline")


def run(options: Options) -> int:
    offline = options.offline or options.config is not None
    if not offline:
        try:
            plan = client.call(options.socket, "Plan", {}, options.timeout)
        except NotReachable:
            offline = True
            complain(f"gpu-tunedctl: {WITHOUT_DAEMON}")
    if offline:
        plan = options.looks.plan(options.config)
    if options.json:
        json.dump(plan, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        colour = colour_for(sys.stdout, no_color=options.no_color)
        told = mps.warning([row["wanted"] for row in plan["changes"] if row["setting"] == "compute_mode"])
        say(page(plan, colour, time.time()) + (["", *(colour("warn", line) for line in wrap(told))] if told else []))
    if plan.get("not_answering_since"):
        return verdict.TROUBLE
    return verdict.DIFFERS if plan["changes"] or plan["refusals"] else verdict.IN_ORDER


def page(plan: PlanReply, colour: Colour, now: float) -> list[str]:
    """`now`: seconds since the epoch."""
    since = plan.get("not_answering_since")
    old = [colour("bad", f"{silent_since(since, now)}; this was planned before"), ""] if since else []
    return [*old, *_rows(plan, colour)]


def _rows(plan: PlanReply, colour: Colour) -> list[str]:
    changes, refusals, left = plan["changes"], plan["refusals"], plan.get("left", [])
    pending = colour("warn", "the policy files were changed and are not loaded yet: gpu-tunedctl reload")
    if not changes:
        lines = [colour("" if refusals else "good", "nothing to write")]
    else:
        mode = "; observing, so nothing is" if plan["mode"] == "observe" else ""
        lines = [
            colour("bold", f"{counted(len(changes), 'change')} would be written{mode}"),
            *_by_gpu(changes, _change, colour),
        ]
    if refusals:
        lines += ["", colour("bad", f"{len(refusals)} refused"), *_by_gpu(_told_once(refusals), _refusal, colour)]
    if left:
        lines += ["", f"{len(left)} left as found: no rule speaks of it any more", *_by_gpu(left, _left, colour)]
    for note in plan.get("notes", []):
        lines += ["", *(colour("warn", line) for line in wrap(note))]
    told = of_gpus(plan.get("advice", []), colour)
    lines += ["", *told] if told else []
    return [*lines, "", pending] if plan.get("pending") else lines


def _by_gpu(rows: list[Row], show: Callable[[Row, Colour], list[str]], colour: Colour) -> list[str]:
    """Each GPU with its rows; many boards of one model with the same rows once."""
    gpus: list[Who] = []
    lines_of: list[tuple[str, ...]] = []
    for _, each in groupby(rows, key=lambda row: (row["gpu"], row.get("pci"))):
        own = list(each)
        gpus.append((own[0].get("name"), own[0].get("pci"), own[0]["gpu"]))
        lines_of.append(tuple(line for row in own for line in show(row, colour)))
    return _told(gpus, lines_of, colour)


def _told(gpus: list[Who], lines_of: list[tuple[str, ...]], colour: Colour) -> list[str]:
    alike: dict[tuple[str | None, tuple[str, ...]], list[Who]] = {}
    for gpu, lines in zip(gpus, lines_of, strict=True):
        alike.setdefault((gpu[0], lines), []).append(gpu)
    told: list[str] = []
    for gpu, lines in zip(gpus, lines_of, strict=True):
        same = alike[gpu[0], lines]
        if len(same) < MANY:
            same = [gpu]
        if gpu is same[0]:
            told += ["", *(colour("bold", line) for line in _heading(same)), *lines]
    return told


def _heading(gpus: list[Who]) -> list[str]:
    name, pci, uuid = gpus[0]
    if uuid is None:
        return ["host"]
    if len(gpus) == 1:
        return [heading(name, pci, uuid).rstrip()]
    places = listed(short_pci(pci) if pci else str(uuid) for _, pci, uuid in gpus)
    return wrap(f"{len(gpus)} x {short_name(name or 'GPU')}: {places}", "", "  ")


def _line(key: str, text: str, source: str | None, colour: Colour) -> list[str]:
    """The setting, what is to become of it, and, in a column of its own where there is room, who says so."""
    left, where = f"  {label(key):<15}{text}", origin(source, key)
    for column in (48, 0):
        line = left.ljust(column) + "  "
        if len(line) + len(where) <= WIDTH:
            return [line + colour("dim", where)]
    return [*wrap(text, f"  {label(key):<15}"), *(colour("dim", more) for more in wrap(where, "    from "))]


def _change(row: Change, colour: Colour) -> list[str]:
    key = row["setting"]
    unread = "not readable" if key in LOCKS else "not known"
    found = unread if row["found"] is None else value(key, row["found"])
    raises = ", RAISES" if _raises(row) else ""
    lines = _line(key, f"{found} -> {value(key, row['wanted'])}{raises}", row["origin"], colour)
    why = row.get("why")
    return lines + ([colour("dim", line) for line in wrap(why, "    ")] if why and why != OBVIOUS else [])


def _raises(row: Change) -> bool:
    """Whether a power limit goes up: what a supply and a cooler have to bear."""
    found, wanted = quantity(row["found"]), quantity(row["wanted"])
    return row["setting"] == "power_limit_w" and found is not None and wanted is not None and wanted > found


def _left(row: Left, colour: Colour) -> list[str]:
    key = row["setting"]
    found = "not readable" if row["found"] is None else value(key, row["found"])
    return [f"  {label(key):<15}{found}"]


def _told_once(refusals: list[Refusal]) -> list[Refusal]:
    """Where settings of one GPU are refused for one reason, as those of a GPU that is away are, the last tells it."""

    def same(row: Refusal, after: Refusal) -> bool:
        return (row["gpu"], row["why"]) == (after["gpu"], after["why"]) and row.get("nearest") is None

    following = [same(row, after) for row, after in pairwise(refusals)]
    return [{**row, "why": ""} if told else row for row, told in zip(refusals, [*following, False], strict=True)]


def _refusal(row: Refusal, colour: Colour) -> list[str]:
    key = row["setting"]
    lines = _line(key, value(key, row["wanted"]), row["origin"], colour)
    why = row["why"]
    if row.get("nearest") is not None and "nearest" not in why:
        why += f"; nearest: {value(key, row['nearest'])}"
    return lines + ([colour("bad", line) for line in wrap(why, "    ")] if why else [])
