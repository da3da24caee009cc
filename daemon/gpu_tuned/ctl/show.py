"""`gpu-tunedctl show GPU`: one board on one screen, from the driver's own answers and what the daemon tells of it."""

from __future__ import annotations

import json
import sys
import time

from gpu_tuned.control import client
from gpu_tuned.core.errors import DriverError, DriverTrouble, NotReachable
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.advice import of_board
from gpu_tuned.ctl.render.full import history
from gpu_tuned.ctl.render.slowed import estimated
from gpu_tuned.ctl.render.text import WIDTH, Colour, clean, colour_for, complain, say, wrap
from gpu_tuned.ctl.render.values import LOCKS, heading, label, number, origin, span, value
from gpu_tuned.ctl.throttle import WORDS, reason_words
from gpu_tuned.ctl.which import one_gpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gpu_tuned.core.wire import Gpu
    from gpu_tuned.ctl.options import Options
    from gpu_tuned.ctl.protocols import Json

EXAMPLES = """\
examples:
  gpu-tunedctl show                  where there is one GPU
  gpu-tunedctl show 01:00.0          index, PCI address, UUID or its beginning
  gpu-tunedctl show 0 --every 1s     again and again, until Ctrl-C
  gpu-tunedctl show 0 --json | jq .memory_mib

It looks at the board by itself and asks the daemon for the rest: what is
wished, what was there at first, what was put back, what slowed the GPU down.
Processes are your own; for root, all.
"""
HEADS = ("setting", "found", "allowed", "default", "original", "wished")
BAR = 20
FEW_STEPS = 8
_NAMES = 13  # columns of a name below the table


