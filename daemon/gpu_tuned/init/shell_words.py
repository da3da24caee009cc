"""A word of a shell script: quoting and expansions, as POSIX and bash have them. Whatever is not certain raises
NotUnderstood: the reader of the script then takes nothing over."""

from __future__ import annotations

import re

from gpu_tuned.init.shell_nodes import NotUnderstood, Part, Word

MOST_TRIES = 100
"""Arithmetic expressions of one script: each is looked for to its end."""
DEEPEST = 20
"""Substitutions inside substitutions."""
_NAME = re.compile(r"[A-Za-z_]\w*")
_BRACED = re.compile(r"([A-Za-z_]\w*|[0-9]+|[@*#?$!-])(.*)", re.DOTALL)
ASSIGNED = re.compile(r"[A-Za-z_]\w*(?:\[[^\]]*\])?\+?=$")
_ENDS = frozenset(" \t\n;&|<>()")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}


class WordReader:
    """Reads words of `text` from `at` on, in line `line`; `depth`: how many substitutions are around it."""

    def __init__(self, text: str, line: int = 1, depth: int = 0, *, bash: bool) -> None:
        self.text, self.at, self.bash, self.line, self.depth = text, 0, bash, line, depth
        self.tries = 0
        if depth > DEEPEST:
            raise NotUnderstood("substitutions inside substitutions", line)

    def substitution(self) -> str:
        """The source inside the parentheses that begin here."""
        raise NotImplementedError

    def _only_bash(self, what: str) -> None:
        if not self.bash:
            raise NotUnderstood(f"{what} is bash's, and another shell runs it", self.line)

    def _balanced(self, at: int, what: str) -> int | None:
        """Where "))" closes what began before `at`; None where it does not."""
        depth = 0
        self.tries += 1
        if self.tries > MOST_TRIES:
            raise NotUnderstood("too many parentheses", self.line)
        while at < len(self.text):
            char = self.text[at]
            if char == "(":
                depth += 1
            elif char == ")":
                if depth == 0:
                    return at if self.text.startswith("))", at) else None
                depth -= 1
            elif char in "'\"`\\" and what == "((":
                return None
            at += 1
        return None

    def _word(self) -> Word:
        word = Word([], self.line)
        while self.at < len(self.text):
            char = self._peek()
            if char == "(" and word.array is None and self._assigns(word):
                self._array(word)
            elif self.text.startswith(("<(", ">("), self.at):
                self._only_bash("<(")
                self.at += 1
                word.parts.append(Part("sub", self.substitution(), op="process"))
            elif char in _ENDS:
                break
            else:
                self._part(word, quoted=False)
        return word

    def _assigns(self, word: Word) -> bool:
        return len(word.parts) == 1 and bool(word.plain and ASSIGNED.fullmatch(word.plain))

    def _array(self, word: Word) -> None:
        self._only_bash("a list in parentheses")
        self.at += 1
        word.array = []
        while True:
            char = self._peek()
            if char == ")":
                self.at += 1
                return
            if char == "":
                raise NotUnderstood("a list in parentheses does not end", word.line)
            if char in " \t\n":
                self.at, self.line = self.at + 1, self.line + (char == "\n")
            elif char == "#":
                self.at = self._until("\n")
            elif self.text.startswith("\\\n", self.at):
                self.at, self.line = self.at + 2, self.line + 1
            elif char in _ENDS:
                raise NotUnderstood("an operator in a list", self.line)
            else:
                word.array.append(self._word())

    def _part(self, word: Word, *, quoted: bool) -> None:
        """One piece of a word; inside double quotes with `quoted`."""
        char = self._peek()
        if char == "\\":
            self._escape(word, quoted=quoted)
        elif char == "'" and not quoted:
            self._single(word, self.at + 1)
        elif char == '"':
            self._double(word)
        elif char == "$":
            self._dollar(word, quoted=quoted)
        elif char == "`":
            end = self._until("`", self.at + 1)
            source = self.text[self.at + 1 : end]
            if end >= len(self.text) or "\\`" in source + "`":
                raise NotUnderstood("backquotes that do not end", self.line)
            self._add(word, Part("sub", source, quoted, "commands"))
            self.line += source.count("\n")
            self.at = end + 1
        else:
            self._add(word, Part("text", char, quoted))
            self.line += char == "\n"
            self.at += 1

    def _escape(self, word: Word, *, quoted: bool) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if following == "\n":
            self.line += 1
        elif quoted and following not in '$`"\\':
            self._add(word, Part("text", "\\" + following, quoted=True))
        else:
            self._add(word, Part("text", following or "\\", quoted=True))

    def _single(self, word: Word, start: int) -> None:
        end = self._until("'", start)
        if end >= len(self.text):
            raise NotUnderstood("a quote does not end", self.line)
        self._add(word, Part("text", self.text[start:end], quoted=True))
        self.line += self.text.count("\n", start, end)
        self.at = end + 1

    def _double(self, word: Word) -> None:
        line = self.line
        self.at += 1
        self._add(word, Part("text", "", quoted=True))
        while self._peek() != '"':
            if self.at >= len(self.text):
                raise NotUnderstood("a quote does not end", line)
            self._part(word, quoted=True)
        self.at += 1

    def _dollar(self, word: Word, *, quoted: bool) -> None:
        rest = self.text[self.at + 1 : self.at + 3]
        if rest == "((" and (end := self._balanced(self.at + 3, "$((")) is not None:
            self._add(word, Part("sub", self.text[self.at : end + 2], quoted, "arithmetic"))
            self.line += self.text.count("\n", self.at, end)
            self.at = end + 2
        elif rest.startswith("("):
            self.at += 1
            self._add(word, Part("sub", self.substitution(), quoted, "commands"))
        elif rest.startswith("{"):
            self._braced(word, quoted=quoted)
        elif rest.startswith("["):
            raise NotUnderstood("$[, which is long out of use", self.line)
        elif rest.startswith("'") and not quoted:
            self._only_bash("$'")
            end = self._until("'", self.at + 2)
            source = self.text[self.at + 2 : end]
            if end >= len(self.text) or "\\'" in source:
                raise NotUnderstood("an ANSI-C quote", self.line)
            text = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), source)
            self._add(word, Part("text", text, quoted=True))
            self.line += source.count("\n")
            self.at = end + 1
        elif rest.startswith('"') and not quoted:
            self.at += 1
        elif name := (
            _NAME.match(self.text, self.at + 1) or re.compile(r"[0-9@*#?$!-]").match(self.text, self.at + 1)
        ):
            self._add(word, Part("var", name[0], quoted))
            self.at = name.end()
        else:
            self._add(word, Part("text", "$", quoted))
            self.at += 1

    def _braced(self, word: Word, *, quoted: bool) -> None:
        depth, at = 1, self.at + 2
        while depth:
            if at >= len(self.text):
                raise NotUnderstood("${ does not end", self.line)
            char = self.text[at]
            at += 2 if char == "\\" else 1
            depth += (char == "{") - (char == "}")
        source = self.text[self.at + 2 : at - 1]
        if source.count('"') % 2 or (not quoted and source.count("'") % 2):
            raise NotUnderstood("a quote inside of ${} does not end there", self.line)
        found = _BRACED.fullmatch(source)
        if found is None or (found[1] in ("#", "!") and found[2]):
            self._add(word, Part("sub", source, quoted))
        else:
            self._add(word, Part("var", found[1], quoted, found[2]))
        self.line += source.count("\n")
        self.at = at

    def _add(self, word: Word, part: Part) -> None:
        last = word.parts[-1] if word.parts else None
        if last and last.kind == part.kind == "text" and last.quoted == part.quoted:
            last.text += part.text
        else:
            word.parts.append(part)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _until(self, char: str, start: int | None = None) -> int:
        found = self.text.find(char, self.at if start is None else start)
        return len(self.text) if found < 0 else found
