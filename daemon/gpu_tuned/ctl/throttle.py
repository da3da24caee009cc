"""`gpu-tunedctl throttle`: what slowed each GPU down, in seconds by reason."""

from __future__ import annotations

import json
import sys
import time

from gpu_tuned.control import client
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.slowed import FAULTS, estimated, uncounted
from gpu_tuned.ctl.render.text import Colour, colour_for, say, wrap
from gpu_tuned.ctl.render.values import heading, silent_since, span
from gpu_tuned.ctl.which import one_gpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import Reason, ThrottledGpu, ThrottleReply
    from gpu_tuned.ctl.options import Options
    from gpu_tuned.ctl.render.slowed import Window

EXAMPLES = """\
examples:
  gpu-tunedctl throttle
  gpu-tunedctl throttle 0 --json | jq '.gpus[].throttle.reasons[]'

kinds:
  own     a cap of ours, as wished
  limit   the board's limits, or another's
  fault   heat, power brake and such
  benign  idle, application clocks and such

A power cap has a row for each whose limit it was at the time: ours, the
board's, another's (a BMC, a rack's power manager, somebody's nvidia-smi), or
nobody's, while the GPU was idle.
"""
WINDOWS: tuple[tuple[Window, str, int], ...] = (
    ("minute_s", "minute", 8),
    ("hour_s", "hour", 8),
    ("day_s", "day", 8),
    ("start_s", "since start", 11),
)
WORDS = {
    **FAULTS,
    "sw_power_cap": "power cap",
    "board_limit": "board limit",
    "reliability": "reliability voltage",
    "sync_boost": "sync boost",
    "application_clocks": "application clocks",
    "display": "display clocks",
    "idle": "idle",
}
LIMITERS = {"board": " (board's)", "other": " (other's)"}
SAMPLED = "~ sampled: this board has no counter for it, so what falls between two looks is not seen"
UNCOUNTED = "~ now: in part from the looks since the driver's counters were read last, and not counted by them yet"
_STYLES = {"fault": "bad", "limit": "warn"}


def run(options: Options) -> int:
    reply = client.call(options.socket, "Throttle", {}, options.timeout)
    away = driver_away(reply)
    if options.gpu is not None:
        reply = {**reply, "gpus": [one_gpu(reply["gpus"], options.gpu, reply["driver"])]}
    if options.json:
        json.dump(reply, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        say(page(reply, colour_for(sys.stdout, no_color=options.no_color), time.time()))
    gone = any(gpu.get("state") in verdict.GPU_TROUBLE for gpu in reply["gpus"])
    return verdict.TROUBLE if away or gone or reply.get("not_answering_since") else verdict.IN_ORDER


def driver_away(reply: ThrottleReply) -> str:
    """Why these seconds are not of now, in words; "" where the driver answers."""
    driver = reply.get("driver")  # an older daemon does not say
    return "" if driver is None or driver["state"] == "ok" else verdict.driver_words(driver)


def page(reply: ThrottleReply, colour: Colour, now: float) -> list[str]:
    """`now`: seconds since the epoch."""
    since, away = reply.get("not_answering_since"), driver_away(reply)
    told = silent_since(since, now) if since else away
    older = "; this was seen before" if reply["gpus"] else "; nothing was seen"
    lines = [colour("bad", line) for line in wrap(told + older, rest="  ")] if told else []
    if not reply["gpus"]:
        return lines or ["no GPU"]
    for gpu in reply["gpus"]:
        lines += [*([""] if lines else []), *_one(gpu, colour, alone=not told)]
    reasons = [reason for gpu in reply["gpus"] for reason in gpu["throttle"]["reasons"]]
    notes = [SAMPLED] if any(reason["sampled"] for reason in reasons) else []
    notes += [UNCOUNTED] if any(uncounted(reason) for reason in reasons) else []
    lines += [""] if notes else []
    return lines + [colour("dim", line) for note in notes for line in wrap(note, rest="  ")]


def _one(gpu: ThrottledGpu, colour: Colour, *, alone: bool) -> list[str]:
    """`alone`: that this GPU is away was not told of all yet."""
    lines = [colour("bold", heading(gpu["name"], gpu["pci"], gpu["uuid"]))]
    state = gpu.get("state", "ok")  # an older daemon does not say
    if alone and state != "ok":
        why = f": {gpu['message']}" if gpu["message"] else ""
        style = "bad" if state in verdict.GPU_TROUBLE else "warn"
        lines += [colour(style, more) for more in wrap(f"{state}{why}; this was seen before", "  ", "    ")]
    reasons = gpu["throttle"]["reasons"]
    if not reasons:
        return [*lines, "  nothing known: this GPU has not been seen yet, or says nothing about it"]
    lines.append(
        colour("dim", f"  {'reason':<20}  {'kind':<6}" + "".join(f"  {head:>{width}}" for _, head, width in WINDOWS))
    )
    # That something harmless never happened is no news; that no fault did, is.
    told = [r for r in reasons if r["kind"] != "benign" or r["active"] or r["start_s"]]
    return lines + [_row(reason, colour) for reason in told]


def reason_words(reason: Reason) -> str:
    """A reason for a person, a power cap with whose limit it was; one that is newer than this command as it is."""
    name = WORDS.get(reason["reason"]) or reason["reason"].replace("_", " ")
    if reason["reason"] != "sw_power_cap":
        return name
    return name + (" (idle)" if reason["kind"] == "benign" else LIMITERS.get(reason.get("limiter") or "", ""))


def _row(reason: Reason, colour: Colour) -> str:
    mark = "~" if estimated(reason) else ""
    seconds = "".join(f"  {_amount(reason[key], mark):>{width}}" for key, _, width in WINDOWS)
    name = reason_words(reason)
    style = _STYLES.get(reason["kind"], "") if reason["active"] or reason["start_s"] else "dim"
    now = colour(style if reason["kind"] == "fault" else "bold", "  now") if reason["active"] else ""
    return colour(style, f"  {name[:20]:<20}  {reason['kind'][:6]:<6}{seconds}") + now


def _amount(seconds: float, mark: str) -> str:
    """Seconds with two decimals while they are few: a short throttle is what one looks for here."""
    return mark + (f"{seconds:.2f}s" if 0 < seconds < 60 else span(seconds))
