"""The catalogue of environment variables: made from its tables byte for byte, and what it answers.

Names, versions and replacements here are facts of packaging/environment; a test that needs a name which nobody reads
makes one up.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from gpu_tuned import environment
from gpu_tuned.environment import legal
from gpu_tuned.environment.facts import Kind, Role
from gpu_tuned.environment.judge import Certainty, Running, Standing
from gpu_tuned.environment.shipped import shipped

TOP = Path(__file__).parents[2]
TABLES = TOP / "packaging/environment"
SHIPPED = Path(environment.__file__).with_name("data")


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = spec_from_file_location("make_environment", TABLES / "make.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_catalogue_is_what_the_tables_give(make: ModuleType) -> None:
    made = {name: text.encode() for name, text in make.made().items()}
    assert made == {path.name: path.read_bytes() for path in SHIPPED.iterdir()}
    assert made == {name: text.encode() for name, text in make.made().items()}


def test_check_tells_a_difference(make: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "DATA", tmp_path)
    assert make.main([]) == 0
    assert make.main(["--check"]) == 0
    (tmp_path / "removed.tsv").write_text("VLLM_USE_V1\tsomething else\n")
    assert make.main(["--check"]) == 1


@pytest.mark.parametrize(
    ("file", "was", "planted"),
    [
        ("known_names.tsv", "\taccelerate\t", "\tnobody knows\t"),
        ("removed_names.tsv", "(deprecated alias)", "(gone to the dogs)"),
        ("namespaces.tsv", "\tmostly\t", "\tperhaps\t"),
    ],
)
def test_a_phrase_that_is_not_known_stops_the_making(
    make: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, was: str, planted: str
) -> None:
    for path in filter(Path.is_file, TABLES.iterdir()):  # a __pycache__ may lie there too
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / file).read_text()
    assert was in text
    (tmp_path / file).write_text(text.replace(was, planted, 1))
    monkeypatch.setattr(make, "HERE", tmp_path)
    with pytest.raises(SystemExit, match=file):
        make.made()


def test_every_row_of_the_tables_is_found_again() -> None:
    catalogue = shipped()
    for line in (TABLES / "known_names.tsv").read_text().splitlines()[1:]:
        name, _, version, _, kind, since, _ = line.split("\t")
        asked = name.removesuffix("*") + ("ANYTHING" if kind == "prefix" or name.endswith("*") else "")
        rows = catalogue.facts(asked).readers
        assert any(row.version == version and row.since == since for row in rows), name
        assert all(row.component in catalogue.components for row in rows)
    for line in (TABLES / "removed_names.tsv").read_text().splitlines()[1:]:
        assert catalogue.facts(line.split("\t")[0]).removed, line
    for line in (TABLES / "values.tsv").read_text().splitlines()[1:]:
        name = line.split("\t")[0].split(" ")[0].replace("*", "X")
        (value,) = catalogue.facts(name).values
        assert value.legal == line.split("\t")[2]


def test_readme_says_how_much_is_known() -> None:
    known = f"{shipped().names_read // 100 * 100:,} names of {len(shipped().components)} components"
    assert known in (Path(__file__).parents[2] / "README.md").read_text()


def test_the_kinds_are_kept() -> None:
    catalogue = shipped()
    assert catalogue.facts("GGML_CUDA_NO_PINNED").readers[0].kind is Kind.PRESENCE
    assert catalogue.facts("LLAMA_ARG_NO_CONT_BATCHING").values[0].rule == "presence"
    assert catalogue.facts("UCX_TLS_OF_SOMEBODY").readers[0].kind is Kind.PREFIX
    assert not catalogue.facts("NEVER_HEARD_OF").known


def test_loading_is_quick() -> None:
    """50 ms of a processor, imports included; the best of several, since other tests run beside this one."""
    code = """
        import time
        start = time.process_time()
        from gpu_tuned.environment.shipped import shipped
        shipped().judge("NCCL_DEBUG"), shipped().facts("HF_HOME")
        print(time.process_time() - start)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    taken_s = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(7)]
    assert min(taken_s) < 0.050, taken_s


