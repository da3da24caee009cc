"""What the driver complained about since boot: Xids in the kernel's log."""

from __future__ import annotations

import re
from collections import Counter

from gpu_tuned.core.host_view import HostView
from gpu_tuned.core.model import Unread
from gpu_tuned.core.verdict import Finding
from gpu_tuned.core.words import listed, short_pci
from gpu_tuned.doctor.say import Check

XIDS = Check("xid", "driver errors since boot")

BY_PROGRAMS = frozenset({13, 31, 43, 45, 68, 109})
"""Xids that a program's own mistake causes."""
GRAVE = {
    48: "an uncorrectable memory error",
    64: "a memory row that could not be remapped",
    74: "an NVLink error",
    79: "the GPU fell off the bus",
    95: "an uncontained memory error",
    119: "the GPU's firmware did not answer",
    120: "an error in the GPU's firmware",
    140: "an unrecovered memory error",
    154: "the driver asks for a recovery",
}
MILD = {
    61: "an internal stop of the microcontroller",
    62: "an internal halt of the microcontroller",
    63: "a memory row remapped or retired; a reset makes it good",
    92: "a high rate of corrected memory errors",
    94: "a contained memory error",
}
_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+?)\): (\d+)")
_RECOVERED = re.compile(r"recovery action changed from \S+ \(.*\) to \S+ \(None\)")
"""An Xid 154 as well, and good news."""


def xids(host: HostView) -> Finding:
    """Counts by number; those of programs are told, and are no fault of the host."""
    if isinstance(host.log, Unread):
        return XIDS.unknown(host.log)
    found: Counter[tuple[str, int]] = Counter()
    for line in host.log:
        if (match := _XID.search(line.text)) and not _RECOVERED.search(line.text):
            found[(_address(match[1]), int(match[2]))] += 1
    grave = {key: count for key, count in found.items() if key[1] in GRAVE}
    others = {key: count for key, count in found.items() if key[1] not in GRAVE and key[1] not in BY_PROGRAMS}
    programs = {key: count for key, count in found.items() if key[1] in BY_PROGRAMS}
    if grave or others:
        told = listed(_told(key, count) for key, count in [*grave.items(), *others.items()])
        gpus = dict.fromkeys(pci for pci, _ in (*grave, *others))
        why = "The driver itself reports it; work on this GPU failed, or will."
        advice = (
            "Look the number up in NVIDIA's Xid catalogue (docs.nvidia.com/deploy/xid-errors). Let the work end and "
            "reset the GPU; where it comes back, test the board in another slot and have it exchanged."
        )
        commands = ("journalctl -k -b -g 'NVRM: Xid'",)
        return (XIDS.trouble if grave else XIDS.warning)(told, why, advice, commands, gpus)
    if programs and not host.log_from_s:
        told = listed(f"{count}x Xid {number} at {short_pci(pci)}" for (pci, number), count in programs.items())
        return XIDS.ok(f"{told}: of a kind that programs cause by their own mistakes")
    if host.log_from_s:
        return XIDS.unknown(
            f"none in what is kept of the kernel's log, which begins {host.log_from_s / 3600:.1f} h after boot"
        )
    return XIDS.ok("none")


def _told(key: tuple[str, int], count: int) -> str:
    pci, number = key
    words = GRAVE.get(number) or MILD.get(number)
    return f"{count}x Xid {number} at {short_pci(pci)}" + (f" ({words})" if words else "")


def _address(text: str) -> str:
    """The log's "0000:01:00" as sysfs writes it."""
    text = text.lower()
    return text if "." in text else f"{text}.0"


CHECKS = (xids,)
