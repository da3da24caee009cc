"""systemd's units as text: their lines, their commands, and the words that systemd makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gpu_tuned.init.environment_file import assignments
from gpu_tuned.init.model import UNKNOWN
from gpu_tuned.init.shell_values import Text
from gpu_tuned.init.unit_words import Word, split

STARTING = ("ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost")
STOPPING = ("ExecStop", "ExecStopPost", "ExecReload")
NOT_WAITED_FOR = frozenset({"simple", "exec", "idle"})
"""Types of services that have started when their command has: what follows runs beside it."""
CONFINING = (
    *("PrivateDevices", "DevicePolicy", "DeviceAllow", "CapabilityBoundingSet", "RootDirectory", "RootImage"),
    *(
        "PrivateUsers",
        "ExecSearchPath",
        "InaccessiblePaths",
        "NoExecPaths",
        "TemporaryFileSystem",
        "SystemCallFilter",
    ),
)
"""Settings of a unit that may keep its commands from a GPU, or from the program that is meant."""
OFF = frozenset({"", "no", "false", "0", "off", "auto"})
LONGEST = 8192
"""Characters of one line that are looked into."""
_SECTIONS = (
    (re.compile(r"Exec\w+|\w*Environment(?:File)?|Type|User|DynamicUser|RemainAfterExit|Standard\w+"), "Service"),
    (
        re.compile(r"Wants|Requires|Requisite|BindsTo|PartOf|Upholds|On(?:Failure|Success)|(?:Condition|Assert)\w+"),
        "Unit",
    ),
    (re.compile(r"On(?:BootSec|StartupSec|Calendar|UnitActiveSec|ActiveSec|UnitInactiveSec)"), "Timer"),
)
"""Keys and the section in which they mean something."""
_LINE = re.compile(r"\s*([A-Za-z]\w*)\s*=\s*(.*)", re.DOTALL)
SIGNS = "-+@:!|"
"""What may stand before a command, and change how it is run."""
_SIGNS = re.compile(f"[{SIGNS}]*")
_END = Word(";", ";")
_VARIABLE = re.compile(r"\$\{([^}:]*)\}|\$\$|\$([A-Za-z_]\w*)(?=$)")
PATTERN = re.compile(r"[*?\[]")
"""What makes a path one of several files."""
_SPECIFIER = re.compile(r"%(.)")
_FOLDERS = {"E": "/etc", "t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "h": "/root"}
"""What specifiers stand for in the system's units (systemd.unit(5))."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One assignment of a unit or a drop-in; `first` to `last` are its lines in `file`."""

    section: str
    key: str
    value: str
    file: str
    first: int
    last: int


@dataclass(slots=True)
class Unit:
    """A unit with its drop-ins. `file` is "" where only drop-ins lie on the host."""

    name: str
    file: str
    entries: list[Entry] = field(default_factory=list)
    drop_ins: list[str] = field(default_factory=list)

    def values(self, key: str) -> list[str]:
        return [entry.value for entry in self.listed(key)]

    def last(self, key: str) -> str:
        """The value of a key of which the last one counts; "" for none."""
        return next((entry.value for entry in reversed(self.entries) if entry.key == key), "")

    def listed(self, key: str) -> list[Entry]:
        """All lines of a key; an empty one takes back those before it."""
        found: list[Entry] = []
        for entry in self.entries:
            if entry.key == key:
                found = [*found, entry] if entry.value else []
        return found

    def names(self, *keys: str) -> set[str]:
        """The units that these keys name."""
        return {name for key in keys for value in self.values(key) for name in value.split()}

    @property
    def instance(self) -> str | None:
        """What stands between @ and the type; None for no instance."""
        stem = self.name.rpartition(".")[0]
        return stem.partition("@")[2] if "@" in stem else None


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a unit. `words` is None where systemd makes no command of it; `may_fail`: that it fails is
    ignored; `privileged`: it is run as root whoever the unit's user is."""

    key: str
    entry: Entry
    words: tuple[Text, ...] | None
    may_fail: bool
    privileged: bool = False


def entries(text: str, file: str) -> Iterator[Entry]:
    """The assignments of a unit's text. A line that ends in a backslash goes on; comments in between do not count."""
    section, kept, start = "", "", 0
    for number, row in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if row.lstrip().startswith(("#", ";")):
            continue
        start = start or number
        if row.endswith("\\"):
            kept += row[:-1] + " "
            continue
        code = kept + row
        kept, first, start = "", start, 0
        if code.strip().startswith("["):
            section = code.strip().strip("[]")
        elif (found := _LINE.fullmatch(code)) and len(code) <= LONGEST and _belongs(found[1], section):
            yield Entry(section, found[1], found[2].strip(), file, first, number)


