"""The environment of a running process, from a folder that stands for /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.environment.audit import run
from gpu_tuned.environment.audit.model import Unreadable
from gpu_tuned.environment.audit.readers import process
from gpu_tuned.environment.shipped import shipped

TOKEN = "hf_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1"


def proc(folder: Path, environ: bytes, command: bytes = b"vllm\0serve\0x\0") -> Path:
    (folder / "7").mkdir(parents=True)
    (folder / "7/environ").write_bytes(environ)
    (folder / "7/cmdline").write_bytes(command)
    return folder


def test_what_may_be_a_secret_is_dropped_at_once(tmp_path: Path) -> None:
    environ = f"HF_TOKEN={TOKEN}\0OTHER={TOKEN}\0DB_PASSWORD=x\0HF_HOME=/m\0".encode()
    found = process.read(7, proc(tmp_path, environ))
    assert {one.name: one.value for one in found.assignments} == {
        "HF_TOKEN": None,
        "OTHER": None,
        "DB_PASSWORD": None,
        "HF_HOME": "/m",
    }
    result = run.of_environments(shipped(), [found], {}, [])
    assert TOKEN not in str(result)


def test_the_command_says_what_runs(tmp_path: Path) -> None:
    found = process.read(
        7, proc(tmp_path, b"SGLANG_NOT_READ=1\0CUDA_DEVICE_MAX_CONNECTIONS=1\0", b"/v/bin/sglang\0serve\0")
    )
    result = run.of_environments(shipped(), [found], {}, [])
    told = {one.name: one.kind.value for one in run.visible(result.findings, everything=False)}
    assert told == {"SGLANG_NOT_READ": "unread", "CUDA_DEVICE_MAX_CONNECTIONS": "overwritten"}
    assert found.label == "process 7 (sglang)"


def test_any_bytes(tmp_path: Path) -> None:
    found = process.read(7, proc(tmp_path, b"A=\xff\0=x\0noequals\0B C=1\0D=1=2", b""))
    assert [(one.name, one.value) for one in found.assignments] == [("A", "\ufffd"), ("D", "1=2")]


def test_no_such_process(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="there is no process 8"):
        process.read(8, tmp_path)
