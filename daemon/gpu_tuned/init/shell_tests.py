"""Conditions of a script, and which variables a body can change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gpu_tuned.init.shell_nodes import (
    AndOr,
    Arithmetic,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Simple,
    Test,
    While,
    Word,
)
from gpu_tuned.init.shell_state import BAD, GOOD, OPEN, Here, Status, joined
from gpu_tuned.init.shell_values import Text, Variables, many

_NUMBERS = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}
PRESENT = re.compile(r"(?:/\S*/)?nvidia-smi|/dev/nvidia\S*|/proc/driver/nvidia\S*|/sys/module/nvidia\S*")
_CHANGED = re.compile(r"([A-Za-z_]\w*)\s*(?:\+\+|--|[-+*/%&|^]?=(?!=))|(?:\+\+|--)\s*([A-Za-z_]\w*)")
NAMES = re.compile(r"(?<![\w$])[A-Za-z_]\w*|(?<=\$)[A-Za-z_0-9]\w*|(?<=\$\{)[A-Za-z_0-9]\w*")
"""The names in an arithmetic expression."""
_IDENTITY = re.compile(r"\s*id\s+-u\s*")
CHANGING = frozenset({"read", "mapfile", "readarray", "getopts", "unset", "let", "printf", "select"})
"""Commands that give variables values that are not written there."""


def single(words: Sequence[Text], here: Here) -> Status:
    """`[ ... ]` or `test ...`: its words without the brackets."""
    texts = [word.text for word in words]
    if texts[:1] == ["!"]:
        return single(words[1:], here).negated()
    if any(text in ("-a", "-o", "(", ")") for text in texts):
        return OPEN
    if len(texts) == 2 and texts[0] in ("-e", "-f", "-x", "-c", "-d", "-r") and PRESENT.fullmatch(texts[1]):
        return GOOD  # without the tool or the driver nothing can be set in any case
    if not all(word.known for word in words):
        return OPEN
    if len(texts) == 1:
        return GOOD if texts[0] else BAD
    if len(texts) == 2 and texts[0] in ("-n", "-z"):
        return GOOD if bool(texts[1]) is (texts[0] == "-n") else BAD
    if len(texts) == 3 and (here.bash or texts[1] != "=="):
        return _compared(*texts)
    return OPEN


def _compared(left: str, operator: str, right: str) -> Status:
    if operator in ("=", "==", "!="):
        return GOOD if (left == right) is (operator != "!=") else BAD
    if operator in _NUMBERS and re.fullmatch(r"-?[0-9]{1,9}", left) and re.fullmatch(r"-?[0-9]{1,9}", right):
        return GOOD if _NUMBERS[operator](int(left), int(right)) else BAD
    return OPEN


def double(test: Test, here: Here) -> Status:
    """`[[ ... ]]`. Patterns and operators inside are left open."""
    if any(not word.parts for word in test.words):
        return OPEN
    plain = [word.plain or "" for word in test.words]
    if here.variables.any_case or "=~" in plain or any(re.search(r"[*?\[]", word) for word in plain):
        return OPEN
    return single(expanded(test.words, here), here)


def expanded(words: list[Word], here: Here) -> list[Text]:
    """Words of a test. Who runs it is known where it runs as root."""
    found: list[Text] = []
    for word in words:
        parts = [part for part in word.parts if part.kind != "text" or part.text]
        own = len(parts) == 1 and (
            (here.bash and parts[0].kind == "var" and parts[0].text in ("EUID", "UID") and not parts[0].op)
            or (parts[0].kind == "sub" and _IDENTITY.fullmatch(parts[0].text))
        )
        if own and here.root:
            found.append(Text("0"))
        elif (
            len(parts) == 1
            and parts[0].kind == "sub"
            and re.match(r"\s*(?:command -v|which)\s+nvidia-smi\b", parts[0].text)
        ):
            found.append(Text("/usr/bin/nvidia-smi"))
        else:
            found += many([word], here.variables)
    return found


def commands(body: Sequence[AndOr | Command]) -> Iterator[Command]:
    """Every command in a body, however deep, bodies of functions included."""
    for node in body:
        if isinstance(node, AndOr):
            for pipeline in (node.head, *(pipeline for _, pipeline in node.rest)):
                yield from commands(pipeline.commands)
            continue
        yield node
        for inner in bodies(node):
            yield from commands(inner)


def bodies(node: Command) -> list[Sequence[AndOr | Command]]:
    """The lists of commands inside a compound command."""
    if isinstance(node, Group):
        return [node.body]
    if isinstance(node, If):
        return [*(part for arm in node.arms for part in arm), node.otherwise or []]
    if isinstance(node, For):
        return [node.body]
    if isinstance(node, While):
        return [node.condition, node.body]
    if isinstance(node, Case):
        return [body for _, body in node.arms]
    if isinstance(node, Function):
        return [[node.body]]
    return []


def names(body: Sequence[AndOr | Command]) -> set[str]:
    """The first words of all simple commands in a body."""
    return {node.words[0].plain or "" for node in commands(body) if isinstance(node, Simple) and node.words}


def reads(condition: Sequence[AndOr | Command]) -> bool:
    """Whether a loop ends with its input."""
    return bool(names(condition) & {"read", "mapfile", "readarray"})


def forget_assigned(body: Sequence[AndOr | Command], here: Here, seen: frozenset[str] = frozenset()) -> None:
    """Whatever a body can change is not known before and after it; functions that it calls are looked into."""
    variables = here.variables
    for node in commands(body):
        if isinstance(node, For) and node.name:
            variables.forget(node.name)
        elif isinstance(node, Function):
            here.functions = joined(here.functions, {**here.functions, node.name: (node.body,)})
        elif isinstance(node, Arithmetic):
            forget_changed(node.source, variables)
        elif isinstance(node, Simple):
            for word in (*node.assigned, *node.words):
                if found := re.match(r"([A-Za-z_]\w*)(?:\[[^\]]*\])?\+?=", word.parts[0].text if word.parts else ""):
                    counts = len(word.parts) == 2 and word.parts[1].op == "arithmetic"
                    change = variables.count if counts and found[0] == word.parts[0].text else variables.forget
                    change(found[1])
            first = node.words[0].plain if node.words else ""
            if first in CHANGING:
                for word in node.words[1:]:
                    if word.plain and re.fullmatch(r"[A-Za-z_]\w*", word.plain):
                        variables.forget(word.plain)
                if first == "unset":
                    for word in node.words[1:]:
                        here.forget_functions(word.plain)
                if first == "let":
                    forget_changed(" ".join(word.plain or "" for word in node.words[1:]), variables)
            elif first == "readonly" or (first in ("declare", "typeset") and _options(node) & {"r"}):
                variables.readonly |= {
                    (word.parts[0].text if word.parts else "").partition("=")[0] for word in node.words[1:]
                }
            elif first in ("eval", ".", "source"):
                variables.forget_all()
                here.forget_functions()
            elif first and first in here.functions and first not in seen:
                called = [body for body in here.functions[first] if body is not None]
                forget_assigned(called, here, seen | {first})
            elif first in ("shift", "set"):
                variables.arguments = None
                options = "".join(word.plain or "" for word in node.words[1:]) if first == "set" else ""
                here.errexit = here.errexit or bool(re.search(r"-[a-z]*e|-o\s*errexit", options))
                here.nounset = here.nounset or bool(re.search(r"-[a-z]*u|-o\s*nounset", options))
            for part in (part for word in node.words for part in word.parts if part.kind == "sub"):
                forget_changed(part.text, variables)


def _options(node: Simple) -> set[str]:
    return {letter for word in node.words[1:] if (word.plain or "").startswith("-") for letter in word.plain or ""}


def forget_changed(source: str, variables: Variables) -> None:
    """What an arithmetic expression assigns."""
    for found in _CHANGED.finditer(source):
        variables.count(found[1] or found[2])


def taken_in_and_or(item: AndOr, here: Here) -> str:
    """The same of `[ -r FILE ] && . FILE`."""
    if len(item.rest) != 1 or item.rest[0][0] != "&&" or item.head.negated or item.rest[0][1].negated:
        return ""
    return taken_in(item.head.commands, item.rest[0][1].commands, here)


def taken_in(condition: Sequence[AndOr | Command], body: Sequence[AndOr | Command], here: Here) -> str:
    """The file of `if [ -r FILE ]; then . FILE`, as other programs have a configuration; "" for anything else."""
    test, source = _alone(condition), _alone(body)
    if not isinstance(source, Simple) or source.redirects or source.assigned or len(source.words) != 2:
        return ""
    if source.words[0].plain not in (".", "source") or not {".", "source", "["}.isdisjoint(here.functions):
        return ""
    if isinstance(test, Simple) and test.words and test.words[0].plain in ("[", "test"):
        words = [word for word in test.words[1:] if word.plain != "]"]
    else:
        words = test.words if isinstance(test, Test) else []
    if len(words) != 2 or words[0].plain not in ("-r", "-f", "-e", "-s"):
        return ""
    tested, file = many(words[1:], here.variables), many(source.words[1:], here.variables)
    return file[0].text if len(file) == 1 and tested == file and file[0].known else ""


def _alone(body: Sequence[AndOr | Command]) -> Command | None:
    """The one command that a list or pipeline comes to; None for more."""
    node = body[0] if len(body) == 1 else None
    if isinstance(node, AndOr):
        single_ = not node.rest and not node.background and not node.head.negated
        return _alone(node.head.commands) if single_ else None
    return node
