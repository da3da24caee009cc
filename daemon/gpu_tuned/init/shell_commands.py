"""What a simple command does: a call of nvidia-smi, a builtin, another script, or something that only a shell knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from gpu_tuned.core.model import NumaBalancing, Setting
from gpu_tuned.init import nvidia_smi, shell_builtins, shell_tests
from gpu_tuned.init.commands import ELSEWHERE, IDLE, MUTE, PREFIXES, RIVALS, RUNNERS, SHELLS, VALUED
from gpu_tuned.init.model import UNKNOWN, Doubt, Kind
from gpu_tuned.init.nvidia_smi import Said
from gpu_tuned.init.shell_nodes import NotUnderstood, Pipeline, Simple
from gpu_tuned.init.shell_parse import parse
from gpu_tuned.init.shell_state import GOOD, OPEN, Here, Program, Status
from gpu_tuned.init.shell_values import Text, Variables, many

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk

NUMA_FILE = "/proc/sys/kernel/numa_balancing"
NUMA_LINE = re.compile(r"\s*-?kernel[./]numa_balancing\s*=\s*([0-9]+)\s*")
DEEPEST = 12
"""Scripts that run scripts."""


class Files(Protocol):
    """The files of the host, as far as a command can name them."""

    def script(self, path: str) -> tuple[str, str] | None:
        """A text file's own path, behind its links, and its text; None for anything else."""

    def find(self, name: str) -> str | None:
        """Where PATH finds a command."""


def simple(walk: Walk, node: Simple, here: Here) -> Status:
    """One simple command, with its assignments and redirections."""
    if not node.words:
        return shell_builtins.assign(node.assigned, here)
    words = many(node.words, here.variables)
    _unset(node, here)
    if not words:
        return OPEN
    return command(walk, words, here, node)


def _unset(node: Simple, here: Here) -> None:
    if not here.nounset:
        return
    for part in (part for word in node.words for part in word.parts):
        if part.kind == "var" and not part.op and part.text not in here.variables.single:
            if part.text.isdigit() and here.variables.arguments is not None:
                continue
            here.doubt_rest("script", f"`set -u`: the script ends in line {node.first} where {part.text} is not set")


