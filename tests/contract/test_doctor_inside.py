"""`gpu-tunedctl doctor --container`: a container by its engine's own command, played by a script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.adapters.container_engine import look_inside
from gpu_tuned.core.container_view import ContainerView
from gpu_tuned.core.model import Unread
from gpu_tuned.core.verdict import Verdict
from gpu_tuned.doctor.inside import CHECKS, examine_inside

ENTRY = "from gpu_tuned.main import control; control()"
LISTED = "GPU 0: NVIDIA GeForce RTX 5090 (UUID: GPU-5b1c9f2e-8d3a-4c57-9e1f-2a6b7c8d9e0f)"
DEVICES = "null\nnvidia0\nnvidia-uvm\nnvidiactl\nzero"
UNKNOWN_ERROR = "Failed to initialize NVML: Unknown Error"


def inspected(**changes: Any) -> dict[str, Any]:
    """What `docker inspect` says of a container with a GPU, as far as it matters."""
    host = {
        "Runtime": "runc", "IpcMode": "private", "Devices": [],
        "DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}],
    }  # fmt: skip
    env = ["PATH=/usr/bin", "HF_TOKEN=hf_secret", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"]
    return {
        "Config": {"Image": "vllm/vllm-openai:v0.33.0", "Env": env + changes.pop("env", [])},
        "HostConfig": {**host, **changes.pop("host", {})},
        "State": {"Running": changes.pop("running", True)},
        "Mounts": [{"Destination": path} for path in changes.pop("mounts", [])],
    }


def engine(folder: Path, name: str, raw: dict[str, Any] | None, devices: str = DEVICES, smi: str = LISTED) -> None:
    """A command that answers as an engine would; without `raw` it knows no container."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps([raw]))
    (folder / f"{name}.within").write_text(f"{devices}\n--\n{smi}\n")
    known = 1 if raw is None else 0
    script = folder / name
    script.write_text(f"""#!/bin/sh
echo "$@" >> "{folder}/{name}.calls"
case "$1" in
  inspect) [ {known} = 0 ] && cat "{folder}/{name}.json" || {{ echo "Error: No such container: $4" >&2; exit 1; }} ;;
  exec) cat "{folder}/{name}.within" ;;
esac
""")
    script.chmod(0o755)


def doctor(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ENTRY, "doctor", "--container", *argv],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": f"{folder}:/usr/bin:/bin"},
    )  # fmt: skip


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {finding["id"]: finding["verdict"] for finding in json.loads(done.stdout)["findings"]}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Only the engines that a test makes: a real one on this machine is nobody's business here."""
    return tmp_path / "bin"


def test_a_container_that_has_its_gpu(alone: Path) -> None:
    engine(alone, "docker", inspected())
    engine(alone, "podman", None)
    done = doctor(alone, "llama-gpu", "--json")
    assert done.returncode == 0
    assert set(verdicts(done).values()) == {"ok"}
    assert "hf_secret" not in done.stdout
    assert not (alone / "podman.calls").exists()


