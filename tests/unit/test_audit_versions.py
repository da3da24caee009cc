"""What runs where a variable is set, and in which version, decides whether it is read there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.environment.audit import run
from gpu_tuned.environment.shipped import shipped
from tests.audited import findings, service, told


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("vllm/vllm-openai:v0.33.0", [("removed", "VLLM_USE_V1", "certain")]),
        ("vllm/vllm-openai:latest", [("removed", "VLLM_USE_V1", "likely")]),
        ("vllm/vllm-openai", [("removed", "VLLM_USE_V1", "likely")]),
        ("vllm/vllm-openai:v0.11.0", []),
        ("vllm/vllm-openai@sha256:0123456789abcdef", [("removed", "VLLM_USE_V1", "likely")]),
        ("registry.example.org:5000/vllm/vllm-openai:v0.33.0-cu130", [("removed", "VLLM_USE_V1", "certain")]),
        ("example.org/our-vllm:7", [("removed", "VLLM_USE_V1", "likely")]),
        ("rocm/vllm:rocm6.4.1_ubuntu22.04_py3.12_vllm_0.8.5", []),
        ("nvcr.io/nvidia/vllm:25.09-py3", []),  # a month says nothing about the version
    ],
)
def test_the_image_says_which_version_reads(tmp_path: Path, image: str, expected: object) -> None:
    found = findings(tmp_path, compose_yaml=service(image, "VLLM_USE_V1=1"))
    assert told(found) == expected


def test_a_build_number_cannot_be_ordered_so_nothing_is_said(tmp_path: Path) -> None:
    image = "ghcr.io/ggml-org/llama.cpp:server-cuda-b4000"
    assert findings(tmp_path, compose_yaml=service(image, "LLAMA_ARG_MLOCK=1")) == []
    rolling = "ghcr.io/ggml-org/llama.cpp:server-cuda"
    assert told(findings(tmp_path, compose_yaml=service(rolling, "LLAMA_ARG_MLOCK=1"))) == [
        ("removed", "LLAMA_ARG_MLOCK", "likely")
    ]


def test_component_said_by_hand_wins(tmp_path: Path) -> None:
    text = "VLLM_USE_V1=1\n"
    assert told(findings(tmp_path, x_env=text)) == [("removed", "VLLM_USE_V1", "likely")]
    assert told(findings(tmp_path, x_env=text, told={"vllm": "0.33"})) == [("removed", "VLLM_USE_V1", "certain")]
    assert findings(tmp_path, x_env=text, told={"vllm": "0.9.2"}) == []


def test_pip_install_in_a_dockerfile_says_what_runs(tmp_path: Path) -> None:
    text = "FROM python:3.12\nRUN pip install --no-cache-dir 'vllm[audio]=={}' uvicorn\nENV VLLM_USE_V1=1\n"
    assert told(findings(tmp_path, Dockerfile=text.format("0.33.0"))) == [("removed", "VLLM_USE_V1", "certain")]
    assert findings(tmp_path, Dockerfile=text.format("0.10.2")) == []
    wheel = (
        "FROM python:3.12\nRUN wget https://x/vllm-0.8.5+cu118-cp38-abi3-manylinux1_x86_64.whl && pip install *.whl\n"
    )
    assert findings(tmp_path, Dockerfile=wheel + "ENV VLLM_USE_V1=0\n") == []


def test_a_command_that_installs_says_what_runs(tmp_path: Path) -> None:
    command = "    command: bash -c 'pip install vllm=={} && vllm serve x'\n"
    for version, count in (("0.10.2", 0), ("0.33.0", 1)):
        text = service("python:3.12", "VLLM_USE_V1=1", rest=command.format(version))
        assert len(findings(tmp_path, compose_yaml=text)) == count


def test_old_images_have_old_libraries(tmp_path: Path) -> None:
    lines = ("TRANSFORMERS_CACHE=/m", "HF_HUB_ENABLE_HF_TRANSFER=1")
    assert findings(tmp_path, compose_yaml=service("vllm/vllm-openai:v0.9.2", *lines)) == []
    found = findings(tmp_path, compose_yaml=service("vllm/vllm-openai:v0.33.0", *lines))
    assert [one.kind.value for one in found] == ["removed", "removed"]
    # TGI reads it, whatever became of it elsewhere.
    tgi = "ghcr.io/huggingface/text-generation-inference:3.3.7"
    assert findings(tmp_path, compose_yaml=service(tgi, *lines)) == []


@pytest.mark.parametrize(
    "name", ["USE_MMAP", "FLASH_ATTENTION", "USE_FLAX", "GIT_LFS_PROGRESS", "HOST_IP", "USE_BEAM"]
)
def test_a_word_that_anybody_may_use_is_no_old_name(tmp_path: Path, name: str) -> None:
    assert findings(tmp_path, compose_yaml=service("example.org/whisper:1", f"{name}=1")) == []


def test_an_old_name_in_what_looks_like_its_last_reader(tmp_path: Path) -> None:
    lines = "HUGGINGFACE_HUB_CACHE=/data\nHF_HUB_ENABLE_HF_TRANSFER=1\n"
    assert len(findings(tmp_path, x_env=lines)) == 2
    assert findings(tmp_path, x_env=lines + "MAX_BATCH_PREFILL_TOKENS=4096\n") == []


@pytest.mark.parametrize("image", ["${REGISTRY}/vllm/vllm-openai:${TAG}", "vllm/vllm-openai:${TAG:?set it}"])
def test_an_image_without_a_known_tag_is_still_that_image(tmp_path: Path, image: str) -> None:
    found = findings(tmp_path, compose_yaml=service(image, "VLLM_USE_V1=1"))
    assert told(found) == [("removed", "VLLM_USE_V1", "likely")]


def test_a_client_may_have_names_of_its_own(tmp_path: Path) -> None:
    for image in ("example.org/chat:1", "python:3.12", "ghcr.io/open-webui/open-webui:main"):
        lines = ("OLLAMA_TEMPERATURE=0.1", "VLLM_RETRIES=3", "SGLANG_POOL=2")
        assert findings(tmp_path, compose_yaml=service(image, *lines)) == []
    found = findings(tmp_path, compose_yaml=service("vllm/vllm-openai:v0.33.0", "VLLM_RETRIES=3"))
    assert told(found) == [("unread", "VLLM_RETRIES", "certain")]


def test_an_env_file_is_judged_by_the_image_that_it_is_for(tmp_path: Path) -> None:
    compose = "services:\n  a:\n    image: vllm/vllm-openai:{}\n    env_file: x.env\n"
    for tag, kinds in (("v0.33.0", ["removed"]), ("v0.10.0", [])):
        found = findings(tmp_path, x_env="VLLM_USE_V1=1\n", compose_yaml=compose.format(tag))
        assert [one.kind.value for one in found] == kinds
        (alone,) = [run.of_files(shipped(), [str(tmp_path / "x.env")])]
        assert [one.kind.value for one in run.visible(alone.findings, everything=False)] == kinds


@pytest.mark.parametrize(
    ("requirement", "kinds"),
    [
        ("transformers", ["removed"]),
        ("'transformers>=4.40'", ["removed"]),
        ("'transformers>=4.40,<5'", []),
        ("'transformers[torch]<5.0'", []),
        ("transformers~=4.40.0", []),
        ("'transformers<=4.57.1'", []),
        ("transformers==4.56.*", []),
        ("'transformers>=5,<6'", ["removed"]),
    ],
)
def test_a_requirement_says_which_release_is_the_newest(tmp_path: Path, requirement: str, kinds: list[str]) -> None:
    text = f"FROM python:3.12\nRUN pip install {requirement} accelerate\nENV TRANSFORMERS_CACHE=/hf\n"
    assert [one.kind.value for one in findings(tmp_path, Dockerfile=text)] == kinds


@pytest.mark.parametrize(("tag", "kinds"), [("2.9.0-cuda12.8", ["renamed"]), ("2.1.0-cuda12.1", [])])
def test_an_older_name_is_told_of_where_the_newer_one_is_read(tmp_path: Path, tag: str, kinds: list[str]) -> None:
    text = f"FROM pytorch/pytorch:{tag}-cudnn9-runtime\nENV NCCL_ASYNC_ERROR_HANDLING=1\n"
    assert [one.kind.value for one in findings(tmp_path, Dockerfile=text)] == kinds
