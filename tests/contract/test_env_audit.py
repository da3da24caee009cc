"""`gpu-tunedctl env audit --gpu-processes`: the processes that the driver lists, with the environment they started
with."""

from __future__ import annotations

import json
import subprocess
import sys


def control(host, *argv):
    command = [sys.executable, "-c", "from gpu_tuned.main import control; control()", *argv]
    return subprocess.run(command, env=host.env, capture_output=True, text=True, timeout=60, check=False)


def test_every_process_on_a_gpu_is_audited_and_no_secret_shown(nvsim):
    host = nvsim("h200")
    token = "hf_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9v"
    with host.client(CUDA_CLOCK_CONTROL="1", GGML_CUDA_NO_PINNED="0", HF_TOKEN=token, MY_NOTE=token) as client:
        host.run("load", 0, 50, "--pid", client.pid)
        done = control(host, "env", "audit", "--gpu-processes", "--format", "json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)["findings"]
    assert {(one["name"], one["kind"]) for one in told} >= {
        ("CUDA_CLOCK_CONTROL", "unread"),
        ("GGML_CUDA_NO_PINNED", "presence-only"),
    }
    assert {one["file"] for one in told} == {f"/proc/{client.pid}/environ"}
    assert token not in done.stdout + done.stderr


def test_a_process_of_another_host_is_said_and_the_rest_goes_on(nvsim):
    """In a container the driver's process ids are the host's, and need not be here."""
    host = nvsim("h200")
    host.run("load", 0, 50)  # by a process that is not there
    done = control(host, "env", "audit", "--gpu-processes")
    assert done.returncode == 2
    assert "there is no process" in done.stderr


def test_idle_gpus_have_no_finding(nvsim):
    done = control(nvsim("h200"), "env", "audit", "--gpu-processes")
    assert (done.returncode, done.stderr) == (0, "")


def test_no_driver_is_said(nvsim):
    host = nvsim("h200")
    host.run("unload")
    done = control(host, "env", "audit", "--gpu-processes")
    assert done.returncode == 5
    assert "driver" in done.stderr
