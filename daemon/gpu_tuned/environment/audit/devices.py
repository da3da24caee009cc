"""Which GPUs a process sees: what the engine is asked for, NVIDIA_VISIBLE_DEVICES, CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpu_tuned.environment.audit.model import Certainty, Finding
from gpu_tuned.environment.audit.together import Together


def visible(v: Together) -> Iterator[Finding]:
    cuda = v("CUDA_VISIBLE_DEVICES")
    seen = _seen(v)
    indices = _indices(cuda)
    order = v("CUDA_DEVICE_ORDER")
    if order == "FASTEST_FIRST" and indices:
        yield v.finding(
            "CUDA_DEVICE_ORDER",
            f"with FASTEST_FIRST the indices of CUDA_VISIBLE_DEVICES={cuda} need not be those of nvidia-smi",
            Certainty.LIKELY,
            "PCI_BUS_ID",
        )
    if seen == "none" and cuda and cuda != "-1":
        yield v.finding("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES=none leaves no GPU in the container")
        return
    asked_for = v.environment.devices is not None or v.environment.device_count
    if cuda == "-1" and (asked_for or (seen and seen not in ("void", "none"))):
        hides = "hides every GPU that is asked for"
        yield v.finding("CUDA_VISIBLE_DEVICES", f'CUDA_VISIBLE_DEVICES="{cuda}" {hides}', Certainty.LIKELY)
        return
    count = how_many(v)
    if count is not None and indices and max(indices) >= count:
        what = f"NVIDIA_VISIBLE_DEVICES={seen}" if seen and _count_of(seen) is not None else "the GPUs asked for"
        right = ",".join(str(number) for number in range(min(count, len(indices))))
        yield v.finding(
            "CUDA_VISIBLE_DEVICES",
            f"indices count what the container sees: with {what} there "
            f"{'is' if count == 1 else 'are'} {count}, so {max(indices)} is none of them, and what follows "
            "it is hidden as well",
            right=right,
        )
    asked = v.environment.devices
    named = asked if asked and all(one.isdecimal() for one in asked) else ()
    listed = set(_indices(seen))
    if named and listed and listed != {int(one) for one in named}:
        yield v.finding(
            "NVIDIA_VISIBLE_DEVICES",
            f"the GPUs asked for are {', '.join(named)}; the engine sets its own list after this one",
            Certainty.LIKELY,
        )


def _indices(text: str | None) -> list[int]:
    parts = [part.strip() for part in (text or "").split(",")]
    return [int(part) for part in parts] if all(re.fullmatch(r"\d{1,6}", part) for part in parts) else []


def _count_of(seen: str) -> int | None:
    """How many GPUs a list of NVIDIA_VISIBLE_DEVICES names; None for all, void and the like."""
    parts = [part for part in seen.split(",") if part]
    if not parts or any(part in ("all", "void", "none") or "=" in part for part in parts):
        return None
    return len(set(parts))


def _seen(v: Together) -> str | None:
    """NVIDIA_VISIBLE_DEVICES, which nobody reads outside of a container."""
    on_host = not v.environment.container and bool(v.environment.command)
    return None if on_host else v("NVIDIA_VISIBLE_DEVICES")


def how_many(v: Together) -> int | None:
    """How many GPUs the process sees, where the file says."""
    environment = v.environment
    if environment.device_count is not None:
        return environment.device_count
    if environment.devices and not any(one == "all" for one in environment.devices):
        return len(environment.devices)
    seen = _seen(v)
    return _count_of(seen) if seen and not environment.devices else None
