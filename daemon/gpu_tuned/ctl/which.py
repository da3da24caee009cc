"""Which GPU of a document a person means."""

from __future__ import annotations

from gpu_tuned.core.errors import DriverTrouble
from gpu_tuned.core.which import Names, chosen
from gpu_tuned.ctl.verdict import driver_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from gpu_tuned.core.wire import Driver, Gpu, ThrottledGpu

    AnyGpu = TypeVar("AnyGpu", Gpu, ThrottledGpu)


def one_gpu(gpus: list[AnyGpu], wanted: str | None, driver: Driver) -> AnyGpu:
    """The one GPU that `wanted` names; None means the only one there is. Raises UsageError where it names none, or
    more than one; DriverTrouble where the driver is why there is none."""
    if not gpus and driver["state"] != "ok":
        raise DriverTrouble(f"no GPU {wanted!r} here: {driver_words(driver)}")
    names = [
        Names(gpu["index"], gpu["uuid"], gpu["pci"], "" if gpu["state"] == "ok" else gpu["state"]) for gpu in gpus
    ]
    return gpus[chosen(names, wanted)]
