"""What a reading of a start gathers: effects, programs, files, and what is run at the end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from gpu_tuned.init.model import UNKNOWN, Doubt, Effect, Kind
from gpu_tuned.init.nvidia_smi import Said
from gpu_tuned.init.shell_nodes import Simple
from gpu_tuned.init.shell_state import Here, Way
from gpu_tuned.init.shell_values import Text


@dataclass(slots=True)
class Handler:
    """What a trap runs, and where it was set. `stops`: only signals that stop the script run it."""

    text: Text
    node: Simple
    place: Here
    stops: bool


@dataclass(frozen=True, slots=True)
class Program:
    """Something started that is no shell script: where it lies, who starts it, and on which condition."""

    path: str
    file: str
    line: int
    doubt: Doubt | None


@dataclass(slots=True)
class Seen:
    """What a reading gathers. `reached`: (file, line) of every command that was come to; `files`: the scripts read;
    `units`: those that a command starts; `others`: (file, line) of commands that do something else as well."""

    start: str
    effects: list[Effect] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    units: list[tuple[str, Doubt | None]] = field(default_factory=list)
    reached: set[tuple[str, int]] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    others: set[tuple[str, int]] = field(default_factory=set)
    mps: bool = False
    signalled: bool = False
    """Whether a script sends a signal to itself."""
    folders: set[str] = field(default_factory=set)
    """Folders that a command makes."""
    perhaps: set[str] = field(default_factory=set)
    """Names of files that are run from a folder that is not known."""
    patterns: set[str] = field(default_factory=set)
    """Patterns of the paths of files that are run, of which more is not known."""
    written: dict[str, str] = field(default_factory=dict)
    """Files that a command writes, and the text, where that has calls of nvidia-smi in it."""

    def runs_one_of(self, path: str) -> None:
        """A file is run whose path is known in part."""
        if path.startswith("/") and not path.startswith(f"/{UNKNOWN}"):
            self.patterns.add(re.sub(f"{UNKNOWN}+", "*", path))

    def say(self, here: Here, line: int, said: Said) -> int:
        """Add what a command does; returns its number."""
        way = here.reached()
        doubt = self._doubt(here, way, said)
        if said.loses:
            self._lost(said)
        number = len(self.effects)
        self.effects.append(
            Effect(
                *(here.file, line, said.words, said.setting, said.target, said.gpus, doubt),
                *(way.needs, way.unless, number, self.start, way.unordered or here.endless),
                passed=way.passed,
            )
        )
        return number

    def doubt_from(self, number: int, why: str) -> None:
        """What was said from a number on is not certain."""
        for at in range(number, len(self.effects)):
            if self.effects[at].doubt is None:
                self.effects[at] = replace(self.effects[at], doubt=Doubt(Kind.BRANCH, why))

    def ended_beside(self, why: str) -> None:
        """What was started beside the script may be ended by it."""
        for at, effect in enumerate(self.effects):
            if effect.unordered and effect.doubt is None:
                self.effects[at] = replace(effect, doubt=Doubt(Kind.BRANCH, why))

    def _doubt(self, here: Here, way: Way, said: Said) -> Doubt | None:
        own = said.doubt
        if own is None and said.gpus is None:
            own = Doubt(Kind.GPU_UNKNOWN, "which GPU is meant is not written in the file")
        if own is None and not here.root:
            own = Doubt(Kind.NOT_ROOT, "it does not run as root, who alone may set a GPU")
        doubt = own if way.doubt is None or (own and way.doubt.kind is Kind.LOOP) else way.doubt
        if doubt and here.endless and doubt.kind in (Kind.BRANCH, Kind.COMPUTED, Kind.LOOP):
            return Doubt(Kind.CONTROLLER, f"{doubt.why}, again and again in a loop without an end")
        return doubt

    def _lost(self, said: Said) -> None:
        why = Doubt(Kind.BRANCH, f"`{said.words}`, later on, resets the GPU, and with it this")
        self.effects = [
            effect if effect.doubt or effect.setting is None else replace(effect, doubt=why)
            for effect in self.effects
        ]
