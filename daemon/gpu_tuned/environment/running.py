"""What a person says that runs: "vllm=0.33.0", "llama.cpp", "llama-cpp-python=0.3.34"."""

from __future__ import annotations

from gpu_tuned.core.errors import UsageError
from gpu_tuned.core.words import did_you_mean
from gpu_tuned.environment.catalogue import Catalogue
from gpu_tuned.environment.judge import Running

_SPOKEN = {
    "llamacpp": "llama.cpp",
    "llamacpppython": "llama.cpp",
    "ggml": "llama.cpp",
    "torch": "pytorch",
    "textgenerationinference": "tgi",
    "textembeddingsinference": "tei",
    "trtllm": "tensorrt-llm",
    "tritonserver": "triton-inference-server",
    "driver": "cuda",
    "libcuda": "cuda",
    "mps": "cuda-mps",
}
"""Other words for a component, without what is neither letter nor digit."""


def running(catalogue: Catalogue, text: str) -> Running:
    """NAME or NAME=VERSION. Raises UsageError for a component that the catalogue does not have, with the nearest."""
    word, _, version = text.partition("=")
    version = version.lstrip("=").strip()  # as pip writes it, too: vllm==0.33.0
    folded = "".join(letter for letter in word.lower() if letter.isalnum())
    found = catalogue.component(_SPOKEN.get(folded, word))
    if found is None:
        hint = did_you_mean(word.strip().lower(), catalogue.components, "gpu-tunedctl env list --json has them all")
        raise UsageError(f"the catalogue has no component {word.strip()!r}; {hint}")
    if folded == "llamacpppython" and version:
        version = f"llama-cpp-python {version}"  # it and ggml count differently
    return Running(found.id, version)
