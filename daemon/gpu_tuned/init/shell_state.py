"""Where a reading of a script stands: what is known there, and why what follows may not happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gpu_tuned.init.model import Doubt, Kind
from gpu_tuned.init.shell_nodes import Command
from gpu_tuned.init.shell_values import Variables


@dataclass(frozen=True, slots=True)
class Status:
    """How a command ends: `ok` None where that is not known; `needs`: so it is where the board takes these."""

    ok: bool | None
    needs: frozenset[int] = frozenset()

    def negated(self) -> Status:
        return self if self.ok is None else Status(not self.ok, self.needs)


GOOD, BAD, OPEN = Status(ok=True), Status(ok=False), Status(ok=None)


@dataclass(frozen=True, slots=True)
class Way:
    """On which conditions a command is reached: see model.Effect."""

    doubt: Doubt | None = None
    needs: frozenset[int] = frozenset()
    unless: frozenset[int] = frozenset()
    unordered: bool = False
    passed: frozenset[int] = frozenset()

    @property
    def sure(self) -> bool:
        """Whether nothing but a call that reads could keep from what follows."""
        return self.doubt is None and not self.needs and not self.unless

    def doubted(self, kind: Kind, why: str) -> Way:
        """The first reason is the one to tell."""
        return self if self.doubt else replace(self, doubt=Doubt(kind, why))

    def needing(self, numbers: frozenset[int]) -> Way:
        return replace(self, needs=self.needs | numbers)

    def unless_done(self, numbers: frozenset[int]) -> Way:
        return replace(self, unless=self.unless | numbers)

    def and_(self, other: Way) -> Way:
        return Way(
            self.doubt or other.doubt,
            self.needs | other.needs,
            self.unless | other.unless,
            self.unordered or other.unordered,
            self.passed | other.passed,
        )


Bodies = tuple[Command | None, ...]
"""What a name may stand for as a function: more than one where that is not known, None for no function."""

LEVELS = {"break": "loop", "continue": "loop", "return": "function", "exit": "script", "never": "start"}
"""What a word that leaves leaves, from the smallest to the largest; "never" is a loop without an end."""


@dataclass(slots=True)
class Here:
    """One shell: its variables and functions, and how it is reached.

    `way` is what encloses the place. `flow` is what came before it and may have left the loop, the function or the
    script. `left` is the word by which it was left for certain, "" before that, and `code` the status then. `tested`:
    how many conditions are being worked out, inside which errexit does not act. `bash`: that shell's own
    syntax means something. `calls`: what is being read, the innermost last. `exported`: the functions that a bash
    started from here has as well; `aliases`: this bash expands them. `within`: "function" or "source" where `return`
    means something, "" in a script. `folder`: in which it is, None where that is not known. `last`: how the command
    before ended.
    """

    file: str
    variables: Variables
    way: Way = Way()
    flow: dict[str, Way] = field(default_factory=dict)
    functions: dict[str, Bodies] = field(default_factory=dict)
    exported: frozenset[str] = frozenset()
    errexit: bool = False
    nounset: bool = False
    locals: set[str] = field(default_factory=set)
    pipefail: bool = False
    endless: bool = False
    root: bool = True
    aliases: bool = False
    bash: bool = True
    left: str = ""
    code: Status = GOOD
    tested: int = 0
    calls: tuple[str, ...] = ()
    within: str = ""
    folder: str | None = None
    last: Status = GOOD

    def reached(self) -> Way:
        way = self.way
        for each in self.flow.values():
            way = way.and_(each)
        return way

    def fork(self, way: Way | None = None) -> Here:
        """The same place on a further condition."""
        return replace(
            self,
            variables=self.variables.copy(),
            functions=dict(self.functions),
            flow=dict(self.flow),
            way=self.way if way is None else way,
        )

    def aside(self) -> Here:
        """The same place, where what runs goes on beside what follows."""
        return self.fork(replace(self.way, unordered=True))

    def adopt(self, other: Here) -> None:
        """Go on where `other` ended; what encloses the place stays."""
        self.variables, self.functions, self.flow, self.left = (
            other.variables,
            other.functions,
            other.flow,
            other.left,
        )
        self.exported = self.exported | other.exported
        self.errexit, self.nounset, self.pipefail = other.errexit, other.nounset, other.pipefail
        self.aliases = self.aliases or other.aliases
        self.folder = other.folder

    def forget_functions(self, name: str | None = None) -> None:
        """A name, or every one, may stand for no function any more."""
        for each in [name] if name in self.functions else self.functions if name is None else ():
            self.functions[each] = joined({each: self.functions[each]}, {})[each]

    def add_flow(self, level: str, way: Way) -> None:
        self.flow[level] = self.flow[level].and_(way) if level in self.flow else way

    def outlast(self, inner: Here) -> None:
        """What a shell inside this one waits for without an end, this one waits for as well, unless it may end by
        something before."""
        early = Way()
        for level, way in inner.flow.items():
            if level != "start" and way != self.flow.get(level):
                early = early.and_(way)
        before = dict(self.flow)
        if "start" in inner.flow:
            self.add_flow("start", inner.flow["start"])
        if early != Way():
            self._passed_by("script", before)
        if inner.left == "never":
            self.left = "never"
            self.come_behind(early)

    def come_behind(self, early: Way) -> None:
        """Go on behind what is left for good, for those who left it `early`; where nobody did, nobody goes on."""
        if early == Way():
            return
        level, self.left = LEVELS[self.left], ""
        if early.doubt or early.passed or (early.needs and early.unless):
            self.doubt_rest(level, "it is reached only where something before it fails, or ends early")
        else:
            self.add_flow(level, Way(needs=early.unless, unless=early.needs))

    def begin_of(self, level: str) -> dict[str, Way]:
        """A loop or a function begins; what was so before is for its end."""
        before = dict(self.flow)
        self.flow.pop(level, None)
        return before

    def end_of(self, level: str, before: Mapping[str, Way]) -> bool:
        """The end of a loop or a function, and whether somebody may have left it early: who did comes to what
        follows also where the others never do."""
        early = self.flow.pop(level, None)
        if level in before:
            self.flow[level] = before[level]
        if early is None:
            return False
        self._passed_by(level, before)
        if self.left and LEVELS[self.left] != level:
            self.come_behind(early)
        return True

    def _passed_by(self, level: str, before: Mapping[str, Way]) -> None:
        """Somebody who left a loop, a function or a script early did not come to what keeps others from going on."""
        larger = ("loop", "function", "script", "start")
        for each in larger[larger.index(level) + 1 :]:
            if each in self.flow and self.flow[each].unless - before.get(each, Way()).unless:
                self.doubt_rest(each, "it is reached where something before it ends early")

    def may_abandon(self, why: str) -> None:
        """An error after which bash leaves everything that it is in and goes on with the next command of the script,
        and other shells end."""
        for level in ("loop", "function", "script"):
            self.doubt_rest(level, why)

    def doubt_rest(self, level: str, why: str, kind: Kind = Kind.BRANCH) -> None:
        """What follows in the loop, the function or the script may not be reached."""
        self.add_flow(level, Way(Doubt(kind, why)))


def either(here: Here, arms: list[Here], line: int) -> None:
    """Go on after branches of which nobody knows which one is taken."""
    going = [arm for arm in arms if not arm.left]
    _join(here, going or arms)
    for arm in arms:
        if arm.left and (going or any(LEVELS[arm.left] != LEVELS[other.left] for other in arms)):
            here.doubt_rest(LEVELS[arm.left], f"the condition in line {line} may end it before")
    here.left = "" if going else min((arm.left for arm in arms), key=list(LEVELS).index)


def ordinarily(here: Here, usual: Here, other: Here, needs: frozenset[int]) -> None:
    """Go on after two branches of which `usual` is taken where the board takes `needs`, and `other` where not."""
    _join(here, [arm for arm in (usual, other) if not arm.left] or [usual, other])
    here.left = ""
    if usual.left and other.left:
        here.left = min(usual.left, other.left, key=list(LEVELS).index)
        if LEVELS[usual.left] != LEVELS[other.left]:
            here.doubt_rest(LEVELS[usual.left], "what it depends on may end it before")
            here.doubt_rest(LEVELS[other.left], "what it depends on may end it before")
    elif usual.left:
        here.add_flow(LEVELS[usual.left], Way(unless=needs))
    elif other.left:
        here.add_flow(LEVELS[other.left], Way(needs=needs))


def joined(one: Mapping[str, Bodies], other: Mapping[str, Bodies]) -> dict[str, Bodies]:
    """The functions after two ways of which either may have been taken."""
    found: dict[str, Bodies] = {}
    for name in {**one, **other}:
        bodies = (*one.get(name, (None,)), *other.get(name, (None,)))
        found[name] = tuple(body for at, body in enumerate(bodies) if all(body is not b for b in bodies[:at]))
    return found


def _join(here: Here, arms: list[Here]) -> None:
    here.adopt(arms[0])
    here.flow = dict(arms[0].flow)
    for arm in arms[1:]:
        here.variables.join(arm.variables)
        here.errexit, here.nounset = here.errexit or arm.errexit, here.nounset or arm.nounset
        for level, way in arm.flow.items():
            here.add_flow(level, way)
        here.functions = joined(here.functions, arm.functions)
        here.folder = here.folder if here.folder == arm.folder else None
        here.exported |= arm.exported
        here.aliases = here.aliases or arm.aliases
