"""What decides about a finding: version, image, who reads a file, what the file itself expands, a comment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.environment.audit import run
from gpu_tuned.environment.audit.model import Finding, Reader
from gpu_tuned.environment.shipped import shipped


def findings(
    folder: Path, *, everything: bool = False, told: dict[str, str] | None = None, **files: str
) -> list[Finding]:
    """Of files by their names, with "__" for "/" and "_" for "."; all of them are named on the command line."""
    paths = []
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        paths.append(str(path))
    result = run.of_files(shipped(), paths, told=told)
    assert result.unreadable == ()
    return list(run.visible(result.findings, everything=everything))


def service(image: str, *lines: str, rest: str = "") -> str:
    environment = "".join(f"      - {line}\n" for line in lines)
    return f"services:\n  a:\n    image: {image}\n    environment:\n{environment}{rest}"


def told(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.name, one.certainty.value) for one in found]


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


def test_what_listens_on_the_hosts_network_is_reached(tmp_path: Path) -> None:
    rest = "    ports: ['11434:11434']\n"
    text = service("ollama/ollama:latest", "OLLAMA_HOST=127.0.0.1", rest=rest)
    assert [one.id for one in findings(tmp_path, compose_yaml=text)] == ["harmful-value"]
    assert findings(tmp_path, compose_yaml=f"{text}    network_mode: host\n") == []


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


# --- env files and who reads them ---------------------------------------------------------------------------------


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


ENV_FILE = "HF_HOME=/m # where\n"


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("compose.yaml", "services:\n  a:\n    image: b\n    env_file: x.env\n", []),
        (
            "compose.yaml",
            "services:\n  a:\n    image: b\n    env_file: [{path: x.env, format: raw}]\n",
            ["env-file-comment"],
        ),
        ("a.service", "[Service]\nEnvironmentFile=-/etc/a/x.env\nExecStart=/a\n", ["env-file-comment"]),
        ("a.service", "[Service]\nExecStart=/usr/bin/docker run --env-file {} b\n", ["env-file-comment"]),
    ],
)
def test_who_refers_to_it_decides_also_when_it_lies_beside(
    tmp_path: Path, name: str, text: str, ids: list[str]
) -> None:
    env, other = tmp_path / "x.env", tmp_path / name
    env.write_text(ENV_FILE)
    other.write_text(text.replace("{}", str(env)))
    for paths in ([env], [other], [env, other], [tmp_path]):
        result = run.of_files(shipped(), [str(path) for path in paths])
        found = run.visible(result.findings, everything=False)
        assert [(one.id, Path(one.place.file).name) for one in found] == [(id, "x.env") for id in ids]


@pytest.mark.parametrize("paths", [["."], ["x.env", "a.service"], ["./x.env", "a.service"]])
def test_a_file_that_goes_by_two_paths_is_audited_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str]
) -> None:
    """Under the name by which it was asked for: an annotation must find its file."""
    (tmp_path / "x.env").write_text(ENV_FILE)
    (tmp_path / "a.service").write_text(f"[Service]\nEnvironmentFile={tmp_path}/x.env\nExecStart=/a\n")
    monkeypatch.chdir(tmp_path)
    assert [one.place.file for one in run.of_files(shipped(), paths).findings] == ["x.env"]


def test_an_env_file_is_judged_by_the_image_that_it_is_for(tmp_path: Path) -> None:
    compose = "services:\n  a:\n    image: vllm/vllm-openai:{}\n    env_file: x.env\n"
    for tag, kinds in (("v0.33.0", ["removed"]), ("v0.10.0", [])):
        found = findings(tmp_path, x_env="VLLM_USE_V1=1\n", compose_yaml=compose.format(tag))
        assert [one.kind.value for one in found] == kinds
        (alone,) = [run.of_files(shipped(), [str(tmp_path / "x.env")])]
        assert [one.kind.value for one in run.visible(alone.findings, everything=False)] == kinds


def test_environment_wins_over_env_file(tmp_path: Path) -> None:
    compose = (
        "services:\n  a:\n    image: vllm/vllm-openai:v0.33.0\n    env_file: x.env\n    environment:\n"
        "      CUDA_FORCE_PTX_JIT: '0'\n"
    )
    assert findings(tmp_path, x_env="CUDA_FORCE_PTX_JIT=1\nCUDA_DISABLE_PTX_JIT=1\n", compose_yaml=compose) == []
    # Also where the env file is named alone: what is beside it says so.
    assert run.of_files(shipped(), [str(tmp_path / "x.env")]).findings == ()


# --- a comment that silences --------------------------------------------------------------------------------------


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


# --- secrets ------------------------------------------------------------------------------------------------------


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


# --- hard to read --------------------------------------------------------------------------------------------------


def test_aliases_of_aliases_end(tmp_path: Path) -> None:
    bomb = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))
    text = bomb + "services:\n  s: {image: b, environment: {<<: *a39, VLLM_USE_V1: '1'}}\n"
    assert [one.name for one in findings(tmp_path, compose_yaml=text)] == ["VLLM_USE_V1"]
    lists = "l0: &l0 [x]\n" + "".join(f"l{n}: &l{n} [*l{n - 1}, *l{n - 1}]\n" for n in range(1, 40))
    assert findings(tmp_path, values_yaml=lists) == []
    assert findings(tmp_path, compose_yaml="services: &s\n  a: *s\n  b: {<<: *s, extends: b}\n") == []


def test_a_chain_of_extends_ends(tmp_path: Path) -> None:
    text = "services:\n  a: {extends: b, environment: [VLLM_USE_V1=1]}\n  b: {extends: a, image: 'x:1'}\n"
    assert {one.name for one in findings(tmp_path, compose_yaml=text)} == {"VLLM_USE_V1"}


def test_a_charts_templates_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    template = tmp_path / "templates/deployment.yaml"
    template.parent.mkdir()
    template.write_text("env:\n{{- range .Values.env }}\n  - {{ . }}\n{{- end }}\n")
    assert run.of_files(shipped(), [str(tmp_path)]).unreadable == ()
    (why,) = run.of_files(shipped(), [str(template)]).unreadable
    assert "render it first" in why


def test_what_podman_itself_is_given_is_not_the_containers(tmp_path: Path) -> None:
    quadlet = "[Container]\nImage=vllm/vllm-openai:v0.33.0\n{}[Service]\n{}"
    line = "Environment=VLLM_USE_V1=1\n"
    assert findings(tmp_path, a_container=quadlet.format("", line)) == []
    assert told(findings(tmp_path, a_container=quadlet.format(line, ""))) == [("removed", "VLLM_USE_V1", "certain")]


def test_a_drop_in_is_read_with_its_unit_and_wins(tmp_path: Path) -> None:
    unit = "[Service]\nEnvironment=CUDA_FORCE_PTX_JIT=1 CUDA_DISABLE_PTX_JIT=1\nExecStart=/a\n"
    files: dict[str, Any] = {
        "a_service": unit,
        "a_service_d__b_conf": "[Service]\nEnvironment=CUDA_FORCE_PTX_JIT=0\n",
    }
    assert findings(tmp_path, **files) == []
    taken_back: dict[str, Any] = {"a_service": unit, "a_service_d__b_conf": "[Service]\nEnvironment=\n"}
    assert findings(tmp_path, **taken_back) == []
    assert len(findings(tmp_path / "alone", a_service=unit)) == 2


def test_a_chain_of_anchors_that_is_too_long_is_unreadable_and_no_traceback(tmp_path: Path) -> None:
    chain = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}}}\n" for n in range(1, 5000))
    path = tmp_path / "compose.yaml"
    path.write_text(f"x: 1\n{chain}services:\n  s: {{image: b, environment: {{<<: *a4999}}}}\n")
    result = run.of_files(shipped(), [str(path)])
    assert result.findings == ()
    assert len(result.unreadable) <= 1


def test_a_device_or_a_pipe_is_not_opened_whoever_names_it(tmp_path: Path) -> None:
    """A pipe could wait for ever, a device never end, and some do a thing when they are opened."""
    pipe = tmp_path / "pipe.env"
    os.mkfifo(pipe)
    result = run.of_files(shipped(), [str(pipe), "/dev/zero"])
    assert result.unreadable == (f"{pipe}: is no regular file", "/dev/zero: is no regular file")
    for named in ("/dev/zero", "pipe.env"):
        found = findings(tmp_path, compose_yaml=f"services: {{a: {{image: 'x:1', env_file: {named}}}}}\n")
        assert found == []


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


def test_the_null_device_is_an_empty_file(tmp_path: Path) -> None:
    result = run.of_files(shipped(), ["/dev/null"])
    assert (result.findings, result.unreadable) == ((), ())


def test_a_file_is_not_read_beyond_what_any_of_them_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_tuned.environment.audit.files._MOST_BYTES", 1 << 20)
    (tmp_path / "a.env").write_bytes(b"A=1\n" * (1 << 18))
    (tmp_path / "b.env").write_bytes(b"A=1\n" * (1 << 18) + b"\n")
    result = run.of_files(shipped(), [str(tmp_path)])
    assert result.unreadable == (f"{tmp_path / 'b.env'}: is larger than 1 MiB",)


def test_a_folder_without_anything_to_audit_is_not_audited(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("VLLM_USE_V1=1\n")
    result = run.of_files(shipped(), [str(tmp_path)])
    assert result.audited == 0
    (why,) = result.unreadable
    assert why == f"{tmp_path}: nothing in it has the name of a file that is audited; name the files"


def test_without_pyyaml_its_package_is_named_and_the_rest_is_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    (tmp_path / "x.env").write_text("VLLM_USE_V1=1\n")
    result = run.of_files(shipped(), [str(tmp_path)])
    assert [one.name for one in result.findings] == ["VLLM_USE_V1"]
    assert "python3-yaml" in result.unreadable[0]


def test_lines_end_with_a_line_feed_alone(tmp_path: Path) -> None:
    text = "FROM vllm/vllm-openai:v0.33.0\r\n# a\x0bb\x85c\r\nENV A=1 \\\r\n  VLLM_USE_V1=1\r\n"
    (found,) = findings(tmp_path, Dockerfile=text)
    assert (found.place.line, found.place.column) == (4, 3)


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


def test_gpus_that_the_file_does_not_name_contradict_nothing(tmp_path: Path) -> None:
    rest = "    gpus: [{driver: nvidia, device_ids: ['${GPU}']}]\n"
    assert findings(tmp_path, compose_yaml=service("pytorch/pytorch", "CUDA_VISIBLE_DEVICES=0", rest=rest)) == []
