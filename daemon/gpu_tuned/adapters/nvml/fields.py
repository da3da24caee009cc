"""Numbers whose meaning depends on the driver: field ids that changed places, and codes that grew names.

From the constants of nvidia-ml-py's releases 12.570.86 to 13.615.71, which name what nvml.h of that driver does, and
a trace of nvidia-smi of 580.65. A number that is not known for this driver is told as a number, never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Version = tuple[int, int]
"""The driver's branch and release: (580, 159) of "580.159.04"."""

SW_THERMAL, HW_THERMAL, HW_POWER_BRAKE = 269, 270, 271
"""Nanoseconds of thermal slowdown by software and by hardware and of the power brake, as numbered from 580.82 on."""
_NO_SLOWDOWN: Mapping[int, int] = {}
_UNTIL_580_82 = {SW_THERMAL: 251, HW_THERMAL: 252, HW_POWER_BRAKE: 253}
_FROM_580_82 = {field: field for field in _UNTIL_580_82}

RECOVERY_ACTION = 230
_ACTIONS = {
    0: "none",
    1: "reset the GPU",
    2: "reboot the host",
    3: "drain peer-to-peer traffic",
    4: "drain the GPU, then reset it",
}


def version_of(text: str | None) -> Version | None:
    """None where it names none: "N/A" on a Jetson, garbage."""
    found = re.match(r"(\d{2,4})\.(\d{1,4})(?:\.|$)", text or "")
    return (int(found[1]), int(found[2])) if found else None


def slowdown_counters(driver: Version | None) -> Mapping[int, int]:
    """Counter by its newest number -> the field that this driver keeps it under; {} where it has none.

    They came with R575. Below 580.82 the newest numbers belong to power smoothing (its profile, floor and ramp), and
    from 580.82 on the old ones do: a ramp read as a counter is a power brake that never was. An unknown driver is not
    asked."""
    if driver is None or driver < (575, 0):
        return _NO_SLOWDOWN
    return _UNTIL_580_82 if driver < (580, 82) else _FROM_580_82


def recovery_action(number: int, driver: Version | None) -> str:
    """What the driver asks for to get a GPU well again, in words; "action 9" where its name is not known."""
    branch = driver[0] if driver else 0
    late = {}
    if 580 <= branch < 590:
        late = {5: "reset the bus"}
    elif branch >= 610:
        late = {5: "recover the IMEX domain"}
        if branch >= 615:
            late |= {6: "reset the bus", 7: "reboot the system"}
    return _ACTIONS.get(number) or late.get(number) or f"action {number}"
