"""Values, spans of time and names, as a person reads them. No imports that cost: this is on the way to `status`."""

from __future__ import annotations

import time

from gpu_tuned.core.words import short_pci
from gpu_tuned.ctl.render.text import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import Gpu

LABELS = {
    "persistence_mode": "persistence",
    "power_limit_w": "power limit",
    "gpu_clock_mhz": "gpu clock",
    "memory_clock_mhz": "memory clock",
    "application_clocks_mhz": "app clocks",
    "compute_mode": "compute mode",
    "numa_balancing": "numa balancing",
}
LOCKS = ("gpu_clock_mhz", "memory_clock_mhz")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def label(setting: str) -> str:
    """A policy key in words; a key that is newer than this command as it is, without its unit."""
    return LABELS.get(setting) or setting.removesuffix("_w").removesuffix("_mhz").replace("_", " ")


def value(setting: str, raw: object, *, unit: bool = True) -> str:
    """A setting's value as it stands in a document. `unit` False leaves MHz out, for columns that need the room."""
    if raw is None:
        return "-"
    if isinstance(raw, bool):
        return "on" if raw else "off"
    mhz = " MHz" if unit else ""
    if isinstance(raw, dict):
        if "memory" in raw:
            return f"{raw.get('memory')},{raw.get('gpu')}{mhz}"
        if setting == "power_limit_w":
            return f"<= {raw.get('max')} W"
        low, high = raw.get("min"), raw.get("max")
        return f"{high}{mhz}" if low == high else f"{low}-{high}{mhz}" if low else f"<= {high}{mhz}"
    if isinstance(raw, (int, float)):
        return f"{raw:g} W" if setting == "power_limit_w" else f"{raw}"
    return clean(str(raw)).replace("_", " ")


def number(raw: object, unit: str = "") -> str:
    """A reading rounded to a whole number, "-" where there is none."""
    return f"{round(raw)}{unit}" if isinstance(raw, (int, float)) else "-"


def quantity(raw: object) -> float | None:
    """A value that is a number, and no bool; None for any other."""
    return raw if isinstance(raw, (int, float)) and not isinstance(raw, bool) else None


def epoch(stamp: str | None) -> float | None:
    """RFC 3339 in UTC ("2026-11-22T14:02:11Z") as seconds since the epoch; None for what is not that.

    By hand: datetime and _strptime together cost a tenth of the time that `status` has to start.
    """
    if not stamp:
        return None
    try:
        year, month, day = int(stamp[0:4]), int(stamp[5:7]), int(stamp[8:10])
        clock = int(stamp[11:13]) * 3600 + int(stamp[14:16]) * 60 + int(stamp[17:19])
    except ValueError:
        return None
    # Days since the epoch in the proleptic Gregorian calendar, with the year beginning in March.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719469
    return float(days * 86400 + clock)


def span(seconds: float) -> str:
    """A length of time in at most seven columns: "38s", "41m", "3h 5m", "9d 4h"."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def ago(seconds: float) -> str:
    """How old something is: "1 s ago", "5m ago"."""
    return f"{max(0, int(seconds))} s ago" if seconds < 120 else f"{span(seconds)} ago"


def moment(stamp: str | None, now: float, *, seconds: bool = False) -> str:
    """A point in time, local: "14:02" today, "Tue 03:12" within the last days, else the date."""
    at = epoch(stamp)
    if at is None:
        return "an unknown time"
    then, today = time.localtime(at), time.localtime(now)
    clock = f"{then.tm_hour:02}:{then.tm_min:02}" + (f":{then.tm_sec:02}" if seconds else "")
    if then[:3] == today[:3]:
        return clock
    if 0 <= now - at < 6 * 86400:
        return f"{_DAYS[then.tm_wday]} {clock}"
    return f"{then.tm_year}-{then.tm_mon:02}-{then.tm_mday:02}"


def silent_since(stamp: str, now: float) -> str:
    """A driver that does not answer, and since when."""
    waited_s = now - (epoch(stamp) or now)
    waited = f"{waited_s:.0f} s" if waited_s < 120 else span(waited_s)
    return f"driver has not answered since {moment(stamp, now, seconds=True)} ({waited})"


def short_name(name: str) -> str:
    """What people call it: "NVIDIA GeForce RTX 5090" is an RTX 5090."""
    return clean(name).removeprefix("NVIDIA ").removeprefix("GeForce ") or "?"


def short_uuid(uuid: str) -> str:
    """The head of a UUID; as a prefix it names the GPU wherever gpu-tunedctl takes one."""
    return uuid[:12]


def place(pci: str, uuid: str) -> str:
    """Where a GPU is: its address, or the head of its UUID where it is on no bus."""
    return short_pci(pci) if pci not in ("", "-") else short_uuid(uuid)


def heading(name: str | None, pci: str | None, uuid: str) -> str:
    """A GPU above what is said of it: "RTX 5090  01:00.0  GPU-5b1c9f2e"; what is not known of it is left out."""
    return "  ".join(
        [*([short_name(name)] if name else []), *([short_pci(pci)] if pci else []), short_uuid(uuid)],
    )


def briefly(gpu: Gpu) -> str:
    """A GPU within a sentence: "RTX 5090 01:00.0"."""
    return f"{short_name(gpu['name'])} {place(gpu['pci'], gpu['uuid'])}"


def origin(text: str | None, setting: str) -> str:
    """Where a wish stands, without the key, which the row names already."""
    return clean(text or "").removesuffix(setting).rstrip(" .") or "-"
