"""What people had set up on a host before: the commands that were found, and what becomes of their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from gpu_tuned.core.model import Board, NumaBalancing, Reading, Setting
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.wish import Target


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file. `file` is its absolute path on the host, `line` counts from 1 and is 0 for the whole file.
    `at_boot`: something runs it without being asked; a script that lies around is not that."""

    file: str
    line: int = 0
    at_boot: bool = False

    def __str__(self) -> str:
        return f"{self.file} line {self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Ask:
    """One value that a command or a line asked for.

    `gpus` are the selectors as written (index, UUID or PCI address), () for every GPU. `words` is what to quote:
    "-pl 600". `target` is None where the text does not tell the value, and `why` then says so.
    """

    setting: Setting
    target: Target | None
    words: str
    place: Place
    gpus: tuple[str, ...] = ()
    why: str = ""


class Step(str, Enum):
    """What `init --write` does with a file."""

    MOVE = "move"  # the whole file goes to the backup, with the links that enable it
    EDIT = "edit"  # some lines become comments; the original goes to the backup
    LEAVE = "leave"  # nothing; a person has to look


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file. `lines` are those that go (EDIT) or that want a look (LEAVE); `content` is the new
    content (EDIT); `links` go with the file (MOVE); `unit`: its name where it is a unit that may be running."""

    step: Step
    file: str
    why: str
    lines: tuple[int, ...] = ()
    content: bytes = b""
    links: tuple[str, ...] = ()
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything that was found. `unread` are files and folders that could not be read: path -> why."""

    asks: tuple[Ask, ...] = ()
    changes: tuple[Change, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    mps: bool = False
    """Something on this host starts NVIDIA's MPS, which shares a GPU in exclusive process mode."""


@dataclass(frozen=True, slots=True)
class Host:
    """What a first policy is made from. `readings` by UUID; `profiles` are those that ship, by name, each as the
    policy that it makes of a rule for every board; `numa_now` is None where the kernel has no such knob."""

    boards: tuple[Board, ...]
    readings: Mapping[str, Mapping[Setting, Reading]]
    asks: tuple[Ask, ...] = ()
    profiles: Mapping[str, Policy] = field(default_factory=dict)
    numa_now: NumaBalancing | None = None
    memory_nodes: int = 1
    mps: bool = False
    silent: tuple[str, ...] = ()
    """PCI addresses of GPUs that the driver has and that do not answer."""


@dataclass(frozen=True, slots=True)
class FirstPolicy:
    """What `gpu-tunedctl init` shows. `policy` is the file's text; `target` where it goes; `present` says what lies
    there now, None for nothing; `drop_ins` stay and win over it. `backup` and `undo` (a command) are set once it was
    written."""

    policy: str
    target: str
    changes: tuple[Change, ...]
    unread: Mapping[str, str]
    present: str | None = None
    drop_ins: tuple[str, ...] = ()
    backup: str | None = None
    undo: str | None = None
