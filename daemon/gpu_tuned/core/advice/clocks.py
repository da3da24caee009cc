"""Hazards of clocks."""

from __future__ import annotations

from gpu_tuned.core.advice.case import Case
from gpu_tuned.core.model import ClockLock, Setting

LEGACY_END = 595
"""The driver's branch from which on application clocks answer "deprecated", on data centre boards as well."""


def memory_lock(case: Case) -> str | None:
    lock, model = case.lock(Setting.MEMORY_CLOCK), case.model
    if lock is None or model is None or not model.gb202:
        return None
    return (
        f"a memory clock maximum ({lock.max_mhz} MHz) on this chip also holds other clocks down: 10 to 32 % were "
        "lost in graphics; without it memory runs at its highest by itself under load"
    )


def slow_memory(case: Case) -> str | None:
    lock, model = case.lock(Setting.MEMORY_CLOCK), case.model
    top = max(case.board.memory_ladder_mhz, default=0) or (model.top_memory_mhz if model else 0)
    if lock is None or not top or lock.max_mhz >= 0.9 * top:
        return None
    return (
        f"{lock.max_mhz} of {top} MHz: memory bandwidth falls in step, and with it the tokens a second of one stream"
    )


def application_clocks(case: Case) -> str | None:
    if case.wish(Setting.APPLICATION_CLOCKS) is None:
        return None
    if Setting.APPLICATION_CLOCKS in case.board.absent or "GeForce" in case.board.gpu.name:
        return "GeForce boards have no application clocks, and new drivers give them up: lock the GPU clock instead"
    branch = _branch(case.around.driver)
    if branch is not None and branch >= LEGACY_END:
        return f"driver {case.around.driver} gives application clocks up: lock the GPU clock instead"
    return "they are deprecated from CUDA 13 on and go with CUDA 14: lock the GPU clock instead"


def _branch(version: str | None) -> int | None:
    head = (version or "").split(".")[0]
    return int(head) if head.isdigit() else None


def below_boost(case: Case) -> str | None:
    lock, model = case.lock(Setting.GPU_CLOCK), case.model
    boost = model.boost_mhz if model and model.boost_mhz else case.board.max_gpu_mhz
    if lock is None or not boost or lock.max_mhz >= 0.97 * boost:
        return None
    return (
        f"at most {lock.max_mhz} MHz, where it would boost to about {boost}: {100 - 100 * lock.max_mhz / boost:.0f} "
        "% less where computing is the limit, and little where memory is"
    )


def idle_power(case: Case) -> str | None:
    lock = case.lock(Setting.GPU_CLOCK)
    if lock is None or not _has_minimum(case, lock):
        return None
    return (
        f"a minimum of {lock.min_mhz} MHz keeps the clock up while nothing runs: watts at idle; only a maximum saves"
    )


def _has_minimum(case: Case, lock: ClockLock) -> bool:
    """Whether a lock's minimum lies above the board's own."""
    return lock.min_mhz > max(min(case.board.gpu_ladder_mhz, default=0), 1)


def minimum_no_promise(case: Case) -> str | None:
    lock, model = case.lock(Setting.GPU_CLOCK), case.model
    if lock is None or not _has_minimum(case, lock) or model is None or not model.blackwell:
        return None
    return "on Blackwell the driver may go below a locked minimum without a word; do not count on it"
