"""What a simple command does: a call of nvidia-smi, a builtin, another script, or something not known here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpu_tuned.init import (
    numa,
    nvidia_smi,
    shell_assign,
    shell_builtins,
    shell_ends,
    shell_functions,
    shell_programs,
    shell_tests,
)
from gpu_tuned.init.commands import (
    CALLED,
    ENDED_BY_REDIRECTION,
    FOR_EVER,
    IDLE,
    PATH,
    RESETS,
    SHELLS,
    SPEAKS_OF_GPUS,
)
from gpu_tuned.init.grammar import SHARED
from gpu_tuned.init.model import UNKNOWN, Doubt, Kind
from gpu_tuned.init.shell_assign import assigned_names
from gpu_tuned.init.shell_names import another, bare, looked_for
from gpu_tuned.init.shell_nodes import Command, Pipeline, Simple, Word
from gpu_tuned.init.shell_redirects import opened
from gpu_tuned.init.shell_runners import documents
from gpu_tuned.init.shell_scripts import script, subshell, text_of
from gpu_tuned.init.shell_state import GOOD, OPEN, Here, Status, Way, either
from gpu_tuned.init.shell_values import Text, many, one

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk


def simple(walk: Walk, node: Simple, here: Here) -> Status:
    """One simple command, with its assignments and redirections."""
    every = [*node.assigned, *node.words, *(redirect.target for redirect in node.redirects)]
    substituted(walk, every, here, node.first)
    shell_ends.may_end(every, node.first, here)
    shell_ends.document_may_end(node, here)
    if opened(walk, node.redirects, here):
        return _simple(walk, node, here)
    if node.words and node.words[0].plain in ENDED_BY_REDIRECTION:
        here.doubt_rest("script", f"a file that line {node.first} opens may not be there")
        return _simple(walk, node, here)
    return perhaps(walk, node, here, f"a file that line {node.first} opens may not be there", _simple)


def _simple(walk: Walk, node: Simple, here: Here) -> Status:
    if not node.words:
        return shell_assign.assign(node.assigned, here)
    words = many(node.words, here.variables)
    _writes(walk, words, here, node)
    if not words:
        return OPEN
    return command(walk, words, here, node)


Run = Callable[["Walk", Any, Here], Status]


def perhaps(walk: Walk, node: Command, here: Here, why: str, run: Run) -> Status:
    """A command that may not be run."""
    around, arm = here.fork(), here.fork(here.way.doubted(Kind.BRANCH, why))
    run(walk, node, arm)
    either(here, [around, arm], node.first)
    return OPEN


def substituted(walk: Walk, words: Sequence[Word], here: Here, line: int) -> None:
    """What `$(...)` in these words runs, in a shell of its own."""
    for word in words:
        substituted(walk, word.array or (), here, line)
        for part in word.parts:
            if part.kind == "sub" and part.op != "arithmetic":
                count = len(walk.seen.effects)
                subshell(walk, part.text, here, line)
                if len(walk.seen.effects) > count:
                    walk.seen.others.add((here.file, line))
            elif part.kind == "var" and CALLED.search(part.op):
                for each in nvidia_smi.mentioned(part.op):
                    why = Doubt(Kind.BRANCH, f"only where {part.text} has no value")
                    walk.seen.say(here, line, replace(each, doubt=why))


def _writes(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> None:
    """A file with calls in it that the script itself makes, to be run later perhaps."""
    made = " ".join([*(word.text for word in words[1:]), documents(node)])
    if not CALLED.search(made):
        return
    targets = [many([r.target], here.variables) for r in node.redirects if r.op in (">", ">>", ">|")]
    for name in [each[0].text for each in targets if each]:
        walk.seen.written[name] = walk.seen.written.get(name, "") + "\n" + made


def command(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """A command in words. What `node` adds are its line, its redirections and the assignments before it."""
    inside = words[0].text in here.functions or words[0].text in shell_builtins.BUILTINS
    for name in assigned_names(node.assigned) if inside else ():
        here.variables.forget(name)  # it has this value for the time of the call, or from now on
    if words[0].text in here.functions:
        status = shell_functions.called(walk, words, here, node, external)
    else:
        status = external(walk, words, here, node)
    for name in assigned_names(node.assigned) if inside else ():
        here.variables.forget(name)
    return status


def external(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """A command that no function stands in for: another program runs it, or there is none of its name."""
    if words[0].text == "exec" and len(words) > 1:
        status = external(walk, words[1:], here, node)
        here.left, here.code = here.left or "exit", status
        return status
    given = list(words)
    words, here_, path = bare(given, here, looked_for(node, here))
    name = words[0].text.rpartition("/")[2]
    line = node.first
    before = [word.text.rpartition("/")[2] for word in given[: len(given) - len(words)]]
    if "timeout" in before and name not in IDLE | {"nvidia-smi"}:
        why = f"`timeout` in line {line} may end it before it is done"
        external(walk, words, here_.fork(here_.way.doubted(Kind.BRANCH, why)), node)
        return OPEN
    knob = numa.written(words, node)
    if knob is not None:
        walk.seen.say(here_, line, knob)
        return GOOD
    if any(RESETS.fullmatch(one(redirect.target, here.variables).text) for redirect in node.redirects):
        walk.seen.say(here_, line, shell_programs.RELOADED)
    if UNKNOWN in words[0].text:
        return _unknown(walk, words, here_, line)
    if name == "nvidia-smi":
        return _call(walk, words, here_, line, another(walk, words[0].text, path))
    if (builtin := shell_builtins.BUILTINS.get(name)) and "/" not in words[0].text:
        return builtin(walk, words[1:], here, node)
    if name in SHELLS and not shell_programs.own(walk, words[0].text):
        return _shell(walk, words, here_, node)
    if name in ("[", "test"):
        shown = [word for word in node.words if word.plain != "]"][1:]
        return shell_tests.single(shell_tests.expanded(shown, here), here)
    return shell_programs.run(walk, words, here, here_, node)


def _call(walk: Walk, words: Sequence[Text], here: Here, line: int, another: str) -> Status:
    """nvidia-smi with its arguments. `another`: why it may be another program of this name."""
    varying = frozenset(number for number, word in enumerate(words[1:]) if word.varying)
    said = nvidia_smi.call([word.text for word in words[1:]], varying)
    if another:
        for each in said:
            walk.seen.say(here, line, replace(each, doubt=Doubt(Kind.BRANCH, another)))
        return OPEN
    numbers = frozenset(walk.seen.say(here, line, each) for each in said)
    if numbers and all(each.setting is not None for each in said):
        return Status(ok=True, needs=numbers)
    if not said and FOR_EVER["nvidia-smi"].fullmatch(" ".join(word.text for word in words[1:])):
        here.left = "never"
    if here.errexit or here.tested:
        here.add_flow("script", Way(passed=frozenset([walk.steps])))
    return OPEN if any(each.gpus for each in said) else GOOD  # no board is asked for what is not held


def _unknown(walk: Walk, words: Sequence[Text], here: Here, line: int) -> Status:
    """A command whose name is not known: `$SMI -pl 300`."""
    walk.seen.others.add((here.file, line))
    walk.seen.perhaps.add(words[0].text.rpartition("/")[2])
    walk.seen.runs_one_of(words[0].text)
    of_gpus = SPEAKS_OF_GPUS.search((walk.files.script(here.file) or ("", ""))[1])
    for each in nvidia_smi.mentioned(" ".join(word.text for word in words[1:])):
        if each.words in SHARED and not of_gpus:
            continue  # `$SHELL -c "$hook"`, as Debian's own savelog has it
        why = Doubt(Kind.COMPUTED, "which command it is, is not written in the file")
        walk.seen.say(here, line, replace(each, doubt=why))
    return OPEN


def _shell(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """`sh -c TEXT`, `bash -eu FILE ARGUMENTS`."""
    rest, flags, name = list(words[1:]), "", words[0].text.rpartition("/")[2]
    if name in ("su", "runuser"):
        # `su [-] [USER] -c TEXT`
        users = [word.text for word in rest if not word.text.startswith("-")]
        at = next((n for n, word in enumerate(rest) if word.text in ("-c", "--command")), None)
        text = rest[at + 1] if at is not None and at + 1 < len(rest) else None
        users = [user for user in users if text is None or user != text.text]
        here = replace(here, root=here.root and users[:1] in ([], ["root"]))
        if name == "runuser" and (run := _command_of_runuser(words)):
            return external(walk, run, here, node)
        return OPEN if text is None else text_of(walk, text, (), here, node, "", bash=False)
    while rest and rest[0].text.startswith(("-", "+")):
        option = rest.pop(0).text
        if option in ("-o", "+o", "-O", "--rcfile", "--init-file") and rest:
            flags += "e" if rest.pop(0).text == "errexit" else ""
        elif not option.startswith("--"):
            flags += option[1:]
    if "c" in flags:
        return OPEN if not rest else text_of(walk, rest[0], tuple(rest[2:]), here, node, flags, bash=name == "bash")
    if not rest:
        walk.seen.others.add((here.file, node.first))
        source = next((redirect.target.literal for redirect in node.redirects if redirect.op == "<"), None)
        if source:
            return script(walk, Text(source), (), here, node.first, name, flags)
        for each in nvidia_smi.mentioned(documents(node)):
            walk.seen.say(here, node.first, replace(each, doubt=Doubt(Kind.UNREADABLE, "a here-document is run")))
        return OPEN
    return script(walk, rest[0], tuple(rest[1:]), here, node.first, name, flags)


def _command_of_runuser(words: Sequence[Text]) -> Sequence[Text]:
    """What follows in `runuser -u USER [--] COMMAND`; () where it is called as su is."""
    at = next((n for n, word in enumerate(words) if word.text in ("-u", "--user")), None)
    rest = [] if at is None else list(words[at + 2 :])
    return rest[1:] if rest and rest[0].text == "--" else rest


def numa_pipe(walk: Walk, pipeline: Pipeline, here: Here) -> Status | None:
    """`echo 0 | sudo tee /proc/sys/kernel/numa_balancing`; None for any other pipeline."""
    ends = [command for command in pipeline.commands if isinstance(command, Simple) and command.words]
    if len(ends) != len(pipeline.commands):
        return None
    last, place, path = bare(many(ends[-1].words, here.variables), here, Text(PATH))
    if not last or last[0].text.rpartition("/")[2] != "tee" or numa.FILE not in [word.text for word in last[1:]]:
        return None
    walk.seen.say(place, pipeline.first, numa.echoed(bare(many(ends[0].words, here.variables), here, path)[0]))
    walk.seen.reached.update((here.file, command.first) for command in ends)
    return GOOD
