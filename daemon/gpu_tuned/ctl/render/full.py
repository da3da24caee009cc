"""One GPU in full: who it is, what it does, each setting as a row, and what happened to it."""

from __future__ import annotations

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import WIDTH, Colour, wrap
from gpu_tuned.ctl.render.values import (
    LOCKS,
    epoch,
    heading,
    label,
    moment,
    number,
    origin,
    quantity,
    span,
    value,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from gpu_tuned.core.wire import Gpu, Reason, Setting, StatusReply

    Window = Literal["minute_s", "hour_s", "day_s", "start_s"]

HEADS = ("setting", "wished", "found", "state", "since", "from")
NOTE = "    "
FAULTS = {
    "hw_thermal": "heat (hardware)",
    "sw_thermal": "heat",
    "hw_power_brake": "power brake (supply)",
    "hw_slowdown": "hardware slowdown",
}
_ROOMY = (
    "held",
    "watched",
    "differs",
    "unknown",
)  # short enough for ", required" beside them; for others a note says it
_LOUD = {
    "contested": "bad",
    "refused": "bad",
    "absent": "bad",
    "drifted": "warn",
    "waiting": "warn",
    "restored": "warn",
}


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


def spoken_of(setting: Setting) -> bool:
    """Whether a rule wishes it, or did: what the policy never knew is no part of the answer."""
    return setting["origin"] is not None or (setting["state"] == "unmanaged" and setting["message"] is not None)


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


def limited_elsewhere(gpu: Gpu) -> str:
    """That something holds the board below the limit that was asked for, in words; "" where nothing does."""
    asked = quantity(next((s["observed"] for s in gpu["settings"] if s["setting"] == "power_limit_w"), None))
    enforced = gpu["telemetry"]["power_limit_w"]
    # A watt is what two readings of one limit may differ by.
    if gpu["state"] != "ok" or asked is None or enforced is None or enforced >= asked - 1:
        return ""
    return (
        f"held to {number(enforced, ' W')} by another's limit, below the {number(asked, ' W')} set here "
        "(a BMC, a rack's power manager)"
    )


def setting_table(settings: list[Setting], now: float, colour: Colour, *, observing: bool = False) -> list[str]:
    """The rows of one GPU, or of the host, each with its notes below it."""
    rows = [_cells(setting, now) for setting in settings]
    widths = [max(len(row[i]) for row in [HEADS, *rows]) for i in range(5)]
    before = 2 + sum(widths) + 2 * 5
    room = WIDTH - before
    origins = [origin(setting["origin"], setting["setting"]) for setting in settings]
    if max(map(len, origins)) > room:  # the suffix says least
        origins = [text.replace(".toml", "") for text in origins]
    lines = [colour("dim", _row(HEADS, widths, "from" if room >= 4 else ""))]
    given: set[str] = set()  # a rule's reason is told once, not with each of its keys
    for setting, row, source in zip(_told_once(settings), rows, origins, strict=True):
        style = _style(setting)
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if style:
            padded[3] = colour(style, padded[3])
        if not setting["in_order"] and setting["observed"] is not None:
            padded[2] = colour("bad" if style == "bad" else "warn", padded[2])
        split = wrap(source, width=room) if room >= 12 else [""]
        if len(split) > 1 and any(len(word) > room for word in source.split()):
            split = [""]
        lines.append(("  " + "  ".join(padded) + "  " + split[0]).rstrip())
        lines += [" " * before + more for more in split[1:]]
        if split == [""] and source != "-":
            lines += [colour("dim", line) for line in wrap(f"from {source}", NOTE)]
        for kind, text in notes(setting, given, observing=observing):
            lines += [colour(kind, line) for line in wrap(text, NOTE, NOTE + "  ")]
    return lines


def _told_once(settings: list[Setting]) -> list[Setting]:
    """Of rows in a row with one message, as after a restore, the last alone tells it."""
    following = [*(setting["message"] for setting in settings[1:]), None]
    return [
        {**setting, "message": None} if setting["message"] == after else setting
        for setting, after in zip(settings, following, strict=True)
    ]


def _row(cells: tuple[str, ...], widths: list[int], last: str) -> str:
    return ("  " + "".join(cell.ljust(width + 2) for cell, width in zip(cells, widths, strict=False)) + last).rstrip()


def _cells(setting: Setting, now: float) -> list[str]:
    key = setting["setting"]
    since = epoch(setting["since"])
    observed = setting["observed"]
    return [
        label(key),
        value(key, setting["wished"], unit=False),
        "no getter" if observed is None and key in LOCKS else value(key, observed, unit=False),
        state_words(setting, now),
        "-" if since is None else span(now - since),
    ]


def state_words(setting: Setting, now: float) -> str:
    """The state of a setting, with what qualifies it: "held, required", "confirmed 14:02". A watched setting
    that is not as wished "differs", and is "unknown" where nobody can say: that it is only watched, the mode or a
    note says."""
    state = str(setting["state"])
    if state == "requested" and setting["confirmed_at"]:
        state = f"confirmed {moment(setting['confirmed_at'], now)}"
    elif state == "watched" and not setting["in_order"]:
        state = "unknown" if setting.get("fits") is None else "differs"
    elif state in _LOUD and not setting["in_order"]:
        state = state.upper()
    return f"{state}, required" if setting["required"] and state in _ROOMY else state


def _style(setting: Setting) -> str:
    if setting["state"] in ("held", "requested") and setting["in_order"]:
        return "good"
    return _LOUD.get(setting["state"], "" if setting["in_order"] else "warn")


def notes(setting: Setting, given: set[str], *, observing: bool = False) -> list[tuple[str, str]]:
    """What a row cannot hold, as (style, sentence): why it is not so, what it was before, why it is wished.
    Reasons in `given` were told already."""
    key = setting["setting"]
    found = []
    if setting["message"]:
        found.append(("" if setting["in_order"] else _style(setting) or "warn", setting["message"]))
    if raised(setting):
        assumed = " (assumed)" if setting["original_assumed"] else ""
        was = value(key, setting["original"])
        found.append(("dim", f"raised: {was} was found at first{assumed}"))
    if setting["state"] == "watched" and not setting["in_order"] and not observing:
        found.append(("dim", "only watched, never written: the policy says so"))
    said = ", required" in state_words(setting, 0.0)
    must = setting["required"] and not said
    if setting["reason"] and setting["reason"] not in given:
        given.add(setting["reason"])
        found.append(("dim", f"{'required' if must else 'reason'}: {setting['reason']}"))
    elif must:
        found.append(("dim", "required"))
    return found


def raised(setting: Setting) -> bool:
    """Whether a limit stands above the value that was found at first."""
    original, now_is = quantity(setting["original"]), quantity(setting["observed"])
    return setting.get("written", True) and original is not None and now_is is not None and now_is > original


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


def fault_words(reason: str) -> str:
    """A fault's name for a person; one that is newer than this command as it is."""
    return FAULTS.get(reason) or reason.replace("_", " ")


def uncounted(reason: Reason) -> bool:
    """Whether some of its seconds come from the bit alone, until the driver's counter is read again."""
    return bool(reason.get("uncounted_s"))


def estimated(reason: Reason) -> bool:
    """Whether its seconds are not the driver's alone: they get a "~"."""
    return reason["sampled"] or uncounted(reason)


def slowed_by(reasons: list[Reason], window: Window) -> list[tuple[str, float, str]]:
    """Seconds of `window` by who is to blame, as (words, seconds, "~" where not all of them were counted).

    Hardware slowdown is the sum of the hardware's own brakes, heat among them, so heat is taken off it.
    """
    if not reasons:
        return []
    known = {reason["reason"]: reason for reason in reasons}

    def seconds(*names: str) -> float:
        return max((known[name][window] for name in names if name in known), default=0.0)

    def mark(*names: str) -> str:
        return marked(known[name] for name in names if name in known)

    def marked(rows: Iterable[Reason]) -> str:
        return "~" if any(estimated(row) and row[window] for row in rows) else ""

    own = [reason for reason in reasons if reason["kind"] == "own"]
    limits = [reason for reason in reasons if reason["kind"] == "limit"]
    braked = max(seconds("hw_power_brake"), seconds("hw_slowdown") - seconds("hw_thermal"))
    rows = [("own cap", sum(reason[window] for reason in own), marked(own))] if "sw_power_cap" in known else []
    if known.keys() & set(verdict.HEAT):
        rows.append(("heat", seconds(*verdict.HEAT), mark(*verdict.HEAT)))
    if known.keys() & {"hw_power_brake", "hw_slowdown"}:
        rows.append(("hardware", max(0.0, braked), mark("hw_power_brake", "hw_slowdown")))
    for words, others in (("another's limit", True), ("board's limit", False)):
        of_them = [reason for reason in limits if (reason.get("limiter") == "other") is others]
        longest = max((reason[window] for reason in of_them), default=0.0)
        if longest >= 1:
            rows.insert(min(1, len(rows)), (words, longest, marked(of_them)))
    return rows