def run(options: Options) -> int:
    told, trouble = _told(options)
    if told is not None and told["state"] != "ok":
        raise DriverTrouble(_away(told))
    shown = options.looks.show(told["uuid"] if told else options.gpu, told)
    if options.json:
        json.dump(shown, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        for text in [trouble, *shown["left_out"]]:
            if text:
                complain(f"gpu-tunedctl: {text}")
        say(page(shown, colour_for(sys.stdout, no_color=options.no_color), time.time()))
    return verdict.IN_ORDER


def _told(options: Options) -> tuple[Gpu | None, str]:
    """This GPU in the daemon's document; without a daemon None, and a word about it."""
    try:
        document = client.call(options.socket, "Status", {}, options.timeout)
    except (NotReachable, DriverError):
        return None, "no daemon answers: what is wished and what was put back is not known"
    gpus, here = document["gpus"], [gpu for gpu in document["gpus"] if gpu["state"] == "ok"]
    if options.gpu is None and not gpus:
        return None, ""
    if options.gpu is None and len(here) == 1:
        return here[0], "; ".join(_away(gpu) for gpu in gpus if gpu is not here[0])
    return one_gpu(gpus, options.gpu, document["driver"]), ""


def _away(gpu: Gpu) -> str:
    return f"{gpu['name']} {gpu['pci']} is {gpu['state']}: {gpu['message'] or 'it cannot be looked at'}"


def page(shown: Json, colour: Colour, now: float) -> list[str]:
    """`now`: seconds since the epoch."""
    lines = [*_who(shown, colour), "", *_table(shown, colour), "", *_steps(shown)]
    lines += _slowed(shown, colour) + _heat(shown, colour) + _memory(shown) + _link(shown) + _processes(shown)
    if shown["put_back"] is not None:
        # What slowed it stands above already.
        calm: Any = {**shown, "throttle": {"fault": shown["throttle"]["fault"], "reasons": []}}
        lines += history(calm, now, colour)
    told = of_board(shown["advice"], colour)
    return [*lines, *([""] if told else []), *told]


def _who(shown: Json, colour: Colour) -> list[str]:
    doing = shown["telemetry"]
    name = heading(shown["name"], shown["pci"], shown["uuid"])
    watts = f"{number(doing['power_w'])} of {number(doing['power_limit_w'], ' W')}"
    clocks = f"{number(doing['gpu_clock_mhz'])} / {number(doing['memory_clock_mhz'], ' MHz')}"
    pstate = "-" if doing["pstate"] is None else f"P{doing['pstate']}"
    parts = [watts, clocks, pstate, f"busy {number(doing['utilization_percent'], ' %')}"]
    return [colour("bold", name) + f"  index {shown['index']}  driver {shown['driver']}", "  " + "   ".join(parts)]


def _table(shown: Json, colour: Colour) -> list[str]:
    rows = [_cells(setting) for setting in shown["settings"]]
    widths = [max(len(row[i]) for row in [HEADS, *rows]) for i in range(len(HEADS))]
    lines = [colour("dim", _row(HEADS, widths))]
    for setting, row in zip(shown["settings"], rows, strict=True):
        lines.append(_row(row, widths))
        for style, text in _notes(setting):
            lines += [colour(style, line) for line in wrap(text, "      ", "        ")]
    return lines


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cells(setting: Json) -> tuple[str, ...]:
    key = setting["setting"]
    found = "-" if setting["found"] is None else value(key, setting["found"], unit=False)
    if setting["found"] is None and setting["absent"] is None and key in LOCKS:
        found = "no getter"
    rest = [value(key, setting[column], unit=False) for column in ("default", "original", "wished")]
    return (label(key), found, _allowed(setting), *rest)


def _allowed(setting: Json) -> str:
    allowed = setting["allowed"]
    if setting["absent"] is not None or allowed is None:
        return "-"
    if isinstance(allowed, dict):
        unit = " W" if setting["setting"] == "power_limit_w" else " MHz"
        return f"{allowed['min']:g}-{allowed['max']:g}{unit}"
    return "on, off" if allowed == [False, True] else f"{len(allowed)} modes"


def _notes(setting: Json) -> list[tuple[str, str]]:
    notes = []
    if setting["absent"] is not None:
        return [("dim", setting["absent"])]
    if setting["state"] is not None and setting["origin"] is not None:
        parts = [str(setting["state"]) + (", required" if setting["required"] else "")]
        parts.append(f"from {origin(setting['origin'], setting['setting'])}")
        parts += [f"reason: {setting['reason']}"] if setting["reason"] else []
        parts += [setting["message"]] if setting["message"] else []
        notes.append(("", "; ".join(parts)))
    if setting["original_assumed"] and setting["original"] is not None:
        notes.append(("dim", "the original is assumed: no call reads it"))
    if setting["costs"]:
        notes.append(("dim", f"costs {setting['costs']} ({setting['costs_page']})"))
    return notes


def _steps(shown: Json) -> list[str]:
    steps = shown["clock_steps_mhz"]
    told = [f"{name} {folded(steps[name])}" for name in ("gpu", "memory") if steps[name]]
    return _named("clock steps", "; ".join(told) or "the driver names none")


def folded(steps_mhz: list[int]) -> str:
    """A ladder in few words: "389 from 180 to 3090 MHz by 7.5", or its rungs where they are few or uneven."""
    ladder = sorted(steps_mhz)
    if len(ladder) <= FEW_STEPS:
        return ", ".join(map(str, ladder[::-1])) + " MHz"
    step = (ladder[-1] - ladder[0]) / (len(ladder) - 1)
    even = all(abs(ladder[0] + i * step - rung) <= 1 for i, rung in enumerate(ladder))
    return f"{len(ladder)} from {ladder[0]} to {ladder[-1]} MHz" + (f" by {step:.3g}" if even else ", uneven")


def _named(name: str, text: str) -> list[str]:
    return wrap(text, f"  {name:<{_NAMES}}", " " * (_NAMES + 2))


def bar(share: float) -> str:
    """0 to 1 as a bar; anything above nothing shows."""
    filled = min(BAR, round(share * BAR) or (1 if share > 0 else 0))
    return "[" + "#" * filled + "." * (BAR - filled) + "]"


def _slowed(shown: Json, colour: Colour) -> list[str]:
    now = [WORDS.get(word, word.replace("_", " ")) for word in shown["reasons"] or ()]
    lines = _named("slowed now", ", ".join(now) or ("nothing" if shown["reasons"] is not None else "not known"))
    if shown["throttle"] is None:
        return lines
    name = "last hour"
    for reason in shown["throttle"]["reasons"]:
        seconds = reason["hour_s"]
        if not seconds and reason["kind"] != "fault":
            continue
        mark = "~" if estimated(reason) else ""
        text = f"  {name:<{_NAMES}}{bar(seconds / 3600)} {mark + span(seconds):>7}  {clean(reason_words(reason))}"
        lines.append(colour("bad" if seconds and reason["kind"] == "fault" else "", text[:WIDTH]))
        name = ""
    return lines


def _heat(shown: Json, colour: Colour) -> list[str]:
    heat = shown["temperatures_c"]
    now, top = heat["now"], heat["max_operating"] or heat["slowdown"]
    if now is None:
        return _named("temperature", f"not known ({shown['unread'].get('temperatures_c.now', '')})")
    words = [f"{now} C"]
    for key, text in (("max_operating", "max"), ("slowdown", "slows down at"), ("shutdown", "off at")):
        if heat[key]:
            words.append(f"{text} {heat[key]}")
    if heat["memory"] is not None:
        words.append(f"memory {heat['memory']} C")
    style = "bad" if top and now >= top else ""
    filled = f"{bar(now / top)} " if top else ""
    return [colour(style, line) for line in _named("temperature", filled + ", ".join(words))]


def _memory(shown: Json) -> list[str]:
    memory, bar1 = shown["memory_mib"], shown["bar1_mib"]
    lines = _named("memory", f"not known ({shown['unread'].get('memory', '')})")
    if memory is not None:
        reserved = "" if memory["reserved"] is None else f", {size(memory['reserved'])} reserved"
        text = f"{size(memory['used'])} used, {size(memory['free'])} free{reserved}, of {size(memory['total'])}"
        lines = _named("memory", f"{bar(memory['used'] / memory['total'])} {text}")
    if bar1 is not None:
        lines += _named("BAR1", f"{size(bar1['total'])}, {size(bar1['used'])} used")
    return lines


def size(mib: int) -> str:
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib} MiB"


def _link(shown: Json) -> list[str]:
    link = shown["pcie"]
    if link["generation"] is None or link["width"] is None:
        return _named("PCIe", f"not known ({shown['unread'].get('pcie.generation', '')})")
    text = f"generation {link['generation']} x{link['width']}"
    if link["max_generation"] is not None and link["max_width"] is not None:
        idle = " (an idle link drops)" if link["generation"] < link["max_generation"] else ""
        text += f"{idle}, at most {link['max_generation']} x{link['max_width']}"
    return _named("PCIe", text)


def _processes(shown: Json) -> list[str]:
    if shown["processes"] is None:
        return _named("processes", f"not known ({shown['unread'].get('processes', '')})")
    texts = [
        f"{p['pid']} {p['name']} ({p['user']}), {p['kind']}"
        + ("" if p["memory_mib"] is None else f", {size(p['memory_mib'])}")
        for p in shown["processes"]
    ]
    if shown["other_processes"]:
        texts.append(f"{shown['other_processes']} of other users")
    lines: list[str] = []
    for text in texts or ["none"]:
        lines += _named("" if lines else "processes", text)
    return lines
