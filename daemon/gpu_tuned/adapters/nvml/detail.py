"""What `gpu-tunedctl show` asks the driver about one GPU: one look, reads only."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml.calls import MAX_OPERATING, MIB, SHUTDOWN, SLOWDOWN, ask, fields, first
from gpu_tuned.adapters.nvml.driver import Nvml
from gpu_tuned.adapters.nvml.errors import translated
from gpu_tuned.adapters.nvml.processes import LISTS
from gpu_tuned.adapters.nvml.reads import GPU_SENSOR, TEMPERATURES
from gpu_tuned.core.board_view import Bar1, BoardView, Link, Memory, Process, Temperatures
from gpu_tuned.core.errors import DriverTrouble
from gpu_tuned.core.model import Board, Unread
from gpu_tuned.core.which import Names, chosen
from gpu_tuned.ports import Look

MEMORY_TEMPERATURE = 82  # NVML_FI_DEV_MEMORY_TEMP


def look_at(word: str | None) -> BoardView:
    """The one GPU that `word` names (None: the only one). Raises UsageError where it names none or several;
    DriverError."""
    gpus = Nvml()
    boards = gpus.attach()
    try:
        board = _chosen(boards, gpus.left_out, word)
        seen = gpus.see(board.gpu.uuid, Look(application_clocks=True, counters=True))
        with translated():
            handle = pynvml.nvmlDeviceGetHandleByUUID(board.gpu.uuid)
            view = _view(handle, board, seen, gpus.driver_version() or "")
        left_out = [f"GPU {index} cannot be looked at: {why}" for index, why in sorted(gpus.left_out.items())]
        return view if word is not None else replace(view, left_out=tuple(left_out))
    finally:
        gpus.detach()


def _chosen(boards: tuple[Board, ...], left_out: Mapping[int, str], word: str | None) -> Board:
    """`left_out`: index -> why, of those that cannot be looked at."""
    if not boards:
        raise DriverTrouble("the driver answers and names no GPU that can be read")
    if word is None and len(boards) == 1:
        return boards[0]
    names = [Names(board.index, board.gpu.uuid, board.gpu.pci) for board in boards]
    away = sorted(left_out.items())
    number = chosen([*names, *(Names(index, "", "", why) for index, why in away)], word)
    if number >= len(boards):
        raise DriverTrouble(f"GPU {word} cannot be looked at: {away[number - len(boards)][1]}")
    return boards[number]


def _view(handle: Any, board: Board, seen: Any, driver: str) -> BoardView:
    listed, others = _processes(handle), 0
    processes: tuple[Process, ...] | Unread
    if isinstance(listed, Unread):
        processes = listed
    else:
        every = os.geteuid() == 0
        processes = tuple(process for process, uid in listed if every or uid == os.geteuid())
        others = len(listed) - len(processes)
    return BoardView(
        driver=driver,
        board=board,
        seen=seen,
        memory=_memory(handle),
        bar1=_bar1(handle),
        temperatures=Temperatures(
            now=_whole(first(TEMPERATURES, handle, GPU_SENSOR)[1]),
            memory=_memory_temperature(handle),
            max_operating=_whole(ask(pynvml.nvmlDeviceGetTemperatureThreshold, handle, MAX_OPERATING)),
            slowdown=_whole(ask(pynvml.nvmlDeviceGetTemperatureThreshold, handle, SLOWDOWN)),
            shutdown=_whole(ask(pynvml.nvmlDeviceGetTemperatureThreshold, handle, SHUTDOWN)),
        ),
        link=Link(
            generation=_whole(ask(pynvml.nvmlDeviceGetCurrPcieLinkGeneration, handle)),
            width=_whole(ask(pynvml.nvmlDeviceGetCurrPcieLinkWidth, handle)),
            max_generation=_whole(ask(pynvml.nvmlDeviceGetMaxPcieLinkGeneration, handle)),
            max_width=_whole(ask(pynvml.nvmlDeviceGetMaxPcieLinkWidth, handle)),
        ),
        processes=processes,
        others=others,
    )


def _whole(answer: Any) -> int | Unread:
    return answer if isinstance(answer, Unread) else int(answer)


def _memory(handle: Any) -> Memory | Unread:
    version = getattr(pynvml, "nvmlMemory_v2", None)
    newer = ask(pynvml.nvmlDeviceGetMemoryInfo, handle, version) if version is not None else Unread("an old binding")
    if not isinstance(newer, Unread):
        return Memory(newer.total // MIB, newer.used // MIB, newer.free // MIB, newer.reserved // MIB)
    older = ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    if isinstance(older, Unread):
        return older
    return Memory(older.total // MIB, older.used // MIB, older.free // MIB, newer)


def _bar1(handle: Any) -> Bar1 | Unread:
    info = ask(pynvml.nvmlDeviceGetBAR1MemoryInfo, handle)
    return info if isinstance(info, Unread) else Bar1(info.bar1Total // MIB, info.bar1Used // MIB)


def _memory_temperature(handle: Any) -> int | Unread:
    code, value = fields(handle, (MEMORY_TEMPERATURE,))[MEMORY_TEMPERATURE]
    return Unread("this board does not tell it") if code else value


def _processes(handle: Any) -> list[tuple[Process, int | None]] | Unread:
    """Every process with the number of its user (None: gone, or of another container)."""
    found: dict[int, tuple[Process, int | None]] = {}
    for kind, calls in LISTS.items():
        _, rows = first(calls, handle)
        if isinstance(rows, Unread):
            if kind == "compute":
                return rows
            continue
        for row in rows:
            uid, user, name = _who(row.pid)
            used = row.usedGpuMemory
            process = Process(row.pid, kind, name, user, None if used is None else int(used) // MIB)
            found.setdefault(row.pid, (process, uid))
    return [found[pid] for pid in sorted(found)]


def _who(pid: int) -> tuple[int | None, str, str]:
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        return None, "?", "?"
    with suppress(KeyError):
        return uid, pwd.getpwuid(uid).pw_name, name
    return uid, str(uid), name
