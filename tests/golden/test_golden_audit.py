"""`gpu-tunedctl env audit`, as people and programs see it."""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from gpu_tuned.ctl.main import run
from tests.golden.kept import OfEnv, compare

CORPUS = Path(__file__).parents[1] / "environment_audit"


def audit(*argv: str) -> int:
    return run(["env", "audit", *argv], OfEnv())


PRINTED = {
    "audit_compose": (["faulty/vllm-old-names.compose.yaml"], 1),
    "audit_two_files": (["faulty/llama-server.env", "faulty/traps.Dockerfile"], 1),
    "audit_devices": (["faulty/devices.compose.yaml", "--all"], 1),
    "audit_nothing": (["clean/vllm-two-gpus.compose.yaml"], 0),
    "audit_github": (["faulty/unit.service", "--format", "github"], 1),
    "audit_json": (["faulty/quotes.docker.env", "--format", "json"], 1),
    "audit_sarif": (["faulty/quotes.docker.env", "--format", "sarif"], 1),
}


@pytest.fixture(autouse=True)
def _in_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)


@pytest.mark.parametrize("name", PRINTED)
def test_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv, code = PRINTED[name]
    assert audit(*argv) == code
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    compare(name, lines)
    assert "--format" in argv or all(len(line) <= 80 for line in lines)


def test_every_format_is_one_document_where_it_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    for format in ("json", "sarif"):
        assert audit("faulty", "clean", "--format", format) == 1
        json.loads(capsys.readouterr().out)
    assert audit("faulty", "--format", "github") == 1
    assert all(line.startswith("::") for line in capsys.readouterr().out.splitlines())


def test_sarif_says_where_and_by_which_rule(capsys: pytest.CaptureFixture[str]) -> None:
    audit("faulty/nccl.service", "--format", "sarif")
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    rules = [rule["id"] for rule in found["tool"]["driver"]["rules"]]
    for result in found["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["startLine"] >= 1 and region["startColumn"] >= 1


def test_what_cannot_be_read_does_not_keep_the_rest_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("a: [\nb")
    (tmp_path / "template.yaml").write_text("env:\n{{- range .Values.env }}\n  - {{ . }}\n{{- end }}\n")
    (tmp_path / "binary.env").write_bytes(b"A=\0")
    (tmp_path / "latin.env").write_bytes(b"A=1\nB=\xe9\n")
    named = [str(tmp_path / "template.yaml"), str(tmp_path / "absent.env"), "faulty/llama-server.env"]
    assert audit(str(tmp_path), *named) == 2
    out, err = capsys.readouterr()
    assert "LLAMA_ARG_NO_MMAP" in out
    reasons = err.splitlines()
    assert len(reasons) == 5
    assert all(line.startswith("gpu-tunedctl: ") for line in reasons)
    for wanted in (
        "bad.yaml:",
        "render it first",
        "binary.env: no text",
        "latin.env:2: no UTF-8",
        "absent.env: No such",
    ):
        assert wanted in err


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        ([], "nothing to audit"),
        (["x.env", "--component", "vlm=1"], "did you mean 'vllm'"),
        (["x.env", "--reader", "podman"], "invalid choice"),
    ],
)
def test_usage(argv: list[str], wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(*argv) == 2
    assert wanted in capsys.readouterr().err


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"FROM a\nENV VLLM_USE_V1=1\n")))
    assert audit("-", "--component", "vllm=0.33") == 1
    assert "2:5     VLLM_USE_V1  removed  [removed]" in capsys.readouterr().out


@pytest.mark.parametrize(("piped", "why"), [(b"A=1\nB=\xff\n", "-:2: no UTF-8"), (b"A=\0", "-: no text")])
def test_standard_input_that_is_no_text(
    piped: bytes, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(piped), encoding="utf-8"))
    assert audit("-", "--reader", "docker") == 2
    assert f"gpu-tunedctl: {why}" in capsys.readouterr().err


def test_a_live_process(capsys: pytest.CaptureFixture[str]) -> None:
    """This one: /proc has what it was started with, which holds no mistake that is certain."""
    code = audit("--pid", str(os.getpid()), "--format", "json")
    found = json.loads(capsys.readouterr().out)["findings"]
    assert code == (1 if found else 0)
    assert all(one["file"] == f"/proc/{os.getpid()}/environ" and one["line"] == 0 for one in found)


def test_a_process_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit("--pid", "4194303999") == 2
    assert "there is no process 4194303999" in capsys.readouterr().err
