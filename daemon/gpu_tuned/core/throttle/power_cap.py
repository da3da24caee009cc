"""Whose limit a power cap is, and whether it is one at all: judged at each look, because both change."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from gpu_tuned.core.model import Telemetry

IDLE_PERCENT = 5
"""Below this utilisation nothing works hard enough to be held down; a desktop's cursor alone stays below it."""
WORKING_PSTATE = 2
"""P0 to P2 are the states of work. Where utilisation is not told, a lower one says idle."""
ROUNDING_MW = 1000
"""What two readers of one limit may differ by before a second limiter is told of."""


class Limiter(str, Enum):
    """Whose limit is the lowest: a power limit of ours below the board's default; somebody else's (a limit that is
    not ours, or one that is enforced below what was requested: a BMC, a rack's power manager); the board's own."""

    OWN = "own"
    OTHER = "other"
    BOARD = "board"


class Capping(NamedTuple):
    """What a power cap is at one look. `idle`: the bit may be set, and nothing is held down; an idle RTX 5090 shows
    it at 24 W."""

    limiter: Limiter = Limiter.BOARD
    idle: bool = False


BOARDS_OWN = Capping()


def limited_by_other(requested_mw: int | None, enforced_mw: int | None) -> bool:
    """Whether something lowers the limit below the one that was requested of the driver."""
    return requested_mw is not None and enforced_mw is not None and enforced_mw < requested_mw - ROUNDING_MW


def capping(telemetry: Telemetry, requested_mw: int | None, ours_mw: int | None, default_mw: int | None) -> Capping:
    """`requested_mw`: the limit as the driver reads it back. `ours_mw`: the same where it is ours (what the driver
    accepted of a wish, or found as wished), else None. `default_mw`: the board's default. None: not known."""
    limiter = Limiter.BOARD
    if limited_by_other(requested_mw, telemetry.enforced_limit_mw):
        limiter = Limiter.OTHER
    elif requested_mw is not None and default_mw is not None and requested_mw < default_mw:
        limiter = Limiter.OWN if ours_mw == requested_mw else Limiter.OTHER
    return Capping(limiter, _idle(telemetry))


def _idle(telemetry: Telemetry) -> bool:
    power_mw, limit_mw = telemetry.power_mw, telemetry.enforced_limit_mw
    if power_mw is not None and limit_mw is not None and 2 * power_mw > limit_mw:
        return False  # the utilisation may have caught a pause of work that draws this much
    if telemetry.utilization_percent is not None:
        return telemetry.utilization_percent < IDLE_PERCENT
    return telemetry.pstate is not None and telemetry.pstate > WORKING_PSTATE
