"""`gpu-tunedctl plan`: what would be written and why, and what is refused. Writes nothing, needs no root."""

from __future__ import annotations

import json
import sys
import time

from gpu_tuned.control import client
from gpu_tuned.core.errors import NotReachable
from gpu_tuned.ctl import judge, mps
from gpu_tuned.ctl.render.ink import WIDTH, Ink, ink_for, say, wrap
from gpu_tuned.ctl.render.words import (
    LOCKS,
    label,
    origin,
    quantity,
    short_name,
    short_pci,
    short_uuid,
    silent_since,
    value,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import TypeVar

    from gpu_tuned.core.wire import Advice, Change, Left, PlanReply, Refusal
    from gpu_tuned.ctl.options import Options

    Row = TypeVar("Row", Change, Refusal, Left)

EXAMPLES = """\
examples:
  gpu-tunedctl plan                    what the policy files would have written
                                       now, also before they are loaded
  gpu-tunedctl plan --config new.toml  what another file would do
"""
OBVIOUS = "differs from the policy"  # "575 W -> 450 W" says that already
WITHOUT_DAEMON = "no daemon answers: planned from the policy file and one look at the boards"


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("--config", metavar="FILE", help="plan this policy file, offline")


def run(options: Options) -> int:
    offline = options.offline or options.config is not None
    if not offline:
        try:
            plan = client.call(options.socket, "Plan", {}, options.timeout)
        except NotReachable:
            offline = True
            print(f"gpu-tunedctl: {WITHOUT_DAEMON}", file=sys.stderr)
    if offline:
        plan = options.looks.plan(options.config)
    if options.json:
        json.dump(plan, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        ink = ink_for(sys.stdout, options.no_color)
        told = mps.warning([row["wanted"] for row in plan["changes"] if row["setting"] == "compute_mode"])
        say(page(plan, ink, time.time()) + (["", *(ink("warn", line) for line in wrap(told))] if told else []))
    if plan.get("not_answering_since"):
        return judge.TROUBLE
    return judge.DIFFERS if plan["changes"] or plan["refusals"] else judge.IN_ORDER


def page(plan: PlanReply, ink: Ink, now: float) -> list[str]:
    """`now`: seconds since the epoch."""
    since = plan.get("not_answering_since")
    old = [ink("bad", f"{silent_since(since, now)}; this was planned before"), ""] if since else []
    return [*old, *_rows(plan, ink)]


def _rows(plan: PlanReply, ink: Ink) -> list[str]:
    changes, refusals, left = plan["changes"], plan["refusals"], plan.get("left", [])
    pending = ink("warn", "the policy files were changed and are not loaded yet: gpu-tunedctl reload")
    if not changes:
        lines = [ink("" if refusals else "good", "nothing to write")]
    else:
        what = f"{len(changes)} {'change' if len(changes) == 1 else 'changes'}"
        mode = "; observing, so nothing is" if plan["mode"] == "observe" else ""
        lines = [ink("bold", f"{what} would be written{mode}"), *_by_gpu(changes, _change, ink)]
    if refusals:
        lines += ["", ink("bad", f"{len(refusals)} refused"), *_by_gpu(refusals, _refusal, ink)]
    if left:
        lines += ["", f"{len(left)} left as found: no rule speaks of it any more", *_by_gpu(left, _left, ink)]
    for note in plan.get("notes", []):
        lines += ["", *(ink("warn", line) for line in wrap(note))]
    told = advice(plan.get("advice", []), ink)
    lines += ["", *told] if told else []
    return [*lines, "", pending] if plan.get("pending") else lines


def advice(rows: list[Advice], ink: Ink) -> list[str]:
    """What is known to go wrong, each with its id; the same on several GPUs is told once."""
    told: dict[tuple[str, str], list[Advice]] = {}
    for row in rows:
        told.setdefault((row["id"], row["message"]), []).append(row)
    lines = []
    for (name, message), where in told.items():
        who = short_pci(where[0]["pci"]) if len(where) == 1 else f"{len(where)} GPUs"
        text = f"advice: {who} {label(where[0]['setting'])}: {message} [{name}]"
        style = {"harm": "bad", "caution": "warn"}.get(where[0]["severity"], "dim")
        lines += [ink(style, line) for line in wrap(text, "", "    ")]
    return lines


def _by_gpu(rows: list[Row], show: Callable[[Row, Ink], list[str]], ink: Ink) -> list[str]:
    lines: list[str] = []
    before: object = ()
    for row in rows:
        if row["gpu"] != before:
            before = row["gpu"]
            lines += ["", ink("bold", _who(row))]
        lines += show(row, ink)
    return lines


def _who(row: Change | Refusal | Left) -> str:
    if not row["gpu"]:
        return "host"
    name, pci = row.get("name"), row.get("pci")
    return "  ".join(
        [*([short_name(name)] if name else []), *([short_pci(pci)] if pci else []), short_uuid(row["gpu"])]
    )


def _line(key: str, text: str, source: str | None, ink: Ink) -> list[str]:
    """The setting, what is to become of it, and, in a column of its own where there is room, who says so."""
    left, where = f"  {label(key):<15}{text}", origin(source, key)
    for column in (48, 0):
        line = left.ljust(column) + "  "
        if len(line) + len(where) <= WIDTH:
            return [line + ink("dim", where)]
    return [*wrap(text, f"  {label(key):<15}"), *(ink("dim", more) for more in wrap(where, "    from "))]


def _change(row: Change, ink: Ink) -> list[str]:
    key = row["setting"]
    unread = "not readable" if key in LOCKS else "not known"
    found = unread if row["found"] is None else value(key, row["found"])
    raises = ", RAISES" if _raises(row) else ""
    lines = _line(key, f"{found} -> {value(key, row['wanted'])}{raises}", row["origin"], ink)
    why = row.get("why")
    return lines + ([ink("dim", line) for line in wrap(why, "    ")] if why and why != OBVIOUS else [])


def _raises(row: Change) -> bool:
    """Whether a power limit goes up: what a supply and a cooler have to bear."""
    found, wanted = quantity(row["found"]), quantity(row["wanted"])
    return row["setting"] == "power_limit_w" and found is not None and wanted is not None and wanted > found


def _left(row: Left, ink: Ink) -> list[str]:
    key = row["setting"]
    found = "not readable" if row["found"] is None else value(key, row["found"])
    return [f"  {label(key):<15}{found}"]


def _refusal(row: Refusal, ink: Ink) -> list[str]:
    key = row["setting"]
    lines = _line(key, value(key, row["wanted"]), row["origin"], ink)
    why = row["why"]
    if row.get("nearest") is not None and "nearest" not in why:
        why += f"; nearest: {value(key, row['nearest'])}"
    return lines + [ink("bad", line) for line in wrap(why, "    ")]
