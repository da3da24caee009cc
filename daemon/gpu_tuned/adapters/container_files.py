"""Container engines, NVIDIA's toolkit and CDI, from their files; nothing is asked of a running engine."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from typing import Any

import tomli

from gpu_tuned.adapters.plain_files import content
from gpu_tuned.core.host_view import CdiSpec, ContainersView
from gpu_tuned.core.model import Unread

ENGINES = {"dockerd": "docker", "podman": "podman", "containerd": "containerd", "k3s": "k8s", "kubelet": "k8s"}
PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "bin")
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib")
CONFIG = "etc/nvidia-container-runtime/config.toml"
DAEMON = "etc/docker/daemon.json"
CDI_FOLDERS = ("etc/cdi", "var/run/cdi", "run/cdi")
UNIFIED = "sys/fs/cgroup/cgroup.controllers"
LARGEST = 4 << 20
_LIBRARY = re.compile(r"libnvidia-container\.so\.(\d+\.\d+\.\d+\S*)")
_VERSIONED = re.compile(r"\.so\.(\d{3,}\.\d+(?:\.\d+)?)\b")
_KIND = re.compile(r"""^\s*["']?kind["']?\s*:\s*["']?([\w.-]+/[\w.-]+)""", re.MULTILINE)


def containers(root: str) -> ContainersView:
    """What the files below `root` say; "" is this machine."""
    if not any(os.path.isdir(f"{root}/{folder}") for folder in PROGRAM_FOLDERS):
        return ContainersView()
    engines = frozenset(
        engine
        for program, engine in ENGINES.items()
        if any(os.path.exists(f"{root}/{folder}/{program}") for folder in PROGRAM_FOLDERS)
    )
    daemon = _daemon(root)
    return ContainersView(
        engines=engines,
        toolkit=_toolkit(root),
        mode=_mode(root),
        nvidia_runtime=daemon if isinstance(daemon, Unread) else "nvidia" in (daemon.get("runtimes") or {}),
        systemd_cgroups=_systemd_cgroups(root, daemon),
        char_links=_char_links(root),
        cdi=_cdi(root),
    )


def _toolkit(root: str) -> str | Unread | None:
    """By the name of its library, which every package of it carries; the hook alone without it is none that works."""
    for folder in LIBRARIES:
        with suppress(OSError):
            found = _LIBRARY.fullmatch(os.path.basename(os.readlink(f"{root}/{folder}/libnvidia-container.so.1")))
            if found:
                return found[1]
    programs = ("nvidia-container-runtime", "nvidia-ctk")
    if any(os.path.exists(f"{root}/{folder}/{name}") for folder in PROGRAM_FOLDERS for name in programs):
        return Unread("the toolkit is installed, and its version cannot be told from its files")
    return None


def _mode(root: str) -> str | Unread:
    """Without a configuration, or without the key, it is "auto" (NVIDIA's default)."""
    path = f"{root}/{CONFIG}"
    if not os.path.exists(path):
        return "auto"
    try:
        raw = tomli.loads(_content(path))
    except (OSError, tomli.TOMLDecodeError) as error:
        return Unread(f"/{CONFIG} cannot be read: {error}")
    runtime = raw.get("nvidia-container-runtime")
    mode = runtime.get("mode", "auto") if isinstance(runtime, dict) else "auto"
    return mode if isinstance(mode, str) else Unread(f"/{CONFIG} has a mode that is no text")


def _daemon(root: str) -> dict[str, Any] | Unread:
    path = f"{root}/{DAEMON}"
    if not os.path.exists(path):
        return {}
    try:
        raw = json.loads(_content(path))
    except (OSError, ValueError) as error:
        return Unread(f"/{DAEMON} cannot be read: {error}")
    return raw if isinstance(raw, dict) else Unread(f"/{DAEMON} is no table")


def _systemd_cgroups(root: str, daemon: dict[str, Any] | Unread) -> bool | Unread:
    """Docker's default is systemd where control groups are version 2, else itself (dockerd's documentation)."""
    if isinstance(daemon, Unread):
        return daemon
    options = daemon.get("exec-opts")
    for option in options if isinstance(options, list) else []:
        if str(option).startswith("native.cgroupdriver="):
            return str(option).endswith("=systemd")
    if not os.path.isdir(f"{root}/sys/fs/cgroup"):
        return Unread("no /sys/fs/cgroup")
    return os.path.exists(f"{root}/{UNIFIED}")


def _char_links(root: str) -> bool | Unread:
    try:
        names = os.listdir(f"{root}/dev/char")
    except OSError as error:
        return Unread(f"/dev/char cannot be listed: {error.strerror}")
    for name in names:
        with suppress(OSError):
            if os.path.basename(os.readlink(f"{root}/dev/char/{name}")).startswith("nvidia"):
                return True
    return False


def _cdi(root: str) -> tuple[CdiSpec, ...] | Unread:
    found: dict[str, CdiSpec] = {}
    for folder in CDI_FOLDERS:
        try:
            names = sorted(os.listdir(f"{root}/{folder}"))
        except FileNotFoundError:
            continue
        except OSError as error:
            return Unread(f"/{folder} cannot be listed: {error.strerror}")
        for name in names:
            if not name.endswith((".yaml", ".yml", ".json")):
                continue
            path = f"{root}/{folder}/{name}"
            try:
                text = _content(path)
            except OSError as error:
                return Unread(f"/{folder}/{name} cannot be read: {error.strerror}")
            kind = _KIND.search(text) or re.search(r'"kind"\s*:\s*"([^"]+)"', text)
            if kind and kind[1].startswith("nvidia.com/"):
                spec = CdiSpec(f"/{folder}/{name}", kind[1], frozenset(_VERSIONED.findall(text)))
                found.setdefault(os.path.realpath(path), spec)
    return tuple(found.values())


def _content(path: str) -> str:
    return content(path, LARGEST).decode("utf-8", "replace")
