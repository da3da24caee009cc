"""One GPU in full: who it is, what it does, each setting as a row, and what happened to it."""

from __future__ import annotations

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.rows import NOTE, setting_table, spoken_of
from gpu_tuned.ctl.render.slowed import fault_words, limited_elsewhere, slowed_by
from gpu_tuned.ctl.render.text import WIDTH, Colour, wrap
from gpu_tuned.ctl.render.values import epoch, heading, label, moment, number, span, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import Gpu, Setting, StatusReply


def gpu_in_full(document: StatusReply, gpu: Gpu, now: float, colour: Colour, *, every: bool = False) -> list[str]:
    """`every`: also what no rule speaks of."""
    observing, here = document["policy"]["mode"] == "observe", gpu["state"] == "ok"
    lines = _who(gpu, colour)
    if not here or gpu["message"]:
        style = "" if gpu["in_order"] else "bad" if gpu["state"] in verdict.GPU_TROUBLE else "warn"
        words = gpu["state"].upper() if not here else "note"
        # While the whole driver is away the first lines say why.
        why = f": {gpu['message']}" if gpu["message"] and document["driver"]["state"] == "ok" else ""
        lines += [colour(style, line) for line in wrap(words + why, "  ", "    ")]
    other = limited_elsewhere(gpu)
    lines += [colour("warn", line) for line in wrap(other, "  ", "    ")] if other else []
    settings = [setting for setting in gpu["settings"] if spoken_of(setting)]
    if settings:
        # Of a GPU that is away the line above says it once; each of its settings would only repeat it.
        told: list[Setting] = settings if here else [{**setting, "message": None} for setting in settings]
        lines += setting_table(told, now, colour, observing=observing)
    else:
        lines.append(colour("dim", "  no rule speaks of this GPU"))
    others = [s for s in gpu["settings"] if s not in settings and s["observed"] is not None]
    if every and others:
        text = ", ".join(f"{label(s['setting'])} {value(s['setting'], s['observed'])}" for s in others)
        lines += [colour("dim", line) for line in wrap(f"no rule for: {text}", "  ", NOTE)]
    return lines + history(gpu, now, colour)


def _who(gpu: Gpu, colour: Colour) -> list[str]:
    name = heading(gpu["name"], gpu["pci"], gpu["uuid"])
    doing = gpu["telemetry"]
    if gpu["state"] != "ok":
        return [colour("bold", name)]
    watts = f"{number(doing['power_w'])} of {number(doing['power_limit_w'], ' W')}"
    used = number(doing["utilization_percent"], " %")
    told = doing["utilization_percent"] is not None or doing["pstate"] is not None
    busy = f"busy {used}" if doing["busy"] else "idle" if told else "-"
    parts = [watts, number(doing["gpu_clock_mhz"], " MHz"), number(doing["temperature_c"], " C"), busy]
    for gap in ("   ", "  "):
        doing_text = gap.join(["", *parts])
        if len(name) + len(doing_text) <= WIDTH:
            return [colour("bold", name) + doing_text]
    return [colour("bold", name), "  " + "  ".join(parts)]


def history(gpu: Gpu, now: float, colour: Colour) -> list[str]:
    """What was put back, how long the GPU was slowed down and by what, and its last Xid."""
    lines = []
    last = gpu["put_back"]["last"]
    if gpu["put_back"]["count"]:
        text = f"put back {gpu['put_back']['count']}x"
        if last:
            text += f", last {moment(last['at'], now)}: {label(last['setting'])}"
            if last["found"] is not None:
                text += f" was {value(last['setting'], last['found'])}"
            text += f", {last['cause']}" if last["cause"] else ""
        lines += wrap(text, "  ", NOTE)
    fault = gpu["throttle"]["fault"]
    if fault:
        since = f"{moment(fault['since'], now)} ({span(now - (epoch(fault['since']) or now))})"
        text = f"slowed by a fault: {fault_words(fault['reason'])}, since {since}"
        lines += [colour("bad", line) for line in wrap(text, "  ", NOTE)]
    slowed = slowed_by(gpu["throttle"]["reasons"], "day_s")
    if slowed:
        lines += _filled("  slowed 24h:  ", [f"{who} {mark}{span(s)}" for who, s, mark in slowed])
    elif gpu.get("state") == "ok":  # `show` tells of it in its own place
        lines.append(colour("dim", "  slowed: not known, this GPU says nothing about it"))
    action = gpu["telemetry"].get("recovery_action")
    if action:
        lines += [colour("bad", line) for line in wrap(f"the driver asks for: {action}", "  ", NOTE)]
    if gpu.get("no_xids"):
        lines += [colour("dim", line) for line in wrap(f"Xid errors are not heard of: {gpu['no_xids']}", "  ", NOTE)]
    xid = gpu["last_xid"]
    if xid:
        lines += [colour("warn", line) for line in wrap(f"last Xid {xid['xid']}, {moment(xid['at'], now)}", "  ")]
    return lines


def _filled(head: str, parts: list[str]) -> list[str]:
    """The parts beside each other, three spaces apart, in lines that are no wider than they may be."""
    lines = [head + parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 3 + len(part) <= WIDTH:
            lines[-1] += "   " + part
        else:
            lines.append(" " * len(head) + part)
    return lines
