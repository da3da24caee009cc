"""Readers of `match`: which GPUs a rule is for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gpu_tuned.core.policy.words import Spot
from gpu_tuned.core.wish import Match, MatchBy

_UUID = re.compile(r"gpu-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PCI = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})(\.[0-7])?", re.IGNORECASE)


def match(spot: Spot) -> Match | None:
    """A table with one of name, uuid and pci."""
    kinds = {kind.value: kind for kind in (MatchBy.NAME, MatchBy.UUID, MatchBy.PCI)}
    if not isinstance(spot.raw, Mapping):
        spot.bad('must be a table with one of name, uuid, pci, such as { name = "NVIDIA GeForce RTX 5090" }')
        return None
    for key in spot.raw:
        if key == "index":
            spot.at(key).bad(
                "a GPU is not matched by its index, for the driver may number GPUs anew at any start",
                "write uuid, pci or name",
            )
        elif key not in kinds:
            spot.at(key).unknown(tuple(kinds), {})
    named = [key for key in kinds if key in spot.raw]
    if len(named) > 1 or not spot.raw:
        spot.bad("must have exactly one of name, uuid and pci")
    if len(named) != 1 or len(spot.raw) != 1:
        return None
    pattern = _PATTERNS[kinds[named[0]]](spot.at(named[0]))
    return None if pattern is None else Match(kinds[named[0]], pattern)


def _name(spot: Spot) -> str | None:
    if isinstance(spot.raw, str) and spot.raw.strip() and spot.raw.isprintable():
        return spot.raw
    spot.bad('must be a name or pattern such as "NVIDIA GeForce RTX 5090" or "*H100*"')
    return None


def _uuid(spot: Spot) -> str | None:
    if isinstance(spot.raw, str) and _UUID.fullmatch(spot.raw):
        return spot.raw
    hint = "nvidia-smi -L lists them; patterns are for names only"
    spot.bad('must be a whole UUID such as "GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11"', hint)
    return None


def _pci(spot: Spot) -> str | None:
    found = _PCI.fullmatch(spot.raw.strip()) if isinstance(spot.raw, str) else None
    if found is None:
        spot.bad('must be a PCI address such as "0000:01:00.0" or "01:00.0"')
        return None
    domain, bus, device, function = found.groups(default="")
    return f"{int(domain or '0', 16):04x}:{bus}:{device}{function or '.0'}".lower()


_PATTERNS = {MatchBy.NAME: _name, MatchBy.UUID: _uuid, MatchBy.PCI: _pci}
