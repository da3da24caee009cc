"""Two readers of one thing: a field in the batch, which is cheap, and the call of its own, which everybody else
reads. They are compared when the GPU is attached, when the limit moves, and now and then; where they differ, the call
counts from then on. One that stands still agrees as long as nobody sets another limit.

NVIDIA's own fault injection answers 0 with SUCCESS to every field, and the requested limit of field 192 was seen to
differ from its getter's. On an H200 the batch of four costs 44 us, the requested limit by its own call 552.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml.calls import alone, fields
from gpu_tuned.adapters.nvml.errors import GPU_IS_LOST, WHOLE
from gpu_tuned.adapters.nvml.plausible import MOST_MW
from gpu_tuned.core.model import Unread

# Field ids (NVML_FI_DEV_...), milliwatts
REQUESTED_LIMIT, CURRENT_LIMIT, POWER_INSTANT, POWER_AVERAGE = 192, 190, 186, 185
LIMITS = {
    REQUESTED_LIMIT: pynvml.nvmlDeviceGetPowerManagementLimit,
    CURRENT_LIMIT: pynvml.nvmlDeviceGetEnforcedPowerLimit,
}


def trusted_fields(handle: Any) -> list[int]:
    """The power fields that say the same as their getters. Raises nothing."""
    drawn = alone(pynvml.nvmlDeviceGetPowerUsage, handle)
    code, instant = _field(handle, POWER_INSTANT)
    # The two are no equals: one is of this instant, the other may be a mean.
    nonsense = not code and not 0 < instant <= MOST_MW and not isinstance(drawn, Unread) and drawn > 0
    return [*agreeing(handle, LIMITS), *([] if nonsense else [POWER_INSTANT])]


def agreeing(handle: Any, limits: Iterable[int]) -> list[int]:
    """Those of these fields, of `LIMITS`, that say the same as their getters. Raises nothing."""
    # Once more where they differ: somebody may have written between the two.
    return [f for f in limits if _same(handle, f, LIMITS[f]) or _same(handle, f, LIMITS[f])]


def _same(handle: Any, field: int, getter: Any) -> bool:
    code, value = _field(handle, field)
    answer = alone(getter, handle)
    return not code and not isinstance(answer, Unread) and int(answer) == value


def _field(handle: Any, field: int) -> tuple[int, int]:
    try:
        return fields(handle, (field,))[field]
    except WHOLE:
        return GPU_IS_LOST, 0
