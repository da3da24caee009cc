"""The builtins of a shell, by name, with those that say what a command is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gpu_tuned.init import nvidia_smi, shell_assign, shell_ends
from gpu_tuned.init.commands import HARMLESS, SOURCES
from gpu_tuned.init.shell_nodes import NotUnderstood, Simple
from gpu_tuned.init.shell_parse import parse
from gpu_tuned.init.shell_scripts import located, script, shift_lines, text_of
from gpu_tuned.init.shell_state import BAD, GOOD, OPEN, Here, Status
from gpu_tuned.init.shell_tests import CHANGING
from gpu_tuned.init.shell_values import Text

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk


def _source(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    if not words:
        return OPEN
    if words[0].text in SOURCES:
        return GOOD
    return script(walk, words[0], tuple(words[1:]), here, node.first, "source")


def _eval(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    text = Text(" ".join(word.text for word in words))
    try:
        body = parse(text.text, bash=here.bash) if text.known else None
    except NotUnderstood:
        body = None
    if body is None:
        text_of(walk, text, (), here.fork(), node, "", bash=here.bash)
        here.variables.forget_all()
        walk.seen.doubt_from(0, f"what `eval` in line {node.first} runs is not known, and may set it as well")
        here.doubt_rest("script", f"what `eval` in line {node.first} runs is put together while it runs")
        return OPEN
    shift_lines(body, node.first)
    return walk.run(body, here)


def _look_up(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """`which`, `type`, `hash`: whether a command is there. Without nvidia-smi nothing is set in any case."""
    if node.words and node.words[0].plain == "hash" and any(word.text.startswith("-p") for word in words):
        here.doubt_rest("script", "`hash -p` gives a command another file")
        return GOOD
    looked = [word.text for word in words if not word.text.startswith("-")]
    return GOOD if looked == ["nvidia-smi"] or (len(looked) == 1 and looked[0].endswith("/nvidia-smi")) else OPEN


def _bash_alone(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """A builtin of bash: another shell has no such command."""
    if not here.bash:
        here.variables.forget_all()
        return OPEN
    return GOOD


def _nothing(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    return GOOD


def _cd(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """It fails where the folder that is written there is not; `$(dirname "$0")` and its like are there."""
    path = located(here, words[-1]).text if words and words[-1].known else "/"
    there = not path.startswith("/") or walk.files.folder(path)
    known = words and words[-1].known and path.startswith("/") and there
    here.folder = path if known else None
    return GOOD if there else OPEN


def _alias(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """Bash's scripts expand no alias, unless they ask for it; those of other shells do."""
    if (not here.bash or here.aliases) and words:
        here.doubt_rest("script", "an alias stands for another command")
        for each in nvidia_smi.mentioned(" ".join(word.text for word in words)):
            walk.seen.say(here, node.first, each)
    return GOOD


def _shopt(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    for word in words:
        if word.text == "expand_aliases" or not word.known:
            here.aliases = True
        elif word.text == "nocasematch":
            here.variables.any_case = True
        elif word.text not in HARMLESS:
            here.doubt_rest("script", f"`shopt {word.text}` changes what the shell does")
    return _bash_alone(walk, words, here, node)


def _enable(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    if words:
        here.doubt_rest("script", "`enable` changes what a command is")
    return OPEN


def _builtin(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """It runs a builtin, and nothing else whatever that is called."""
    found = BUILTINS.get(words[0].text) if words and here.bash else None
    return found(walk, words[1:], here, node) if found else OPEN


def _false(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    return BAD


Builtin = Callable[["Walk", Sequence[Text], Here, Simple], Status]
BUILTINS: Mapping[str, Builtin] = {
    **{word: partial(shell_assign.declare, word) for word in ("declare", "typeset", "local", "export", "readonly")},
    **dict.fromkeys(CHANGING - {"printf", "select"}, shell_assign.changing),
    "printf": shell_assign.printf,
    "unset": shell_assign.unset,
    **{word: partial(shell_ends.leave, word) for word in ("exit", "return", "break", "continue")},
    "set": shell_ends.set_,
    "shift": shell_ends.shift,
    "trap": shell_ends.trap,
    "kill": shell_ends.kill,
    "wait": shell_ends.waits,
    **dict.fromkeys((".", "source"), _source),
    **dict.fromkeys(("which", "type", "hash"), _look_up),
    "ulimit": _nothing,
    "cd": _cd,
    "alias": _alias,
    **dict.fromkeys(("pushd", "popd", "disown"), _bash_alone),
    "shopt": _shopt,
    "enable": _enable,
    "builtin": _builtin,
    "eval": _eval,
    "false": _false,
}
