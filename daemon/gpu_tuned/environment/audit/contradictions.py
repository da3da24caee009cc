"""Variables that undo each other. The finding stands at the one that loses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gpu_tuned.environment.audit import devices
from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Finding, line_with
from gpu_tuned.environment.audit.together import Together

_OFF = frozenset({"0", "false", "off", "no", "f", "n"})


def findings(environment: Environment) -> Iterator[Finding]:
    values = Together(environment)
    for names, rule in _RULES:
        if any(name in values.by_name for name in names):
            yield from rule(values)
    yield from _overwritten(environment)
    yield from _twice(environment)


def _ptx(v: Together) -> Iterator[Finding]:
    if v.on("CUDA_FORCE_PTX_JIT") and v.on("CUDA_DISABLE_PTX_JIT"):
        for name in ("CUDA_FORCE_PTX_JIT", "CUDA_DISABLE_PTX_JIT"):
            yield v.finding(name, "CUDA_FORCE_PTX_JIT=1 and CUDA_DISABLE_PTX_JIT=1 together: no kernel can load")


def _cache(v: Together) -> Iterator[Finding]:
    if v.on("CUDA_CACHE_DISABLE"):
        for name in ("CUDA_CACHE_PATH", "CUDA_CACHE_MAXSIZE"):
            if v(name):
                yield v.finding(name, f"{name} has no effect with CUDA_CACHE_DISABLE=1")


def _alloc(v: Together) -> Iterator[Finding]:
    old, new = v("PYTORCH_CUDA_ALLOC_CONF"), v("PYTORCH_ALLOC_CONF")
    if old and new and old.replace(" ", "") != new.replace(" ", ""):
        yield v.finding(
            "PYTORCH_ALLOC_CONF",
            "PYTORCH_CUDA_ALLOC_CONF is set to something else, and wins from torch "
            "2.10 on; before, this name is not read for CUDA at all",
        )


def _alloc_version(v: Together) -> Iterator[Finding]:
    """torch 2.9 reads the newer name and leaves it aside for CUDA, older ones do not know it."""
    version = re.match(r"(\d+)\.(\d+)", v.environment.components.get("pytorch", ""))
    if version is None or (int(version[1]), int(version[2])) >= (2, 10):
        return
    one = v.by_name["PYTORCH_ALLOC_CONF"]
    if one.value and not v("PYTORCH_CUDA_ALLOC_CONF"):
        message = (
            f"torch {version[0]} does not take PYTORCH_ALLOC_CONF for CUDA, 2.10 does; the older name always works"
        )
        right = line_with(one, "PYTORCH_CUDA_ALLOC_CONF", one.value)
        where = v.environment.label
        yield Finding("not-yet-read", one.name, one.place, Certainty.CERTAIN, message, right, where=where)


def _nccl(v: Together) -> Iterator[Finding]:
    if v.on("NCCL_P2P_DISABLE"):
        if v("NCCL_P2P_LEVEL"):
            yield v.finding("NCCL_P2P_LEVEL", "NCCL_P2P_LEVEL has no effect: NCCL_P2P_DISABLE=1 wins")
        if v.on("NCCL_SHM_DISABLE"):
            yield v.finding(
                "NCCL_P2P_DISABLE",
                "with NCCL_SHM_DISABLE=1 as well all traffic between the GPUs of a host takes the network",
                id="harmful-value",
            )
            yield v.finding(
                "NCCL_SHM_DISABLE",
                "with NCCL_P2P_DISABLE=1 as well all traffic between the GPUs of a host takes the network",
            )
    if v.on("NCCL_IB_DISABLE") and v("NCCL_IB_HCA"):
        yield v.finding("NCCL_IB_HCA", "NCCL_IB_HCA has no effect with NCCL_IB_DISABLE=1")
    subsys, debug = v("NCCL_DEBUG_SUBSYS"), v.by_name.get("NCCL_DEBUG")
    legal_words = {"VERSION", "WARN", "ABORT", "ATTN"}
    if subsys and "NCCL_DEBUG_SUBSYS" in v.by_name:
        if debug is None:
            yield v.finding("NCCL_DEBUG_SUBSYS", "has no effect without NCCL_DEBUG=INFO or TRACE", Certainty.LOW)
        elif (debug.value or "").upper() in legal_words:
            yield v.finding(
                "NCCL_DEBUG_SUBSYS", f"has no effect with NCCL_DEBUG={debug.value}; it wants INFO or TRACE"
            )


def _torch_nccl(v: Together) -> Iterator[Finding]:
    handling = v("TORCH_NCCL_ASYNC_ERROR_HANDLING")
    if v.on("TORCH_NCCL_BLOCKING_WAIT") and handling and handling != "0":
        yield v.finding("TORCH_NCCL_ASYNC_ERROR_HANDLING", "has no effect: TORCH_NCCL_BLOCKING_WAIT=1 wins")


def _openmp(v: Together) -> Iterator[Finding]:
    if v("KMP_AFFINITY") and v("OMP_PROC_BIND"):
        yield v.finding(
            "OMP_PROC_BIND",
            "KMP_AFFINITY wins with Intel's and LLVM's OpenMP (GCC's ignores that one)",
            Certainty.LIKELY,
        )
    if v("GOMP_CPU_AFFINITY") and v("OMP_PLACES"):
        yield v.finding("GOMP_CPU_AFFINITY", "has no effect: OMP_PLACES wins with GCC's OpenMP", Certainty.LIKELY)


def _cudnn(v: Together) -> Iterator[Finding]:
    if v("CUDNN_LOGLEVEL_DBG") in ("1", "2", "3") and "CUDNN_LOGDEST_DBG" not in v.by_name:
        yield v.finding(
            "CUDNN_LOGLEVEL_DBG", "a log level without CUDNN_LOGDEST_DBG prints nothing", Certainty.LIKELY
        )


def _ollama(v: Together) -> Iterator[Finding]:
    kind, attention = v("OLLAMA_KV_CACHE_TYPE"), v("OLLAMA_FLASH_ATTENTION")
    if kind in ("q8_0", "q4_0") and attention in ("0", "f", "F", "false", "False", "FALSE"):
        yield v.finding(
            "OLLAMA_KV_CACHE_TYPE",
            f"a cache of {kind} needs flash attention, which OLLAMA_FLASH_ATTENTION={attention} turns off",
            right="f16",
        )


def _llama(v: Together) -> Iterator[Finding]:
    cache, attention = v("LLAMA_ARG_CACHE_TYPE_V"), v("LLAMA_ARG_FLASH_ATTN")
    if cache and cache[:1] in "qi" and (attention or "").lower() in ("off", "disabled", *_OFF):
        yield v.finding(
            "LLAMA_ARG_CACHE_TYPE_V",
            f"a V cache of {cache} needs flash attention, which LLAMA_ARG_FLASH_ATTN={attention} turns off",
            right="f16",
        )


def _llama_no(v: Together) -> Iterator[Finding]:
    for name in v.by_name:
        if name.startswith("LLAMA_ARG_NO_"):
            positive = "LLAMA_ARG_" + name.removeprefix("LLAMA_ARG_NO_")
            value = v(positive)
            if value is not None and value.lower() not in _OFF:
                yield v.finding(positive, f"has no effect: {name} wins, whatever its value")


def _tgi(v: Together) -> Iterator[Finding]:
    if "tgi" not in v.environment.components:
        return
    if v("ATTENTION") == "paged" and (v("PREFIX_CACHING") or "").lower() in ("1", "true"):
        yield v.finding("PREFIX_CACHING", "prefix caching needs ATTENTION=flashinfer or flashdecoding, not paged")
    shards = v("NUM_SHARD")
    if shards and shards.isdecimal() and int(shards) > 1:
        if (v("SHARDED") or "").lower() == "false":
            yield v.finding("NUM_SHARD", f"NUM_SHARD={shards} and SHARDED=false contradict each other")
        count = devices.how_many(v)
        if count is not None and int(shards) > count:
            yield v.finding("NUM_SHARD", f"{shards} shards on {count} visible GPU{'s' * (count != 1)}: start fails")


def _jax(v: Together) -> Iterator[Finding]:
    if v("XLA_PYTHON_CLIENT_ALLOCATOR") == "platform" and v("XLA_PYTHON_CLIENT_MEM_FRACTION"):
        yield v.finding("XLA_PYTHON_CLIENT_MEM_FRACTION", "has no effect with XLA_PYTHON_CLIENT_ALLOCATOR=platform")


_RULES: tuple[tuple[tuple[str, ...], Callable[[Together], Iterator[Finding]]], ...] = (
    (("CUDA_FORCE_PTX_JIT",), _ptx),
    (("CUDA_CACHE_DISABLE",), _cache),
    (("PYTORCH_ALLOC_CONF",), _alloc),
    (("PYTORCH_ALLOC_CONF",), _alloc_version),
    (("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE", "NCCL_DEBUG_SUBSYS"), _nccl),
    (("TORCH_NCCL_BLOCKING_WAIT",), _torch_nccl),
    (("OMP_PROC_BIND", "GOMP_CPU_AFFINITY"), _openmp),
    (("CUDNN_LOGLEVEL_DBG",), _cudnn),
    (("OLLAMA_KV_CACHE_TYPE",), _ollama),
    (("LLAMA_ARG_CACHE_TYPE_V",), _llama),
    (("PREFIX_CACHING", "NUM_SHARD"), _tgi),
    (("XLA_PYTHON_CLIENT_MEM_FRACTION",), _jax),
    (("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"), devices.visible),
)


def _overwritten(environment: Environment) -> Iterator[Finding]:
    """What a program sets itself, whatever is given."""
    if "sglang" in environment.components:
        one = environment.effective().get("CUDA_DEVICE_MAX_CONNECTIONS")
        if one is not None and one.value not in (None, "8"):
            yield Finding(
                "overwritten",
                one.name,
                one.place,
                Certainty.CERTAIN,
                "SGLang sets CUDA_DEVICE_MAX_CONNECTIONS to 8, whatever is given",
                where=environment.label,
            )
    if any(name.startswith("LLAMA_ARG_NO_") for name in environment.effective()):
        yield from _llama_no(Together(environment))


def _twice(environment: Environment) -> Iterator[Finding]:
    """The same name twice in one file with different values; between files a later one is meant to win."""
    if environment.container and environment.image and environment.label.startswith("stage"):
        return  # a Dockerfile builds its values up
    last: dict[str, Assignment] = {}
    for one in environment.assignments:
        before = last.get(one.name)
        if (
            before is not None
            and before.place.file == one.place.file
            and before.place.line != one.place.line
            and before.value is not None
            and one.value is not None
            and before.value != one.value
            and before.form == one.form
        ):
            yield Finding(
                "set-twice",
                one.name,
                before.place,
                Certainty.LIKELY,
                f"{one.name} is set again in line {one.place.line}, to something else; that one wins",
                where=environment.label,
            )
        last[one.name] = one
