"""One GPU from close by, for `gpu-tunedctl show`: what the daemon does not look at in every pass."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_tuned.core.model import Board, Seen, Unread


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB. `reserved` is what driver and firmware keep for themselves."""

    total: int
    used: int
    free: int
    reserved: int | Unread


@dataclass(frozen=True, slots=True)
class Bar1:
    """The window through which host and peers reach the memory, MiB."""

    total: int
    used: int


@dataclass(frozen=True, slots=True)
class Temperatures:
    """Degrees Celsius: now, of the memory, and where the board slows down, runs at most, shuts down."""

    now: int | Unread
    memory: int | Unread
    max_operating: int | Unread
    slowdown: int | Unread
    shutdown: int | Unread


@dataclass(frozen=True, slots=True)
class Link:
    """The PCIe link now, and the most that board and slot can do together."""

    generation: int | Unread
    width: int | Unread
    max_generation: int | Unread
    max_width: int | Unread


@dataclass(frozen=True, slots=True)
class Process:
    """A process that has the GPU open. `kind`: "compute", "graphics" or "mps". `memory_mib`: None where the driver
    does not say (a container's, for one)."""

    pid: int
    kind: str
    name: str
    user: str
    memory_mib: int | None


@dataclass(frozen=True, slots=True)
class BoardView:
    """One look at one GPU. `processes` are this user's own, all for root; `others`: how many there are besides.
    `left_out`: the driver's other GPUs, and why they cannot be looked at."""

    driver: str
    board: Board
    seen: Seen
    memory: Memory | Unread
    bar1: Bar1 | Unread
    temperatures: Temperatures
    link: Link
    processes: tuple[Process, ...] | Unread
    others: int = 0
    left_out: tuple[str, ...] = ()
