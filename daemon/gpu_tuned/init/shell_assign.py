"""What becomes of variables: assignments, declarations, and builtins that give a variable its value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gpu_tuned.init.commands import CALLED, PATH
from gpu_tuned.init.model import UNKNOWN
from gpu_tuned.init.nvidia_smi import SETS
from gpu_tuned.init.shell_nodes import Simple, Word
from gpu_tuned.init.shell_state import BAD, GOOD, OPEN, Here, Status
from gpu_tuned.init.shell_tests import forget_changed
from gpu_tuned.init.shell_values import A_NUMBER, MAYBE_UNSET, NOT_KNOWN, Text, Variables, many, one

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\[[^\]]*\])?(\+?)=")
_QUERY = re.compile(r"\s*(?:sudo\s+)?(?:/\S*/)?nvidia-smi\b[^;&|]*")
_COUNT = re.compile(r"(?:.*\|)?\s*(?:wc -[lwc]|grep -c\b[^|;&]*|nproc|id -u|date \+%s)\s*", re.DOTALL)
"""A substitution that gives a number."""
_SHELL_S_OWN = frozenset({"SHELLOPTS", "BASHOPTS", "BASH_ENV", "ENV", "POSIXLY_CORRECT"})
"""Variables by which a shell that is started is another one."""


def assign(words: Sequence[Word], here: Here) -> Status:
    """`NAME=value` by itself. It fails where a substitution in it does."""
    status = GOOD
    for word in words:
        _mind(word, here)
        assigned(word, here.variables)
        for part in word.parts:
            if part.kind == "sub" and part.op != "arithmetic":
                reads = _QUERY.fullmatch(part.text) and not SETS.search(part.text)
                status = status if reads or one(Word([part], word.line), here.variables).known else OPEN
    return status


def _mind(word: Word, here: Here) -> None:
    """Variables that cannot be assigned, and those that change a shell."""
    head = word.parts[0].text if word.parts and word.parts[0].kind == "text" else ""
    found = _ASSIGNMENT.match(head)
    name = found[1] if found else head
    if name in _SHELL_S_OWN:
        here.doubt_rest("script", f"{name} changes what a shell does")
    if found and name in here.variables.readonly:
        here.may_abandon(f"{name} is read-only, and line {word.line} cannot change it")


def assigned(word: Word, variables: Variables, before: Variables | None = None, *, integer: bool = False) -> None:
    """What `NAME=value` makes of a variable. `before`: where its words are looked up, if not there."""
    before = before or variables
    head = word.parts[0].text if word.parts and word.parts[0].kind == "text" else ""
    found = _ASSIGNMENT.match(head)
    if found is None:
        return
    name = found[1]
    if name == "PATH":
        variables.single.setdefault(name, Text(PATH))
        before.single.setdefault(name, Text(PATH))
    if found[2] or (found[3] and word.array is None and name not in variables.single):
        variables.forget(name)
    elif word.array is not None:
        first = variables.lists.get(name) if found[3] else ()
        variables.forget(name)
        elements = tuple(many(word.array, before))
        if first is not None and (all(element.known for element in elements) or calls(*first, *elements)):
            variables.lists[name] = (*first, *elements)
    else:
        rest = Word([replace(word.parts[0], text=head[found.end() :]), *word.parts[1:]], word.line)
        value = one(rest, before)
        start = variables.single.get(name, NOT_KNOWN).text if found[3] else ""
        if (integer or name in variables.integers) and not value.text.isdigit():
            value = NOT_KNOWN
        value = Text(start + value.text, value.varying)
        if value == NOT_KNOWN and _gives_a_number(rest):
            value = A_NUMBER
        variables.single[name] = value if value.known or value == A_NUMBER or calls(value) else NOT_KNOWN


def _gives_a_number(word: Word) -> bool:
    parts = [part for part in word.parts if part.kind != "text" or part.text]
    return len(parts) == 1 and (parts[0].op == "arithmetic" or bool(_COUNT.fullmatch(parts[0].text)))


def assigned_names(words: Sequence[Word]) -> list[str]:
    """The names of assignments that stand before a command."""
    heads = [word.parts[0].text for word in words if word.parts]
    return [found[1] for head in heads if (found := _ASSIGNMENT.match(head))]


def calls(*words: Text) -> bool:
    """Whether a command may be put together here: as much of it as is known is kept then."""
    return any(CALLED.search(word.text.replace(UNKNOWN, " ")) for word in words)


def declare(verb: str, walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """`export`, `readonly`, `local`, `declare`, `typeset`: `verb` is which. All words are expanded before the first
    is assigned."""
    before = here.variables.copy()
    if not here.bash and verb in ("declare", "typeset"):
        here.variables.forget_all()
        return OPEN  # another shell has no such command
    options = "".join(word.text[1:] for word in words if re.fullmatch(r"-[A-Za-z]+", word.text))
    in_function = here.within == "function"
    if not here.bash and (set(options) - {"p"} or (verb == "local" and not in_function)):
        here.doubt_rest("script", f"`{verb}` in line {node.first} ends a shell that is not bash")
    local = in_function and verb in ("local", "declare", "typeset")
    for word in node.words[1:]:
        if local and word.parts and word.parts[0].text.partition("=")[0] in here.variables.readonly:
            here.may_abandon(f"line {word.line} cannot change what is read-only")
        elif not local:
            _mind(word, here)
        assigned(word, here.variables, before, integer="i" in options)
        own = re.match(r"[A-Za-z_][\w-]*", word.parts[0].text) if word.parts else None
        if "f" in options and own and own[0] == word.literal:
            here.exported |= {own[0]}
        if local and own:
            here.locals.add(own[0])
        if own and (verb == "readonly" or "r" in options):
            here.variables.readonly |= {own[0]}
        if own and "i" in options:
            here.variables.lists.pop(own[0], None)
            here.variables.integers |= {own[0]}
        if own and {"A", "u", "l", "c"} & set(options):
            here.variables.forget(own[0])
    if "n" in options:
        here.doubt_rest("script", f"a name that line {node.first} declares stands for another one")
    if verb == "local" and not in_function:
        return BAD
    return GOOD if all(_declares(word, set(options), here) for word in node.words[1:]) else OPEN


def _declares(word: Word, options: set[str], here: Here) -> bool:
    """Whether a declaration of this word succeeds for certain: a function has to be there, and so has a variable that
    is to be shown; no other name than an identifier can be declared."""
    literal = word.literal or ""
    if re.fullmatch(r"[-+][A-Za-z]+", literal):
        return True
    if {"f", "F"} & options:
        return None not in here.functions.get(literal, (None,))
    if "p" in options:
        return False
    head = word.parts[0].text if word.parts and word.parts[0].kind == "text" else ""
    return bool(_ASSIGNMENT.match(head) or re.fullmatch(r"[A-Za-z_]\w*", literal))


def changing(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """`read`, `getopts`, `let` and their like: the variables that they name are not known any more."""
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


def printf(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """`printf -v NAME` alone changes something."""
    if len(words) > 1 and words[0].text == "-v":
        here.variables.forget(words[1].text)
        made = Text(" ".join(word.text for word in words[2:]) + UNKNOWN)
        if calls(made):
            here.variables.single[words[1].text] = made
    return GOOD


def unset(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """Variables, and functions where there is no such variable."""
    functions = any(word.text.startswith("-") and "f" in word.text for word in words)
    if any(word.text in here.variables.readonly for word in words):
        here.doubt_rest("script", f"line {node.first} cannot unset what is read-only")
        return BAD
    for word in words:
        if not word.known:
            here.forget_functions()
        elif functions or word.text not in here.variables.single:
            here.functions.pop(word.text, None)
    if functions:
        return GOOD
    status = changing(walk, words, here, node)
    here.variables.single |= {word.text: MAYBE_UNSET for word in words if word.text in here.variables.single}
    return status
