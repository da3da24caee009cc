"""Which GPU of a document a person means."""

from __future__ import annotations

from gpu_tuned.core.which import Names, chosen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from gpu_tuned.core.wire import Gpu, ThrottledGpu

    AnyGpu = TypeVar("AnyGpu", Gpu, ThrottledGpu)


def one_gpu(gpus: list[AnyGpu], wanted: str) -> AnyGpu:
    """The one GPU that `wanted` names. Raises UsageError where it names none, or more than one."""
    names = [Names(gpu["index"] if gpu["index"] >= 0 else None, gpu["uuid"], gpu["pci"]) for gpu in gpus]
    return gpus[chosen(names, wanted)]
