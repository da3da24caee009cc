"""What words of a script come to where that can be told without a shell. What cannot is UNKNOWN, and stays it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from gpu_tuned.init.model import UNKNOWN
from gpu_tuned.init.shell_nodes import Part, Word

MOST_WORDS = 64
"""Words that one list may come to: more GPUs than that has no host."""
_BRACE = re.compile(r"\{(-?[0-9]+)\.\.(-?[0-9]+)\}")
_BRACES = re.compile(r"([^{}]*)\{([^{}]*,[^{}]*)\}([^{}]*)")
_SEQUENCE = re.compile(r"\s*seq\s+(?:-w\s+)?([0-9]+)(?:\s+([0-9]+))?\s*")
_OPERATION = re.compile(r"(:[-=]|[-=]|%%?|##?)(.*)", re.DOTALL)
_PLAIN = re.compile(r"[\w.,:]*")
_FOLDER_OF = r'dirname\s+(?:--\s+)?(?:"?\$\{?0\}?"?|"?\$\(\s*(?:readlink -f|realpath)\s+"?\$\{?0\}?"?\s*\)"?)'
_OWN_FOLDER = re.compile(
    rf'\s*(?:{_FOLDER_OF}|cd\s+(?:--\s+)?"?\$\(\s*{_FOLDER_OF}\s*\)"?'
    r"(?:\s*>\s*/dev/null(?:\s+2>&1)?)?\s*&&\s*pwd(?: -P)?)\s*"
)
"""Substitutions that give the folder of the script itself."""
_TOOL = re.compile(r"\s*command -v nvidia-smi(?:\s+2>\s*/dev/null)?\s*")
GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Text:
    """One word after expansion. `varying`: a loop over several values gave a part of it."""

    text: str
    varying: bool = False

    @property
    def known(self) -> bool:
        return UNKNOWN not in self.text


NOT_KNOWN = Text(UNKNOWN)
MAYBE_UNSET = Text(UNKNOWN + UNKNOWN)
"""Of a name that only one of two ways sets."""
A_NUMBER = Text(UNKNOWN * 3)
"""Of a name that something was counted in."""
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


@dataclass(slots=True)
class Variables:
    """Names to what they hold; a name that is missing is not known, for the environment may have it. What `integers`
    are assigned is an expression."""

    single: dict[str, Text] = field(default_factory=dict)
    lists: dict[str, tuple[Text, ...]] = field(default_factory=dict)
    arguments: tuple[Text, ...] | None = None
    integers: set[str] = field(default_factory=set)
    readonly: set[str] = field(default_factory=set)
    any_case: bool = False
    """Capital letters may be as good as small ones, in a `case` and in [[ ]]."""

    def copy(self) -> Variables:
        return Variables(
            dict(self.single), dict(self.lists), self.arguments, set(self.integers), set(self.readonly), self.any_case
        )

    def forget(self, name: str) -> None:
        self.single[name] = NOT_KNOWN
        self.lists.pop(name, None)

    def count(self, name: str) -> None:
        """It holds a number, of which no more is known."""
        self.forget(name)
        self.single[name] = A_NUMBER

    def as_in(self, other: Variables, name: str) -> None:
        """One name as it is there: what a function declared ends with it."""
        self.single.pop(name, None)
        self.lists.pop(name, None)
        if name in other.single:
            self.single[name] = other.single[name]
        if name in other.lists:
            self.lists[name] = other.lists[name]

    def forget_all(self) -> None:
        self.single.clear()
        self.lists.clear()

    def join(self, other: Variables) -> None:
        """Keep what is the same in both."""
        for name in {*self.single, *other.single}:
            mine, theirs = self.single.get(name), other.single.get(name)
            if mine is None or theirs is None or MAYBE_UNSET in (mine, theirs):
                self.single[name] = MAYBE_UNSET
            elif mine != theirs:
                counted = all(each == A_NUMBER or _INTEGER.fullmatch(each.text) for each in (mine, theirs))
                self.single[name] = A_NUMBER if counted else NOT_KNOWN
        for name in {*self.lists, *other.lists}:
            if self.lists.get(name) != other.lists.get(name):
                self.lists.pop(name, None)
        self.integers |= other.integers
        self.readonly |= other.readonly
        self.any_case = self.any_case or other.any_case
        if self.arguments != other.arguments:
            self.arguments = None


def one(word: Word, variables: Variables) -> Text:
    """A word that is not split: an assigned value, the subject of a case."""
    text, varying = "", False
    for part in word.parts:
        found = _part(part, variables)
        text, varying = text + found.text, varying or found.varying
    if word.array is not None:
        return NOT_KNOWN
    return Text(text, varying)


def many(words: list[Word], variables: Variables) -> list[Text]:
    """The words of a command or a list, split and expanded as a shell does."""
    found: list[Text] = []
    for word in words:
        found += _expanded(word, variables)
        if len(found) > MOST_WORDS:
            return [NOT_KNOWN]
    return found


def _expanded(word: Word, variables: Variables) -> list[Text]:
    plain = word.plain
    if plain is not None and (numbers := _BRACE.fullmatch(plain)):
        low, high = int(numbers[1]), int(numbers[2])
        step = 1 if low <= high else -1
        count = abs(high - low) + 1
        return [Text(str(low + n * step)) for n in range(count)] if count <= MOST_WORDS else [NOT_KNOWN]
    if plain is not None and (braces := _BRACES.fullmatch(plain)):
        return [Text(braces[1] + each + braces[3]) for each in braces[2].split(",")]
    if plain is not None and (GLOB.search(plain) or "{" in plain or plain.startswith("~")) and plain not in _ALONE:
        return [NOT_KNOWN]
    done: list[Text] = []
    current: Text | None = None
    for part in word.parts:
        if part.kind == "text" and not part.quoted and plain is None and _EXPANDS.search(part.text):
            return [NOT_KNOWN]
        pieces = _pieces(part, variables, alone=len(word.parts) == 1)
        for number, piece in enumerate(pieces):
            if number or current is None:
                if current is not None:
                    done.append(current)
                current = piece
            else:
                current = Text(current.text + piece.text, current.varying or piece.varying)
    return done if current is None else [*done, current]


_ALONE = frozenset({"[", "{", "{}", "?"})
_EXPANDS = re.compile(r"[*?\[]|\{[^}]*(?:,|\.\.)")


def _pieces(part: Part, variables: Variables, *, alone: bool) -> list[Text]:
    """What one part adds: several words where it is split; the first joins what stands before it."""
    if part.kind == "var" and (elements := _elements(part, variables)) is not None:
        return list(elements)
    if part.kind == "sub" and not part.quoted and (numbers := _SEQUENCE.fullmatch(part.text)):
        low, high = (1, int(numbers[1])) if numbers[2] is None else (int(numbers[1]), int(numbers[2]))
        return [Text(str(n)) for n in range(low, high + 1)] if high - low < MOST_WORDS else [NOT_KNOWN]
    found = _part(part, variables)
    if part.kind == "text" or part.quoted:
        return [found]
    if found.known and (GLOB.search(found.text) or (_separates(variables) and not found.text.isalpha())):
        return [NOT_KNOWN]
    if not alone and found.text != found.text.strip():
        return [NOT_KNOWN]  # a blank at an end keeps apart what touches it
    return [Text(piece, found.varying) for piece in found.text.split()]


def _separates(variables: Variables) -> bool:
    """Whether a shell may split at something else than blanks."""
    return variables.single.get("IFS", MAYBE_UNSET) != MAYBE_UNSET


def _elements(part: Part, variables: Variables) -> tuple[Text, ...] | None:
    """`"$@"` and `"${list[@]}"`; None for what is one value."""
    if part.quoted and ((part.text == "*" and not part.op) or part.op == "[*]"):
        return None  # one word with all of them in it
    if part.text in ("@", "*") and not part.op:
        return variables.arguments if variables.arguments is not None else (NOT_KNOWN,)
    if part.op in ("[@]", "[*]"):
        return variables.lists.get(part.text, (NOT_KNOWN,))
    return None


def _part(part: Part, variables: Variables) -> Text:
    if part.kind == "text":
        return Text(part.text)
    if part.kind == "var":
        return _variable(part, variables)
    if part.op == "commands" and _OWN_FOLDER.fullmatch(part.text):
        return _folder(variables)
    if part.op == "commands" and _TOOL.fullmatch(part.text):
        return Text("nvidia-smi")  # where there is none, nothing is set
    return NOT_KNOWN


def _folder(variables: Variables) -> Text:
    """Where the script lies that is read."""
    own = variables.single.get("0")
    return NOT_KNOWN if own is None or not own.known else Text(own.text.rpartition("/")[0] or "/")


def _variable(part: Part, variables: Variables) -> Text:
    name = part.text
    if name.isdigit():
        if name == "0":
            found = variables.single.get(name)
        elif variables.arguments is None:
            found = None
        else:
            arguments = variables.arguments
            found = arguments[int(name) - 1] if int(name) <= len(arguments) else Text("")
    elif name == "#" and not part.op:
        return NOT_KNOWN if variables.arguments is None else Text(str(len(variables.arguments)))
    elif name in ("@", "*") and not part.op and variables.arguments is not None and not _separates(variables):
        return Text(" ".join(argument.text for argument in variables.arguments))
    else:
        found = variables.single.get(name)
    if found is not None and not part.op and "nvidia-smi" in found.text:
        return found  # what is known of a command, be it not all of it
    if found is None or not found.known:
        return NOT_KNOWN
    if not part.op:
        return found
    if name == "0" and part.op == "%/*":
        return _folder(variables)
    operation = _OPERATION.fullmatch(part.op)
    if operation is None:
        return NOT_KNOWN
    operator, word = operation.groups()
    unset = name.isdigit() and int(name) > len(variables.arguments or ())
    if operator[-1] in "-=" and (found.text or not (unset or operator[0] == ":")):
        return found  # the default does not come into it
    if _PLAIN.fullmatch(word) is None:
        return NOT_KNOWN
    if operator[-1] in "-=":
        if operator[-1] == "=" and not name.isdigit():
            variables.single[name] = Text(word)
        return Text(word)
    cut = found.text.removesuffix(word) if operator[0] == "%" else found.text.removeprefix(word)
    return replace(found, text=cut)


def matches(text: Text, pattern: Word, variables: Variables) -> bool | None:
    """Whether a pattern of a case takes a text; None where that is not known."""
    glob = one(pattern, variables)
    if not text.known or not glob.known or (variables.any_case and glob.text.lower() != glob.text.upper()):
        return True if pattern.plain == "*" else None
    source = ""
    for part in pattern.parts:
        said = _part(part, variables).text
        if not part.quoted and ("[" in said or "\\" in said):
            return None  # sets of characters are not the same in every shell
        source += re.sub(r"([*?[])", r"[\1]", said) if part.quoted else said
    return fnmatchcase(text.text, source)


def varied(text: Text) -> Text:
    return replace(text, varying=True)
