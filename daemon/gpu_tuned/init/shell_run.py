"""Reads a shell script in the order in which a shell would run it, and runs nothing.

What is reached on every way, with values that stand in the text, is certain. Everything else carries the first
reason for doubt: a condition, a value that is worked out, a loop over values, a command that may end the script.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from gpu_tuned.init import shell_commands, shell_ends, shell_loops, shell_runners, shell_scripts, shell_tests
from gpu_tuned.init.model import Kind
from gpu_tuned.init.shell_nodes import (
    AndOr,
    Arithmetic,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    List,
    Pipeline,
    Simple,
    Test,
    While,
    Word,
)
from gpu_tuned.init.shell_redirects import opened
from gpu_tuned.init.shell_seen import Handler, Seen
from gpu_tuned.init.shell_state import GOOD, OPEN, Bodies, Here, Status, Way, either, ordinarily
from gpu_tuned.init.shell_values import Text, matches, one

MOST_STEPS = 20_000
"""Commands that one reading looks at: loops in loops in functions could be endless."""
DEEPEST = 60
"""Commands inside commands, evaluated texts and functions included."""
CONDITION = "a condition decides whether it runs"


class Walk:
    """One reading of one start: from the command that is started down to everything that it runs."""

    def __init__(self, seen: Seen, files: shell_scripts.Files, environment: Mapping[str, Text] = {}) -> None:
        self.seen, self.files, self.environment, self.steps = seen, files, environment, 0
        self.depth = 0
        self.handlers: list[Handler] = []
        self.defined: dict[str, Bodies] = {}
        """Every function that was come to, for handlers that are run at the end."""
        self.written_in: dict[int, tuple[Command, str]] = {}
        """Every function's body that was read, by id(), with the file in which it stands."""

    @contextmanager
    def handling(self, inner: Here) -> Iterator[None]:
        """A shell of its own: what its traps run comes at its end."""
        outside, self.handlers = self.handlers, []
        yield
        mine, self.handlers = self.handlers, outside
        shell_ends.at_the_end(self, mine, inner)

    def run(self, body: List, here: Here) -> Status:
        """A list of commands; the status is the last one's."""
        status = GOOD
        for item in body:
            if here.left:
                break
            if item.background:
                self._and_or(item, here.aside())
                status = GOOD
            else:
                status = self._and_or(item, here)
            here.last = status
        return status

    def _and_or(self, item: AndOr, here: Here) -> Status:
        chain = [("", item.head), *item.rest]
        if self._has(shell_tests.taken_in_and_or(item, here)):
            chain = chain[1:]
            chain[0] = ("", chain[0][1])
        status = last = GOOD
        for number, (operator, pipeline) in enumerate(chain):
            if here.left:
                return status
            tested = number < len(chain) - 1
            if not operator:
                status = last = self._pipeline(pipeline, here, tested=tested)
                continue
            status, last = self._further(status, pipeline, here, wanted=operator == "&&", tested=tested)
        # A loop or a condition ends the script by what fails inside it, not by how it ends itself.
        inside = len(chain[-1][1].commands) == 1 and self._ends_inside(chain[-1][1].commands[0], here)
        if here.errexit and not here.tested and not here.left and not inside and not chain[-1][1].negated:
            if last.ok is None:
                here.doubt_rest("script", f"`set -e`: line {item.last} may end the script before it")
            elif last.needs:
                here.add_flow("script", Way(needs=last.needs) if last.ok else Way(unless=last.needs))
            elif not last.ok:
                here.left, here.code = "exit", last
        return status

    def _ends_inside(self, command: Command, here: Here) -> bool:
        """Whether `set -e` acts on what fails inside a command, and not on how it ends itself."""
        if isinstance(command, Group) and command.subshell:
            return False
        return isinstance(command, (Group, If, For, While, Case)) and opened(self, command.redirects, here)

    def _has(self, path: str) -> bool:
        """Whether a file of settings lies there for a script to take in."""
        return path.startswith("/") and self.files.script(path) is not None

    def _further(
        self, status: Status, pipeline: Pipeline, here: Here, *, wanted: bool, tested: bool
    ) -> tuple[Status, Status]:
        """What follows `&&` (`wanted` True) or `||`. Returns the status of all of it, and that of what ran last."""
        if status.ok is None:
            how = "succeeds" if wanted else "fails"
            arm, around = (
                here.fork(here.way.doubted(Kind.BRANCH, f"only where the command before it {how}")),
                here.fork(),
            )
            last = self._pipeline(pipeline, arm, tested=tested)
            either(here, [around, arm], pipeline.first)
            if (arm.left and not wanted) or (last == GOOD and not wanted):
                return GOOD, GOOD
            return OPEN, last if last.ok else OPEN
        if not status.needs:
            if status.ok is not wanted:
                return status, GOOD
            last = self._pipeline(pipeline, here, tested=tested)
            return last, last
        if status.ok is wanted:
            usual, other = here.fork(here.way.needing(status.needs)), here.fork()
            last = self._pipeline(pipeline, usual, tested=tested)
            ordinarily(here, usual, other, status.needs)
            whole = Status(last.ok, last.needs | status.needs)
            return whole, last if last.ok else whole
        usual, other = here.fork(), here.fork(here.way.unless_done(status.needs))
        last = self._pipeline(pipeline, other, tested=tested)
        ordinarily(here, usual, other, status.needs)
        whole = GOOD if last == GOOD and not wanted else status
        return whole, GOOD if last.ok and not last.needs else status

    def _pipeline(self, pipeline: Pipeline, here: Here, *, tested: bool) -> Status:
        here.tested += tested or pipeline.negated
        if len(pipeline.commands) == 1:
            status = self.command(pipeline.commands[0], here)
        elif (knob := shell_commands.numa_pipe(self, pipeline, here)) is not None:
            status = knob
        else:
            inner = [here.aside() for _ in pipeline.commands]
            each, setting = [], []
            for command, own in zip(pipeline.commands, inner, strict=True):
                count = len(self.seen.effects)
                each.append(self.command(command, own))
                setting += [count] if len(self.seen.effects) > count else []
            if len(setting) > 1:
                self.seen.doubt_from(setting[0], "two commands of one pipeline, of which one may end the other")
            shell_runners.fed(self, pipeline, here)
            for number, own in enumerate(inner):
                here.outlast(own)
                if here.left == "never" and number < len(inner) - 1:
                    here.left = ""
                    here.doubt_rest("start", "it is reached only where the reader of a pipeline ends")
            status = each[-1]
            if here.pipefail and any(other.ok is not True for other in each):
                status = OPEN
            for command in pipeline.commands:
                shell_tests.forget_assigned([command], here)
        here.tested -= tested or pipeline.negated
        return status.negated() if pipeline.negated else status

    def command(self, command: Command, here: Here) -> Status:
        """One command of a pipeline."""
        self.steps += 1
        self.depth += 1
        try:
            return self._command(command, here)
        finally:
            self.depth -= 1

    def _command(self, command: Command, here: Here) -> Status:
        self.seen.reached.add((here.file, command.first))
        if self.steps > MOST_STEPS or self.depth > DEEPEST:
            here.doubt_rest("script", "the script goes on for too long", Kind.UNREADABLE)
            return OPEN
        if isinstance(command, Simple):
            return shell_commands.simple(self, command, here)
        if isinstance(command, Function):
            sure = opened(self, command.redirects, here)
            here.functions[command.name] = (command.body,) if sure else (command.body, None)
            known = self.defined.get(command.name, ())
            self.defined[command.name] = (*known, command.body)
            self.written_in.setdefault(id(command.body), (command.body, here.file))
            return GOOD
        if command.redirects and not opened(self, command.redirects, here):
            why = f"a file that line {command.last} opens may not be there"
            return shell_commands.perhaps(self, command, here, why, Walk._compound)
        return self._compound(command, here)

    def _compound(self, command: Command, here: Here) -> Status:
        if isinstance(command, Group):
            return self._group(command, here)
        if isinstance(command, Test):
            shell_commands.substituted(self, command.words, here, command.first)
            shell_ends.may_end(command.words, command.first, here)
            return shell_tests.double(command, here)
        if isinstance(command, Arithmetic):
            shell_ends.calculation_may_end(command.source, command.first, here)
            shell_tests.forget_changed(command.source, here.variables)
            return OPEN
        if isinstance(command, If):
            return self._if(command, 0, here)
        if isinstance(command, Case):
            shell_commands.substituted(self, [command.subject], here, command.first)
            shell_ends.may_end([command.subject], command.first, here)
            return self._case(command, one(command.subject, here.variables), command.arms, here)
        if isinstance(command, For):
            return shell_loops.for_(self, command, here)
        if isinstance(command, While):
            return shell_loops.while_(self, command, here)
        raise TypeError(command)

    def _group(self, command: Group, here: Here) -> Status:
        if not command.subshell:
            return self.run(command.body, here)
        inner = here.fork()
        with self.handling(inner):
            status = self.run(command.body, inner)
        changed = bool(inner.left) or any(not way.sure and way != here.flow.get(at) for at, way in inner.flow.items())
        here.outlast(inner)
        return OPEN if changed else status

    def _if(self, command: If, number: int, here: Here) -> Status:
        """The arms from `number` on; the last one is `else`, which may be missing."""
        if number == len(command.arms):
            return self.run(command.otherwise or [], here)
        condition, body = command.arms[number]
        if self._has(shell_tests.taken_in(condition, body, here)):
            return self.run(body, here)
        here.tested += 1
        status = self.run(condition, here)
        here.tested -= 1
        if here.left:
            return status
        if status.ok is None:
            then = here.fork(here.way.doubted(Kind.BRANCH, CONDITION))
            other = here.fork(then.way)
            ends = self.run(body, then), self._if(command, number + 1, other)
            either(here, [then, other], command.first)
            return GOOD if ends == (GOOD, GOOD) else OPEN
        if not status.needs:
            return self.run(body, here) if status.ok else self._if(command, number + 1, here)
        usual = here.fork(here.way.needing(status.needs))
        other = here.fork(here.way.unless_done(status.needs))
        ends = (
            self.run(body, usual if status.ok else other),
            self._if(command, number + 1, other if status.ok else usual),
        )
        ordinarily(here, usual, other, status.needs)
        return GOOD if ends == (GOOD, GOOD) else OPEN

    def _case(self, command: Case, subject: Text, arms: Sequence[tuple[list[Word], List]], here: Here) -> Status:
        for number, (patterns, body) in enumerate(arms):
            fits = [matches(subject, pattern, here.variables) for pattern in patterns]
            if all(fit is False for fit in fits):
                continue
            if any(fits):
                return self.run(body, here)
            then = here.fork(here.way.doubted(Kind.BRANCH, "a `case` decides whether it runs"))
            other = here.fork(then.way)
            ends = self.run(body, then), self._case(command, subject, arms[number + 1 :], other)
            either(here, [then, other], command.first)
            return GOOD if ends == (GOOD, GOOD) else OPEN
        return GOOD
