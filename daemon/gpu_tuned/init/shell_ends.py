"""What ends a script, a function or a loop before its last line: exit and its like, options of the shell, signals,
words without a value, and what is run at the end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpu_tuned.init.commands import ALWAYS_SET, SET_BY_BASH, STOPPING
from gpu_tuned.init.model import Kind
from gpu_tuned.init.shell_assign import calls
from gpu_tuned.init.shell_nodes import NotUnderstood, Part, Simple, Word
from gpu_tuned.init.shell_parse import parse
from gpu_tuned.init.shell_scripts import text_of
from gpu_tuned.init.shell_seen import Handler
from gpu_tuned.init.shell_state import BAD, GOOD, OPEN, Here, Status, Way
from gpu_tuned.init.shell_tests import NAMES, forget_changed
from gpu_tuned.init.shell_values import A_NUMBER, MAYBE_UNSET, Text

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk

_OPTIONS = {"e": "errexit", "u": "nounset", "n": "noexec", "C": "noclobber", "t": "onecmd"}
_EVERY_SHELL_S = frozenset("abefhimnuvxCEIVo")


def leave(word: str, walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """`exit`, `return`, `break`, `continue`: `word` is which."""
    if word in ("break", "continue") and words and words[0].text != "1":
        here.doubt_rest("script", "it leaves more than one loop")
    if word == "return" and not here.within:
        if here.bash:
            return BAD  # bash goes on, others end
        word = "exit"
    code = words[0].text if words else ""
    here.left, here.code = word, GOOD if code == "0" else BAD if code.isdigit() else OPEN if code else here.last
    return here.code


def set_(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """Options of the shell, and its arguments."""
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
            if not here.bash and set(word[1:]) - _EVERY_SHELL_S:
                here.doubt_rest("script", f"`set {word}` ends a shell that does not know it")
            for letter in word[1:]:
                name = rest.pop(0).text if letter == "o" and rest else _OPTIONS.get(letter, "")
                _switch(here, name, on=word[0] == "-")
    return GOOD


def _switch(here: Here, name: str, *, on: bool) -> None:
    if name == "errexit":
        here.errexit = on
    elif name == "posix":
        here.aliases = True
        here.doubt_rest("script", "`set -o posix` makes bash another shell")
    elif name == "nounset":
        here.nounset = on
    elif name in ("noexec", "onecmd") and on:
        here.left = "exit"  # nothing that follows is run
    elif name == "noclobber" and on:
        here.doubt_rest("script", "`set -C` keeps a command from a file that is there already")
    elif name == "pipefail":
        here.pipefail = on
        if not here.bash:
            here.doubt_rest("script", "`set -o pipefail` ends a shell that does not know it")


def shift(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """More than there is cannot be taken away: bash leaves all of it, others end."""
    arguments = here.variables.arguments
    count = 1 if not words else int(words[0].text) if words[0].text.isdigit() else None
    if arguments is not None and count is not None and count <= len(arguments):
        here.variables.arguments = arguments[count:]
        return GOOD
    if not here.bash:
        here.doubt_rest("script", f"`shift` in line {node.first} ends a shell that has no argument left")
    elif count is None:
        here.variables.arguments = None
    return OPEN if arguments is None or count is None else BAD


def kill(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """It may end the script itself, or what the script left running."""
    texts = [word.text for word in words]
    if any(text in ("-0", "-l", "-L") for text in texts) or "-s 0" in " ".join(texts):
        return OPEN
    own = {"$", "PPID", "BASHPID"} & {part.text for word in node.words for part in word.parts if part.kind == "var"}
    if own or "0" in texts[-1:] or any(re.fullmatch(r"-[0-9]+", text) for text in texts[1:]):
        here.doubt_rest("start", f"`kill` in line {node.first} may end the script")
        walk.seen.signalled = True
    walk.seen.ended_beside(f"`kill` in line {node.first} may end it before it is done")
    return OPEN


def killed_by_name(walk: Walk, words: Sequence[Text], here: Here, line: int) -> None:
    """`pkill NAME` and `killall NAME`."""
    name = words[-1].text.lstrip("-")
    scripts = [call.rpartition("/")[2] for call in here.calls if "/" in call]
    if not words[-1].known or any(name in script or script in name for script in scripts):
        here.doubt_rest("start", f"`{words[0].text}` in line {line} may end the script")
    walk.seen.ended_beside(f"`{words[0].text}` in line {line} may end it before it is done")


def trap(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """A handler is read when its script has ended: it may call functions that come later."""
    if len(words) < 2 or words[0].text in ("-", ""):
        return GOOD
    signals = {word.text.removeprefix("SIG") for word in words[1:]}
    if not here.bash and signals & {"ERR", "DEBUG", "RETURN"}:
        here.doubt_rest("script", f"line {node.first} may end a shell that knows no such signal")
    if "ERR" in signals:
        here.errexit = True  # what fails is followed by the handler, and may be by nothing else
    if signals & {"DEBUG", "RETURN"}:
        here.doubt_rest("script", f"a trap in line {node.first} runs something in between")
    stops = signals <= STOPPING
    walk.handlers.append(Handler(words[0], node, here.aside(), stops=stops))
    return GOOD


def at_the_end(walk: Walk, handlers: Sequence[Handler], inner: Here) -> None:
    """What traps run when a script has ended, or is stopped."""
    for handler in handlers:
        stops = not walk.seen.signalled and (handler.stops or (inner.left == "never" and not inner.flow))
        why = "a trap runs it when the script is stopped" if stops else "a trap runs it when the script ends"
        place = handler.place
        place.way = place.way.doubted(Kind.STOP if stops else Kind.BRANCH, why)
        place.functions = {**walk.defined, **place.functions}
        text = handler.text
        try:
            body = parse(text.text, bash=place.bash) if text.known else None
        except NotUnderstood:
            body = None
        if body is None:
            text_of(walk, text, (), place, handler.node, "", bash=place.bash)
        else:
            walk.run(body, place)


def may_end(words: Sequence[Word], line: int, here: Here) -> None:
    """A script ends where a word asks for a value that nothing gives: `${NAME:?}`, and every name under `set -u`;
    where a word calculates with what is no number, it may end as well."""
    for word in words:
        may_end(word.array or (), line, here)
        for part in word.parts:
            if part.kind == "var" and (why := _without_value(part, here)):
                here.doubt_rest("script", f"{why}: the script ends in line {line} where {part.text} is not set")
            elif part.kind == "sub" and part.op not in ("commands", "process"):
                _calculated(part, line, here)
                forget_changed(part.text, here.variables)


def _without_value(part: Part, here: Here) -> str:
    op = part.op
    if op.startswith((":?", "?")):
        held = _held(part.text, here)
        return "" if held is not None and held.known and (held.text or op[0] == "?") else f"`${{{part.text}{op}}}`"
    if not here.nounset or op.startswith((":-", "-", ":=", "=", ":+", "+")):
        return ""
    return "" if _is_set(part.text, here) else "`set -u`"


def _is_set(name: str, here: Here) -> bool:
    if name in ALWAYS_SET or (here.bash and name in SET_BY_BASH) or name in here.variables.lists:
        return True
    held = _held(name, here)
    return held is not None and held != MAYBE_UNSET


def _held(name: str, here: Here) -> Text | None:
    if name.isdigit():
        given = here.variables.arguments
        return given[int(name) - 1] if given is not None and 0 < int(name) <= len(given) else None
    return here.variables.single.get(name)


def _calculated(part: Part, line: int, here: Here) -> None:
    """`$(( ))`, and what else a shell works out by itself."""
    source = re.sub(r"\$\{#[^}]*\}", "", part.text)
    for name in NAMES.findall(source) if part.op == "arithmetic" else ():
        held = _held(name, here)
        if here.nounset and not _is_set(name, here):
            here.doubt_rest("script", f"`set -u`: the script ends in line {line} where {name} is not set")
        elif held is None and name in SET_BY_BASH:
            continue
        elif held is None or (held != A_NUMBER and not re.fullmatch(r"0|-?[1-9][0-9]*|", held.text)):
            here.may_abandon(f"line {line} calculates with {name}, which may be no number")
    if part.op == "arithmetic" and ("$(" in part.text[3:] or "`" in part.text):
        here.may_abandon(f"line {line} calculates with what a command says, which may be no number")
    if here.nounset and part.op != "arithmetic" and part.text.startswith("!"):
        here.doubt_rest("script", f"`set -u`: the script may end in line {line}")


def calculation_may_end(source: str, line: int, here: Here) -> None:
    """`(( ))` fails where a name has no value; under `set -u` the script ends."""
    for name in NAMES.findall(source) if here.nounset else ():
        if not _is_set(name, here):
            here.doubt_rest("script", f"`set -u`: the script ends in line {line} where {name} is not set")


def document_may_end(node: Simple, here: Here) -> None:
    """A here-document is expanded as words are."""
    for redirect in node.redirects:
        names = re.findall(r"(?<!\\)\$\{?([A-Za-z_]\w*)\}?", redirect.document) if here.nounset else ()
        for name in names:
            if not _is_set(name, here):
                why = f"`set -u`: the script ends in line {node.first} where {name} is not set"
                here.doubt_rest("script", why)
        if re.search(r"(?<!\\)\$\{\w+:?\?", redirect.document):
            here.doubt_rest("script", f"the document in line {node.first} may end the script")


def waits(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """Without a number it succeeds; otherwise it ends as what it waits for did. That may go on for ever."""
    here.add_flow("start", Way(passed=frozenset([walk.steps])))
    return OPEN if words else GOOD
