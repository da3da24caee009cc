"""Why a GPU's clocks are held down: NVML's clocks event reasons, as one closed table.

The numbers are ours to keep, not imported from a vendor: they are NVML's ABI (nvml.h, CUDA 13.3). A driver
newer than this table only adds bits, which are ignored here.
"""

from __future__ import annotations

from enum import Enum


class Kind(str, Enum):
    """How a reason is judged. A power cap is `OWN` where a power limit of ours is what caps the board, and `BENIGN`
    where nothing is capped: an idle GPU may show its bit (power_cap.py)."""

    OWN = "own"
    LIMIT = "limit"
    BENIGN = "benign"
    FAULT = "fault"


class Reason(Enum):
    """One reason: its name on the wire, bit, counter's field id, kind, and words for a person.

    The counter is cumulative nanoseconds since the driver initialised the GPU, None where NVML has none. 269
    to 271 are the numbers from driver 580.82 on; the adapter hands the same counters of an older driver (251 to
    253) over under these. Whether a board answers them is seen, not assumed. Faults first, worst on top.
    """

    HW_THERMAL = ("hw_thermal", 0x40, 270, Kind.FAULT, "heat (hardware)")
    HW_POWER_BRAKE = ("hw_power_brake", 0x80, 271, Kind.FAULT, "power brake (supply)")
    HW_SLOWDOWN = ("hw_slowdown", 0x8, None, Kind.FAULT, "hardware slowdown")
    SW_THERMAL = ("sw_thermal", 0x20, 269, Kind.FAULT, "heat")
    SW_POWER_CAP = ("sw_power_cap", 0x4, 74, Kind.LIMIT, "power cap")
    BOARD_LIMIT = ("board_limit", 0x200, 77, Kind.LIMIT, "board limit")
    RELIABILITY = ("reliability", 0x400, 79, Kind.LIMIT, "reliability voltage")
    SYNC_BOOST = ("sync_boost", 0x10, 76, Kind.BENIGN, "sync boost")
    APPLICATION_CLOCKS = ("application_clocks", 0x2, None, Kind.BENIGN, "application clocks")
    DISPLAY = ("display", 0x100, None, Kind.BENIGN, "display clocks")
    IDLE = ("idle", 0x1, 78, Kind.BENIGN, "idle")

    def __init__(self, word: str, bit: int, counter: int | None, kind: Kind, label: str) -> None:
        self.word = word
        self.bit = bit
        self.counter = counter
        self.kind = kind
        self.label = label