def _belongs(key: str, section: str) -> bool:
    """systemd passes over a key in a section that is not its own."""
    wanted = next((own for keys, own in _SECTIONS if keys.fullmatch(key)), section)
    return wanted == section


def environment(unit: Unit, file_texts: Mapping[str, Sequence[str] | None]) -> dict[str, Text]:
    """What Environment= and EnvironmentFile= give, as far as it is written there. `file_texts` has, for each path of
    `environment_files`, the texts found there, and None where it is not known what a boot finds."""
    known: dict[str, Text] = {}
    for entry in unit.entries:
        if entry.key == "Environment":
            if not entry.value:
                known.clear()
            sure = True
            for word in split(entry.value) or ():
                name, equals, value = word.text.partition("=")
                sure = sure and word.known  # some versions of systemd drop the rest of such a line
                if equals:
                    known[name] = Text(_specified(value, unit).replace("$$", "$") if sure else UNKNOWN)
    for path in environment_files(unit):
        texts = file_texts.get(path)
        if texts is None:
            known = dict.fromkeys(known, Text(UNKNOWN))
        for text in texts or ():
            known |= {name: Text(value) for name, value in assignments(text).items()}
    for name in unit.names("PassEnvironment", "UnsetEnvironment"):
        known[name.partition("=")[0]] = Text(UNKNOWN)
    return known


def environment_files(unit: Unit, *, needed: bool = False) -> list[str]:
    """The paths of EnvironmentFile=, in order, without the sign for one that may be missing; `needed`: only those
    that may not. UNKNOWN stands in them for what only the running host knows."""
    values = unit.values("EnvironmentFile")
    return [_specified(value.lstrip("-"), unit) for value in values if not (needed and value.startswith("-"))]


def commands(unit: Unit, keys: Sequence[str], known: Mapping[str, Text]) -> Iterator[Command]:
    """The unit's commands in the order in which systemd runs them."""
    for key in keys:
        for entry in unit.listed(key):
            words = split(entry.value)
            if words is None:
                yield Command(key, entry, None, may_fail=False)
                continue
            each: list[str] = []
            for word in [*words, _END]:
                if word.raw != _END.raw:
                    each.append(";" if word.raw == "\\;" else word.text)
                elif each:
                    yield _command(key, entry, each, unit, known)
                    each = []


def _command(key: str, entry: Entry, words: Sequence[str], unit: Unit, known: Mapping[str, Text]) -> Command:
    signs = (_SIGNS.match(words[0]) or [""])[0]
    first, rest = words[0][len(signs) :], words[1:]
    if not first:  # signs and a space: systemd passes over the whole line
        return Command(key, entry, None, may_fail=False)
    given = [first, *rest[1:]] if "@" in signs else [first, *rest]
    expanded = tuple(_expanded(given, unit, known, literally=":" in signs))
    return Command(key, entry, expanded, "-" in signs, privileged="+" in signs or "!" in signs)


def _expanded(words: Sequence[str], unit: Unit, known: Mapping[str, Text], *, literally: bool) -> Iterator[Text]:
    for word in words:
        text = _specified(word, unit)
        if literally:
            yield Text(text)
            continue
        alone = re.fullmatch(r"\$([A-Za-z_]\w*)", text)
        if alone:
            value = known.get(alone[1], Text(UNKNOWN)).text
            parts = None if UNKNOWN in value or "\\" in value else split(value)
            yield from (
                [Text(value if UNKNOWN in value else UNKNOWN)] if parts is None else [Text(p.text) for p in parts]
            )
        else:
            yield Text(_VARIABLE.sub(lambda found: _value(found, known), text))


def _value(found: re.Match[str], known: Mapping[str, Text]) -> str:
    if found[0] == "$$":
        return "$"
    if found[1] is None:
        return found[0]
    if not re.fullmatch(r"[A-Za-z_]\w*", found[1]):
        return ""  # `${L[0]}`, `${W%W}`: systemd looks for a variable of this name, and there can be none
    return known[found[1]].text if found[1] in known else UNKNOWN


def _specified(word: str, unit: Unit) -> str:
    """Specifiers: the instance is known, and so are the folders of the system; what the machine is called is not."""
    stem = unit.name.rpartition(".")[0]
    values = {**_FOLDERS, "%": "%", "n": unit.name, "N": stem, "p": stem.partition("@")[0]}
    if unit.instance:
        values |= {"i": unit.instance, "I": unit.instance.replace("-", "/")}
    return _SPECIFIER.sub(lambda found: values.get(found[1], UNKNOWN), word)
