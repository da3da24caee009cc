"""Exclusive process mode and NVIDIA's Multi-Process Service belong together: without it a GPU takes one process."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EXCLUSIVE = "exclusive_process"
FOLDERS = ("/run/nvidia-mps", "/tmp/nvidia-mps")
"""Where gpu-tuned-mps.service has its pipes, and where NVIDIA's default is."""


def runs(environment: Mapping[str, str] | None = None) -> bool:
    """Whether an MPS control daemon has its pipe where this process can see it."""
    own = (os.environ if environment is None else environment).get("CUDA_MPS_PIPE_DIRECTORY")
    return any(os.path.exists(os.path.join(folder, "control")) for folder in (*([own] if own else ()), *FOLDERS))


def warning(modes: Iterable[object]) -> str | None:
    """A sentence where one of these compute modes, as found or as wanted, makes a GPU exclusive and nothing serves
    several processes."""
    if EXCLUSIVE not in modes or runs():
        return None
    return (
        "warning: in exclusive process mode a GPU takes one process, and refuses the next (error 46, devices "
        "unavailable) unless MPS serves both. MPS does not run here: systemctl enable --now gpu-tuned-mps, or "
        'compute_mode = "default"'
    )