VLLM = Running("vllm", "0.33.0")
SGLANG = Running("sglang", "0.5.23")
TGI = Running("tgi", "3.3.7")

JUDGED = [
    # removed, by version; between the last and the first without it nobody looked
    ("VLLM_USE_V1", [Running("vllm", "0.11.0")], Standing.READ, Certainty.CERTAIN),
    ("VLLM_USE_V1", [Running("vllm", "v0.11.1")], Standing.REMOVED, Certainty.CERTAIN),
    ("VLLM_USE_V1", [Running("vllm", "0.11.0.post1")], Standing.REMOVED, Certainty.LIKELY),
    ("VLLM_USE_V1", [Running("vllm", "latest")], Standing.REMOVED, Certainty.LIKELY),
    ("VLLM_USE_V1", [], Standing.REMOVED, Certainty.LIKELY),
    ("VLLM_USE_V1", [SGLANG], Standing.ELSEWHERE, Certainty.LIKELY),
    ("OLLAMA_NUM_PARALLEL", [VLLM], Standing.ELSEWHERE, Certainty.LIKELY),
    ("MAX_TOTAL_TOKENS", [VLLM], Standing.ELSEWHERE, Certainty.LOW),
    ("HF_TOKEN", [VLLM], Standing.READ, Certainty.CERTAIN),
    ("TRANSFORMERS_CACHE", [VLLM, Running("transformers", "4.57.1")], Standing.READ, Certainty.CERTAIN),
    ("TRANSFORMERS_CACHE", [VLLM, Running("transformers", "5.1")], Standing.REMOVED, Certainty.CERTAIN),
    ("TRANSFORMERS_CACHE", [VLLM], Standing.REMOVED, Certainty.LIKELY),
    # a component that still reads it makes it no mistake
    ("HF_HUB_ENABLE_HF_TRANSFER", [TGI], Standing.READ, Certainty.CERTAIN),
    ("HF_HUB_ENABLE_HF_TRANSFER", [VLLM], Standing.REMOVED, Certainty.LIKELY),
    ("HF_HUB_ENABLE_HF_TRANSFER", [], Standing.REMOVED, Certainty.LOW),
    ("HUGGINGFACE_HUB_CACHE", [TGI], Standing.READ, Certainty.CERTAIN),
    ("USE_TORCH", [VLLM], Standing.READ, Certainty.CERTAIN),
    ("USE_TORCH", [Running("transformers", "5.0.0")], Standing.READ, Certainty.CERTAIN),
    # old names that still work, are rewritten, or stop the program
    ("NCCL_ASYNC_ERROR_HANDLING", [], Standing.RENAMED, Certainty.LIKELY),
    ("SGL_ENABLE_JIT_DEEPGEMM", [SGLANG], Standing.RENAMED, Certainty.CERTAIN),
    ("SGL_ENABLE_JIT_DEEPGEMM", [Running("sglang", "0.5.3")], Standing.READ, Certainty.CERTAIN),
    ("SGL_LOG_GC", [SGLANG], Standing.RENAMED, Certainty.CERTAIN),
    ("SGL_MAKE_IT_FASTER", [SGLANG], Standing.UNREAD, Certainty.CERTAIN),
    ("LLAMA_ARG_DRAFT_MAX", [Running("llama.cpp", "ggml 0.25.3")], Standing.FATAL, Certainty.CERTAIN),
    ("LLAMA_ARG_DRAFT_MAX", [Running("llama.cpp", "ggml 0.9.11")], Standing.FATAL, Certainty.LOW),
    ("CUDA_AUTO_BOOST", [], Standing.NO_EFFECT, Certainty.LIKELY),
    ("PYTORCH_CUDA_ALLOC_CONF", [], Standing.READ, Certainty.CERTAIN),
    # llama.cpp counts twice, and its build numbers say nothing
    ("LLAMA_ARG_MLOCK", [Running("llama.cpp", "llama-cpp-python 0.3.34")], Standing.READ, Certainty.CERTAIN),
    ("LLAMA_ARG_MLOCK", [Running("llama.cpp", "llama-cpp-python 0.3.36")], Standing.REMOVED, Certainty.CERTAIN),
    ("LLAMA_ARG_MLOCK", [Running("llama.cpp", "0.16.0")], Standing.READ, Certainty.CERTAIN),
    ("LLAMA_ARG_MLOCK", [Running("llama.cpp", "b9999")], Standing.REMOVED, Certainty.LIKELY),
    ("LLAMA_ARG_MLOCK", [Running("ollama", "0.33.0")], Standing.REMOVED, Certainty.LIKELY),
    # too early
    ("OLLAMA_FLASH_ATTENTION", [Running("ollama", "0.1.38")], Standing.NOT_YET, Certainty.LIKELY),
    # nobody: only where the namespace is known whole, or the name was looked for
    ("VLLM_MAKE_IT_FASTER", [VLLM], Standing.UNREAD, Certainty.CERTAIN),
    ("VLLM_MAKE_IT_FASTER", [Running("vllm", "0.34.0")], Standing.UNREAD, Certainty.LIKELY),
    ("VLLM_MAKE_IT_FASTER", [], Standing.UNREAD, Certainty.LIKELY),
    ("VLLM_GPU_MEMORY_UTILIZATION", [VLLM], Standing.UNREAD, Certainty.LIKELY),
    ("CUDA_TENSOR_CORES", [], Standing.UNREAD, Certainty.CERTAIN),
    ("CUDA_MADE_UP_HERE", [], Standing.UNKNOWN, Certainty.LOW),
    ("MY_OWN_APPLICATION", [], Standing.UNKNOWN, Certainty.LOW),
    ("HF_MADE_UP_HERE", [], Standing.UNKNOWN, Certainty.LOW),
    # plugins, builds, images, wrappers, Kubernetes
    ("NCCL_FASTRAK_CTRL_DEV", [Running("nccl", "2.30.7")], Standing.UNKNOWN, Certainty.LOW),
    ("GGML_CUDA", [Running("llama.cpp", "ggml 0.25.3")], Standing.UNREAD, Certainty.LIKELY),
    ("VLLM_ASCEND_ANYTHING", [VLLM], Standing.READ, Certainty.LIKELY),
    ("LMCACHE_SOME_SETTING", [VLLM], Standing.READ, Certainty.LIKELY),
    ("NV_CUDNN_VERSION_X", [], Standing.READ, Certainty.LIKELY),
    ("CUDA_VERSION", [], Standing.READ, Certainty.CERTAIN),
    ("VLLM_SERVICE_PORT_HTTP", [VLLM], Standing.READ, Certainty.LIKELY),
    ("VLLM_PORT_8000_TCP_ADDR", [VLLM], Standing.READ, Certainty.LIKELY),
    ("GPU_MEMORY_UTILIZATION", [VLLM], Standing.WRAPPER, Certainty.LIKELY),
]


