"""A shell script in words and operators, with its here-documents and without its comments. Whatever is not certain
raises NotUnderstood: the reader of the script then takes nothing over."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_tuned.init.shell_nodes import NotUnderstood, Word
from gpu_tuned.init.shell_words import WordReader

LONGEST = 64 << 10
"""Characters of one script that are read as a shell would."""
_OPERATORS = (
    *("&>>", "<<<", "<<-", ";;&", "&&", "||", ";;", ";&", "|&", "<<", ">>", "<&", ">&", "<>", ">|", "&>"),
    *("&", "|", ";", "<", ">", "(", ")"),
)
REDIRECTS = frozenset({"<", ">", ">>", "<<", "<<-", "<<<", "<&", ">&", "<>", ">|", "&>", "&>>"})
_BASH = frozenset({"&>>", "<<<", ";;&", ";&", "|&", "&>"})
_BRACES = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}|\+=")


@dataclass(slots=True)
class Token:
    """An operator, "\n", "" at the end, or a word. `text` of an operator is itself; "((" carries its source."""

    text: str
    line: int
    word: Word | None = None
    source: str = ""
    document: str = ""
    touches: bool = False  # nothing stands between the token before and this one
    last: int = 0  # the line where it ends, its here-document included


def tokens(text: str, *, bash: bool) -> list[Token]:
    """Every token of a script; without `bash`, of one that the plain shell has to run. Raises NotUnderstood."""
    if len(text) > LONGEST:
        raise NotUnderstood(f"longer than {LONGEST >> 10} KiB", 1)
    return _Lexer(text.replace("\r\n", "\n"), bash=bash).all()


_SUBSCRIPT = re.compile(r"[A-Za-z_]\w*\[[^]]*$", re.ASCII)
"""What bash takes for the beginning of an element of an array."""


class _Lexer(WordReader):
    def __init__(self, text: str, line: int = 1, depth: int = 0, *, bash: bool) -> None:
        super().__init__(text, line, depth, bash=bash)
        self.documents: list[tuple[Token, str, bool, int]] = []
        self.found: list[Token] = []

    def all(self) -> list[Token]:
        while self.at < len(self.text):
            self._next()
        if self.documents:
            raise NotUnderstood("a here-document has no end", self.line)
        self.found.append(Token("", self.line))
        return self.found

    def _next(self) -> None:
        start = self.at
        char = self._peek()
        if char in " \t":
            self.at += 1
        elif self.text.startswith("\\\n", self.at):
            self.at, self.line = self.at + 2, self.line + 1
        elif char == "#":
            self.at = self._until("\n")
        elif char == "\n":
            self.found.append(Token("\n", self.line))
            self.at, self.line = self.at + 1, self.line + 1
            self._documents()
        elif self.text.startswith("((", self.at) and self._commands_here() and self._arithmetic():
            return
        elif self.text.startswith(("<(", ">("), self.at):
            self.found.append(Token("w", self.line, self._word()))
        elif operator := next((op for op in _OPERATORS if self.text.startswith(op, self.at)), ""):
            if operator in _BASH:
                self._only_bash(operator)
            touches = start > 0 and self.text[start - 1].isdigit()
            self.at += len(operator)
            self.found.append(Token(operator, self.line, touches=touches))
        else:
            self._add_word()

    def _add_word(self) -> None:
        word = self._word()
        if self.bash and _SUBSCRIPT.match(word.plain or ""):
            raise NotUnderstood("a [ that does not end", word.line)
        if not self.bash and (word.plain == "source" or (word.plain and _BRACES.search(word.plain))):
            self._only_bash(word.plain)
        token = Token("w", word.line, word, last=self.line)
        before = self.found[-1].text if self.found else ""
        if before in ("<<", "<<-"):
            end = word.literal
            if end is None:
                raise NotUnderstood("the end of a here-document is not written out", self.line)
            self.documents.append((self.found[-1], end, before == "<<-", self.line))
        self.found.append(token)

    def _documents(self) -> None:
        for token, end, tabs, line in self.documents:
            rows: list[str] = []
            while True:
                if self.at >= len(self.text):
                    raise NotUnderstood("a here-document has no end", line)
                stop = self._until("\n")
                row = self.text[self.at : stop]
                self.at, self.line = min(stop + 1, len(self.text)), self.line + 1
                if (row.lstrip("\t") if tabs else row) == end:
                    break
                rows.append(row)
            token.document, token.last = "\n".join(rows), self.line - 1
            for begun in re.finditer(r"\$\(", token.document):
                _Lexer(token.document[begun.start() + 1 :], line, self.depth + 1, bash=self.bash).substitution()
            if token.document.count("${") > token.document.count("}"):
                raise NotUnderstood("${ does not end", line)
        self.documents.clear()

    def _commands_here(self) -> bool:
        """Whether `((` can begin an arithmetic command here, and is not two subshells."""
        before = self.found[-1] if self.found else None
        if before is None or before.word is None:
            return before is None or before.text in ("\n", ";", "&", "|", "&&", "||", "(", ";;")
        return before.word.plain in ("for", "if", "elif", "while", "until", "then", "do", "else", "!", "{")

    def _arithmetic(self) -> bool:
        end = self._balanced(self.at + 2, "((")
        if end is None:
            return False
        self._only_bash("((")
        source = self.text[self.at + 2 : end]
        self.found.append(Token("((", self.line, source=source))
        self.line += source.count("\n")
        self.at = end + 2
        return True

    def substitution(self) -> str:
        """The source inside the parentheses that begin here."""
        inner = _Lexer(self.text[self.at + 1 :], self.line, self.depth + 1, bash=self.bash)
        depth = 0
        while True:
            if inner.at >= len(inner.text):
                raise NotUnderstood("$( does not end", self.line)
            count = len(inner.found)
            inner._next()
            for token in inner.found[count:]:
                depth += (token.text == "(") - (token.text == ")")
            if depth < 0:
                break
        source = inner.text[: inner.at - 1]
        self.at += 1 + inner.at
        self.line = inner.line
        return source
