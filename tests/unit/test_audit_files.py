"""Which files are audited, as whose, and how much of each is read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.environment.audit import run
from gpu_tuned.environment.shipped import shipped
from tests.audited import findings

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
