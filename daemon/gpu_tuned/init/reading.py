"""One scan's common ground: the host's files as commands see them, and what every start adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from gpu_tuned.init import modes, programs
from gpu_tuned.init.model import Doubt, Effect, File, FileKind, Kind, Writer
from gpu_tuned.init.places import EVERYWHERE, MANAGED, NAMED_SCRIPTS, PACKAGES, SEARCH, STORES
from gpu_tuned.init.rooted import Rooted
from gpu_tuned.init.shell_commands import command
from gpu_tuned.init.shell_nodes import Simple, Word
from gpu_tuned.init.shell_run import Walk
from gpu_tuned.init.shell_scripts import script, shell_of, text_of
from gpu_tuned.init.shell_seen import Seen
from gpu_tuned.init.shell_state import Here, Status, Way
from gpu_tuned.init.shell_values import Text, Variables
from gpu_tuned.init.units import PATTERN

COPY = Doubt(Kind.NOT_STARTED, "it is a copy that nothing reads")


class HostFiles:
    """What a command can find (shell_commands.Files)."""

    def __init__(self, files: Rooted) -> None:
        self.files = files

    def script(self, path: str) -> tuple[str, str] | None:
        """A text file behind its links, and its text."""
        where = self.files.resolve(path) if path.startswith("/") else None
        text = self.files.text(where) if where else None
        return None if text is None or where is None else (where, text)

    def runs(self, path: str) -> bool:
        """Whether a script may be executed by its path."""
        return modes.executable(self.files, path)

    def folder(self, path: str) -> bool:
        """Whether a folder of this path is there."""
        if path.rstrip("/") in EVERYWHERE:
            return True
        where = self.files.resolve(path)
        return where is not None and self.files.is_folder(where)

    def there(self, path: str) -> bool:
        """Whether anything of this path is there."""
        return self.files.there(path)

    def find(self, name: str) -> str | None:
        """Where PATH finds a command."""
        for folder in SEARCH:
            if self.files.resolve(f"{folder}/{name}"):
                return f"{folder}/{name}"
        return None


@dataclass(slots=True)
class Reading:
    """Everything found so far."""

    files: Rooted
    effects: list[Effect] = field(default_factory=list)
    kinds: dict[str, File] = field(default_factory=dict)
    writers: dict[tuple[str, str], Writer] = field(default_factory=dict)
    reached: set[tuple[str, int]] = field(default_factory=set)
    others: set[tuple[str, int]] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    units: list[tuple[str, Doubt | None]] = field(default_factory=list)
    commanded: set[str] = field(default_factory=set)
    """Units that a script starts."""
    perhaps: set[str] = field(default_factory=set)
    """Names of files that something runs from a folder that is not known."""
    patterns: set[str] = field(default_factory=set)
    """Patterns of the paths of files that something runs."""
    mps: bool = False
    starts: int = 0

    def walk(self, start: str, environment: Mapping[str, Text] | None = None) -> Walk:
        self.starts += 1  # one file may be started twice
        return Walk(Seen(f"{start} {self.starts}"), HostFiles(self.files), environment or {})

    def here(self, file: str, known: Mapping[str, Text], doubt: Doubt | None = None, *, root: bool = True) -> Here:
        """The shell, or what stands for one, in which a start begins."""
        return Here(file, Variables(dict(known), {}, None), Way(doubt), root=root)

    def add(self, seen: Seen, *, passive: bool = False) -> None:
        """What one start does. `passive`: it starts nothing by itself, so programs in it are nobody's concern."""
        self.mps = self.mps or (seen.mps and not passive)
        self.effects += seen.effects
        self.reached |= seen.reached
        self.others |= seen.others
        self.read |= set(seen.files)
        self.units += seen.units
        self.perhaps |= set() if passive else seen.perhaps
        self.patterns |= set() if passive else seen.patterns
        for path in seen.files:
            self.file(path, FileKind.SCRIPT)
        for program in seen.programs:
            self.program(program.path, program.doubt, seen.start)

    def program(self, path: str, doubt: Doubt | None, start: str) -> None:
        """A program that is no shell script, started by something."""
        text = self.files.text(path)
        if path in self.read or not text:
            return
        self.read.add(path)
        why = "a program sets it; what it sets, and when, cannot be told from its text"
        if doubt is None or doubt.kind in (Kind.BRANCH, Kind.LOOP, Kind.COMPUTED):
            doubt = Doubt(Kind.PROGRAM, why)
        found = programs.effects_of(path, text, doubt)
        if found:
            self.effects += [replace(effect, start=start) for effect in found]
            self.file(path, FileKind.OTHER)
            if doubt.kind in (Kind.PROGRAM, Kind.TIMER, Kind.HOOK):
                self.writer(path, doubt.kind.value, doubt.why)

    def file(self, path: str, kind: FileKind, **more: object) -> None:
        """Note a file, once, with why it may not be changed."""
        if path not in self.kinds:
            text = self.files.text(path) or ""
            keeps = package_of(path) or modes.not_ours(self.files, path) or managed_by(text)
            self.kinds[path] = File(path, kind, text, keeps=keeps)
        if more:
            self.kinds[path] = replace(self.kinds[path], **more)  # type: ignore[arg-type]

    def writer(self, path: str, kind: str, reason: str) -> None:
        self.writers.setdefault((path, kind), Writer(path, kind, reason))

    def run(
        self,
        walk: Walk,
        words: Sequence[Text],
        here: Here,
        line: int,
    ) -> Status:
        """A command in words, as a unit has it."""
        node = Simple([Word([], line) for _ in words], [], [], first=line, last=line)
        walk.seen.reached.add((here.file, line))
        return command(walk, list(words), here, node)

    def run_text(self, walk: Walk, text: str, here: Here, line: int, *, bash: bool = False) -> Status:
        """A command line for sh, or bash, as a crontab has it."""
        node = Simple([], [], [], first=line, last=line)
        walk.seen.reached.add((here.file, line))
        return text_of(walk, Text(text), (), here, node, "", bash=bash)

    def begins_as_program(self, path: str) -> bool:
        """Whether the kernel can run a file: a text has to name its interpreter. What is no text is not looked at."""
        where = self.files.resolve(path)
        text = self.files.text(where) if where else None
        return text is None or text.startswith(("#!", "\x7f"))

    def run_script(
        self, path: str, doubt: Doubt | None, arguments: tuple[Text, ...] = (), *, passive: bool = False
    ) -> bool:
        """A script that something starts; whether it is one. One for another interpreter is a program."""
        where = self.files.resolve(path)
        text = self.files.text(where) if where else None
        if where is None or text is None:
            return False
        if shell_of(text) is None:
            self.program(where, doubt, where)
            return True
        walk = self.walk(where)
        if doubt is None and not self.begins_as_program(where):
            doubt = Doubt(Kind.BRANCH, "it does not begin with #!, so that it may not be run")
        here = self.here(where, {}, doubt)
        script(walk, Text(where), arguments, here, 1)
        self.add(walk.seen, passive=passive)
        return True

    def globbed(self, pattern: str) -> list[str]:
        """The files that a path stands for, in order: those that fit where it is a pattern, else itself."""
        folder, _, names = pattern.rpartition("/")
        if not PATTERN.search(names):
            return [pattern]
        fits = [name for name in self.files.names(folder) if fnmatchcase(name, names)]
        return [f"{folder}/{name}" for name in sorted(fits) if names.startswith(".") or not name.startswith(".")]

    def names_scripts(self, text: str) -> None:
        """A configuration of another program names files that it may run."""
        self.perhaps |= set(NAMED_SCRIPTS.findall(text))

    def scan_lines(self, path: str, doubt: Doubt, kind: FileKind = FileKind.OTHER) -> bool:
        """Options of nvidia-smi that stand in a text of another kind."""
        text = self.files.text(path)
        if not text or path in self.read:
            return False
        self.read.add(path)
        found = programs.effects_of(path, text, doubt)
        if found:
            self.effects += [replace(effect, start=path) for effect in found]
            self.file(path, kind)
        return bool(found)


def package_of(path: str) -> str:
    """Whether a file is a package's or a store's, as a sentence; "" for none."""
    if path.startswith(STORES):
        return "it is in a store that only its package manager writes"
    if path.startswith(PACKAGES) and not path.startswith("/usr/local/"):
        return "it belongs to a package"
    return ""


def managed_by(text: str) -> str:
    """Whether a file says at its head that another program writes it, as a sentence; "" for none."""
    head = "\n".join(row for row in text.split("\n")[:12] if row.lstrip().startswith(("#", ";")))
    found = MANAGED.search(head)
    return f"{(found[1] or found[2]).capitalize()} manages it, and would write it anew" if found else ""