def test_only_names_about_gpus_are_kept(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(alone, "docker", inspected(env=["CUDA_VISIBLE_DEVICES=0"]))
    monkeypatch.setenv("PATH", f"{alone}:/usr/bin:/bin")
    view = look_inside("llama-gpu")
    assert set(view.environment) == {"CUDA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}


def test_a_container_that_lost_its_gpu_to_a_daemon_reload(alone: Path) -> None:
    engine(alone, "docker", inspected(), smi=UNKNOWN_ERROR)
    done = doctor(alone, "llama-gpu")
    assert done.returncode == 1
    assert "daemon-reload" in " ".join(done.stdout.split())
    assert "docker restart llama-gpu" in done.stdout


def test_podman_is_asked_where_docker_does_not_know_it(alone: Path) -> None:
    engine(alone, "docker", None)
    raw = inspected(host={"DeviceRequests": [], "Devices": [{"PathOnHost": "/dev/nvidia0"}]})
    engine(alone, "podman", raw)
    assert set(verdicts(doctor(alone, "llama-gpu", "--json")).values()) == {"ok"}


def test_nobody_knows_it(alone: Path) -> None:
    engine(alone, "docker", None)
    engine(alone, "podman", None)
    done = doctor(alone, "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such container: nobody" in done.stderr
    assert doctor(alone, "--", "-rf").returncode == 2


def test_one_that_does_not_run_is_unknown(alone: Path) -> None:
    engine(alone, "docker", inspected(running=False))
    assert verdicts(doctor(alone, "llama-gpu", "--json")) == {"container-devices": "unknown"}
    assert "exec" not in (alone / "docker.calls").read_text()


def test_a_hanging_engine_is_told(alone: Path) -> None:
    for name in ("docker", "podman"):
        engine(alone, name, None)
        (alone / name).write_text("#!/bin/sh\nexec sleep 30\n")
    began = time.monotonic()
    done = doctor(alone, "llama-gpu")
    assert done.returncode == 5
    assert "has not answered within" in done.stderr
    assert time.monotonic() - began < 4


HEALTHY = ContainerView(
    "docker", "c", asked=("all",), devices=("nvidia0", "nvidiactl", "nvidia-uvm"), gpus=(LISTED,)
)  # fmt: skip
MPS = {"CUDA_MPS_PIPE_DIRECTORY": "/run/nvidia-mps"}
ROWS: list[tuple[str, dict[str, Any], Verdict, str]] = [
    ("container-devices", {}, Verdict.OK, "nvidia0"),
    ("container-devices", {"devices": ("null",)}, Verdict.TROUBLE, "although all was asked for"),
    ("container-devices", {"devices": (), "asked": ()}, Verdict.TROUBLE, "none was asked for"),
    ("container-devices", {"devices": ("nvidia0", "nvidiactl")}, Verdict.TROUBLE, "without nvidia-uvm"),
    ("container-devices", {"devices": Unread("no shell")}, Verdict.UNKNOWN, "no shell"),
    ("container-driver", {}, Verdict.OK, "1 GPU"),
    ("container-driver", {"gpus": Unread(UNKNOWN_ERROR)}, Verdict.TROUBLE, "Unknown Error"),
    ("container-driver", {"gpus": Unread("Driver/library version mismatch")}, Verdict.TROUBLE, "mismatch"),
    ("container-driver", {"gpus": Unread("nvidia-smi is not within")}, Verdict.UNKNOWN, "not within"),
    ("container-driver", {"gpus": ()}, Verdict.TROUBLE, "lists no GPU"),
    ("container-capabilities", {}, Verdict.OK, "default"),
    ("container-capabilities", {"environment": {"NVIDIA_DRIVER_CAPABILITIES": "graphics"}}, Verdict.WARNING, "lacks compute"),
    ("container-capabilities", {"environment": {"NVIDIA_DRIVER_CAPABILITIES": "all"}}, Verdict.OK, "all"),
    ("container-capabilities", {"cdi": True, "environment": {"NVIDIA_DRIVER_CAPABILITIES": "graphics"}}, Verdict.OK, "CDI"),
    ("container-visible", {}, Verdict.OK, "not set"),
    ("container-visible", {"environment": {"CUDA_VISIBLE_DEVICES": "0"}}, Verdict.OK, "of 1"),
    ("container-visible", {"environment": {"CUDA_VISIBLE_DEVICES": "1"}}, Verdict.TROUBLE, "'1' is none"),
    ("container-visible", {"environment": {"CUDA_VISIBLE_DEVICES": "GPU-5b1c"}}, Verdict.OK, "of 1"),
    ("container-visible", {"environment": {"CUDA_VISIBLE_DEVICES": "1"}, "gpus": Unread("x")}, Verdict.UNKNOWN, "not known"),
    ("container-visible", {"environment": {"NVIDIA_VISIBLE_DEVICES": "void"}, "asked": ()}, Verdict.TROUBLE, "void"),
    ("container-mps", {}, Verdict.OK, "not asked for"),
    ("container-mps", {"environment": MPS}, Verdict.WARNING, "not mounted"),
    ("container-mps", {"environment": MPS, "mounts": ("/run/nvidia-mps",)}, Verdict.WARNING, "memory is not shared"),
    ("container-mps", {"environment": MPS, "mounts": ("/run/nvidia-mps",), "shares_ipc": True}, Verdict.OK, "the host's"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "changes", "verdict", "words"), ROWS, ids=[f"{row[0]}-{row[3]}" for row in ROWS])
def test_verdict(check: str, changes: dict[str, Any], verdict: Verdict, words: str) -> None:
    fields = {name: getattr(HEALTHY, name) for name in ContainerView.__slots__}  # type: ignore[attr-defined]
    findings = {f.check: f for f in examine_inside(ContainerView(**{**fields, **changes})).findings}
    assert len(findings) == len(CHECKS)
    assert (findings[check].verdict, words in findings[check].seen) == (verdict, True), findings[check]
