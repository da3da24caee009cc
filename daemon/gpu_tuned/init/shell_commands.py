"""What a simple command does: a call of nvidia-smi, a builtin, another script, or something not known here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpu_tuned.core.model import Setting
from gpu_tuned.init import (
    numa,
    nvidia_smi,
    shell_assign,
    shell_builtins,
    shell_ends,
    shell_functions,
    shell_tests,
)
from gpu_tuned.init.commands import (
    CALLED,
    ELSEWHERE,
    ENDED_BY_REDIRECTION,
    FOR_EVER,
    IDLE,
    MUTE,
    PATH,
    RIVALS,
    RUNNERS,
    SHELLS,
    SURE,
    SYSTEM_S,
)
from gpu_tuned.init.model import UNKNOWN, Doubt, Kind
from gpu_tuned.init.nvidia_smi import Said, shown
from gpu_tuned.init.programs import program_lines
from gpu_tuned.init.shell_assign import assigned_names
from gpu_tuned.init.shell_names import another, bare, looked_for
from gpu_tuned.init.shell_nodes import Command, Pipeline, Simple, Word
from gpu_tuned.init.shell_redirects import opened
from gpu_tuned.init.shell_runners import documents, through
from gpu_tuned.init.shell_scripts import script, subshell, text_of
from gpu_tuned.init.shell_seen import Program
from gpu_tuned.init.shell_state import GOOD, OPEN, Here, Status, Way, either
from gpu_tuned.init.shell_values import Text, many

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
        status = shell_functions.called(walk, words, here, node)
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
    if UNKNOWN in words[0].text:
        return _unknown(walk, words, here_, line)
    if name == "nvidia-smi":
        return _call(walk, words, here_, line, another(walk, words[0].text, path))
    if (builtin := shell_builtins.BUILTINS.get(name)) and "/" not in words[0].text:
        return builtin(walk, words[1:], here, node)
    if name != "nvidia-smi" and _own(walk, words[0].text):
        walk.seen.others.add((here.file, line))
        return _file(walk, words, here_, node)
    if name in SHELLS:
        return _shell(walk, words, here_, node)
    after = " ".join(word.text for word in words[1:])
    if name in FOR_EVER and FOR_EVER[name].fullmatch(after):
        here.left = "never"
    if name in IDLE:
        return GOOD if name not in SURE or SURE[name].fullmatch(after) else OPEN
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
        if name == "mkdir":
            walk.seen.folders |= {word.text.rstrip("/") for word in words[1:]}
        elif name in ("pkill", "killall"):
            shell_ends.killed_by_name(walk, words, here, line)
        return OPEN
    return _file(walk, words, here_, node)


def _own(walk: Walk, name: str) -> bool:
    """Whether a command is a script of this host, whatever tool it has its name from."""
    path = name if "/" in name else walk.files.find(name) or ""
    return path.startswith("/") and not SYSTEM_S.match(path) and walk.files.script(path) is not None


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
    for each in nvidia_smi.mentioned(" ".join(word.text for word in words[1:])):
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
        else:
            _program(walk, " ".join([*(word.text for word in words[1:]), documents(node)]), here, node.first)
        return OPEN
    if words[0].text in walk.seen.written:
        return script(walk, words[0], (), here, node.first)
    if path is None or walk.files.script(path) is None:
        return through(walk, words, here, node)
    return script(walk, Text(path), tuple(words[1:]), here, node.first)


def _program(walk: Walk, text: str, here: Here, line: int) -> None:
    """The text of a program in another language, as `python3 -c` and here-documents have it."""
    for _, said in program_lines(text):
        why = Doubt(Kind.PROGRAM, "a program sets it; what it sets, and when, cannot be told from its text")
        walk.seen.say(here, line, replace(said, target=None, doubt=why))


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
