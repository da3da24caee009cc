"""What a simple command does: a call of nvidia-smi, a builtin, another script, or something not known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gpu_tuned.core.model import Setting
from gpu_tuned.init import numa, nvidia_smi, shell_builtins, shell_tests
from gpu_tuned.init.commands import (
    CALLED,
    ELSEWHERE,
    IDLE,
    MUTE,
    PATH,
    RIVALS,
    RUNNERS,
    SHELLS,
)
from gpu_tuned.init.model import UNKNOWN, Doubt, Kind
from gpu_tuned.init.nvidia_smi import Said, shown
from gpu_tuned.init.shell_names import another, bare, looked_for
from gpu_tuned.init.shell_nodes import Command, Pipeline, Simple, Word
from gpu_tuned.init.shell_runners import documents, through
from gpu_tuned.init.shell_scripts import DEEPEST, script, subshell, text_of
from gpu_tuned.init.shell_state import GOOD, OPEN, Here, Program, Status, Way, either
from gpu_tuned.init.shell_values import MAYBE_UNSET, Text, many

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk


def simple(walk: Walk, node: Simple, here: Here) -> Status:
    """One simple command, with its assignments and redirections."""
    substituted(walk, [*node.assigned, *node.words, *(r.target for r in node.redirects)], here, node.first)
    if not node.words:
        return shell_builtins.assign(node.assigned, here)
    words = many(node.words, here.variables)
    _writes(walk, words, here, node)
    unset(node.words, node.first, here)
    if not words:
        return OPEN
    return command(walk, words, here, node)


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


def unset(words: Sequence[Word], line: int, here: Here) -> None:
    """Under `set -u` a script ends where a word needs a variable that nothing in it sets."""
    if not here.nounset:
        return
    for part in (part for word in words for part in word.parts):
        held = here.variables.single.get(part.text, MAYBE_UNSET)
        if part.kind == "var" and not part.op and held == MAYBE_UNSET:
            given = here.variables.arguments
            if part.text.isdigit() and given is not None and int(part.text) <= len(given):
                continue
            here.doubt_rest("script", f"`set -u`: the script ends in line {line} where {part.text} is not set")


def command(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """A command in words. What `node` adds are its line, its redirections and the assignments before it."""
    if words[0].text in here.functions:
        return _function(walk, words, here, node)
    return external(walk, words, here, node)


def external(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """A command that no function stands in for: another program runs it, or there is none of its name."""
    if words[0].text == "exec" and len(words) > 1:
        status = external(walk, words[1:], here, node)
        here.left, here.code = here.left or "exit", status
        return status
    words, here_, path = bare(list(words), here, looked_for(node, here))
    name = words[0].text.rpartition("/")[2]
    line = node.first
    knob = numa.written(words, node)
    if knob is not None:
        walk.seen.say(here_, line, knob)
        return GOOD
    if UNKNOWN in words[0].text:
        return _unknown(walk, words, here_, line)
    if name == "nvidia-smi":
        return _call(walk, words, here_, line, another(walk, words[0].text, path))
    if (builtin := shell_builtins.BUILTINS.get(name)) and "/" not in words[0].text:
        return builtin(walk, words[1:], here, node)
    if name in SHELLS:
        return _shell(walk, words, here_, node)
    if name in IDLE:
        return GOOD
    if name in ("[", "test"):
        shown = [word for word in node.words if word.plain != "]"][1:]
        return shell_tests.single(shell_tests.expanded(shown, here), here)
    if said := _further(name, words, walk):
        walk.seen.say(here_, line, said)
        return GOOD
    if name == "systemctl" and len(words) > 2 and words[1].text in ("start", "restart", "try-restart"):
        walk.seen.units += [(word.text, here_.reached().doubt) for word in words[2:]]
    walk.seen.others.add((here.file, line))
    if name in RUNNERS or name in ELSEWHERE:
        return through(walk, words, here_, node)
    if name in MUTE:
        return OPEN
    return _file(walk, words, here_, node)


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
    if here.errexit or here.tested:
        here.add_flow("script", Way(passed=frozenset([walk.steps])))
    return OPEN if any(each.gpus for each in said) else GOOD  # no board is asked for what is not held


def _unknown(walk: Walk, words: Sequence[Text], here: Here, line: int) -> Status:
    """A command whose name is not known: `$SMI -pl 300`."""
    walk.seen.others.add((here.file, line))
    for each in nvidia_smi.mentioned(" ".join(word.text for word in words[1:])):
        why = Doubt(Kind.COMPUTED, "which command it is, is not written in the file")
        walk.seen.say(here, line, replace(each, doubt=why))
    return OPEN


def _function(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """What may be one of several functions, or none, is each of them with a doubt."""
    name = words[0].text
    bodies = here.functions[name]
    if len(bodies) == 1 and bodies[0] is not None:
        return _called(walk, words, bodies[0], here, node)
    way = here.way.doubted(Kind.BRANCH, f"{name} may be a function or a command here, or another function")
    arms = []
    for body in bodies:
        arms.append(here.fork(way))
        if body is None:
            external(walk, words, arms[-1], node)
        else:
            _called(walk, words, body, arms[-1], node)
    either(here, arms, node.first)
    return OPEN


def _called(walk: Walk, words: Sequence[Text], body: Command, here: Here, node: Simple) -> Status:
    name = words[0].text
    through(walk, words, here, node)
    if name in here.calls or len(here.calls) > DEEPEST:
        here.doubt_rest("script", f"{name} calls itself", Kind.UNREADABLE)
        return OPEN
    before, arguments, calls = here.flow.pop("function", None), here.variables.arguments, here.calls
    # A value that comes by way of an argument is one that a reader has to work out.
    given = tuple(words[1:])
    here.variables.arguments = arguments if given == arguments else None if given else ()
    here.calls = (*calls, name)
    outside, kept, here.locals = here.variables.copy(), here.locals, set()
    status = walk.command(body, here)
    for own in here.locals:
        here.variables.as_in(outside, own)
    here.calls, here.variables.arguments, here.locals = calls, arguments, kept
    if here.left == "return":
        here.left, status = "", here.code
    if here.flow.pop("function", None) is not None:
        status = OPEN
    if before is not None:
        here.flow["function"] = before
    return status


def _shell(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """`sh -c TEXT`, `bash -eu FILE ARGUMENTS`."""
    rest, flags, name = list(words[1:]), "", words[0].text.rpartition("/")[2]
    if name in ("su", "runuser"):
        # `su [-] [USER] -c TEXT`
        users = [word.text for word in rest if not word.text.startswith("-")]
        at = next((n for n, word in enumerate(rest) if word.text in ("-c", "--command")), None)
        text = rest[at + 1] if at is not None and at + 1 < len(rest) else None
        users = [user for user in users if text is None or user != text.text]
        here = replace(here, root=here.root and users in ([], ["root"]))
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


def _further(name: str, words: Sequence[Text], walk: Walk) -> Said | None:
    """Commands of others that set GPUs, and the kernel's knob."""
    texts = [word.text for word in words]
    if name == "nvidia-persistenced" and "--no-persistence-mode" not in texts:
        return Said(Setting.PERSISTENCE_MODE, target=True, words=name)
    if name == "nvidia-settings" and any(
        text in ("-a", "--assign") or text.startswith("--assign=") for text in texts
    ):
        why = "gpu-tuned does not hold clock offsets, fans and what else nvidia-settings sets"
        return Said(None, None, name, doubt=Doubt(Kind.UNSUPPORTED, why))
    if name in RIVALS:
        return Said(None, None, shown(texts), None, Doubt(Kind.RIVAL, f"{RIVALS[name]} sets GPUs by itself"))
    if name == "nvidia-cuda-mps-control" and "-d" in texts:
        walk.seen.mps = True
    if name == "sysctl":
        return next((said for text in texts[1:] if (said := numa.said(text))), None)
    return None


def _file(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    path = words[0].text if "/" in words[0].text else walk.files.find(words[0].text)
    interpreted = words[0].text.rpartition("/")[2].startswith(("python", "perl", "node", "ruby"))
    if interpreted:
        file = next((word.text for word in words[1:] if not word.text.startswith("-")), "")
        if (found := walk.files.script(file)) is not None:
            walk.seen.programs.append(Program(found[0], here.file, node.first, here.reached().doubt))
        return OPEN
    if words[0].text in walk.seen.written:
        return script(walk, words[0], (), here, node.first)
    if path is None or walk.files.script(path) is None:
        return through(walk, words, here, node)
    return script(walk, Text(path), tuple(words[1:]), here, node.first)


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
