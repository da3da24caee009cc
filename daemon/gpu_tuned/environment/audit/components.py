"""What runs in an environment, and in which version: from the image's name and tag, and from the command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_tuned.environment.audit.model import Environment
from gpu_tuned.environment.audit.readers.words import script_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.environment.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class _Image:
    pattern: str
    """Found anywhere in the image's name, without its tag, in lower case."""
    components: tuple[str, ...]
    """The first has its version in the tag."""
    versioned: bool = True
    """The tag counts as the component does; NGC's months, build numbers and a wrapper's own versions do not."""
    official: bool = True
    """The project's own image: its entrypoint reads no names of its own."""


# First match counts: the wrappers and bundles before what they wrap.
_IMAGES = (
    _Image(r"runpod/worker-v1-vllm|runpod/worker-vllm", ("vllm", "worker-vllm"), versioned=False, official=False),
    _Image(r"vllm-ascend", ("vllm", "vllm-ascend"), versioned=False),
    _Image(r"lmcache/vllm-openai", ("vllm", "lmcache"), versioned=False),
    _Image(r"rayproject/ray-llm|rayproject/ray-ml", ("ray", "vllm"), versioned=False),
    _Image(r"rayproject/ray", ("ray",)),
    _Image(r"kserve/huggingfaceserver", ("vllm", "transformers"), versioned=False, official=False),
    _Image(r"nvcr\.io/nvidia/vllm", ("vllm",), versioned=False),
    _Image(
        r"^(docker\.io/)?vllm/vllm-openai|/vllm/vllm-openai|^(docker\.io/)?vllm/vllm$|vllm-release-repo", ("vllm",)
    ),
    _Image(r"nvcr\.io/nvidia/sglang", ("sglang",), versioned=False),
    _Image(r"lmsysorg/sglang", ("sglang",)),
    _Image(r"huggingface/text-generation-inference", ("tgi",)),
    _Image(r"huggingface/text-embeddings-inference", ("tei",)),
    _Image(r"(ggml-org|ggerganov)/llama\.cpp", ("llama.cpp",), versioned=False),
    _Image(r"^(docker\.io/)?ollama/ollama|/ollama/ollama", ("ollama",)),
    _Image(r"localai/localai|go-skynet/local-ai|mudler/localai", ("localai",)),
    _Image(r"open-webui/open-webui", ("open-webui",)),
    _Image(r"berriai/litellm", ("litellm",), versioned=False),
    _Image(r"nvcr\.io/nvidia/tritonserver|/tritonserver$", ("triton-inference-server",), versioned=False),
    _Image(r"tensorrt-llm", ("tensorrt-llm",)),
    _Image(r"^(docker\.io/)?pytorch/pytorch", ("pytorch",)),
    _Image(r"nvcr\.io/nvidia/pytorch", ("pytorch",), versioned=False),
    _Image(r"dcgm-exporter", ("dcgm-exporter",), versioned=False),
    _Image(r"k8s-device-plugin", ("k8s-device-plugin",)),
    # Somebody's own: the name says what is inside, the tag does not say which version.
    _Image(r"(?:^|[/_.-])vllm(?:$|[/_.-])", ("vllm",), versioned=False, official=False),
    _Image(r"(?:^|[/_.-])sglang(?:$|[/_.-])", ("sglang",), versioned=False, official=False),
    _Image(r"(?:^|[/_.-])llama[._-]?(cpp|server)(?:$|[/_.-])", ("llama.cpp",), versioned=False, official=False),
    _Image(r"(?:^|[/_.-])ollama(?:$|[/_.-])", ("ollama",), versioned=False, official=False),
)
_COMMANDS = (
    (r"(?:^|[ /])vllm +(?:serve|bench|run-batch)\b|\bvllm\.entrypoints\b", "vllm"),
    (r"\bsglang\.launch_server\b|(?:^|[ /])sglang +serve\b|\bsglang_router\b", "sglang"),
    (r"(?:^|[ /])llama-(?:server|cli|bench|swap)\b|\bllama_cpp\.server\b", "llama.cpp"),
    (r"(?:^|[ /])ollama +(?:serve|run)\b", "ollama"),
    (r"\btext-generation-(?:launcher|server|router)\b", "tgi"),
    (r"\btext-embeddings-router\b", "tei"),
    (r"(?:^|[ /])tritonserver\b", "triton-inference-server"),
    (r"\btrtllm-serve\b", "tensorrt-llm"),
    (r"(?:^|[ /])ray +start\b", "ray"),
    (r"(?:^|[ /])litellm\b", "litellm"),
    (r"(?:^|[ /])local-ai\b", "localai"),
)
_TAG_VERSION = re.compile(r"(?:^|(?<=[-_]))v?(\d+(?:\.\d+)+(?:\.?(?:post|rc|dev)\d+|-rc\d+)?)(?=$|[-_+])")
_ROLLING = re.compile(r"latest|nightly|main|master|edge|stable|dev|cuda|gpu|cpu|rocm|server|full|light|ollama", re.I)
_PACKAGES = {
    "torch": "pytorch",
    "huggingface-hub": "huggingface_hub",
    "hf-xet": "hf_xet",
    "llama-cpp-python": "llama.cpp",
}
_WHEEL = re.compile(
    r"(?<![\w.-])([A-Za-z][A-Za-z0-9_]*)-(\d+(?:\.\d+)+(?:\.?(?:post|rc|dev)\d+)?)(?:(?:\+|%2B)[\w.]+)?-(?:cp|py)\d\w*-"
)
_INSTALL = re.compile(r"\b(?:pip3?|uv)\s+(?:pip\s+)?(?:install|add)\s+([^&|;\n]*)")
_PACKAGE = re.compile(
    r"""(?<![\w./=:-])["']?([A-Za-z][A-Za-z0-9_.-]*)(?:\[[\w,-]*\])?(?:==\s*(\d[\w.+]*))?(?![\w/:.\[])"""
)


