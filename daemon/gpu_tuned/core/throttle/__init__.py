"""How a GPU was held down, and why. Pure: time comes in as monotonic seconds.

Two questions are kept apart: how long (`Throttle.report`), and is it a fault (`FaultChange`). Whether the driver
began anew is not judged here: a counter that runs back is one to start from again, and no more.
"""

from gpu_tuned.core.throttle.faults import Fault, FaultChange
from gpu_tuned.core.throttle.gpu import MAX_GAP_S, Throttle
from gpu_tuned.core.throttle.power_cap import BOARDS_OWN, Capping, Limiter, capping, limited_by_other
from gpu_tuned.core.throttle.reasons import Kind, Reason

__all__ = [
    "BOARDS_OWN",
    "MAX_GAP_S",
    "Capping",
    "Fault",
    "FaultChange",
    "Kind",
    "Limiter",
    "Reason",
    "Throttle",
    "capping",
    "limited_by_other",
]
