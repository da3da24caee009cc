"""The words of the audit: what a reader found in a file, and what a rule found wrong with it.

A reader turns the text of a file into environments: for each container, service, stage or process the variables
that it is given, with the place of each, and what else a rule needs to know (image, command, mounts). Rules see only
these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gpu_tuned.environment.audit.ids import IDS, Kind


class Certainty(str, Enum):
    CERTAIN = "certain"
    LIKELY = "likely"
    LOW = "low"
    """Shown with --all."""

    @property
    def rank(self) -> int:
        return ("certain", "likely", "low").index(self.value)


class Reader(str, Enum):
    """Who reads a file; env files mean different things to each."""

    DOCKER = "docker"
    """`docker run --env-file`, and podman's."""
    COMPOSE = "compose"
    """`env_file:`, and the .env beside a Compose file."""
    SYSTEMD = "systemd"
    """`EnvironmentFile=`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. `line` and `column` count from 1; 0 where there is none (/proc/PID/environ)."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """One variable set."""

    name: str
    value: str | None
    """As the process gets it; None where the file does not say (interpolated without default, from a secret)."""
    place: Place
    form: str = ""
    """How the value is written there, for the line that would be right: "NAME={}", "NAME: {}", "Environment=NAME={}";
    "" where no line can be given."""
    build_only: bool = False
    """An ARG: seen by the commands of the build, not by the process."""
    borrowed: bool = False
    """The value comes from somewhere else than this line (the .env beside a Compose file): no secret of this file."""
    doubtful: bool = False
    """Other readers of the same file take the value for something else."""


@dataclass(frozen=True, slots=True)
class Trap:
    """A line that its reader takes for something else."""

    id: str
    name: str
    place: Place
    certainty: Certainty
    message: str
    replacement: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    """A path inside of a container on which something else than its own layer lies."""

    target: str
    tmpfs: bool
    noexec: bool
    place: Place
    written: str = ""


@dataclass(slots=True)
class Environment:
    """What one process, container, service or build stage is given."""

    label: str
    """As "service chat", "container server", "stage runtime", "vllm.service"; "" for a bare env file."""
    place: Place
    assignments: list[Assignment] = field(default_factory=list)
    image: str = ""
    """With its tag; "" where there is none or it is not known."""
    command: tuple[str, ...] = ()
    installs: str = ""
    """What a build runs, for the packages that it installs."""
    mounts: list[Mount] = field(default_factory=list)
    container: bool = False
    """Its files are lost with it, save for what is mounted."""
    complete: bool = False
    """The file says all that is mounted (a Compose service); a Dockerfile does not."""
    devices: tuple[str, ...] | None = None
    """GPUs that the engine is asked for: indices, UUIDs; ("all",); () for a number without names; None: not said."""
    device_count: int | None = None
    may_place_memory: bool = False
    """Privileged, or with the capability SYS_NICE."""
    published: bool = False
    """A port is published to outside of the container."""
    service_names: frozenset[str] = frozenset()
    """Kubernetes: services that are injected as NAME_PORT; empty where that is switched off."""
    components: dict[str, str] = field(default_factory=dict)
    """What runs in it, with its version or ""; filled in by components.py."""
    pinned: bool = False
    """The tag names a release, but not in a way that can be ordered (a build number, a month)."""
    scripts_read: bool = False
    """The scripts that start it are here, and were looked through for names."""
    official: bool = False
    """The image is the project's own: no wrapper's entrypoint reads names of its own."""
    fragment: bool = False
    """Part of something that is not here: a Dockerfile without FROM, an env file that nobody refers to."""

    spoken_of: set[str] = field(default_factory=set)
    """Components that read another name that is set here; filled in by names.py."""

    def effective(self) -> dict[str, Assignment]:
        """By name, the one that wins: the last."""
        return {found.name: found for found in self.assignments if not found.build_only}


@dataclass(slots=True)
class Reading:
    """What a reader found in one file."""

    environments: list[Environment] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    """Names that something in the file expands inside of the container: they have a reader."""
    interpolated: set[str] = field(default_factory=set)
    """Names that the file's own reader expands before (Compose's ${NAME}): what .env is for."""
    refers: dict[str, Reader] = field(default_factory=dict)
    """Env files that it names, by path, and who reads them."""
    only: str = ""
    """The file that is told of; the others are read for what they say about it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    id: str
    """One of ids.IDS: stable, and the anchor of its section in docs/environment/audit.md."""
    name: str
    place: Place
    certainty: Certainty
    message: str
    replacement: str = ""
    part: str = ""
    """What of the value: a key of a list, an option among flags; not part of the output."""
    where: str = ""
    """Label of the environment, for people."""

    @property
    def kind(self) -> Kind:
        return IDS[self.id]

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "kind": self.kind.value,
            "name": self.name,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "certainty": self.certainty.value,
            "message": self.message,
            "replacement": self.replacement,
        }


def line_with(one: Assignment, name: str, value: str) -> str:
    """The line of an assignment with another name or value, quoted as its file wants it; "" where there is none."""
    if not one.form:
        return ""
    spaced = any(letter.isspace() for letter in value)
    if spaced and one.form.startswith("Environment="):
        return f'Environment="{name}={value}"'
    if spaced and one.form.startswith("- {name}="):
        return f"- '{name}={value}'" if "'" not in value else f'- "{name}={value}"'
    if (spaced or ";" in value) and one.form.startswith(("ENV", "ARG")):
        value = f'"{value}"'
    return one.form.replace("{name}", name).replace("{value}", value)


class Unreadable(Exception):
    """A file that its reader cannot make sense of; the message says why, and where."""

    def __init__(self, file: str, why: str, line: int = 0) -> None:
        super().__init__(f"{file}:{line}: {why}" if line else f"{file}: {why}")
