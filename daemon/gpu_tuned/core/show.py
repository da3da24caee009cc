"""The document of `gpu-tunedctl show`: one GPU from the driver's own answers, with what the daemon tells of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gpu_tuned.core.advice import Advice
from gpu_tuned.core.board_view import BoardView, Process
from gpu_tuned.core.model import GPU_SETTINGS, Setting, Unread, watts, wire
from gpu_tuned.core.settings import ROWS
from gpu_tuned.core.throttle import Reason

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Gpu as GpuRow

FORMAT = 1


def document_of(view: BoardView, told: GpuRow | None, advice: Iterable[Advice]) -> dict[str, Any]:
    """`told`: this GPU in the daemon's status document, None where no daemon answers. A fact that could not be had is
    null, and `unread` says why, by its key."""
    unread: dict[str, str] = {}

    def known(key: str, fact: Any) -> Any:
        if isinstance(fact, Unread):
            unread[key] = fact.why
            return None
        return fact

    board, seen = view.board, view.seen
    memory, bar1 = known("memory", view.memory), known("bar1", view.bar1)
    processes = known("processes", view.processes)
    reasons = seen.telemetry.reasons
    return {
        "format": FORMAT,
        "driver": view.driver,
        "daemon": told is not None,
        "index": board.index,
        "uuid": board.gpu.uuid,
        "pci": board.gpu.pci,
        "name": board.gpu.name,
        "mig": board.mig,
        "left_out": [] if told else list(view.left_out),
        "settings": [_setting(view, setting, told, unread) for setting in GPU_SETTINGS],
        "clock_steps_mhz": {"gpu": list(board.gpu_ladder_mhz), "memory": list(board.memory_ladder_mhz)},
        "telemetry": {
            "power_w": _watts(seen.telemetry.power_mw),
            "power_limit_w": _watts(seen.telemetry.enforced_limit_mw),
            "gpu_clock_mhz": seen.telemetry.gpu_clock_mhz,
            "memory_clock_mhz": seen.telemetry.memory_clock_mhz,
            "temperature_c": seen.telemetry.temperature_c,
            "utilization_percent": seen.telemetry.utilization_percent,
            "pstate": seen.telemetry.pstate,
        },
        "reasons": None if reasons is None else [reason.word for reason in Reason if reasons & reason.bit],
        "temperatures_c": {
            name: known(f"temperatures_c.{name}", getattr(view.temperatures, name))
            for name in ("now", "memory", "max_operating", "slowdown", "shutdown")
        },
        "memory_mib": memory
        and {
            "total": memory.total,
            "used": memory.used,
            "free": memory.free,
            "reserved": known("memory_mib.reserved", memory.reserved),
        },
        "bar1_mib": bar1 and {"total": bar1.total, "used": bar1.used},
        "pcie": {
            name: known(f"pcie.{name}", getattr(view.link, name))
            for name in ("generation", "width", "max_generation", "max_width")
        },
        "processes": None if processes is None else [_process(process) for process in processes],
        "other_processes": view.others,
        "throttle": told["throttle"] if told else None,
        "put_back": told["put_back"] if told else None,
        "last_xid": told["last_xid"] if told else None,
        "advice": [one.wire() for one in advice],
        "unread": unread,
    }  # fmt: skip


def _watts(milliwatts: int | None) -> int | float | None:
    return None if milliwatts is None else watts(milliwatts)


def _process(process: Process) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "kind": process.kind,
        "name": process.name,
        "user": process.user,
        "memory_mib": process.memory_mib,
    }


def _setting(view: BoardView, setting: Setting, told: GpuRow | None, unread: dict[str, str]) -> dict[str, Any]:
    """One setting: by the driver what it is and may be, by the daemon what is wished and what was there before."""
    board, reading = view.board, view.seen.readings.get(setting)
    if isinstance(reading, Unread):
        unread[f"settings.{setting.value}"] = reading.why
    row: Mapping[str, Any] = {}
    for candidate in told["settings"] if told else ():
        if candidate["setting"] == setting.value:
            row = candidate
    has = setting not in board.absent
    default = ROWS[setting].factory_default(board) if has else None
    return {
        "setting": setting.value,
        "found": None if isinstance(reading, Unread) else wire(reading),
        "allowed": ROWS[setting].allowed(board) if has else None,
        "default": wire(default) if default is not None else None,
        "original": row.get("original"),
        "original_assumed": bool(row.get("original_assumed", False)),
        "wished": row.get("wished"),
        "state": row.get("state"),
        "required": bool(row.get("required", False)),
        "origin": row.get("origin"),
        "reason": row.get("reason"),
        "message": row.get("message"),
        "absent": board.absent.get(setting),
        "costs": ROWS[setting].costs,
        "costs_page": ROWS[setting].costs_page,
    }
