"""Scripts that a command runs: by a path, by `sh -c`, or taken in with `source`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from gpu_tuned.init import nvidia_smi, shell_tests
from gpu_tuned.init.commands import SHELLS
from gpu_tuned.init.model import Doubt, Kind
from gpu_tuned.init.nvidia_smi import shown
from gpu_tuned.init.shell_nodes import Function, NotUnderstood, Simple
from gpu_tuned.init.shell_parse import parse
from gpu_tuned.init.shell_seen import Program
from gpu_tuned.init.shell_state import GOOD, OPEN, Here, Status, Way, joined
from gpu_tuned.init.shell_values import Text, Variables

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk

_PATH = re.compile(r"(?<![\w.])/[\w.+@/-]+")
DEEPEST = 12
"""Scripts that run scripts."""


class Files(Protocol):
    """The files of the host, as far as a command can name them."""

    def script(self, path: str) -> tuple[str, str] | None:
        """A text file's own path, behind its links, and its text; None for anything else."""

    def runs(self, path: str) -> bool:
        """Whether a script may be executed by its path."""

    def folder(self, path: str) -> bool:
        """Whether a folder of this path is there."""

    def there(self, path: str) -> bool:
        """Whether anything of this path is there."""

    def find(self, name: str) -> str | None:
        """Where PATH finds a command."""


def text_of(  # noqa: PLR0913 - a call of a shell as it was taken apart
    walk: Walk, text: Text, arguments: tuple[Text, ...], here: Here, node: Simple, flags: str, *, bash: bool
) -> Status:
    """The text of `sh -c`, read as the script that it is; its lines are this command's line."""
    if not text.known:
        return _worked_out(walk, text.text, here, node.first)
    try:
        body = parse(text.text, bash=bash)
    except NotUnderstood as problem:
        return _not_understood(walk, text.text, here, node.first, str(problem))
    shift_lines(body, node.first)
    inner = child(here, here.file, arguments, flags, Variables(dict(walk.environment)))
    inner.bash = bash
    if "n" in flags:
        return GOOD  # it is read, and nothing of it is run
    _begin(walk, inner)
    with walk.handling(inner):
        status = walk.run(body, inner)
    return _end(status, inner, here)


def subshell(walk: Walk, text: str, here: Here, line: int) -> None:
    """The text of `$(...)`, whose output nobody knows."""
    try:
        body = parse(text, bash=here.bash)
    except NotUnderstood as problem:
        _not_understood(walk, text, here.fork(), line, str(problem))
        return
    shift_lines(body, line)
    walk.steps += len(text) // 20  # what is read again and again counts
    inner = here.fork()
    with walk.handling(inner):
        walk.run(body, inner)
    here.outlast(inner)


def shift_lines(body: Sequence[object], line: int) -> None:
    for each in shell_tests.commands(body):  # type: ignore[arg-type]
        each.first = each.last = line


def _worked_out(walk: Walk, text: str, here: Here, line: int) -> Status:
    walk.seen.others.add((here.file, line))
    here = here.aside()
    for each in nvidia_smi.mentioned(text) if "nvidia-smi" in text else ():
        walk.seen.say(
            here, line, replace(each, doubt=Doubt(Kind.COMPUTED, "the command is put together while it runs"))
        )
    return OPEN


def _not_understood(walk: Walk, text: str, here: Here, line: int, problem: str) -> Status:
    for each in nvidia_smi.mentioned(text) if "nvidia-smi" in text else ():
        walk.seen.say(
            here, line, replace(each, doubt=Doubt(Kind.UNREADABLE, f"the shell text is not understood: {problem}"))
        )
    here.add_flow("start", Way(passed=frozenset([walk.steps])))  # it may go on for ever
    return OPEN


def child(here: Here, file: str, arguments: tuple[Text, ...] | None, flags: str, known: Variables) -> Here:
    """A new shell in the place of `here`."""
    inner = here.fork()
    inner.variables = known.copy()
    inner.variables.arguments, inner.functions, inner.file = arguments, {}, file
    if "PATH" in here.variables.single:
        inner.variables.single["PATH"] = here.variables.single["PATH"]
    for name in here.exported & here.functions.keys():  # bash has it, sh does not
        inner.functions[name] = joined({name: here.functions[name]}, {})[name]
    inner.aliases, inner.within, inner.last = False, "", GOOD
    inner.errexit, inner.nounset, inner.pipefail, inner.tested = "e" in flags, "u" in flags, False, 0
    inner.way, inner.flow = here.reached(), {}
    return inner


def _begin(walk: Walk, inner: Here) -> None:
    """bash takes in a file, and functions, that the environment names before it reads a script."""
    given = [name for name in walk.environment if name == "BASH_ENV" or name.startswith("BASH_FUNC_")]
    if inner.bash and given:
        inner.doubt_rest("script", f"{given[0]} may change what a command is")


def _end(status: Status, inner: Here, here: Here) -> Status:
    here.outlast(inner)
    if any(not way.sure for way in inner.flow.values()):
        return OPEN
    return inner.code if inner.left == "exit" else status


