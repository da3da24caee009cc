"""What belongs to containers: caches that are lost with them, and the pipe of MPS."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Finding, Mount

_CACHES = frozenset(
    {
        "CUDA_CACHE_PATH",
        "TRITON_CACHE_DIR",
        "TORCHINDUCTOR_CACHE_DIR",
        "VLLM_CACHE_ROOT",
        "FLASHINFER_WORKSPACE_BASE",
        "SGLANG_CACHE_DIR",
        "HF_HOME",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "TRANSFORMERS_CACHE",
        "TORCH_HOME",
        "LLAMA_CACHE",
        "OLLAMA_MODELS",
        "TILELANG_CACHE_DIR",
        "DG_JIT_CACHE_DIR",
    }
)
_LOADS_FROM = frozenset(
    {"TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "VLLM_CACHE_ROOT", "FLASHINFER_WORKSPACE_BASE"}
)
"""Compiled code is loaded from these, which a mount with noexec forbids."""
_CLIENT = frozenset(
    {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "CUDA_MPS_CLIENT_PRIORITY"}
)
_LIKE_A_CACHE = re.compile(r"cache|hugging|model|/hf|\.ollama|^/data\b", re.IGNORECASE)
_PASSING = ("/tmp", "/var/tmp", "/dev/shm", "/run")
_JIT_IN_TMP = frozenset({"pytorch"})


def findings(environment: Environment) -> Iterator[Finding]:
    if not environment.container:
        return
    for one in environment.assignments:
        if one.build_only or not one.value:
            continue
        if one.name in _CACHES:
            yield from _cache(one, environment)
        elif one.name == "CUDA_MPS_PIPE_DIRECTORY":
            yield from _pipe(one, environment)
        elif one.name in ("CUDA_MPS_LOG_DIRECTORY", "CUDA_MPS_PROTOCOL_VERSION"):
            yield from _daemon_only(one, environment)
    yield from _tmpfs(environment)
    yield from _service_link(environment)


def _service_link(environment: Environment) -> Iterator[Finding]:
    """Kubernetes sets VLLM_PORT=tcp://... in every pod beside a Service called vllm."""
    if "vllm" not in environment.service_names or "vllm" not in environment.components:
        return
    if "VLLM_PORT" not in environment.effective():
        yield Finding(
            "service-link",
            "VLLM_PORT",
            environment.place,
            Certainty.LIKELY,
            "the Service called vllm makes Kubernetes set VLLM_PORT=tcp://..., which stops vLLM: give the Service "
            "another name, or switch the links off",
            "enableServiceLinks: false",
            where=environment.label,
        )


def _cache(one: Assignment, environment: Environment) -> Iterator[Finding]:
    path = posixpath.normpath(one.value or "/")
    mount = _mount_of(path, environment)
    if mount is not None and not mount.tmpfs:
        return
    if mount is not None:
        bare = f"{one.name} lies on a tmpfs ({mount.target}): lost at every restart, and counted as memory"
        if mount.noexec and one.name in _LOADS_FROM:
            bare += "; and noexec there forbids loading what was compiled"
        yield _finding("cache-on-tmpfs", one, environment, Certainty.CERTAIN, bare + "; mount a volume")
    elif any(_below(path, root) for root in _PASSING):
        yield _finding(
            "cache-lost",
            one,
            environment,
            Certainty.LIKELY,
            f"{one.name} lies in the container's own {path}: lost with the container; mount a volume",
        )
    elif environment.complete:
        certainty = Certainty.LIKELY if _meant_for_a_volume(environment) else Certainty.LOW
        message = f"{one.name} lies on no volume: lost with the container"
        yield _finding("cache-lost", one, environment, certainty, message)


def _meant_for_a_volume(environment: Environment) -> bool:
    """An image of somebody's own may bring what is there; the project's own brings nothing, and who mounts a volume
    for a cache has meant this one, unless the model comes from that volume itself."""
    if not environment.official or not set(environment.components) & {"vllm", "sglang", "llama.cpp", "ollama"}:
        return False
    targets = [mount.target for mount in environment.mounts if _LIKE_A_CACHE.search(mount.target)]
    local = any(
        word.partition("=")[2].startswith(one) or word.startswith(one)
        for word in environment.command
        for one in targets
    )
    return bool(targets) and not local


def _pipe(one: Assignment, environment: Environment) -> Iterator[Finding]:
    if _is_daemon(environment):
        return
    mount = _mount_of(posixpath.normpath(one.value or "/"), environment)
    if mount is not None and mount.tmpfs:
        yield _finding(
            "mps-pipe",
            one,
            environment,
            Certainty.CERTAIN,
            f"the tmpfs on {mount.target} hides the daemon's pipe: CUDA runs without MPS and does not say so",
        )
    elif mount is None and environment.complete:
        yield _finding(
            "mps-pipe",
            one,
            environment,
            Certainty.LIKELY,
            f"{one.value} is not mounted from the host: CUDA runs without MPS and does not say so",
        )


def _daemon_only(one: Assignment, environment: Environment) -> Iterator[Finding]:
    if not _is_daemon(environment):
        client = bool(_CLIENT & environment.effective().keys()) or bool(environment.components)
        certainty = Certainty.LIKELY if client else Certainty.LOW
        yield Finding(
            "mps-daemon-only",
            one.name,
            one.place,
            certainty,
            f"only the MPS control daemon reads {one.name}; in a client it does nothing",
            where=environment.label,
        )


def _is_daemon(environment: Environment) -> bool:
    words = " ".join((environment.image, *environment.command))
    return "mps-control" in words or "mps-server" in words or "device-plugin" in words


def _tmpfs(environment: Environment) -> Iterator[Finding]:
    """A tmpfs on /tmp where compiled code is loaded from there without anybody saying so."""
    for mount in environment.mounts:
        if not mount.tmpfs or not mount.noexec or posixpath.normpath(mount.target) != "/tmp":
            continue
        set_elsewhere = "TORCHINDUCTOR_CACHE_DIR" in environment.effective()
        compiles = bool(set(environment.components) & _JIT_IN_TMP)
        certainty = Certainty.LIKELY if compiles and not set_elsewhere else Certainty.LOW
        yield Finding(
            "tmpfs-noexec",
            "tmpfs",
            mount.place,
            certainty,
            "a tmpfs is mounted noexec, and PyTorch loads what it compiled from /tmp; caches there are lost at "
            "every restart",
            f"- {mount.target}:exec",
            mount.written,
            environment.label,
        )


def _mount_of(path: str, environment: Environment) -> Mount | None:
    """The mount that a path lies on: the deepest; of two the later."""
    found = [mount for mount in environment.mounts if _below(path, posixpath.normpath(mount.target))]
    return max(found, key=lambda mount: len(posixpath.normpath(mount.target)), default=None)


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _finding(id: str, one: Assignment, environment: Environment, certainty: Certainty, message: str) -> Finding:
    return Finding(id, one.name, one.place, certainty, message, where=environment.label)
