"""A shell script as a tree. Lines count from 1, first and last included."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Part:
    """A piece of a word. `kind`: "text" (literal), "var" (`text` is its name, `op` what follows it in the braces),
    "sub" (what only a running shell can work out; `text` is its source, `op` "commands" for `$( )`, "process" for
    `<( )`, or "arithmetic"). `quoted`: not split, not expanded."""

    kind: str
    text: str
    quoted: bool = False
    op: str = ""


@dataclass(slots=True)
class Word:
    """`array`: the elements of `name=( ... )`."""

    parts: list[Part]
    line: int
    array: list[Word] | None = None

    @property
    def plain(self) -> str | None:
        """The word where it is one unquoted literal, as keywords and operators of tests are."""
        if len(self.parts) == 1 and self.parts[0].kind == "text" and not self.parts[0].quoted:
            return self.parts[0].text
        return None

    @property
    def literal(self) -> str | None:
        """The word's text where nothing in it needs a shell."""
        if any(part.kind != "text" for part in self.parts) or self.array is not None:
            return None
        return "".join(part.text for part in self.parts)


@dataclass(slots=True)
class Redirect:
    op: str
    target: Word
    number: str = ""
    document: str = ""


@dataclass(slots=True, kw_only=True)
class Node:
    """What stands on the lines `first` to `last` of its script."""

    first: int
    last: int


@dataclass(slots=True, kw_only=True)
class Compound(Node):
    """A command that holds others, or a test: its redirections stand behind it."""

    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class Simple(Node):
    """A command with what is assigned before it."""

    words: list[Word]
    assigned: list[Word]
    redirects: list[Redirect]


@dataclass(slots=True)
class Pipeline(Node):
    commands: list[Command]
    negated: bool


@dataclass(slots=True)
class AndOr(Node):
    """`rest`: pairs of "&&" or "||" and what follows. `background`: ends with &."""

    head: Pipeline
    rest: list[tuple[str, Pipeline]]
    background: bool = False


List = list[AndOr]


@dataclass(slots=True)
class Group(Compound):
    """{ ...; } or, with `subshell`, ( ... )."""

    body: List
    subshell: bool


@dataclass(slots=True)
class If(Compound):
    arms: list[tuple[List, List]]
    otherwise: List | None


@dataclass(slots=True)
class For(Compound):
    """`words` is None for `for x; do` and for the arithmetic form, whose `name` is ""."""

    name: str
    words: list[Word] | None
    body: List


@dataclass(slots=True)
class While(Compound):
    condition: List
    body: List
    until: bool


@dataclass(slots=True)
class Case(Compound):
    subject: Word
    arms: list[tuple[list[Word], List]]


@dataclass(slots=True)
class Function(Compound):
    name: str
    body: Command


@dataclass(slots=True)
class Test(Compound):
    """[[ ... ]]; `words` are its words and operators."""

    words: list[Word]


@dataclass(slots=True)
class Arithmetic(Compound):
    """(( ... ))"""

    source: str


Command = Simple | Group | If | For | While | Case | Function | Test | Arithmetic


class NotUnderstood(Exception):
    """The text is no shell that is understood here. `line`: where that was seen."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(f"{why} (line {line})")
        self.line = line
