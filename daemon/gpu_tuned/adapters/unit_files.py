"""Systemd's units as files: which use GPUs, which are enabled, what they are ordered after. Nothing is asked of
systemd."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from gpu_tuned.adapters.plain_files import content
from gpu_tuned.core.host_view import UnitView
from gpu_tuned.core.model import Unread

OWNERS = ("etc/systemd/system", "run/systemd/system")
SHIPPED = ("usr/lib/systemd/system", "lib/systemd/system")
QUADLETS = ("etc/containers/systemd", "usr/share/containers/systemd")
KNOWN = {
    "docker.service": "starts containers",
    "containerd.service": "starts containers",
    "ollama.service": "Ollama",
    "gpu-tuned.service": "",
    "gpu-tuned.target": "",
    "gpu-tuned-wait.service": "",
    "nvidia-persistenced.service": "",
}
"""Units that are read wherever they lie. Others are read where an owner puts his own, and where they are enabled."""
PROGRAMS = {
    r"\bvllm\b": "vLLM",
    r"\bollama\b": "Ollama",
    r"llama-server|llama\.cpp|llama-cpp": "llama.cpp",
    r"sglang": "SGLang",
    r"text-generation-(launcher|inference)": "TGI",
    r"tritonserver": "Triton",
    r"comfyui": "ComfyUI",
    r"nvidia\.com/gpu|--gpus|NVIDIA_VISIBLE_DEVICES|CUDA_VISIBLE_DEVICES|/dev/nvidia\d": "asks for GPUs",
}
_GPU_LINES = re.compile(r"(?i)^(exec\w*|environment|podmanargs|adddevice|image|containername)\s*=(.*)$")


def units(root: str) -> tuple[UnitView, ...] | Unread:
    """What is known of the services that matter to GPUs, quadlets among them."""
    if not any(os.path.isdir(f"{root}/{folder}") for folder in (*OWNERS, *SHIPPED)):
        return Unread("no folder of systemd's units is here")
    paths: dict[str, str] = {}
    for folder in OWNERS:
        for name in _names(f"{root}/{folder}"):
            if name.endswith((".service", ".target")) and not os.path.isdir(f"{root}/{folder}/{name}"):
                paths.setdefault(name, f"{folder}/{name}")
    wanted = _wanted(root)
    templates = {_template(name) for name in wanted}
    for folder in SHIPPED:
        for name in sorted({*KNOWN, *wanted, *templates}):
            if name.endswith((".service", ".target")) and os.path.isfile(f"{root}/{folder}/{name}"):
                paths.setdefault(name, f"{folder}/{name}")
    found = [
        _unit(root, name, path, enabled=name in wanted or name in templates) for name, path in sorted(paths.items())
    ]
    found += [
        _unit(root, name, f"{folder}/{name}", enabled=None)
        for folder in QUADLETS
        for name in _names(f"{root}/{folder}")
        if name.endswith(".container")
    ]
    return tuple(unit for unit in found if unit.gpu_user or unit.unread or unit.name in KNOWN)


def _unit(root: str, name: str, path: str, *, enabled: bool | None) -> UnitView:
    """`enabled` None: a quadlet, which its own [Install] section enables."""
    service = f"{name.removesuffix('.container')}.service" if name.endswith(".container") else name
    bodies = [_body(f"{root}/{path}")]
    folders = [f"{root}/{folder}/{service}.d" for folder in (*OWNERS, *SHIPPED)]
    if enabled is None:
        folders.append(f"{root}/{path}.d")
    for folder in folders:
        bodies += [_body(f"{folder}/{drop_in}") for drop_in in _names(folder) if drop_in.endswith(".conf")]
    lines = [line for body in bodies for line in _lines(body or "")]
    after = _values(lines, "after")
    install = any(key in ("wantedby", "requiredby") and value.strip() for key, value in lines)
    return UnitView(
        name=service,
        path=f"/{path}",
        enabled=install if enabled is None else enabled,
        gpu_user=KNOWN[service] if service in KNOWN else _gpu_user(lines),
        after=after,
        before=_values(lines, "before"),
        unread=None in bodies,
    )


def _body(path: str) -> str | None:
    """A unit file's text, "" where there is none (a link to nowhere is no unit), None where it cannot be read."""
    try:
        return content(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError:
        return None


def _template(name: str) -> str:
    """What an instance is made of: "llm@large.service" of "llm@.service"."""
    head, mark, tail = name.partition("@")
    return f"{head}@.{tail.rpartition('.')[2]}" if mark else name


def _lines(body: str) -> Iterator[tuple[str, str]]:
    """Keys in lower case with their values; continued lines joined, comments left out (systemd.syntax(7))."""
    whole = ""
    for line in body.splitlines():
        if not whole and line.lstrip().startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            whole += line[:-1] + " "
            continue
        key, mark, value = (whole + line).partition("=")
        whole = ""
        if mark:
            yield key.strip().lower(), value.strip()


def _values(lines: list[tuple[str, str]], key: str) -> frozenset[str]:
    """All words of a list setting; an empty value begins the list anew."""
    words: set[str] = set()
    for name, value in lines:
        if name == key:
            words = words | set(value.split()) if value else set()
    return frozenset(words)


def _gpu_user(lines: list[tuple[str, str]]) -> str:
    told = " ".join(f"{value}" for key, value in lines if _GPU_LINES.match(f"{key}={value}"))
    return next((who for pattern, who in PROGRAMS.items() if re.search(pattern, told, re.IGNORECASE)), "")


def _wanted(root: str) -> frozenset[str]:
    """Units that something pulls in: a link in any *.wants, *.requires or *.upholds folder."""
    return frozenset(
        name
        for folder in (*OWNERS, *SHIPPED)
        for wants in _names(f"{root}/{folder}")
        if wants.endswith((".wants", ".requires", ".upholds"))
        for name in _names(f"{root}/{folder}/{wants}")
    )


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
