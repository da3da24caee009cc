"""Readers of what the owner expects of the host, and of advice and checks that are not to be told."""

from __future__ import annotations

from gpu_tuned.core.policy.words import Spot, shown

LANES = (1, 2, 4, 8, 12, 16, 32)
"""Widths that PCIe has."""

CHECK_IDS = (
    "driver-loaded", "driver-versions", "driver-next-boot",
    "gpus-seen", "recovery", "persistence", "temperature", "held-down",
    "xid",
    "pcie-width", "pcie-generation", "pcie-errors", "resizable-bar", "above-4g",
    "memory-nodes", "iommu", "acs",
    "persistence-services", "rivals", "start-order", "open-files", "leftovers", "mps",
    "container-runtime", "container-toolkit", "cdi",
)  # fmt: skip
"""The doctor's checks, in its order: a policy may name them, and the daemon that reads it does not load them."""


def accepted(spot: Spot) -> frozenset[str] | None:
    """Ids of advice and checks. All or nothing, so that positions in the list stay true."""
    from gpu_tuned.core.advice import ADVICE_IDS  # the catalogue is loaded where somebody names one

    known = {name: name for name in (*ADVICE_IDS, *CHECK_IDS)}
    if not isinstance(spot.raw, list):
        hint = f"write [{shown(spot.raw)}]" if isinstance(spot.raw, str) and spot.raw in known else None
        spot.bad('must be a list of ids of advice such as ["memory-lock"]', hint)
        return None
    bad = [index for index, name in enumerate(spot.raw) if not isinstance(name, str) or name not in known]
    for index in bad:
        spot.item(index).bad_word(known)
    return None if bad else frozenset(spot.raw)


def lanes(spot: Spot) -> int | None:
    """The PCIe width that every GPU is to have, in lanes."""
    if isinstance(spot.raw, int) and not isinstance(spot.raw, bool) and spot.raw in LANES:
        return spot.raw
    spot.bad(f"must be a PCIe width in lanes: {', '.join(map(str, LANES))}")
    return None
