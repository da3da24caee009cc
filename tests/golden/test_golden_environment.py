"""`gpu-tunedctl env`, as people see it, and its exit codes. In one process: it needs neither a daemon nor a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from gpu_tuned.ctl.env import SUBVERBS
from gpu_tuned.ctl.main import run
from gpu_tuned.ctl.render import findings
from tests.golden.kept import OfEnv, compare


def env(*argv: str) -> int:
    return run(["env", *argv], OfEnv())


PRINTED = {
    "env_list": (["list"], 0),
    "env_list_pattern": (["list", "VLLM_*PROFILER*"], 0),
    "env_list_nothing": (["list", "NEVER_*"], 1),
    "env_explain_removed": (["explain", "VLLM_USE_V1", "--component", "vllm=0.33.0"], 1),
    "env_explain_removed_later": (["explain", "VLLM_USE_V1", "--component", "vllm==0.10.0"], 0),
    "env_explain_renamed": (["explain", "SGL_ENABLE_JIT_DEEPGEMM"], 1),
    "env_explain_fatal": (["explain", "LLAMA_ARG_DRAFT_MAX"], 1),
    "env_explain_presence": (["explain", "GGML_CUDA_NO_PINNED"], 0),
    "env_explain_value": (["explain", "CUDA_DEVICE_MAX_CONNECTIONS"], 0),
    "env_explain_invented": (["explain", "CUDA_TENSOR_CORES"], 1),
    "env_explain_near": (["explain", "LLAMA_ARG_NGL"], 1),
    "env_explain_unknown": (["explain", "CUDA_MADE_UP_HERE"], 0),
    "env_explain_own": (["explain", "MY_OWN_APPLICATION"], 0),
    "env_explain_prefix": (["explain", "LMCACHE_CHUNK_SIZE_OF_MINE"], 0),
    "env_explain_elsewhere": (["explain", "OLLAMA_NUM_PARALLEL", "--component", "vllm"], 0),
    "env_explain_wrapper": (["explain", "GPU_MEMORY_UTILIZATION"], 0),
    "env_explain_many": (["explain", "CUDA_VISIBLE_DEVICES"], 0),
    "env_explain_build_option": (["explain", "GGML_CUDA"], 1),
    "env_explain_plugin": (["explain", "NCCL_FASTRAK_CTRL_DEV"], 0),
    "env_explain_keys": (["explain", "PYTORCH_CUDA_ALLOC_CONF"], 0),
    "env_explain_no_variable": (["explain", "nvidia-smi -lmc 3002"], 0),
    "env_show_vllm_compose": (["show", "vllm", "--format", "compose"], 0),
    "env_show_llama_cpp_dockerfile": (["show", "llama-cpp", "--format", "dockerfile"], 0),
    "env_show_mps_client_cdi": (["show", "mps-client", "--format", "cdi"], 0),
    "env_show_sglang_systemd": (["show", "sglang", "--format", "systemd"], 0),
    "env_show_ollama_quadlet": (["show", "ollama", "--format", "quadlet"], 0),
    "env_show_pytorch_bare": (["show", "pytorch", "--bare"], 0),
}


@pytest.mark.parametrize("name", PRINTED)
def test_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv, code = PRINTED[name]
    assert env(*argv) == code
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    compare(name, lines)
    # What is printed as a file for somebody else has the width that it needs.
    assert argv[0] == "show" or all(len(line) <= 80 for line in lines)


def test_status_does_not_pay_for_it() -> None:
    code = (
        "import sys; from gpu_tuned.ctl.main import run; from gpu_tuned.main import _Looks; "
        "run(sys.argv[1:], _Looks()); print(*sys.modules)"
    )
    for verb in ("status", "verify", "check"):
        argv = [sys.executable, "-c", code, verb, *(["/dev/null"] if verb == "check" else ["--socket", "/nowhere"])]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert "gpu_tuned.ctl" in done.stdout
        assert "gpu_tuned.environment" not in done.stdout


@pytest.mark.parametrize("subverb", SUBVERBS)
def test_the_help_of_a_sub_verb(
    subverb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert env(subverb, "--help") == 0
    out = capsys.readouterr().out
    assert "examples:" in out
    assert [line for line in out.splitlines() if len(line) > 80] == []


REFUSED = [
    (["show", "vlm"], 2, "there is no profile 'vlm'; did you mean 'vllm'?"),
    (["show", "vllm", "--write"], 2, "--write is for --format cdi; for env, redirect the output to your file"),
    (["show", "vllm", "--format", "yaml"], 2, "--format"),
    (["explain", "X", "--component", "vlm=1"], 2, "the catalogue has no component 'vlm'; did you mean 'vllm'?"),
    (["explian", "X"], 2, "explian"),
    ([], 2, "VERB"),
]


@pytest.mark.parametrize(("argv", "code", "said"), REFUSED)
def test_refused(argv: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert env(*argv) == code
    out, err = capsys.readouterr()
    assert said in err and out == ""


def test_explain_is_there_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert env("explain", "TRANSFORMERS_CACHE", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"]["standing"] == "removed"
    assert found["removed"][0]["first_without"] == "5.0.0"


def test_list_is_there_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert env("list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in found["profiles"]} >= {"base", "vllm"}
    assert next(row for row in found["components"] if row["id"] == "vllm")["names"] > 300


def test_a_cdi_file_is_written_and_said(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert env("show", "vllm", "--format", "cdi", "--write", "--folder", str(tmp_path)) == 0
    out = capsys.readouterr().out
    path = tmp_path / "gpu-tuned-vllm.yaml"
    assert f"wrote {path}" in out and f"rm {path}" in out
    assert "--device gputuned.io/environment=vllm" in out
    assert "wins over the image's ENV and over -e" in out
    assert 'kind: "gputuned.io/environment"' in path.read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--folder", "/etc/x"), "--folder says where --write puts it; without --write nothing is written"),
        (("--format", "cdi", "--write", "--folder", ""), "--folder: an empty name is no folder"),
        (("--format", "cdi", "--write", "--bare"), "--bare is for what is printed; --write keeps the comments"),
    ],
)
def test_an_option_of_show_that_would_do_nothing_is_refused(
    words: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert env("show", "vllm", *words) == 2
    assert capsys.readouterr() == ("", f"gpu-tunedctl: {why}\n")


@pytest.mark.parametrize(
    ("unreadable", "line"),
    [
        ([], "nothing was audited: the driver lists no process on the GPUs"),
        (["a: is no regular file"], "nothing was audited: 1 could not be read"),
    ],
)
def test_an_audit_of_nothing_found_nothing_of_anything(unreadable: list[str], line: str) -> None:
    found = {"findings": [], "where": [], "unreadable": unreadable, "files": 0, "processes": 0, "hidden": 0}
    assert findings.text(found) == f"{line}\n"