@pytest.mark.parametrize(("name", "running", "standing", "certainty"), JUDGED)
def test_judged(name: str, running: list[Running], standing: Standing, certainty: Certainty) -> None:
    verdict = shipped().judge(name, running)
    assert (verdict.standing, verdict.certainty) == (standing, certainty)


def test_what_has_values_is_not_switched_by_its_presence() -> None:
    llama = [Running("llama.cpp")]
    assert shipped().judge("GGML_CUDA_NO_PINNED", llama).kind is Kind.PRESENCE
    assert shipped().judge("KMP_BLOCKTIME", llama).kind is Kind.EXACT


def test_a_verdict_says_what_to_set_instead() -> None:
    verdict = shipped().judge("GGML_CUDA_FORCE_CUBLAS_COMPUTE_32F")
    assert verdict.replacement == "GGML_CUDA_CUBLAS_COMPUTE_TYPE=f32"
    assert (verdict.last, verdict.first_without) == ("ggml 0.15.3", "ggml 0.16.0")
    assert "ggml-cuda" in verdict.source
    invented = shipped().judge("VLLM_ENABLE_PREFIX_CACHING", [VLLM])
    assert "--no-enable-prefix-caching" in invented.replacement


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PYTHON_PATH", "PYTHONPATH"),
        ("RAY_MEMORY_USAGE_THRESHOLD", "RAY_memory_usage_threshold"),
        ("SGLANG_GC_LOG", "SGLANG_LOG_GC"),
        ("LLAMA_ARG_NGL", "LLAMA_ARG_N_GPU_LAYERS"),
        ("NCCL_P2P_DISABLED", "NCCL_P2P_DISABLE"),
        ("CUDA_VISIBLE_DEVICE", "CUDA_VISIBLE_DEVICES"),
        ("HF_HUBCACHE", "HF_HUB_CACHE"),
        ("nccl_debug", "NCCL_DEBUG"),
        ("CUDA_COPY_SPLIT_THRESHOLD", "CUDA_COPY_SPLIT_THRESHOLD_MB"),
        ("VLLM_WORKER_MULTIPROCESSING_METHOD", "VLLM_WORKER_MULTIPROC_METHOD"),
    ],
)
def test_near_misses(name: str, meant: str) -> None:
    assert shipped().near(name)[0] == meant