def located(here: Here, path: Text) -> Text:
    """A path as it is seen from the folder in which the shell is; the same one where that is not known."""
    if not path.known or not path.text or (not path.text.startswith("/") and here.folder is None):
        return path
    return replace(path, text="/" + posixpath.normpath(posixpath.join(here.folder or "/", path.text)).lstrip("/"))


def script(  # noqa: PLR0913 - a call of a script as it was taken apart
    walk: Walk, path: Text, arguments: tuple[Text, ...], here: Here, line: int, shell: str = "", flags: str = ""
) -> Status:
    """A script that a command runs: by its path, with `shell` ("sh", "bash") and flags, or taken in ("source")."""
    walk.seen.others.add((here.file, line))
    source = shell == "source"
    as_written, path = path, located(here, path)
    if path.text in walk.seen.written:
        place = here.aside()
        for each in nvidia_smi.mentioned(walk.seen.written[path.text]):
            made = Doubt(Kind.COMPUTED, f"{path.text} is written while it runs")
            walk.seen.say(place, line, replace(each, doubt=made))
        return OPEN
    found = walk.files.script(path.text) if path.known and path.text.startswith("/") else None
    if found is None:
        walk.seen.perhaps.add(path.text.rpartition("/")[2])
        walk.seen.runs_one_of(path.text)
        if source:
            here.variables.forget_all()
            absent = as_written.known and as_written.text.startswith("/")
            if not absent:
                walk.seen.doubt_from(0, f"what line {line} takes in is not known, and may set it as well")
            if not absent or not (here.bash or here.way.doubt):
                why = "may end the script or change what a command is" if not absent else "has to be there"
                here.doubt_rest("script", f"{shown([path.text])}, which line {line} takes in, {why}")
        return OPEN
    where, text = found
    may_run = bool(shell) or walk.files.runs(where)
    if not shell:
        asked = shell_of(text)
        if asked is None:
            if text.startswith("#!"):
                walk.seen.programs.append(Program(where, here.file, line, here.reached().doubt))
            return OPEN
        shell, flags = asked
        if not may_run:
            here = here.fork(here.way.doubted(Kind.NOT_STARTED, f"{where} may not be executed"))
    if where in here.calls or len(here.calls) > DEEPEST:
        here.doubt_rest("script", f"{where} runs itself", Kind.UNREADABLE)
        return OPEN
    walk.seen.files.append(where)
    if source:
        inner = replace(here, file=where, calls=(*here.calls, where), within="source")
        shell = "bash" if here.bash else "sh"
    else:
        # Without arguments it may be called with some elsewhere, and by hand: what they decide stays open.
        inner = child(here, where, arguments or None, flags, Variables(dict(walk.environment)))
        inner.calls = (*here.calls, where)
        if as_written.text == where:
            inner.variables.single["0"] = path
    inner.bash = shell == "bash"
    if not source:
        _begin(walk, inner)
    try:
        body = parse(text, bash=inner.bash)
    except NotUnderstood as problem:
        if source:
            here.doubt_rest("script", f"{where}, which it takes in, is not understood", Kind.UNREADABLE)
        return _lines(walk, text, inner, here, problem)
    bodies = [node.body for node in shell_tests.commands(body) if isinstance(node, Function)]
    walk.written_in.update((id(each), (each, where)) for each in bodies)
    if "n" in flags:
        return GOOD  # it is read, and nothing of it is run
    before = inner.begin_of("function") if source else {}
    if source:
        status = walk.run(body, inner)
    else:
        with walk.handling(inner):
            status = walk.run(body, inner)
        ended = _end(status, inner, here)
        return ended if may_run else OPEN  # what is not run fails, whatever its last command would have come to
    here.adopt(inner)
    if here.left == "return":
        here.left, status = "", here.code
    if here.end_of("function", before):
        shell_tests.forget_assigned(body, here)
        status = OPEN
    return status


def _lines(walk: Walk, text: str, inner: Here, here: Here, problem: NotUnderstood) -> Status:
    """A script that is not understood: its calls are told, and what it may run is read with the same doubt."""
    why = Doubt(Kind.UNREADABLE, f"the script is not understood: {problem}")
    for number, row in enumerate(text.split("\n"), 1):
        if not row.lstrip().startswith("#"):
            for each in nvidia_smi.mentioned(row):
                walk.seen.say(inner, number, replace(each, doubt=why))
            for path in _PATH.findall(row) if not row.startswith("#!") else ():
                script(walk, Text(path), (), inner.fork(inner.way.doubted(why.kind, why.why)), number)
    if inner.within == "source":
        here.variables.forget_all()
    here.add_flow("start", Way(passed=frozenset([walk.steps])))  # it may go on for ever
    return OPEN


def shell_of(text: str) -> tuple[str, str] | None:
    """The shell that a script asks for ("sh", "bash") and its flags; None where it is for something else."""
    if not text.startswith("#!"):
        return ("sh", "") if not text.startswith("\x7f") else None
    words = text[2:].partition("\n")[0].split()
    if words and words[0].endswith("/env"):
        words = [word for word in words[1:] if word != "-S"]
    if not words or words[0].rpartition("/")[2] not in SHELLS or words[0].rpartition("/")[2] in ("su", "runuser"):
        return None
    flags = "".join(word[1:] for word in words[1:] if word.startswith("-") and not word.startswith("--"))
    return words[0].rpartition("/")[2], flags
