"""Tokens of a shell script to its tree: lists, pipelines, conditions, loops, functions."""

from __future__ import annotations

from gpu_tuned.init.shell_compound import COMPOUND, function
from gpu_tuned.init.shell_nodes import (
    AndOr,
    Arithmetic,
    Command,
    Group,
    List,
    NotUnderstood,
    Pipeline,
    Redirect,
    Simple,
)
from gpu_tuned.init.shell_tokens import REDIRECTS, Token, tokens
from gpu_tuned.init.shell_words import ASSIGNED

_OPEN = {"if", "for", "while", "until", "case", "{", "[[", "function", "select"}
KEYWORDS = frozenset({*_OPEN, "then", "elif", "else", "fi", "do", "done", "esac", "in", "}", "]]", "!", "time"})
DEEPEST = 60
_CLOSERS = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}"})


def parse(text: str, *, bash: bool = True) -> List:
    """The commands of a script; without `bash`, of one that the plain shell has to run. Raises NotUnderstood."""
    parser = Parser(tokens(text, bash=bash), bash=bash)
    body = parser.list_until(frozenset())
    if parser.peek().text:
        raise NotUnderstood(f"a {parser.peek().text!r} that nothing opened", parser.peek().line)
    for token in parser.tokens:  # a shell reads what is substituted before it runs anything
        for word in (token.word, *(token.word.array or ())) if token.word else ():
            for part in word.parts:
                if part.op in ("commands", "process"):
                    parse(part.text, bash=bash)
    return body


class Parser:
    """Where a reading of tokens stands, and what it can read next."""

    def __init__(self, found: list[Token], *, bash: bool) -> None:
        self.tokens, self.bash, self.at, self.depth = found, bash, 0, 0

    def peek(self, ahead: int = 0) -> Token:
        """The token that comes next, or one behind it."""
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The token that comes next, which is read with this."""
        token = self.peek()
        self.at += 1
        return token

    def keyword(self) -> str:
        """The keyword that stands here, where a command may begin; "" for none."""
        word = self.peek().word
        plain = word.plain if word else None
        return plain if plain in KEYWORDS else ""

    def expect(self, keyword: str) -> Token:
        """Take a keyword that has to stand here."""
        if self.keyword() != keyword:
            raise NotUnderstood(f"no {keyword!r} where there should be one", self.peek().line)
        return self.take()

    def newlines(self) -> None:
        """Pass over ends of lines."""
        while self.peek().text == "\n":
            self.at += 1

    def list_until(self, ends: frozenset[str]) -> List:
        """Commands up to one of the keywords or operators in `ends`, which is left there."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotUnderstood("too deep", self.peek().line)
        found: List = []
        while True:
            self.newlines()
            token = self.peek()
            if token.text == "" or (token.word is None and token.text in (")", ";;", ";&", ";;&")):
                break
            if self.keyword() in _CLOSERS:
                if self.keyword() not in ends:
                    raise NotUnderstood(f"{self.keyword()!r} stands alone", token.line)
                break
            found.append(self._and_or())
            end = self.peek()
            if end.text in ("&", ";"):
                found[-1].background = end.text == "&"
                self.at += 1
            elif end.text not in ("\n", "", ")", ";;", ";&", ";;&"):
                raise NotUnderstood("two commands without anything between them", end.line)
        self.depth -= 1
        return found

    def some_until(self, ends: frozenset[str]) -> List:
        """The same where the shell wants at least one command."""
        line = self.peek().line
        found = self.list_until(ends)
        if not found:
            raise NotUnderstood("no command where there should be one", line)
        return found

    def _and_or(self) -> AndOr:
        head = self._pipeline()
        node = AndOr(head, [], first=head.first, last=head.last)
        while self.peek().text in ("&&", "||"):
            operator = self.take().text
            self.newlines()
            node.rest.append((operator, self._pipeline()))
            node.last = node.rest[-1][1].last
        return node

    def _pipeline(self) -> Pipeline:
        first, negated = self.peek().line, False
        while self.keyword() in ("!", "time"):
            negated ^= self.take().word.plain == "!"  # type: ignore[union-attr]
        commands = [self.command()]
        while self.peek().text in ("|", "|&"):
            self.take()
            self.newlines()
            commands.append(self.command())
        return Pipeline(commands, negated, first=first, last=commands[-1].last)

    def command(self) -> Command:
        """One command of a pipeline, with its redirections."""
        token, keyword = self.peek(), self.keyword()
        command: Command
        if token.word is None and token.text == "(":
            self.take()
            body = self.some_until(frozenset())
            command = Group(body, subshell=True, first=token.line, last=self.close(")"))
        elif token.text == "((" and token.word is None:
            self.take()
            command = Arithmetic(token.source, first=token.line, last=token.line + token.source.count("\n"))
        elif keyword in ("[[", "function", "select") and not self.bash:
            raise NotUnderstood(f"{keyword!r} is bash's, and another shell runs it", token.line)
        elif keyword in COMPOUND:
            command = COMPOUND[keyword](self)
        elif keyword:
            raise NotUnderstood(f"{keyword!r} where a command should be", token.line)
        elif self.peek(1).text == "(" and self.peek(2).text == ")" and token.word and self.peek(1).word is None:
            command = function(self, token.word)
        else:
            return self._simple()
        while self._redirect(command.redirects):
            command.last = max(command.last, *(token.last for token in self.tokens[self.at - 2 : self.at]))
        return command

    def close(self, operator: str) -> int:
        """Take an operator that has to stand here; its line."""
        if self.peek().text != operator or self.peek().word is not None:
            raise NotUnderstood(f"no {operator!r} where there should be one", self.peek().line)
        return self.take().line

    def _simple(self) -> Simple:
        first = self.peek().line
        node, start = Simple([], [], [], first=first, last=first), self.at
        while True:
            token = self.peek()
            if self._redirect(node.redirects):
                continue
            if token.word is None:
                if token.text == "(" and node.words:
                    raise NotUnderstood("a parenthesis in a command", token.line)
                break
            self.take()
            begins = token.word.parts[0] if token.word.parts else None
            assigns = begins and begins.kind == "text" and not begins.quoted and _assigns(begins.text)
            if assigns and not node.words:
                node.assigned.append(token.word)
            else:
                node.words.append(token.word)
        if not (node.words or node.assigned or node.redirects):
            raise NotUnderstood("a command is missing", first)
        node.last = max(max(token.line, token.last) for token in self.tokens[start : self.at])
        return node

    def _redirect(self, into: list[Redirect]) -> bool:
        """Take a redirection, with the number that touches it; False where none stands here."""
        word, number, touched = self.peek().word, "", self.peek(1)
        if word is not None and touched.touches and touched.text in REDIRECTS and (word.plain or "").isdigit():
            number = word.plain or ""
            self.take()
        token = self.peek()
        if token.word is not None or token.text not in REDIRECTS:
            return False
        self.take()
        target = self.take().word
        numbered = self.peek().touches and self.peek().text in REDIRECTS
        if target is None or (numbered and target.plain and target.plain.isdigit()):
            raise NotUnderstood("a redirection without a target", token.line)
        into.append(Redirect(token.text, target, number, token.document))
        return True


def _assigns(text: str) -> bool:
    return "=" in text and bool(ASSIGNED.match(text[: text.index("=") + 1]))
