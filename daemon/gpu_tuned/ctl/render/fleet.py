"""Many GPUs: what holds for all of them once, one line each, and only exceptions expand."""

from __future__ import annotations

from gpu_tuned.core.words import short_pci
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.slowed import fault_words, limited_elsewhere, slowed_by
from gpu_tuned.ctl.render.text import WIDTH, Colour, wrap
from gpu_tuned.ctl.render.values import label, moment, number, origin, short_name, span, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import Gpu, Policy, Setting, StatusReply

MOST_GROUPS = 4  # more than this many different wishes are no summary any more
_SHORT = {"power_limit_w": "power", "gpu_clock_mhz": "clock", "memory_clock_mhz": "memory"}


def fleet(document: StatusReply, now: float, colour: Colour) -> list[str]:
    gpus = document["gpus"]
    names = [short_name(gpu["name"]) for gpu in gpus]
    models = [_model(name) for name in names]
    bus = max(len(short_pci(gpu["pci"])) for gpu in gpus)
    wide = min(max(map(len, models)), WIDTH - bus - 60)
    head = f"#  {'gpu'.ljust(wide)}  {'bus'.ljust(bus)}  watts/limit   MHz   C  {'state':<9}    1h: own cap fault"
    lines = [*_common(gpus, document["policy"], names, colour), "", colour("dim", head)]
    driver_ok = document["driver"]["state"] == "ok"
    for gpu, model in zip(gpus, models, strict=True):
        number_or_dash = str(gpu["index"]) if gpu["index"] >= 0 else "-"
        who = f"{number_or_dash:<2} {model[:wide].rstrip().ljust(wide)}  {short_pci(gpu['pci']).ljust(bus)}  "
        lines += _one(gpu, who, now, colour, driver_ok=driver_ok)
    return lines + _unheard(gpus, names, colour)


def _unheard(gpus: list[Gpu], names: list[str], colour: Colour) -> list[str]:
    """The GPUs whose Xid errors nobody hears of: that none is told of one says nothing there."""
    why: dict[str, list[int]] = {}
    for i, gpu in enumerate(gpus):
        if gpu.get("no_xids"):
            why.setdefault(gpu["no_xids"] or "", []).append(i)
    lines = []
    for reason, members in why.items():
        whose = "" if len(members) == len(gpus) else f" of {_who(members, names)}"
        lines += wrap(f"Xid errors{whose} are not heard of: {reason}", "", "  ")
    return [colour("dim", line) for line in lines]


def _model(name: str) -> str:
    """A model's name without its memory: "H100 80GB HBM3" is an H100 to those who have a rack of them."""
    words = name.split()
    sizes = [i for i, word in enumerate(words) if word.endswith("GB") and word[:-2].isdigit()]
    return " ".join(words[: sizes[0]]) if sizes and sizes[0] else name


def _common(gpus: list[Gpu], policy: Policy, names: list[str], colour: Colour) -> list[str]:
    """What is wished of all, or of each model, where that can be said in a few lines."""
    groups: dict[str, list[int]] = {}
    sources: dict[str, dict[str, None]] = {}  # in the order of their rows
    for i, gpu in enumerate(gpus):
        wishes = [s for s in gpu["settings"] if s["wished"] is not None]
        text = ", ".join(f"{_label(s['setting'])} {value(s['setting'], s['wished'])}" for s in wishes)
        groups.setdefault(text, []).append(i)
        sources.setdefault(text, {}).update((_file(s), None) for s in wishes)
    if len(groups) > MOST_GROUPS:
        return [colour("dim", f"{len(groups)} different sets of wishes: gpu-tunedctl status --all shows each")]
    lines = []
    for text, members in groups.items():
        who = "all" if len(members) == len(gpus) else _who(members, names)
        digest = f", {policy['digest'][:6]}" if policy["digest"] and len(groups) == 1 else ""
        where = f"   ({', '.join(sources[text])}{digest})" if sources[text] else ""
        line = f"{who}: {text or 'no wishes'}"
        if len(line) + len(where) <= WIDTH:
            lines.append(line + colour("dim", where))
        else:
            lines += wrap(line, "", "    ")
            lines += [colour("dim", more) for more in wrap(where, "    ")] if where else []
    return lines


def _label(setting: str) -> str:
    return _SHORT.get(setting) or label(setting)


