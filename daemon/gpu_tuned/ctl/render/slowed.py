"""What slowed a GPU down, in words and in seconds by who is to blame."""

from __future__ import annotations

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.values import number, quantity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from gpu_tuned.core.wire import Gpu, Reason

    Window = Literal["minute_s", "hour_s", "day_s", "start_s"]

FAULTS = {
    "hw_thermal": "heat (hardware)",
    "sw_thermal": "heat",
    "hw_power_brake": "power brake (supply)",
    "hw_slowdown": "hardware slowdown",
}


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
