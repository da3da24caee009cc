"""The line that would be right, where what takes a name's place depends on what the name was set to."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.environment.audit import run
from gpu_tuned.environment.shipped import shipped

RIGHT = {
    "LLAMA_ARG_MLOCK=1": "LLAMA_ARG_LOAD_MODE=mlock",
    "LLAMA_ARG_MLOCK=0": "",
    "LLAMA_ARG_DIO=false": "",
    "LLAMA_ARG_MMAP=on": "LLAMA_ARG_LOAD_MODE=mmap",
    "LLAMA_ARG_MMAP=0": "LLAMA_ARG_LOAD_MODE=none",
    "LLAMA_ARG_KV_SPLIT=1": "LLAMA_ARG_KV_UNIFIED=0",
    "LLAMA_ARG_KV_SPLIT=0": "LLAMA_ARG_KV_UNIFIED=1",
    "GGML_SYCL_DISABLE_DNN=1": "GGML_SYCL_ENABLE_DNN=0",
    "GGML_SYCL_DISABLE_DNN=0": "GGML_SYCL_ENABLE_DNN=1",
    "HF_HUB_ENABLE_HF_TRANSFER=1": "HF_XET_HIGH_PERFORMANCE=1",
    "HF_HUB_ENABLE_HF_TRANSFER=0": "HF_XET_HIGH_PERFORMANCE=0",
    "TORCHINDUCTOR_DISABLE_DECOMPOSE_K=1": "TORCHINDUCTOR_NUM_DECOMPOSE_K_SPLITS=0",
    "TORCHINDUCTOR_DISABLE_DECOMPOSE_K=0": "",
    "CUDNN_LOGINFO_DBG=1": "CUDNN_LOGLEVEL_DBG=3",
    "CUDNN_LOGINFO_DBG=0": "CUDNN_LOGLEVEL_DBG=0",
    "CUDA_ARCHITECTURES=120": "CUDAARCHS=120a",
    "CUDA_ARCHITECTURES=86": "CUDAARCHS=86",
    "OLLAMA_PORT=8080": "OLLAMA_HOST",
    "LLAMA_ARG_DRAFT_MAX=8": "LLAMA_ARG_SPEC_DRAFT_N_MAX=8",
}


@pytest.mark.parametrize("line", RIGHT)
def test_what_switches_something_on_is_not_the_line_for_a_switch_that_is_off(tmp_path: Path, line: str) -> None:
    file = tmp_path / "x.env"
    file.write_text(f"{line}\n")
    (found,) = run.visible(run.of_files(shipped(), [str(file)]).findings, everything=True)
    assert found.replacement == RIGHT[line]
    switched_on = RIGHT[line] or "leave the line out"
    assert switched_on.partition("=")[0] in found.message
