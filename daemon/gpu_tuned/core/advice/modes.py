"""Hazards of compute mode and persistence mode."""

from __future__ import annotations

from gpu_tuned.core.advice.case import Case
from gpu_tuned.core.model import ComputeMode, Setting, Unread
from gpu_tuned.core.wish import Auto, Wish


def exclusive(case: Case) -> str | None:
    wish = case.wish(Setting.COMPUTE_MODE)
    if wish is None or wish.target is not ComputeMode.EXCLUSIVE_PROCESS or case.around.mps:
        return None
    runs = "MPS does not run here" if case.around.mps is False else "unless MPS serves them"
    return f"the GPU takes one process; a second container fails with error 46 (devices unavailable): {runs}"


def prohibited(case: Case) -> str | None:
    wish = case.wish(Setting.COMPUTE_MODE)
    return "no CUDA program can use this GPU" if wish and wish.target is ComputeMode.PROHIBITED else None


LASTING = (
    Setting.POWER_LIMIT,
    Setting.GPU_CLOCK,
    Setting.MEMORY_CLOCK,
    Setting.APPLICATION_CLOCKS,
    Setting.COMPUTE_MODE,
)
"""What a driver that lets go of a GPU forgets."""


def _kept(case: Case) -> Wish | None:
    """The wish for persistence mode, where it is one: on a laptop "auto" leaves it as it is."""
    wish = case.wish(Setting.PERSISTENCE_MODE)
    return None if wish is not None and wish.target is Auto.AUTO and case.around.laptop else wish


def forgets(case: Case) -> str | None:
    if not any(case.wish(setting) for setting in LASTING):
        return None
    wish = _kept(case)
    if wish is not None and wish.target is not False:
        return None
    if wish is None and case.found.get(Setting.PERSISTENCE_MODE) is True:
        return None
    if wish is None and isinstance(case.found.get(Setting.PERSISTENCE_MODE), (Unread, type(None))):
        return None  # not known; the rule for every board may be in another file
    return "persistence mode is off, so the driver forgets these settings whenever its last client leaves"


def legacy_persistence(case: Case) -> str | None:
    wish = _kept(case)
    if wish is None or wish.target is False or case.around.persistenced is not False:
        return None
    return (
        "without nvidia-persistenced it is the kernel's legacy flag that is set, which NVIDIA means to give up one "
        "day; it works today"
    )


def laptop_awake(case: Case) -> str | None:
    wish = case.wish(Setting.PERSISTENCE_MODE)
    if wish is None or wish.target is not True:
        return None
    if case.around.laptop or "Laptop" in case.board.gpu.name:
        return 'on battery a GPU that is kept ready never sleeps; "auto" turns it on where there is no battery'
    return None