def command(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """A command in words. What `node` adds are its line, its redirections and the assignments before it."""
    if words[0].text == "exec" and len(words) > 1:
        status = command(walk, words[1:], here, node)
        here.left, here.code = here.left or "exit", status
        return status
    words, here_ = _bare(list(words), here)
    name = words[0].text.rpartition("/")[2]
    line = node.first
    numa = _numa_written(words, node, here_)
    if numa is not None:
        walk.seen.say(here_, line, numa)
        return GOOD
    if UNKNOWN in words[0].text:
        return _unknown(walk, words, here_, line)
    if words[0].text in here.functions:
        return _function(walk, words, here, line)
    if name == "nvidia-smi":
        return _call(walk, words[1:], here_, line)
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
        return _other(walk, name, words, here_, line)
    if name in MUTE:
        return OPEN
    return _file(walk, words, here_, node)


def _bare(words: list[Text], here: Here) -> tuple[list[Text], Here]:
    """A command without sudo and its like; who then runs it is in the place that comes back."""
    place = here
    while words:
        name = words[0].text.rpartition("/")[2]
        if name == "command" and len(words) > 1 and words[1].text in ("-v", "-V"):
            return [Text("which"), *words[2:]], place
        if name == "env" or name in PREFIXES:
            options = words[1:]
            while options and (options[0].text.startswith("-") or (name == "env" and "=" in options[0].text)):
                option = options.pop(0)
                value = options.pop(0) if option.text in VALUED.get(name, ()) and options else None
                if option.text in ("-u", "--user") and name in ("sudo", "doas", "runuser", "setpriv"):
                    place = replace(place, root=place.root and value is not None and value.text == "root")
                if option.text == "--":
                    break
            if name == "timeout" and options:
                options.pop(0)
            if not options:
                return words, place
            words = options
        else:
            break
    return words, place


def _call(walk: Walk, words: Sequence[Text], here: Here, line: int) -> Status:
    varying = frozenset(number for number, word in enumerate(words) if word.varying)
    said = nvidia_smi.call([word.text for word in words], varying)
    numbers = frozenset(walk.seen.say(here, line, each) for each in said)
    ours = all(each.setting is not None for each in said)
    return Status(True, numbers if ours else frozenset())


def _unknown(walk: Walk, words: Sequence[Text], here: Here, line: int) -> Status:
    """A command whose name is not known: `$SMI -pl 300`."""
    walk.seen.others.add((here.file, line))
    for each in nvidia_smi.mentioned(" ".join(word.text for word in words[1:])):
        why = Doubt(Kind.COMPUTED, "which command it is, is not written in the file")
        walk.seen.say(here, line, replace(each, doubt=why))
    return OPEN


def _function(walk: Walk, words: Sequence[Text], here: Here, line: int) -> Status:
    name = words[0].text
    if name in here.calls or len(here.calls) > DEEPEST:
        here.doubt_rest("script", f"{name} calls itself", Kind.UNREADABLE)
        return OPEN
    before, arguments, calls = here.flow.pop("function", None), here.variables.arguments, here.calls
    # A value that comes by way of an argument is one that a reader has to work out.
    given = tuple(words[1:])
    here.variables.arguments = arguments if given == arguments else None if given else ()
    here.calls = (*calls, name)
    status = walk.command(here.functions[name], here)
    here.calls, here.variables.arguments = calls, arguments
    if here.left == "return":
        here.left, status = "", here.code
    if here.flow.pop("function", None) is not None:
        status = OPEN
    if before is not None:
        here.flow["function"] = before
    return status


def _shell(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """`sh -c TEXT`, `bash -eu FILE ARGUMENTS`."""
    rest, flags = list(words[1:]), ""
    if words[0].text.rpartition("/")[2] in ("su", "runuser"):
        # `su [-] [USER] -c TEXT`
        users = [word.text for word in rest if not word.text.startswith("-")]
        at = next((n for n, word in enumerate(rest) if word.text in ("-c", "--command")), None)
        text = rest[at + 1] if at is not None and at + 1 < len(rest) else None
        users = [user for user in users if text is None or user != text.text]
        here = replace(here, root=here.root and users in ([], ["root"]))
        return OPEN if text is None else text_of(walk, text, (), here, node, "")
    while rest and rest[0].text.startswith(("-", "+")):
        option = rest.pop(0).text
        if option in ("-o", "+o", "-O", "--rcfile", "--init-file") and rest:
            flags += "e" if rest.pop(0).text == "errexit" else ""
        elif not option.startswith("--"):
            flags += option[1:]
    if "c" in flags:
        return OPEN if not rest else text_of(walk, rest[0], tuple(rest[2:]), here, node, flags)
    if not rest:
        walk.seen.others.add((here.file, node.first))
        document = " ".join(redirect.document for redirect in node.redirects)
        for each in nvidia_smi.mentioned(document):
            walk.seen.say(here, node.first, replace(each, doubt=Doubt(Kind.UNREADABLE, "a here-document is run")))
        return OPEN
    return script(walk, rest[0], tuple(rest[1:]), here, node.first, flags)


def text_of(walk: Walk, text: Text, arguments: tuple[Text, ...], here: Here, node: Simple, flags: str) -> Status:
    """The text of `sh -c`, read as the script that it is; its lines are this command's line."""
    if not text.known:
        return _worked_out(walk, text.text, here, node.first)
    try:
        body = parse(text.text)
    except NotUnderstood as problem:
        return _not_understood(walk, text.text, here, node.first, str(problem))
    shift_lines(body, node.first)
    inner = child(here, here.file, arguments, flags, Variables(dict(walk.environment)))
    return _end(walk.run(body, inner), inner, here)


def shift_lines(body: Sequence[object], line: int) -> None:
    for each in shell_tests.commands(body):  # type: ignore[arg-type]
        each.first = each.last = line


def _worked_out(walk: Walk, text: str, here: Here, line: int) -> Status:
    walk.seen.others.add((here.file, line))
    for each in nvidia_smi.mentioned(text) if "nvidia-smi" in text else ():
        walk.seen.say(here, line, replace(each, doubt=Doubt(Kind.COMPUTED, "the command is put together while it runs")))
    return OPEN


def _not_understood(walk: Walk, text: str, here: Here, line: int, problem: str) -> Status:
    for each in nvidia_smi.mentioned(text) if "nvidia-smi" in text else ():
        walk.seen.say(here, line, replace(each, doubt=Doubt(Kind.UNREADABLE, f"the shell text is not understood: {problem}")))
    here.variables.forget_all()
    return OPEN


def child(here: Here, file: str, arguments: tuple[Text, ...] | None, flags: str, known: Variables) -> Here:
    """A new shell in the place of `here`."""
    inner = here.fork()
    inner.variables = known.copy()
    inner.variables.arguments, inner.functions, inner.file = arguments, {}, file
    inner.errexit, inner.nounset, inner.pipefail, inner.tested = "e" in flags, "u" in flags, False, 0
    inner.way, inner.flow = here.reached(), {}
    return inner


def _end(status: Status, inner: Here, here: Here) -> Status:
    if inner.left == "never":
        here.left = "never"
    if inner.flow:
        return OPEN
    return inner.code if inner.left == "exit" else status


def script(
    walk: Walk, path: Text, arguments: tuple[Text, ...], here: Here, line: int, flags: str = "", source: bool = False
) -> Status:
    """A script that a command runs, or takes in with `source`."""
    walk.seen.others.add((here.file, line))
    found = walk.files.script(path.text) if path.known and path.text.startswith("/") else None
    if found is None:
        if source:
            here.variables.forget_all()
        return OPEN
    where, text = found
    interpreter = shell_of(text)
    if interpreter is None and not source and not flags:
        if text.startswith("#!"):
            walk.seen.programs.append(Program(where, here.file, line, here.reached().doubt))
        return OPEN
    if where in here.calls or len(here.calls) > DEEPEST:
        here.doubt_rest("script", f"{where} runs itself", Kind.UNREADABLE)
        return OPEN
    walk.seen.files.append(where)
    if source:
        inner = replace(here, file=where, calls=(*here.calls, where))
    else:
        # Without arguments it may be called with some elsewhere, and by hand: what they decide stays open.
        inner = child(here, where, arguments or None, flags or interpreter or "", Variables(dict(walk.environment)))
        inner.calls = (*here.calls, where)
    try:
        body = parse(text)
    except NotUnderstood as problem:
        return _lines(walk, text, inner, here, problem)
    status = walk.run(body, inner)
    if not source:
        return _end(status, inner, here)
    here.adopt(inner)
    if here.left == "return":
        here.left = ""
    return status


def _lines(walk: Walk, text: str, inner: Here, here: Here, problem: NotUnderstood) -> Status:
    why = Doubt(Kind.UNREADABLE, f"the script is not understood: {problem}")
    for number, row in enumerate(text.split("\n"), 1):
        if not row.lstrip().startswith("#"):
            for each in nvidia_smi.mentioned(row):
                walk.seen.say(inner, number, replace(each, doubt=why))
    here.variables.forget_all()
    return OPEN


def shell_of(text: str) -> str | None:
    """The options of the shell that a script asks for, "" for none; None where it is for something else."""
    if not text.startswith("#!"):
        return "" if not text.startswith("\x7f") else None
    words = text[2:].partition("\n")[0].split()
    if words and words[0].endswith("/env"):
        words = [word for word in words[1:] if word != "-S"]
    if not words or words[0].rpartition("/")[2] not in SHELLS or words[0].rpartition("/")[2] in ("su", "runuser"):
        return None
    return "".join(word[1:] for word in words[1:] if word.startswith("-") and not word.startswith("--"))


def _further(name: str, words: Sequence[Text], walk: Walk) -> Said | None:
    """Commands of others that set GPUs, and the kernel's knob."""
    texts = [word.text for word in words]
    if name == "nvidia-persistenced" and "--no-persistence-mode" not in texts:
        return Said(Setting.PERSISTENCE_MODE, True, name)
    if name == "nvidia-settings" and any(text in ("-a", "--assign") or text.startswith("--assign=") for text in texts):
        why = "gpu-tuned does not hold clock offsets, fans and what else nvidia-settings sets"
        return Said(None, None, name, doubt=Doubt(Kind.UNSUPPORTED, why))
    if name in RIVALS:
        return Said(None, None, nvidia_smi.shown(texts), None, Doubt(Kind.RIVAL, f"{RIVALS[name]} sets GPUs by itself"))
    if name == "nvidia-cuda-mps-control" and "-d" in texts:
        walk.seen.mps = True
    if name == "sysctl":
        return next((said for text in texts[1:] if (said := numa_said(text))), None)
    return None


def _other(walk: Walk, name: str, words: Sequence[Text], here: Here, line: int) -> Status:
    joined = " ".join(word.text for word in words)
    if name in RUNNERS and "nvidia-smi" in joined:
        for each in nvidia_smi.mentioned(joined):
            walk.seen.say(here, line, replace(each, doubt=Doubt(Kind.COMPUTED, f"{name} runs it")))
    return OPEN


def _file(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    path = words[0].text if "/" in words[0].text else walk.files.find(words[0].text)
    interpreted = words[0].text.rpartition("/")[2].startswith(("python", "perl", "node", "ruby"))
    if interpreted:
        file = next((word.text for word in words[1:] if not word.text.startswith("-")), "")
        if (found := walk.files.script(file)) is not None:
            walk.seen.programs.append(Program(found[0], here.file, node.first, here.reached().doubt))
        return OPEN
    return OPEN if path is None else script(walk, Text(path), tuple(words[1:]), here, node.first)


def numa_said(text: str) -> Said | None:
    """What a sysctl line ("kernel.numa_balancing = 0") asks for."""
    found = NUMA_LINE.fullmatch(text)
    return _numa(found[1], " ".join(text.split())) if found else None


def _numa(value: str, words: str) -> Said:
    return Said(Setting.NUMA_BALANCING, NumaBalancing.OFF if int(value) == 0 else NumaBalancing.ON, words)


def _numa_written(words: Sequence[Text], node: Simple, here: Here) -> Said | None:
    """`echo 0 > /proc/sys/kernel/numa_balancing`"""
    if not any(redirect.op in (">", ">>") and redirect.target.literal == NUMA_FILE for redirect in node.redirects):
        return None
    return _echoed(words)


def _echoed(words: Sequence[Text]) -> Said:
    text = " ".join(word.text for word in words[1:] if not word.text.startswith("-")).replace("\\n", "").strip()
    if words[0].text.rpartition("/")[2] in ("echo", "printf") and text.isdigit():
        return _numa(text, f"{text} into {NUMA_FILE}")
    why = Doubt(Kind.COMPUTED, "the value is not written in the file")
    return Said(Setting.NUMA_BALANCING, None, f"something into {NUMA_FILE}", doubt=why)


def numa_pipe(walk: Walk, pipeline: Pipeline, here: Here) -> Status | None:
    """`echo 0 | sudo tee /proc/sys/kernel/numa_balancing`; None for any other pipeline."""
    ends = [command for command in pipeline.commands if isinstance(command, Simple) and command.words]
    if len(ends) != len(pipeline.commands):
        return None
    last, place = _bare(many(ends[-1].words, here.variables), here)
    if not last or last[0].text.rpartition("/")[2] != "tee" or NUMA_FILE not in [word.text for word in last[1:]]:
        return None
    walk.seen.say(place, pipeline.first, _echoed(_bare(many(ends[0].words, here.variables), here)[0]))
    walk.seen.reached.update((here.file, command.first) for command in ends)
    return GOOD
