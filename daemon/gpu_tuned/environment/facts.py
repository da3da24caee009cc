"""What is known of an environment variable: the rows of the catalogue as values.

Every row comes from packaging/environment/ and keeps the source that it was taken from. First and last versions are
bounded by the releases that were looked at: between `last` and `first_without` nobody looked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """What a component is to a process that runs on a GPU."""

    ENGINE = "engine"
    """One of these runs in a container: what only another engine reads is not read here."""
    LIBRARY = "library"
    """May be inside of anything."""
    TOOL = "tool"
    """Reads its own environment on the host (docker, compose)."""
    BUILD = "build"
    """Read while something is built, not while it runs."""
    IMAGE = "image"
    """An image says something about itself with it; nobody need read it."""
    WRAPPER = "wrapper"
    """An entrypoint of somebody's image turns it into something else."""
    PLATFORM = "platform"
    """Set or read by what runs the process: the shell, systemd, Kubernetes, the container toolkit."""


class Kind(Enum):
    """How a name is read."""

    EXACT = "exact"
    PREFIX = "prefix"
    """Every name that begins so (LMCACHE_ and the name of a setting)."""
    PRESENCE = "presence"
    """That it is set switches it on, whatever the value: also with "0", "false" and nothing."""


class State(Enum):
    """What became of a name that a component does not read as it once did."""

    GONE = "gone"
    ALIAS = "alias"
    """Still read, under a newer name."""
    REWRITTEN = "rewritten"
    """The old name is turned into the new one at start, with a warning."""
    KEPT = "kept"
    """Listed as old, and still the one to set, or read by another module of the same component."""
    FATAL = "fatal"
    """Kept only to stop the program."""
    NO_EFFECT = "no-effect"
    """Still read, and changes nothing on boards of today."""


@dataclass(frozen=True, slots=True)
class Component:
    """Who reads: `id` is what a Reader, a Removed and `judge` name it by ("vllm", "llama.cpp")."""

    id: str
    label: str
    role: Role
    scheme: str
    """Of its versions: "" or "llama.cpp" (environment/version.py)."""
    looked_at: str
    """The version that the catalogue was made from; "" or a text without order where it has none."""
    brings: tuple[str, ...]
    """Ids of what else runs in an engine's process and is no library of everybody."""
    rewrites: tuple[tuple[str, str], ...]
    """(old, new): names that begin with the old text are turned into those that begin with the new one."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One component that reads a name."""

    name: str
    """For PREFIX what the name begins with."""
    kind: Kind
    component: str
    version: str
    """The version in which this was seen."""
    since: str
    """First version that was seen to read it, or "": not known, or always."""
    until: str
    """Last version that was seen to read it; "?" where it is read no more and the version is not known; else ""."""
    source: str


@dataclass(frozen=True, slots=True)
class Removed:
    """One component that reads a name no more, or only under protest."""

    name: str
    component: str
    last: str
    """Last version that read it, or "": not known."""
    first_without: str
    """First version without it, or "": the old name still does something (`state`)."""
    state: State
    replacement: str
    """A variable ("HF_HOME", "LLAMA_ARG_LOAD_MODE=mlock"), an option ("--moe-backend"), words; "": there is none."""
    remark: str
    source: str


@dataclass(frozen=True, slots=True)
class Value:
    """What one name may be set to."""

    name: str
    components: tuple[str, ...]
    rule: str
    """"one-of", "any-case", "integer", "number", "items", "match", "presence" or "": none (environment/legal.py)."""
    argument: str
    legal: str
    """The same in words."""
    unit: str
    """Type or unit: "bytes", "percent", "bool", "path", "secret"..."""
    default: str
    harm: str
    """Harmful and contradictory use, in words; "": none known."""
    source: str


@dataclass(frozen=True, slots=True)
class Namespace:
    """A prefix, and what it is worth that no component is known to read a name with it."""

    prefix: str
    component: str
    closed: str
    """"yes": absence counts; "mostly": a weak sign; "rule": every name is read; "no": absence says nothing."""
    known_from: str
    advice: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A name, in a namespace that is otherwise known, that is no mistake of the namespace's owner."""

    pattern: str
    """One that ends in "*" stands for all that begin so."""
    kind: str
    """"reader": a plugin, a fork or a build may read it; "option": an option of a build, and no variable."""
    who: str


@dataclass(frozen=True, slots=True)
class Prescribed:
    """A variable, option or command that a well-known tuning guide prescribes, checked line by line."""

    name: str
    kind: str
    """"env", "key" (of an allocator list), "flag", "compose", "dockerfile" or "command"."""
    doc_value: str
    verdict: str
    """"real", "real-wrong-value", "renamed", "removed" or "invented"."""
    readers: tuple[str, ...]
    values: str
    since: str
    replacement: str
    harm: str
    """"none", "low", "medium" or "high"."""
    evidence: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Recommended:
    """What a GPU host should have, and guides seldom name."""

    names: tuple[str, ...]
    """Variables and options; one that ends in "*" stands for all that begin so."""
    title: str
    component: str
    value: str
    why: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """All rows that speak of one name; all empty for a name that nobody is known to read."""

    name: str
    readers: tuple[Reader, ...]
    removed: tuple[Removed, ...]
    values: tuple[Value, ...]
    namespace: Namespace | None
    """The longest that the name begins with."""
    prescribed: tuple[Prescribed, ...]
    recommended: tuple[Recommended, ...]

    @property
    def known(self) -> bool:
        return bool(self.readers or self.removed or self.values or self.prescribed or self.recommended)
