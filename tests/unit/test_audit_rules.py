"""What decides about a finding beside the version: the reader, what the file expands, its neighbours, a comment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_tuned.environment.audit import run
from gpu_tuned.environment.audit.model import Reader
from gpu_tuned.environment.shipped import shipped
from tests.audited import findings, service, told


def test_what_listens_on_the_hosts_network_is_reached(tmp_path: Path) -> None:
    rest = "    ports: ['11434:11434']\n"
    text = service("ollama/ollama:latest", "OLLAMA_HOST=127.0.0.1", rest=rest)
    assert [one.id for one in findings(tmp_path, compose_yaml=text)] == ["harmful-value"]
    assert findings(tmp_path, compose_yaml=f"{text}    network_mode: host\n") == []


@pytest.mark.parametrize(
    "command",
    [
        'command: ["sh", "-c", "vllm serve x --max-num-seqs $$VLLM_SEQS"]',
        "entrypoint: sh -c 'exec vllm serve x --max-num-seqs $${VLLM_SEQS:-8}'",
    ],
)
def test_a_name_that_the_command_expands_has_a_reader(tmp_path: Path, command: str) -> None:
    image = "vllm/vllm-openai:v0.33.0"
    assert findings(tmp_path, compose_yaml=service(image, "VLLM_SEQS=8", rest=f"    {command}\n")) == []
    assert told(findings(tmp_path, compose_yaml=service(image, "VLLM_SEQS=8"))) == [
        ("unread", "VLLM_SEQS", "certain")
    ]


def test_an_entrypoint_is_looked_into_where_it_lies_here(tmp_path: Path) -> None:
    text = 'FROM vllm/vllm-openai:v0.33.0\nENV VLLM_SEQS=8 VLLM_OTHER=1\nCOPY start.sh /\nENTRYPOINT ["/start.sh"]\n'
    assert findings(tmp_path, Dockerfile=text) == []  # it may read both
    (tmp_path / "start.sh").write_text("exec vllm serve x --max-num-seqs ${VLLM_SEQS}\n")
    assert told(findings(tmp_path, Dockerfile=text)) == [("unread", "VLLM_OTHER", "certain")]


def test_names_of_images_and_links_of_kubernetes_are_no_mistakes(tmp_path: Path) -> None:
    lines = (
        "NV_CUDA_LIB_VERSION=1",
        "CUDA_VERSION=13.0",
        "NCCL_VERSION=2.32",
        "NVIDIA_PRODUCT_NAME=x",
        "VLLM_SERVICE_HOST=10.0.0.1",
        "VLLM_PORT_8000_TCP_ADDR=10.0.0.1",
        "OLLAMA_SERVICE_PORT_HTTP=80",
    )
    assert findings(tmp_path, compose_yaml=service("vllm/vllm-openai:v0.33.0", *lines)) == []


def test_a_link_to_a_service_called_vllm_is_one_by_its_value(tmp_path: Path) -> None:
    found = findings(tmp_path, x_env="VLLM_PORT=tcp://10.96.0.7:8000\n")
    assert told(found) == [("illegal-value", "VLLM_PORT", "certain")]
    assert "Kubernetes" in found[0].message


def test_absence_counts_only_where_the_family_is_known_whole(tmp_path: Path) -> None:
    text = "CUDA_MADE_UP=1\nNVIDIA_MADE_UP=1\nHF_MADE_UP=1\nTF_MADE_UP=1\nMADE_UP=1\nTRTLLM_MADE_UP=1\n"
    assert findings(tmp_path, x_env=text) == []
    hints = findings(tmp_path, x_env=text, everything=True)
    assert {one.id for one in hints} == {"no-known-reader"}
    assert "MADE_UP" not in {one.name for one in hints}  # no family at all: nothing to say
    assert told(findings(tmp_path, x_env="NCCL_MADE_UP=1\n")) == [("unread", "NCCL_MADE_UP", "likely")]


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        (Reader.DOCKER, ["env-file-comment", "env-file-quotes"]),
        (Reader.SYSTEMD, ["env-file-comment"]),
        (Reader.COMPOSE, []),
        (None, ["env-file-comment"]),
    ],
)
def test_the_reader_decides(tmp_path: Path, reader: Reader | None, expected: list[str]) -> None:
    path = tmp_path / "x.env"
    path.write_text('HF_HOME="/models"\nNCCL_DEBUG=INFO # loud\n')
    found = run.visible(run.of_files(shipped(), [str(path)], reader).findings, everything=False)
    assert sorted(one.id for one in found) == expected


def test_environment_wins_over_env_file(tmp_path: Path) -> None:
    compose = (
        "services:\n  a:\n    image: vllm/vllm-openai:v0.33.0\n    env_file: x.env\n    environment:\n"
        "      CUDA_FORCE_PTX_JIT: '0'\n"
    )
    assert findings(tmp_path, x_env="CUDA_FORCE_PTX_JIT=1\nCUDA_DISABLE_PTX_JIT=1\n", compose_yaml=compose) == []
    # Also where the env file is named alone: what is beside it says so.
    assert run.of_files(shipped(), [str(tmp_path / "x.env")]).findings == ()


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("      - VLLM_USE_V1=1  # gpu-tuned: ignore removed\n", 0),
        ("      # gpu-tuned: ignore removed, unread\n      - VLLM_USE_V1=1\n", 0),
        ("      # gpu-tuned: ignore unread\n      - VLLM_USE_V1=1\n", 1),
        ("      # gpu-tuned: ignore removed\n      - A=1\n      - VLLM_USE_V1=1\n", 1),
        ("      - A=1  # gpu-tuned: ignore removed\n      - VLLM_USE_V1=1\n", 1),
    ],
)
def test_ignored_for_that_line_and_that_id_alone(tmp_path: Path, lines: str, left: int) -> None:
    text = f"services:\n  a:\n    image: vllm/vllm-openai:v0.33.0\n    environment:\n{lines}"
    assert len(findings(tmp_path, compose_yaml=text)) == left


def test_ignored_in_a_dockerfile_by_the_line_above(tmp_path: Path) -> None:
    text = "FROM vllm/vllm-openai:v0.33.0\n# gpu-tuned: ignore removed\nENV VLLM_USE_V1=1\n"
    assert findings(tmp_path, Dockerfile=text) == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("HF_TOKEN=hf_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1", "secret"),
        ("OPENAI_API_KEY=sk-proj-aB3dE5fG7hJ9kL1mN3pQ5rS7", "secret"),
        ("MY_API_KEY=9f86d081884c7d659a2feaa0c55ad015", "secret"),
        ("HF_TOKEN=hf_xxxxxxxxxxxxxxxxxxxxxxxx", ""),
        ("HF_TOKEN=hf_your_token_here", ""),
        ("HF_TOKEN=${HF_TOKEN}", ""),
        ("HF_TOKEN=", ""),
        ("LLAMA_API_KEY=change-me", ""),
        ("LITELLM_MASTER_KEY=sk-1234", ""),
        ("POSTGRES_PASSWORD=postgres", ""),
        ("TOKENIZERS_PARALLELISM=false", ""),
        ("HF_TOKEN_PATH=/run/secrets/a8f5f167f44f4964e6c998de", ""),
        ("MAX_INPUT_TOKENS=8192", ""),
        ("OPENAI_API_KEY=not-needed-for-a-local-one", ""),
    ],
)
def test_only_what_looks_real_is_a_secret(tmp_path: Path, line: str, kind: str) -> None:
    found = findings(tmp_path, compose_yaml=service("a:1", line))
    assert [one.kind.value for one in found] == ([kind] if kind else [])
    assert all(line.partition("=")[2] not in one.message + one.replacement for one in found)


def test_what_podman_itself_is_given_is_not_the_containers(tmp_path: Path) -> None:
    quadlet = "[Container]\nImage=vllm/vllm-openai:v0.33.0\n{}[Service]\n{}"
    line = "Environment=VLLM_USE_V1=1\n"
    assert findings(tmp_path, a_container=quadlet.format("", line)) == []
    assert told(findings(tmp_path, a_container=quadlet.format(line, ""))) == [("removed", "VLLM_USE_V1", "certain")]


def test_what_a_shell_makes_of_a_command_is_read(tmp_path: Path) -> None:
    """`<(command)` is a pipe below /dev/fd."""
    end, mouth = os.pipe()
    try:
        os.write(mouth, b"VLLM_USE_V1=1\n")
        os.close(mouth)
        result = run.of_files(shipped(), [f"/dev/fd/{end}"])
    finally:
        os.close(end)
    assert result.unreadable == ()
    assert [one.name for one in result.findings] == ["VLLM_USE_V1"]


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("PYTHONUNBUFFERED=0", []),
        ("PYTHONFAULTHANDLER=0", ["presence-only"]),
        ("PYTHONFAULTHANDLER=", []),
        ("PYTHONFAULTHANDLER=1", []),
        ("PYTHONUTF8=true", ["illegal-value"]),
    ],
)
def test_pythons_own_switches(tmp_path: Path, line: str, kinds: list[str]) -> None:
    (tmp_path / "x.env").write_text(f"{line}\n")
    assert [one.kind.value for one in run.of_files(shipped(), [str(tmp_path / "x.env")]).findings] == kinds


def test_gpus_that_the_file_does_not_name_contradict_nothing(tmp_path: Path) -> None:
    rest = "    gpus: [{driver: nvidia, device_ids: ['${GPU}']}]\n"
    assert findings(tmp_path, compose_yaml=service("pytorch/pytorch", "CUDA_VISIBLE_DEVICES=0", rest=rest)) == []
