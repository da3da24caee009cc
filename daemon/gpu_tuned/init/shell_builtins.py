"""The builtins that change what is known: assignments, options of the shell, leaving it, sourcing, traps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gpu_tuned.init.commands import CALLED, PATH, SOURCES
from gpu_tuned.init.model import UNKNOWN, Kind
from gpu_tuned.init.nvidia_smi import SETS
from gpu_tuned.init.shell_nodes import NotUnderstood, Simple, Word
from gpu_tuned.init.shell_parse import parse
from gpu_tuned.init.shell_scripts import script, shift_lines, text_of
from gpu_tuned.init.shell_state import BAD, GOOD, OPEN, Here, Status
from gpu_tuned.init.shell_tests import CHANGING, forget_changed
from gpu_tuned.init.shell_values import MAYBE_UNSET, NOT_KNOWN, Text, Variables, many, one

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\[[^\]]*\])?(\+?)=")
_QUERY = re.compile(r"\s*(?:sudo\s+)?(?:/\S*/)?nvidia-smi\b[^;&|]*")
_ENDED = ("EXIT", "0")


def assign(words: Sequence[Word], here: Here) -> Status:
    """`NAME=value` by itself. It fails where a substitution in it does."""
    status = GOOD
    for word in words:
        assigned(word, here.variables)
        for part in word.parts:
            if part.kind == "sub" and part.op != "arithmetic":
                reads = _QUERY.fullmatch(part.text) and not SETS.search(part.text)
                status = status if reads else OPEN
    return status


def assigned(word: Word, variables: Variables, *, integer: bool = False) -> None:
    """What `NAME=value` makes of a variable."""
    head = word.parts[0].text if word.parts and word.parts[0].kind == "text" else ""
    found = _ASSIGNMENT.match(head)
    if found is None:
        return
    name = found[1]
    if name == "PATH":
        variables.single.setdefault(name, Text(PATH))
    if found[2] or (found[3] and word.array is None and name not in variables.single):
        variables.forget(name)
    elif word.array is not None:
        first = variables.lists.get(name) if found[3] else ()
        variables.forget(name)
        elements = tuple(many(word.array, variables))
        if first is not None and (all(element.known for element in elements) or calls(*first, *elements)):
            variables.lists[name] = (*first, *elements)
    else:
        rest = Word([replace(word.parts[0], text=head[found.end() :]), *word.parts[1:]], word.line)
        value = one(rest, variables)
        before = variables.single.get(name, NOT_KNOWN).text if found[3] else ""
        if (integer or name in variables.integers) and not value.text.isdigit():
            value = NOT_KNOWN
        value = Text(before + value.text, value.varying)
        variables.single[name] = value if value.known or calls(value) else NOT_KNOWN


def calls(*words: Text) -> bool:
    """Whether a command may be put together here: as much of it as is known is kept then."""
    return any(CALLED.search(word.text.replace(UNKNOWN, " ")) for word in words)


def _declare(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    if not here.bash and node.words[0].plain in ("declare", "typeset"):
        return _bash_alone(walk, words, here, node)
    integer = any(word.plain and re.fullmatch(r"-\w*i\w*", word.plain) for word in node.words)
    maps = any(word.plain and re.fullmatch(r"-\w*[An]\w*", word.plain) for word in node.words)
    exports_functions = any(word.plain and re.fullmatch(r"-\w*f\w*", word.plain) for word in node.words)
    local = here.calls and node.words[0].plain in ("local", "declare", "typeset")
    for word in node.words[1:]:
        assigned(word, here.variables, integer=integer)
        own = re.match(r"[A-Za-z_][\w-]*", word.parts[0].text) if word.parts else None
        if exports_functions and own and own[0] == word.literal:
            here.exported |= {own[0]}
        if local and own:
            here.locals.add(own[0])
        head = _ASSIGNMENT.match(word.parts[0].text) if word.parts else None
        if head and (maps or integer):
            # A reference stands for something else.
            here.variables.lists.pop(head[1], None)
            here.variables.integers |= {head[1]} if integer else set()
            if maps:
                here.variables.forget(head[1])
    return GOOD


def _changing(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    if (node.words[0].plain or "") == "let":
        forget_changed(" ".join(word.text for word in words), here.variables)
        return OPEN
    unknown = False
    for word in words:
        if re.fullmatch(r"[A-Za-z_]\w*", word.text):
            here.variables.forget(word.text)
        unknown = unknown or not word.known
    if unknown and node.words[0].plain != "printf":
        here.variables.forget_all()
    return GOOD if node.words[0].plain in ("printf", "unset") else OPEN


def _printf(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    if len(words) > 1 and words[0].text == "-v":
        here.variables.forget(words[1].text)
        made = Text(" ".join(word.text for word in words[2:]) + UNKNOWN)
        if calls(made):
            here.variables.single[words[1].text] = made
    return GOOD


def _leave(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    word = node.words[0].plain or "exit"
    if word in ("break", "continue") and words and words[0].text != "1":
        here.doubt_rest("script", "it leaves more than one loop")
    if word == "return" and not here.calls:
        word = "exit"
    code = words[0].text if words else "0"
    here.left, here.code = word, GOOD if code == "0" else BAD if code.isdigit() else OPEN
    return here.code


def _set(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    rest = list(words)
    while rest:
        word = rest.pop(0).text
        if word in ("-o", "+o") and rest:
            _switch(here, rest.pop(0).text, on=word == "-o")
        elif word == "--" or not re.fullmatch(r"[-+][A-Za-z]+", word):
            given = rest if word == "--" else [Text(word), *rest]
            known = all(each.known for each in given) or calls(*given)
            here.variables.arguments = tuple(given) if known else None
            break
        else:
            for letter in word[1:]:
                if letter == "o" and rest:
                    _switch(here, rest.pop(0).text, on=word[0] == "-")
                else:
                    _switch(here, {"e": "errexit", "u": "nounset"}.get(letter, ""), on=word[0] == "-")
    return GOOD


def _switch(here: Here, name: str, *, on: bool) -> None:
    if name == "errexit":
        here.errexit = on
    elif name == "posix":
        here.aliases = True
    elif name == "nounset":
        here.nounset = on
    elif name == "pipefail":
        here.pipefail = on
        if not here.bash:
            here.doubt_rest("script", "`set -o pipefail` ends a shell that does not know it")


def _shift(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    arguments = here.variables.arguments
    count = int(words[0].text) if words and words[0].text.isdigit() else 1
    here.variables.arguments = arguments[count:] if arguments is not None else None
    return GOOD if arguments is not None else OPEN


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
        here.doubt_rest("script", f"what `eval` in line {node.first} runs is put together while it runs")
        return OPEN
    shift_lines(body, node.first)
    return walk.run(body, here)


def _trap(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    if len(words) < 2 or words[0].text in ("-", ""):
        return GOOD
    at_the_end = any(word.text in _ENDED for word in words[1:])
    why = "a trap runs it when the script ends" if at_the_end else "a trap runs it when the script is stopped"
    way = here.way.doubted(Kind.BRANCH if at_the_end else Kind.STOP, why)
    aside = here.fork(replace(way, unordered=True))
    for name, body in here.functions.items():
        aside.functions[name] = body
    try:
        handler = parse(words[0].text, bash=here.bash) if words[0].known else None
    except NotUnderstood:
        handler = None
    if handler is None:
        text_of(walk, words[0], (), aside, node, "", bash=here.bash)
    else:
        walk.run(handler, aside)
    return GOOD


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
    path = words[-1].text if words and words[-1].known else "/"
    return GOOD if not path.startswith("/") or walk.files.folder(path) else OPEN


def _alias(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """Bash's scripts expand no alias, unless they ask for it; those of other shells do."""
    if (not here.bash or here.aliases) and words:
        here.doubt_rest("script", "an alias stands for another command")
    return GOOD


