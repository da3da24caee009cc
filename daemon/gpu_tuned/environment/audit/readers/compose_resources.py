"""What a Compose service mounts, and which GPUs it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpu_tuned.environment.audit.interpolation import interpolate
from gpu_tuned.environment.audit.model import Certainty, Mount, Trap
from gpu_tuned.environment.audit.readers import nodes

if TYPE_CHECKING:
    from yaml.nodes import Node

_REQUEST = "deploy.resources.reservations.devices"


@dataclass(slots=True)
class Gpus:
    """`devices` and `count` as an Environment has them."""

    devices: tuple[str, ...] | None = None
    count: int | None = None
    traps: list[Trap] = field(default_factory=list)


def mounts(config: nodes.Mapping, file: str) -> list[Mount]:
    """`volumes:` in both forms, and `tmpfs:`."""
    found = []
    for item in nodes.items(config["volumes"][1]) if "volumes" in config else []:
        place = nodes.place(item, file)
        written = nodes.text_of(item)
        if written is not None:
            target = _target(written)
            if target:
                found.append(Mount(target, tmpfs=False, noexec=False, place=place, written=written))
        elif path := nodes.text_of(nodes.get(item, "target")):
            tmpfs = nodes.text_of(nodes.get(item, "type")) == "tmpfs"
            found.append(Mount(path, tmpfs, tmpfs, place, path))
    if "tmpfs" in config:
        node = config["tmpfs"][1]
        for item in nodes.items(node) or [node]:
            if written := nodes.text_of(item):
                target, _, options = written.partition(":")
                noexec, place = "exec" not in options.split(","), nodes.place(item, file)
                found.append(Mount(target, tmpfs=True, noexec=noexec, place=place, written=written))
    return found


def gpus(config: nodes.Mapping, file: str, known: Mapping[str, str]) -> Gpus:
    """Reservations, `gpus:` and CDI devices; `known` is what the .env file says."""
    found = Gpus()
    requests = []
    if "deploy" in config:
        requests += nodes.items(nodes.get(config["deploy"][1], "resources", "reservations", "devices"))
    if "gpus" in config:
        node = config["gpus"][1]
        if nodes.text_of(node) == "all":
            found.devices = ("all",)
        requests += nodes.items(node)
    for request in requests:
        _request(request, file, known, found)
    cdi = [
        word.partition("=")[2]
        for word in (nodes.words_of(config["devices"][1]) if "devices" in config else [])
        if word.startswith("nvidia.com/gpu=")
    ]
    if cdi:
        found.devices = _known(cdi, known)
    return found


def _request(request: Node, file: str, known: Mapping[str, str], found: Gpus) -> None:
    parts = nodes.mapping(request)
    ids = nodes.get(request, "device_ids")
    count = nodes.text_of(nodes.get(request, "count"))
    if ids is not None and count is not None:
        message = "count and device_ids cannot stand together; Compose refuses the file"
        place = nodes.place(parts["count"][0], file)
        found.traps.append(Trap("compose-device-request", _REQUEST, place, Certainty.CERTAIN, message))
    if ids is not None:
        found.devices = _known(nodes.words_of(ids), known)
    elif count in ("all", "-1") or (count is None and parts):
        found.devices = ("all",)
    elif count is not None and count.isdecimal():
        found.count = int(count)
    options = parts.get("options")
    driver = nodes.text_of(nodes.get(request, "driver")) or "nvidia"
    if options and driver in ("nvidia", "cdi") and (nodes.items(options[1]) or nodes.mapping(options[1])):
        what = "CDI refuses them" if driver == "cdi" else "the engine's nvidia driver never reads them"
        message = (
            f"options of a GPU request do nothing: {what}; a compute mode is set on the host, for every container"
        )
        right = 'compute_mode = "..." in gpu-tuned\'s policy'
        place = nodes.place(options[0], file)
        found.traps.append(
            Trap(
                "compose-device-options",
                f"{_REQUEST}.options",
                place,
                Certainty.CERTAIN,
                message,
                right,
            )
        )


def _known(words: list[str], known: Mapping[str, str]) -> tuple[str, ...] | None:
    """With what they refer to put in; None where the file does not say it."""
    values = [interpolate(word, known)[0] for word in words]
    return None if None in values else tuple(value for value in values if value is not None)


def _target(written: str) -> str:
    """The path inside of the container of `source:target:options`; a Windows drive is no source."""
    parts = re.sub(r"\$\{[^}]*\}", "x", written).split(":")
    return parts[0] if len(parts) == 1 else parts[1]
