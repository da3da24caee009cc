"""A running container, by docker's or podman's own command: what it was given, and what is there from within.

Within, `ls /dev` and `nvidia-smi -L` are run for a moment; nothing is changed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from gpu_tuned.core.container_view import ContainerView
from gpu_tuned.core.errors import DriverTrouble, UsageError
from gpu_tuned.core.model import Unread

ENGINES = ("docker", "podman")
ASK_S = 0.9
"""Seconds for each of the two questions that follow each other; the doctor has two in all."""
SHOWN = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY",
         "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_REQUIRE_CUDA")  # fmt: skip
WITHIN = "ls -1 /dev; echo --; nvidia-smi -L 2>&1"


def look_inside(name: str) -> ContainerView:
    """Raises UsageError where no engine has a container of that name, DriverTrouble where none answers."""
    here = [engine for engine in ENGINES if shutil.which(engine)]
    if not here:
        raise UsageError("neither docker nor podman is installed here")
    if name.startswith("-") or not name:
        raise UsageError(f"{name!r} is no container's name")
    refusals = []
    for engine in here:
        try:
            done = _run(engine, "inspect", "--type", "container", name)
        except subprocess.TimeoutExpired:
            refusals.append(f"{engine} has not answered within {ASK_S:g} s")
            continue
        if done.returncode == 0:
            return _view(engine, name, done.stdout)
        refusals.append(f"{engine}: {(done.stderr.strip().splitlines() or ['no words'])[-1]}")
    raise (DriverTrouble if all("answered" in why for why in refusals) else UsageError)("; ".join(refusals))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=ASK_S, check=False)


def _view(engine: str, name: str, answer: str) -> ContainerView:
    try:
        raw = json.loads(answer)[0]
        host, config, state = raw["HostConfig"], raw["Config"], raw["State"]
    except (ValueError, LookupError, TypeError) as error:
        raise DriverTrouble(f"{engine} inspect answers in a form that is not known here ({error})") from None
    environment = dict(row.partition("=")[::2] for row in config.get("Env") or [])
    requests = [request for request in host.get("DeviceRequests") or [] if isinstance(request, dict)]
    asked, cdi = _asked(requests, host, environment)
    running = bool(state.get("Running"))
    devices, gpus = _within(engine, name) if running else (Unread("it does not run"), Unread("it does not run"))
    return ContainerView(
        engine=engine,
        name=name,
        image=str(config.get("Image", "")),
        runtime=str(host.get("Runtime") or raw.get("OCIRuntime") or ""),
        running=running,
        asked=asked,
        cdi=cdi,
        devices=devices,
        environment={key: environment[key] for key in SHOWN if key in environment},
        gpus=gpus,
        shares_ipc=str(host.get("IpcMode", "")) not in ("", "private", "shareable", "none"),
        mounts=tuple(str(mount.get("Destination", "")) for mount in raw.get("Mounts") or []),
    )


def _asked(
    requests: list[dict[str, Any]], host: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[tuple[str, ...], bool]:
    words: list[str] = []
    cdi = False
    for request in requests:
        ids = [str(device) for device in request.get("DeviceIDs") or []]
        if request.get("Driver") == "cdi":
            cdi = True
            words += ids
        elif any("gpu" in group for group in request.get("Capabilities") or []) or request.get("Driver") == "nvidia":
            words.append(",".join(ids) or ("all" if request.get("Count") in (-1, None) else str(request["Count"])))
    for device in host.get("Devices") or []:
        path = str(device.get("PathOnHost", ""))
        if path.startswith(("/dev/nvidia", "nvidia.com/")):
            words.append(path)
            cdi = cdi or path.startswith("nvidia.com/")
    if host.get("Runtime") == "nvidia" and not words and environment.get("NVIDIA_VISIBLE_DEVICES"):
        words.append(environment["NVIDIA_VISIBLE_DEVICES"])
    return tuple(words), cdi


def _within(engine: str, name: str) -> tuple[tuple[str, ...] | Unread, tuple[str, ...] | Unread]:
    """NVIDIA's device files, and the lines of `nvidia-smi -L`."""
    try:
        done = _run(engine, "exec", name, "sh", "-c", WITHIN)
    except subprocess.TimeoutExpired:
        slow = Unread(f"the container has not answered within {ASK_S:g} s")
        return slow, slow
    listing, mark, rest = done.stdout.partition("--\n")
    if not mark:
        lines = (done.stderr or done.stdout).strip().splitlines()
        silent = Unread(f"nothing can be run within: {lines[-1] if lines else 'no words'}")
        return silent, silent
    devices = tuple(line for line in listing.split() if line.startswith("nvidia"))
    lines = [line for line in rest.splitlines() if line.strip()]
    gpus = tuple(line for line in lines if line.startswith("GPU "))
    if gpus:
        return devices, gpus
    if "not found" in rest:
        return devices, Unread("nvidia-smi is not within (an image without it, or capabilities without utility)")
    return devices, Unread(lines[0] if lines else "nvidia-smi says nothing")