def _shopt(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    if any(word.text == "expand_aliases" or not word.known for word in words):
        here.aliases = True
    return _bash_alone(walk, words, here, node)


def _enable(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    if words:
        here.doubt_rest("script", "`enable` changes what a command is")
    return OPEN


def _builtin(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """It runs a builtin, and nothing else whatever that is called."""
    found = BUILTINS.get(words[0].text) if words and here.bash else None
    return found(walk, words[1:], here, node) if found else OPEN


def _unset(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """Variables, and functions where there is no such variable."""
    functions = any(word.text.startswith("-") and "f" in word.text for word in words)
    for word in words:
        if not word.known:
            here.forget_functions()
        elif functions or word.text not in here.variables.single:
            here.functions.pop(word.text, None)
    if functions:
        return GOOD
    status = _changing(walk, words, here, node)
    here.variables.single |= {word.text: MAYBE_UNSET for word in words if word.text in here.variables.single}
    return status


def _false(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    return BAD


Builtin = Callable[["Walk", Sequence[Text], Here, Simple], Status]
BUILTINS: Mapping[str, Builtin] = {
    **dict.fromkeys(("declare", "typeset", "local", "export", "readonly"), _declare),
    **dict.fromkeys(CHANGING - {"printf", "select"}, _changing),
    **dict.fromkeys(("exit", "return", "break", "continue"), _leave),
    **dict.fromkeys((".", "source"), _source),
    **dict.fromkeys(("which", "type", "hash"), _look_up),
    "ulimit": _nothing,
    "cd": _cd,
    "alias": _alias,
    **dict.fromkeys(("pushd", "popd", "disown"), _bash_alone),
    "shopt": _shopt,
    "enable": _enable,
    "builtin": _builtin,
    "printf": _printf,
    "unset": _unset,
    "set": _set,
    "shift": _shift,
    "eval": _eval,
    "trap": _trap,
    "false": _false,
}
