"""Legal values that do harm, and how sure that is without knowing the host."""

from __future__ import annotations

import re
from collections.abc import Callable

from gpu_tuned.environment.audit.model import Certainty, Environment

Harm = tuple[str, Certainty, str]
"""What it does, how sure that is, the value that would be better or ""."""
Rule = Callable[[str, Environment], "Harm | None"]
_LIKELY = Certainty.LIKELY


def _when(values: str, message: str, certainty: Certainty = Certainty.LIKELY, right: str = "") -> Rule:
    wanted = frozenset(values.split("|"))
    return lambda value, environment: (message, certainty, right) if value.lower() in wanted else None


_ENGINES = frozenset({"vllm", "sglang", "tgi", "tei", "llama.cpp", "ollama"})
_ASKS_NVML = frozenset({"vllm", "sglang", "dcgm-exporter"})


def _connections(value: str, environment: Environment) -> Harm | None:
    # SGLang sets its own, which is another finding.
    if value == "1" and set(environment.components) & (_ENGINES - {"sglang"}):
        return "is for training with overlapped tensor parallelism; here it puts all work into one queue", _LIKELY, ""
    return None


def _log_of_cudnn(value: str, environment: Environment) -> Harm | None:
    destination = environment.effective().get("CUDNN_LOGDEST_DBG")
    if value == "3" and destination is not None and destination.value != "NULL":
        return "logs every call of cuDNN", _LIKELY, ""
    return None


def _debug_file(value: str, environment: Environment) -> Harm | None:
    if "%" in value or value.startswith(("/dev/", "~")):
        return None
    stem, dot, ending = value.rpartition(".")
    right = f"{stem}.%h.%p.{ending}" if dot and "/" not in ending else f"{value}.%h.%p"
    return "all processes write into one file; %h and %p keep them apart", _LIKELY, right


def _interface(value: str, environment: Environment) -> Harm | None:
    if value not in ("lo", "docker0"):
        return None
    master = environment.effective().get("MASTER_ADDR")
    several = master is not None and master.value not in (None, "", "localhost", "127.0.0.1")
    return "reaches no other node", _LIKELY if several else Certainty.LOW, ""


def _host_memory(value: str, environment: Environment) -> Harm | None:
    if value != "1" or environment.may_place_memory:
        return None
    message = "needs the capability SYS_NICE in a container"
    return message, _LIKELY if environment.complete else Certainty.LOW, ""


def _cpu_only(value: str, environment: Environment) -> Harm | None:
    if environment.official and "vllm" in environment.components and "cpu" not in environment.image:
        return "has no effect on a GPU", _LIKELY, ""
    return None


def _dev_mode(value: str, environment: Environment) -> Harm | None:
    wanted = "--enable-sleep-mode" in environment.command
    if value == "1" and not wanted:
        return "exposes development endpoints to everybody who reaches the API", Certainty.LIKELY, ""
    return None


def _vllm_port(value: str, environment: Environment) -> Harm | None:
    if value in (_option(environment.command, "--port") or "8000",):
        return (
            "is not the port of the API but of vLLM's own processes; that one is --port",
            Certainty.LIKELY,
            f"--port {value}",
        )
    return None


