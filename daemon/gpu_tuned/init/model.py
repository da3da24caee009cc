"""The words of `init`: what a line of a file does to a GPU, how sure that is, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gpu_tuned.core.model import Setting
from gpu_tuned.core.wish import Target

UNKNOWN = "\0"
"""Stands in a word for what only a running shell can know."""


class Kind(str, Enum):
    """Why something is not taken over. The words are part of `init --json`."""

    BRANCH = "branch"  # a condition decides whether it runs
    LOOP = "loop"  # a loop tries several values
    COMPUTED = "computed"  # the value is not written in the file
    GPU_UNKNOWN = "other-gpu-unknown"  # which GPU is meant is not known, or it is not here
    NOT_STARTED = "not-started"  # nothing runs it by itself
    STOP = "stop"  # runs when its unit stops, and undoes what it set
    NO_RUNG = "no-rung"  # no value of this board
    DIFFERS = "differs-from-board"  # the board has another value now
    CONFLICT = "conflict"  # two of them set different values
    CONTROLLER = "controller"  # a loop that goes on for ever decides
    TIMER = "timer"  # a time of day decides
    HOOK = "hook"  # an event decides: a job, a resume, a device, a login
    SUBCOMMAND = "subcommand"
    PROGRAM = "program"  # no shell: what it does cannot be told
    RIVAL = "rival"
    UNSUPPORTED = "unsupported"  # gpu-tuned or this board has no such setting
    HARMFUL = "harmful"
    NOT_ROOT = "not-root"
    UNREADABLE = "unreadable"


PASSIVE = frozenset({Kind.NOT_STARTED, Kind.STOP})
"""Nothing of these happens by itself while the host runs."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why what a line says is not certain: a stable word and a sentence for a person."""

    kind: Kind
    why: str


@dataclass(frozen=True, slots=True)
class Effect:
    """One value that one command asks for.

    `number` orders the effects of one start; `start` says which ones follow each other at all. `setting` is None for
    what gpu-tuned does not hold, or where it is not known; `target` None where the value is not known. `gpus` are the
    selectors as written, () for every GPU, None where they are not known. `needs`: the numbers of effects that the
    board must take for this one to run; `unless`: those whose success keeps it from running. `unordered`: runs in the
    background, or again and again; `undone`: its unit may take it back as soon as it has run; `passed`:
    calls that only read, and whose failure would have kept it from running.
    """

    file: str
    line: int
    words: str
    setting: Setting | None
    target: Target | None
    gpus: tuple[str, ...] | None = ()
    doubt: Doubt | None = None
    needs: frozenset[int] = frozenset()
    unless: frozenset[int] = frozenset()
    number: int = 0
    start: str = ""
    unordered: bool = False
    undone: bool = False
    passed: frozenset[int] = frozenset()

    @property
    def active(self) -> bool:
        """Whether it can happen while the host runs without anybody asking for it."""
        return self.doubt is None or self.doubt.kind not in PASSIVE


@dataclass(frozen=True, slots=True)
class Writer:
    """Something that will go on setting GPUs beside the daemon. `kind`: "controller", "timer", "hook", "rival",
    "program"."""

    file: str
    kind: str
    reason: str


class FileKind(str, Enum):
    """What a file is, which decides how its lines become comments."""

    UNIT = "unit"
    SCRIPT = "script"
    TABLE = "table"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class File:
    """One file that sets GPUs. `unit`: its name where systemd starts it; `links` enable it; `keeps` says why it stays
    whatever is taken over, "" where nothing speaks against a change; `only_sets`: a unit that does nothing else;
    `restart`: services that go on running what the file said until they are started anew;
    `started_by`: the units that run a script."""

    path: str
    kind: FileKind
    text: str = ""
    unit: str = ""
    links: tuple[str, ...] = ()
    keeps: str = ""
    only_sets: bool = False
    restart: tuple[str, ...] = ()
    started_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything that was found. `unread`: path -> why. `mps`: something starts NVIDIA's MPS, which shares a GPU in
    exclusive process mode. `nixos`: units come from the Nix store. `busy`: (file,
    line) of commands that do something else than set GPUs."""

    effects: tuple[Effect, ...] = ()
    files: tuple[File, ...] = ()
    writers: tuple[Writer, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    mps: bool = False
    nixos: bool = False
    busy: frozenset[tuple[str, int]] = frozenset()