@pytest.mark.parametrize("name", ["MY_OWN_APPLICATION", "FOO", "CUDA_TENSOR_CORES", "A"])
def test_nothing_is_near_what_is_far(name: str) -> None:
    assert shipped().near(name) == []


LEGAL = [
    ("CUDA_DEVICE_MAX_CONNECTIONS", "32", True),
    ("CUDA_DEVICE_MAX_CONNECTIONS", "64", False),
    ("CUDA_CACHE_MAXSIZE", "4294967296", True),
    ("CUDA_CACHE_MAXSIZE", "4G", False),
    ("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "0", False),
    ("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "37.5", True),
    ("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "50%", False),
    ("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "0=8G,1=512M", True),
    ("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "8G", False),
    ("CUDA_VISIBLE_DEVICES", "0,1", True),
    ("CUDA_VISIBLE_DEVICES", "", True),
    ("CUDA_VISIBLE_DEVICES", "all", False),
    ("CUDA_VISIBLE_DEVICES", "MIG-GPU-0e2f/1/0", True),
    ("NVIDIA_VISIBLE_DEVICES", "all", True),
    ("NVIDIA_VISIBLE_DEVICES", "nvidia.com/gpu=GPU-0e2f", True),
    ("NVIDIA_DRIVER_CAPABILITIES", "gpu,compute", False),
    ("NVIDIA_REQUIRE_CUDA", "cuda>=12.8 brand=tesla,driver>=535,driver<536", True),
    ("NVIDIA_REQUIRE_CUDA", '"cuda>=12.8"', False),
    ("NCCL_DEBUG", "warn", True),
    ("NCCL_DEBUG", "VERBOSE", False),
    ("NCCL_DEBUG_SUBSYS", "^INIT,COLL", True),
    ("NCCL_P2P_LEVEL", "NVLINK", False),
    ("NCCL_IB_TIMEOUT", "60", False),
    ("TORCH_CUDA_ARCH_LIST", "8.9;12.0+PTX", True),
    ("TORCH_CUDA_ARCH_LIST", "9.0a 12.0a", True),
    ("TORCH_CUDA_ARCH_LIST", "sm_90", False),
    ("CUBLAS_WORKSPACE_CONFIG", ":4096:2:16:8", True),
    ("CUBLAS_WORKSPACE_CONFIG", "4096:8", False),
    ("VLLM_USE_DEEP_GEMM", "true", False),
    ("VLLM_PORT", "tcp://10.0.0.1:8000", False),
    ("VLLM_LOGGING_LEVEL", "info", True),
    ("OLLAMA_KEEP_ALIVE", "1h30m", True),
    ("OLLAMA_KEEP_ALIVE", "-1", True),
    ("OLLAMA_KEEP_ALIVE", "1d", False),
    ("OLLAMA_FLASH_ATTENTION", "off", False),
    ("LLAMA_ARG_N_GPU_LAYERS", "auto", True),
    ("LLAMA_ARG_N_GPU_LAYERS", "-1", True),
    ("PYTHONHASHSEED", "random", True),
    ("PYTHONHASHSEED", "abc", False),
    ("XLA_PYTHON_CLIENT_MEM_FRACTION", ".90", True),
    ("XLA_PYTHON_CLIENT_MEM_FRACTION", "90", False),
    ("OMP_NUM_THREADS", "0", False),
    ("GGML_CUDA_NO_PINNED", "0", True),
    ("HF_HOME", "anything", None),
]


@pytest.mark.parametrize(("name", "text", "wanted"), LEGAL)
def test_legal_values(name: str, text: str, wanted: bool | None) -> None:
    (value,) = shipped().facts(name).values
    assert legal.is_legal(value, text) is wanted


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("PYTHONUNBUFFERED", "sys.stdout.write_through"),
        ("PYTHONDONTWRITEBYTECODE", "sys.flags.dont_write_bytecode"),
        ("PYTHONNOUSERSITE", "sys.flags.no_user_site"),
        ("PYTHONOPTIMIZE", "sys.flags.optimize"),
        ("PYTHONFAULTHANDLER", "__import__('faulthandler').is_enabled()"),
        ("PYTHONDEVMODE", "sys.flags.dev_mode"),
        ("PYTHONASYNCIODEBUG", "__import__('asyncio').new_event_loop().get_debug()"),
    ],
)
def test_the_interpreter_takes_0_as_the_catalogue_says(name: str, flag: str) -> None:
    def on(text: str) -> bool:
        script = f"import sys; print(bool({flag}))"
        return subprocess.check_output([sys.executable, "-c", script], env={name: text}, text=True) == "True\n"

    (value,) = shipped().facts(name).values
    assert (on(""), on("0"), on("1")) == (False, value.rule == "presence", True)
    assert value.rule != "presence" or value.argument == "non-empty"


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("NCCL_P2P_LEVEL", "NVLINK", "NVL"),
        ("CUDA_DEVICE_MAX_CONNECTIONS", "64", "32"),
        ("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "150", "100"),
        ("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "0", ""),
        ("VLLM_USE_DEEP_GEMM", "true", "1"),
        ("VLLM_WORKER_MULTIPROC_METHOD", "spwan", "spawn"),
        ("NCCL_DEBUG", "warning", "WARN"),
        ("NCCL_DEBUG", "loud", ""),
    ],
)
def test_the_nearest_legal_value(name: str, text: str, wanted: str) -> None:
    (value,) = shipped().facts(name).values
    assert legal.nearest(value, text) == wanted


def test_a_default_that_is_one_value_is_legal() -> None:
    """The rules were written beside the tables: one that refuses the reader's own default is wrong."""
    for value in shipped().values.values():
        one_word = re.fullmatch(r"[\w.:]+", value.default) and value.default not in TOLD_IN_WORDS
        if one_word and value.rule not in ("", "presence"):
            assert legal.is_legal(value, value.default), (value.name, value.default)


TOLD_IN_WORDS = {"unset", "automatic", "image", "detected", "implementation", "cores", "on"}


def test_every_component_has_a_part_to_play() -> None:
    catalogue = shipped()
    used = {row for name in catalogue.names for row in (r.component for r in catalogue.facts(name).readers)}
    used |= {row.component for name in catalogue.names for row in catalogue.facts(name).removed}
    used |= {row.component for prefix in catalogue.prefixes for row in catalogue.facts(f"{prefix}X").readers}
    assert used == set(catalogue.components)
    assert {component.role for component in catalogue.components.values()} == set(Role)