def fill_in(environment: Environment, catalogue: Catalogue, told: Mapping[str, str]) -> None:
    """Sets `components`, `official` and `pinned` of the environment; `told` is --component, which wins."""
    found = dict(environment.components)
    image, tag = split_image(environment.image)
    known = next((row for row in _IMAGES if image and re.search(row.pattern, image)), None)
    if known is not None:
        version = _version(tag) if known.versioned else _named_version(tag, known.components[0])
        environment.official = known.official
        environment.pinned = known.official and bool(tag) and not version and not _ROLLING.match(tag)
        if known.components[0] == "llama.cpp" and (build := re.search(r"\bb\d{3,}\b", tag)):
            version, environment.pinned = build[0], True
        found.setdefault(known.components[0], version)
        for other in known.components[1:]:
            found.setdefault(other, "")
        if known.components[0] == "open-webui" and "ollama" in tag:
            found.setdefault("ollama", "")
    line = " ".join(environment.command)[:4000]
    for component, version in _installed(f"{environment.installs}\n{line}", catalogue).items():
        found[component] = version or found.get(component, "")
    for pattern, component in _COMMANDS:
        if re.search(pattern, line):
            found.setdefault(component, "")
    for word, version in told.items():
        told_of = catalogue.component(word)
        if told_of is not None:
            found[told_of.id] = version
            environment.pinned = False
    environment.components = found


def split_image(image: str) -> tuple[str, str]:
    """Name in lower case, and tag; a digest is left out."""
    name = image.partition("@")[0].strip().lower()
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "")


def _version(tag: str) -> str:
    match = _TAG_VERSION.search(tag)
    return match[1] if match else ""


def _named_version(tag: str, component: str) -> str:
    """In a tag that says of what: "rocm6.4_py3.12_vllm_0.8.5"."""
    match = re.search(rf"{re.escape(component)}[_-]?v?(\d+\.\d+[\d.]*(?:post\d+|rc\d+)?)", tag)
    return match[1].rstrip(".") if match else ""


def _installed(text: str, catalogue: Catalogue) -> dict[str, str]:
    """Components that a build installs with pip or uv, in a version where it names one: `vllm==0.33.0`, or a wheel by
    its file name."""
    found: dict[str, str] = {}
    named = [pair for command in _INSTALL.findall(text) for pair in _PACKAGE.findall(command)]
    for name, version in [*_WHEEL.findall(text), *named]:
        folded = name.lower().replace("_", "-")
        id = _PACKAGES.get(folded, folded)
        if id in catalogue.components:
            told = f"llama-cpp-python {version}" if id == "llama.cpp" and version else version
            found[id] = found.get(id) or told.split("+")[0]
    return found


def scripts(environment: Environment) -> list[str]:
    """Files of somebody's own that start it, and may read any name."""
    words = list(environment.command[:4])
    inline = script_of(environment.command)
    if inline:
        words = inline.split()
    return [word for word in words if re.search(r"\.(sh|bash|py|pl)$", word)]


def own_entrypoint(environment: Environment) -> bool:
    """Whether a script that nobody here has read starts it."""
    if environment.scripts_read:
        return False
    shell = bool(environment.command) and environment.command[0].rsplit("/", 1)[-1] in ("sh", "bash")
    return bool(scripts(environment)) or (shell and not script_of(environment.command))