def _file(setting: Setting) -> str:
    source = origin(setting["origin"], setting["setting"])
    words = source.split()
    return " ".join(words[:2]) if words[0] == "profile" else words[0]


def _who(members: list[int], names: list[str]) -> str:
    model = {names[i] for i in members}
    whole = len(model) == 1 and all(i in members for i, name in enumerate(names) if name in model)
    return model.pop() if whole else "gpu " + ",".join(map(str, members))


def _one(gpu: Gpu, who: str, now: float, colour: Colour, *, driver_ok: bool) -> list[str]:
    """The line of one GPU, and one below it for each exception."""
    words, style = state_of(gpu)
    here = gpu["state"] == "ok"
    doing = gpu["telemetry"]
    draw, clock, heat = "-/-", "-", "-"
    if here:
        draw = f"{number(doing['power_w'])}/{number(doing['power_limit_w'])}"
        clock, heat = number(doing["gpu_clock_mhz"]), number(doing["temperature_c"])
    own, fault = _seconds(gpu)
    line = f"{who}{draw:>11}  {clock:>4} {heat:>3}  {colour(style, words)}"
    lines = [line + f"{'':<{9 - len(words)}} {own:>14} {fault:>5}" if here else line]
    tail: list[tuple[str, str]] = []
    if gpu["message"] and driver_ok:
        tail.append((style or "warn", gpu["message"]))
    xid = gpu["last_xid"]
    if xid and str(xid["xid"]) not in (gpu["message"] or ""):
        tail.append(("warn", f"last Xid {xid['xid']}, {moment(xid['at'], now)}"))
    if here:
        tail += [exception(setting) for setting in gpu["settings"] if not setting["in_order"]]
        other = limited_elsewhere(gpu)
        tail += [("warn", other)] if other else []
        fault_on = gpu["throttle"]["fault"]
        if fault_on:
            since = moment(fault_on["since"], now)
            tail.append(("bad", f"slowed by {fault_words(fault_on['reason'])} since {since}"))
        action = doing.get("recovery_action")
        tail += [("bad", f"the driver asks for: {action}")] if action else []
    for kind, text in tail:
        lines += [colour(kind, line) for line in wrap(text, "     ", "       ")]
    return lines


def _seconds(gpu: Gpu) -> tuple[str, str]:
    rows = slowed_by(gpu["throttle"]["reasons"], "hour_s")
    own = [row for row in rows if row[0] == "own cap"]
    worst = sorted((row for row in rows if row[0] in ("heat", "hardware")), key=lambda row: -row[1])
    return _amount(own), _amount(worst)


def _amount(rows: list[tuple[str, float, str]]) -> str:
    """The seconds of the first; "-" where the GPU says nothing about them."""
    return rows[0][2] + span(rows[0][1]) if rows else "-"


def state_of(gpu: Gpu) -> tuple[str, str]:
    """The one word for a GPU among many, and its style."""
    if gpu["state"] != "ok":
        style = "" if gpu["in_order"] else "bad" if gpu["state"] in verdict.GPU_TROUBLE else "warn"
        return gpu["state"] if gpu["in_order"] else gpu["state"].upper(), style
    wrong = [setting for setting in gpu["settings"] if not setting["in_order"]]
    states = [setting["state"] for setting in wrong]
    for state in ("contested", "refused", "absent", "drifted", "waiting", "restored"):
        if state in states:
            return state.upper(), "bad" if state in ("contested", "refused") else "warn"
    if not gpu["in_order"]:
        return "UNKNOWN" if all(setting.get("fits") is None for setting in wrong) else "DIFFERS", "warn"
    fault = gpu["throttle"]["fault"]
    if fault:
        return ("HOT" if fault["reason"] in verdict.HEAT else "FAULT"), "bad"
    return "ok", "good"


def exception(setting: Setting) -> tuple[str, str]:
    """A setting that is not as wished, in one sentence, and its style."""
    key = setting["setting"]
    text = f"{_label(key)} wished {value(key, setting['wished'])}"
    if setting["observed"] is not None:
        text += f", found {value(key, setting['observed'])}"
    if setting["message"]:
        text += f": {setting['message']}"
    elif setting["state"] == "watched":
        text += " (watched, not written)"
    return "bad" if setting["state"] in ("contested", "refused") else "warn", text