def _option(command: tuple[str, ...], name: str) -> str | None:
    for at, word in enumerate(command):
        if word == name and at + 1 < len(command):
            return command[at + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _overhead(value: str, environment: Environment) -> Harm | None:
    if value.isdecimal() and 0 < int(value) < 1 << 20:
        return f"is {value} bytes, which is nothing", Certainty.LIKELY, str(int(value) << 20)
    return None


def _capabilities(value: str, environment: Environment) -> Harm | None:
    words = {word.strip() for word in value.split(",")}
    here = set(environment.components)
    if "all" in words:
        return None
    if "compute" not in words:
        needs = bool(here & (_ENGINES | {"pytorch", "tensorrt-llm", "triton-inference-server"}))
        right = ",".join(["compute", *value.split(",")])
        return "without compute the container has no libcuda", Certainty.CERTAIN if needs else Certainty.LOW, right
    if "utility" not in words and here & _ASKS_NVML:
        return "without utility the container has no NVML, which is asked for its GPUs", _LIKELY, f"{value},utility"
    return None


def _loopback(value: str, environment: Environment) -> Harm | None:
    host = re.sub(r"^\w+://", "", value)
    if environment.container and environment.published and re.match(r"(127\.|localhost|\[?::1)", host):
        port = re.search(r":(\d+)$", host)
        right = "0.0.0.0" + (f":{port[1]}" if port else "")
        return (
            "nobody outside of the container reaches this address; the published port is dead",
            Certainty.CERTAIN,
            right,
        )
    return None


def _ucx(value: str, environment: Environment) -> Harm | None:
    words = {word.strip() for word in value.split(",")}
    if value.startswith("^") or "all" in words or any(word.startswith(("cuda", "gdr")) for word in words):
        return None
    return "without cuda_copy and cuda_ipc buffers on a GPU fail", Certainty.LIKELY, f"{value},cuda_copy,cuda_ipc"


BY_NAME: dict[str, Rule] = {
    "CUDA_LAUNCH_BLOCKING": _when("1", "every kernel launch waits for the one before; for debugging alone"),
    "CUDA_CACHE_DISABLE": _when("1", "every start compiles its kernels anew"),
    "CUDA_VISIBLE_DEVICES": _when("-1", "hides every GPU", Certainty.LOW),
    "CUDA_DEVICE_ORDER": _when(
        "fastest_first",
        "is the default; with unlike GPUs indices differ from nvidia-smi's",
        Certainty.LOW,
        "PCI_BUS_ID",
    ),
    "CUBLAS_WORKSPACE_CONFIG": lambda value, environment: (
        ("leaves cuBLAS without a workspace", Certainty.LIKELY, ":4096:8")
        if re.fullmatch(r"(:0:0)+", value)
        else (
            "is for deterministic algorithms, not for speed: PyTorch's default workspace is smaller",
            Certainty.LOW,
            "",
        )
    ),
    "CUDNN_LOGLEVEL_DBG": _log_of_cudnn,
    "CUDA_DEVICE_MAX_CONNECTIONS": _connections,
    "NCCL_DEBUG_FILE": _debug_file,
    "NCCL_CUMEM_HOST_ENABLE": _host_memory,
    "VLLM_CPU_KVCACHE_SPACE": _cpu_only,
    "TRITON_INTERPRET": _when("1|true|on|yes|y", "runs every kernel in an interpreter on the CPU"),
    "TORCH_DISTRIBUTED_DEBUG": _when("detail", "adds a barrier to every collective"),
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": _when("0", "a dead rank makes the others hang for ever", right="3"),
    "PYTORCH_NO_CUDA_MEMORY_CACHING": lambda value, environment: (
        ("every allocation goes to the driver: extremely slow", Certainty.LIKELY, "")
        if value.lower() not in ("0", "false", "off", "no")
        else None
    ),
    "VLLM_SERVER_DEV_MODE": _dev_mode,
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": _when(
        "1|true", "beyond the model's own length the output may be NaN, or CUDA may fail", Certainty.LOW
    ),
    "VLLM_PORT": _vllm_port,
    "OLLAMA_ORIGINS": _when("*", "any web page that a user opens may use the API"),
    "OLLAMA_GPU_OVERHEAD": _overhead,
    "OLLAMA_HOST": _loopback,
    "NVIDIA_DRIVER_CAPABILITIES": _capabilities,
    "NVIDIA_DISABLE_REQUIRE": _when(
        "1|true", "a driver that is too old is found out at the first CUDA call only", Certainty.LOW
    ),
    "NCCL_P2P_DISABLE": _when("1", "on hosts with NVLink several times slower", Certainty.LOW),
    "NCCL_DEBUG": _when("trace", "needs a debug build of NCCL", Certainty.LOW, "INFO"),
    "NCCL_P2P_LEVEL": _when(
        "sys", "across sockets or behind an IOMMU peer access can hang or corrupt data", Certainty.LOW
    ),
    "NCCL_SOCKET_IFNAME": _interface,
    "RAY_memory_monitor_refresh_ms": _when(
        "0", "turns off Ray's protection from running out of memory", Certainty.LOW
    ),
    "UCX_TLS": _ucx,
    "OMP_WAIT_POLICY": _when("active", "burns the cores that others share", Certainty.LOW, "PASSIVE"),
    "CUDAFLAGS": lambda value, environment: (
        "only CMake reads it, when it first configures; the architecture is CUDAARCHS",
        Certainty.LOW,
        "",
    ),
}
