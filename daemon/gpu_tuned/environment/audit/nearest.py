"""The value that was meant, where the rule of a variable cannot know it: another unit, another spelling."""

from __future__ import annotations

import re
from collections.abc import Callable

_ON = frozenset({"on", "yes", "y", "true", "enabled", "enable", "t"})
_OFF = frozenset({"off", "no", "n", "false", "disabled", "disable", "none", "f"})


def switches(value: str) -> tuple[str, ...]:
    """Other spellings of a word for on or off, commonest first; none where it is neither."""
    if value.lower() in _ON:
        return ("1", "true", "True", "on", "yes")
    return ("0", "false", "False", "off", "no") if value.lower() in _OFF else ()


_WHERE_OFF = {"LLAMA_ARG_MMAP": "LLAMA_ARG_LOAD_MODE=none"}
"""What a switch that is gone stood for where it was off, if that is not simply nothing."""
_ARCHITECTURES = re.compile(r"[0-9]+[af]?(?:[;, ]+[0-9]+[af]?)*")


def fitted(name: str, value: str | None, replacement: str, remark: str = "") -> str:
    """What takes the place of a name, as it is for the value that the name has here: a replacement that switches
    something on is none for a line that switches it off."""
    if value is None or not replacement:
        return replacement
    on = value.strip().lower() not in _OFF and value.strip() != "0"
    if remark == "opposite sense":
        return f"{replacement}={int(not on)}"
    if name == "CUDA_ARCHITECTURES" and _ARCHITECTURES.fullmatch(value):
        own = re.sub(r"\b(12[0-9])\b", r"\1a", value)  # as the replacement has it: 120 alone lacks instructions
        return replacement.replace("120a", own)
    if name == "OLLAMA_PORT":
        return f"OLLAMA_HOST (addr:{value})" if value.isdecimal() else replacement
    if on:
        return replacement
    if name in _WHERE_OFF:
        return _WHERE_OFF[name]
    switch = re.fullmatch(r"(\w+)=([0-9])", replacement)
    if switch and (switch[2] != "0" or "ENABLE" in switch[1]):
        return f"{switch[1]}={int(switch[2] == '0')}"
    return f"leave the line out ({replacement} switches it on)" if re.match(r"\w+=\w", replacement) else replacement


def _bytes_of(value: str) -> str:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])i?B?", value, re.IGNORECASE)
    if not match:
        return ""
    return str(int(float(match[1]) * 1024 ** ("KMGT".index(match[2].upper()) + 1)))


def _cache_size(value: str) -> str:
    size = _bytes_of(value)
    return str(min(int(size), 4294967296)) if size else ""


def _archs(value: str) -> str:
    def one(word: str) -> str:
        match = re.fullmatch(r"(?:sm_|compute_)?(\d+)[.,]?(\d)([af]?)(\+PTX)?", word)
        return f"{match[1]}.{match[2]}{match[3]}{match[4] or ''}" if match else ""

    words = [one(word) for word in re.split(r"[ ;]+", value.strip())]
    return ";".join(words) if all(words) else ""


BY_NAME: dict[str, Callable[[str], str]] = {
    "CUDA_CACHE_MAXSIZE": _cache_size,
    "NCCL_BUFFSIZE": _bytes_of,
    "OLLAMA_GPU_OVERHEAD": _bytes_of,
    "TORCH_CUDA_ARCH_LIST": _archs,
    "NCCL_P2P_LEVEL": lambda value: {"NVLINK": "NVL", "NODE": "PHB"}.get(
        value.upper(), value.upper() if value.upper() in ("LOC", "NVL", "PIX", "PXB", "PHB", "SYS") else ""
    ),
    "XLA_PYTHON_CLIENT_MEM_FRACTION": lambda value: f".{int(value):02d}" if re.fullmatch(r"[1-9]\d?", value) else "",
    "RAY_memory_usage_threshold": lambda value: _fraction(value),
    "CUDA_MEMORY_FRACTION": lambda value: _fraction(value),
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": lambda value: value.rstrip("% ") if value.rstrip().endswith("%") else "",
    "CUDA_SCALE_LAUNCH_QUEUES": lambda value: f"{value}x" if value in ("0.25", "0.5", "2", "4") else "",
    "NVIDIA_DRIVER_CAPABILITIES": lambda value: _capabilities(value),
    "NCCL_DEBUG": lambda value: "INFO" if value.upper() in ("VERBOSE", "DEBUG", "ON", "1", "TRUE", "ALL") else "",
    "OLLAMA_FLASH_ATTENTION": lambda value: {
        "off": "0",
        "no": "0",
        "on": "1",
        "yes": "1",
        "disabled": "0",
        "enabled": "1",
    }.get(value.lower(), ""),
    "OLLAMA_KEEP_ALIVE": lambda value: _go_duration(value),
    "OLLAMA_LOAD_TIMEOUT": lambda value: _go_duration(value),
    "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": lambda value: f"0={value}" if re.fullmatch(r"\d+[MG]B?", value) else "",
    "CUBLAS_WORKSPACE_CONFIG": lambda value: f":{value}" if re.fullmatch(r"\d+(:\d+)+", value) else "",
    "CUDA_VISIBLE_DEVICES": lambda value: value.replace(";", ",").replace("cuda:", ""),
    "TRTLLM_KVCACHE_TRANSFER_BUFFER_SIZE": lambda value: f"{value}MB" if value.isdecimal() else "",
}
_CAPABILITIES = ("compute", "compat32", "graphics", "utility", "video", "display", "ngx", "all")


def _capabilities(value: str) -> str:
    words = [part.strip() for part in value.split(",")]
    return ",".join(word for word in words if word in _CAPABILITIES) or "compute,utility"


def _fraction(value: str) -> str:
    """What was meant by percent."""
    match = re.fullmatch(r"(\d{1,3})%?", value)
    return f"{int(match[1]) / 100:g}" if match else ""


def _go_duration(value: str) -> str:
    match = re.fullmatch(r"(\d+)\s*(d|day|days|w|min|minutes?|hours?|hrs?|sec|seconds?)", value.lower())
    if not match:
        return "-1" if value.lower() in ("forever", "always", "infinite", "inf", "never") else ""
    number, unit = int(match[1]), match[2]
    if unit[0] == "d":
        return f"{24 * number}h"
    return f"{168 * number}h" if unit == "w" else f"{number}{unit[0]}"
