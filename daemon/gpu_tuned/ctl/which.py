"""Which GPU of a document a person means."""

from __future__ import annotations

from gpu_tuned.core.errors import UsageError
from gpu_tuned.core.which import Names, listed, meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from gpu_tuned.core.wire import Gpu, ThrottledGpu

    AnyGpu = TypeVar("AnyGpu", Gpu, ThrottledGpu)


def one_gpu(gpus: list[AnyGpu], wanted: str) -> AnyGpu:
    """The one GPU that `wanted` names. Raises UsageError where it names none, or more than one."""
    names = [Names(gpu["index"], gpu["uuid"], gpu["pci"]) for gpu in gpus]
    found = meant(names, wanted)
    if len(found) == 1:
        return gpus[found[0]]
    if found:
        raise UsageError(f"{wanted!r} names more than one GPU: {listed([names[i] for i in found])}")
    raise UsageError(f"no GPU {wanted!r} here; there is {listed(names)}")
