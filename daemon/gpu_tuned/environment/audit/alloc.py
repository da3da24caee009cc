"""PYTORCH_CUDA_ALLOC_CONF: `key:value[,key:value]`, where an unknown key or a wrong value stops the program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

NAMES = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
_BOOLEANS = frozenset(
    {
        "expandable_segments",
        "release_lock_on_cudamalloc",
        "pinned_use_cuda_host_register",
        "pinned_use_background_threads",
        "graph_capture_record_stream_reuse",
        "throw_on_cudamalloc_oom",
    }
)
_NUMBERS = {
    # (from, to); the smallest split that the allocator takes is its large buffer, 20 MiB.
    "max_split_size_mb": (20, None),
    "max_non_split_rounding_mb": (20, None),
    "large_segment_size_mb": (20, None),
    "pinned_num_register_threads": (1, None),
    "pinned_reserve_segment_size_mb": (0, None),
}
_FRACTIONS = ("garbage_collection_threshold", "per_process_memory_fraction")
_OTHERS = (
    "backend",
    "roundup_power2_divisions",
    "roundup_bypass_threshold_mb",
    "pinned_max_round_threshold_mb",
    "pinned_max_cached_size_mb",
    "pinned_max_power2_size_mb",
    "use_async_allocator",
)
_KEYS = (*_BOOLEANS, *_NUMBERS, *_FRACTIONS, *_OTHERS)
_IGNORED_BY_ASYNC = (
    "expandable_segments",
    "max_split_size_mb",
    "garbage_collection_threshold",
    "roundup_power2_divisions",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One key that is wrong."""

    key: str
    message: str
    right: str | None
    """The whole value with this mended; None where that is not known."""
    sure: bool = True


def parse(text: str) -> list[tuple[str, str]]:
    """Keys with their values, in order; a list in brackets is one value."""
    pairs = []
    for part in re.findall(r"[^,\[\]]+(?:\[[^\]]*\])?[^,\[\]]*", text):
        key, _, value = part.partition(":")
        if part.strip():
            pairs.append((key.strip(), value.strip()))
    return pairs


def illegal(text: str) -> Iterator[Problem]:
    """Keys that are none, and values that their keys do not take."""
    if re.search(r"[a-z]\s*=", text):
        yield Problem("", "keys and values are parted by a colon, not by =", text.replace("=", ":"))
        return
    pairs = parse(text)
    for key, value in pairs:
        if key not in _KEYS:
            near = get_close_matches(key.lower(), _KEYS, 1, 0.75)
            hint = f" ({near[0]})" if near else ""
            yield Problem(
                key, f"{key} is no key{hint}", _with(pairs, key, near[0], value) if near else None, bool(near)
            )
        elif problem := _value(key, value, pairs):
            yield problem


def _value(key: str, value: str, pairs: list[tuple[str, str]]) -> Problem | None:
    if key in _BOOLEANS and value not in ("True", "False"):
        on = value.lower() in ("true", "1", "yes", "on")
        return Problem(key, f"{key} wants True or False, in that case", _with(pairs, key, key, str(on)))
    if key in _NUMBERS:
        low, _ = _NUMBERS[key]
        if not re.fullmatch(r"\d+", value):
            return Problem(
                key, f"{key} wants a whole number of MiB" if key.endswith("_mb") else f"{key} wants a number", None
            )
        if low is not None and int(value) < low:
            return Problem(key, f"{key} must be at least {low}", _with(pairs, key, key, str(low)))
    if key in _FRACTIONS:
        match = re.fullmatch(r"\d*\.?\d+", value)
        if not match or not 0 < float(value) < (1 if key.startswith("garbage") else 1.000001):
            return Problem(key, f"{key} must lie above 0 and below 1", None)
    if key == "backend" and value not in ("native", "cudaMallocAsync"):
        return Problem(key, "backend is native or cudaMallocAsync", None)
    return None


def contradictory(text: str) -> Iterator[Problem]:
    """Keys that undo each other."""
    pairs = parse(text)
    found = dict(pairs)
    if found.get("backend") == "cudaMallocAsync":
        ignored = [key for key in _IGNORED_BY_ASYNC if key in found]
        if ignored:
            right = ",".join(f"{key}:{value}" for key, value in pairs if key not in ignored)
            yield Problem("backend", f"backend:cudaMallocAsync ignores {', '.join(ignored)}", right)
    elif found.get("expandable_segments") == "True" and "max_split_size_mb" in found:
        right = ",".join(f"{key}:{value}" for key, value in pairs if key != "max_split_size_mb")
        message = "max_split_size_mb has no use with expandable_segments:True, and can keep free memory from use"
        yield Problem("max_split_size_mb", message, right)


def inert(text: str) -> Iterator[Problem]:
    """Keys that do nothing by themselves."""
    found = dict(parse(text))
    if "garbage_collection_threshold" in found and "per_process_memory_fraction" not in found:
        message = "garbage_collection_threshold does nothing unless a memory fraction is set as well"
        yield Problem("garbage_collection_threshold", message, None)


def _with(pairs: list[tuple[str, str]], old: str, new: str, value: str) -> str:
    return ",".join(f"{new}:{value}" if key == old else f"{key}:{had}" for key, had in pairs)
