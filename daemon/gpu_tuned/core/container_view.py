"""What the doctor sees of one running container: what its engine says, and what is there from within."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_tuned.core.model import Unread

NOT_LOOKED = Unread("it was not looked at")


@dataclass(frozen=True, slots=True)
class ContainerView:
    """`engine`: "docker" or "podman". `asked`: GPUs that the engine was asked for, in words ("all", "0,1", a CDI
    name); `cdi`: by CDI. `runtime`: the OCI runtime's name. `devices`: NVIDIA's device files within. `environment`:
    values of names about GPUs alone, since others may hold secrets. `gpus`: what `nvidia-smi -L` lists within, a line
    each. `shares_ipc`: with the host or another container. `mounts`: folders within that come from outside."""

    engine: str
    name: str
    image: str = ""
    runtime: str = ""
    running: bool = True
    asked: tuple[str, ...] = ()
    cdi: bool = False
    devices: tuple[str, ...] | Unread = NOT_LOOKED
    environment: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] | Unread = NOT_LOOKED
    shares_ipc: bool = False
    mounts: tuple[str, ...] = ()
