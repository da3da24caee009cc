"""Tokens of a shell script to its tree: lists, pipelines, conditions, loops, functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gpu_tuned.init.shell_nodes import (
    AndOr,
    Arithmetic,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    List,
    NotUnderstood,
    Pipeline,
    Redirect,
    Simple,
    Test,
    While,
    Word,
)
from gpu_tuned.init.shell_tokens import REDIRECTS, Token, tokens
from gpu_tuned.init.shell_words import ASSIGNED

_OPEN = {"if", "for", "while", "until", "case", "{", "[[", "function", "select"}
KEYWORDS = frozenset({*_OPEN, "then", "elif", "else", "fi", "do", "done", "esac", "in", "}", "]]", "!", "time"})
DEEPEST = 60
_CLOSERS = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}"})


def parse(text: str, *, bash: bool = True) -> List:
    """The commands of a script; without `bash`, of one that the plain shell has to run. Raises NotUnderstood."""
    parser = _Parser(tokens(text, bash=bash), bash=bash)
    body = parser.list_until(frozenset())
    if parser.peek().text:
        raise NotUnderstood(f"a {parser.peek().text!r} that nothing opened", parser.peek().line)
    for token in parser.tokens:  # a shell reads what is substituted before it runs anything
        for word in (token.word, *(token.word.array or ())) if token.word else ():
            for part in word.parts:
                if part.op == "commands":
                    parse(part.text, bash=bash)
    return body


class _Parser:
    def __init__(self, found: list[Token], *, bash: bool) -> None:
        self.tokens, self.bash, self.at, self.depth = found, bash, 0, 0

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def keyword(self) -> str:
        """The keyword that stands here, where a command may begin; "" for none."""
        word = self.peek().word
        plain = word.plain if word else None
        return plain if plain in KEYWORDS else ""

    def expect(self, keyword: str) -> Token:
        if self.keyword() != keyword:
            raise NotUnderstood(f"no {keyword!r} where there should be one", self.peek().line)
        return self.take()

    def newlines(self) -> None:
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

    def _some_until(self, ends: frozenset[str]) -> List:
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
        commands = [self._command()]
        while self.peek().text in ("|", "|&"):
            self.take()
            self.newlines()
            commands.append(self._command())
        return Pipeline(commands, negated, first=first, last=commands[-1].last)

    def _command(self) -> Command:
        token, keyword = self.peek(), self.keyword()
        command: Command
        if token.word is None and token.text == "(":
            self.take()
            body = self._some_until(frozenset())
            command = Group(body, subshell=True, first=token.line, last=self._close(")"))
        elif token.text == "((" and token.word is None:
            self.take()
            command = Arithmetic(token.source, first=token.line, last=token.line + token.source.count("\n"))
        elif keyword in ("[[", "function", "select") and not self.bash:
            raise NotUnderstood(f"{keyword!r} is bash's, and another shell runs it", token.line)
        elif keyword in _COMPOUND:
            command = _COMPOUND[keyword](self)
        elif keyword:
            raise NotUnderstood(f"{keyword!r} where a command should be", token.line)
        elif self.peek(1).text == "(" and self.peek(2).text == ")" and token.word and self.peek(1).word is None:
            command = self._function(token.word)
        else:
            return self._simple()
        while self._redirect(command.redirects):
            command.last = max(command.last, *(token.last for token in self.tokens[self.at - 2 : self.at]))
        return command

    def _close(self, operator: str) -> int:
        if self.peek().text != operator or self.peek().word is not None:
            raise NotUnderstood(f"no {operator!r} where there should be one", self.peek().line)
        return self.take().line

    def _group(self) -> Group:
        first = self.take().line
        body = self._some_until(frozenset({"}"}))
        return Group(body, subshell=False, first=first, last=self.expect("}").line)

    def _if(self) -> If:
        first = self.take().line
        arms: list[tuple[List, List]] = []
        otherwise = None
        while True:
            condition = self._some_until(frozenset({"then"}))
            self.expect("then")
            arms.append((condition, self._some_until(frozenset({"elif", "else", "fi"}))))
            keyword = self.keyword()
            if keyword == "elif":
                self.take()
                continue
            if keyword == "else":
                self.take()
                otherwise = self._some_until(frozenset({"fi"}))
            return If(arms, otherwise, first=first, last=self.expect("fi").line)

    def _for(self) -> For:
        first = self.take().line
        words: list[Word] | None = None
        name = ""
        if self.peek().text == "((" and self.peek().word is None:
            if self.take().source.count(";") != 2:
                raise NotUnderstood("a loop that counts takes three expressions", first)
        else:
            named = self.take().word
            if named is None or not named.plain:
                raise NotUnderstood("a loop without a variable", first)
            name = named.plain
            if not (name.isascii() and name.isidentifier()):
                raise NotUnderstood(f"{name} is no name of a variable", first)
            self.newlines()
            if self.keyword() == "in":
                self.take()
                words = []
                while (word := self.peek().word) is not None:
                    words.append(word)
                    self.take()
        if self.peek().text == ";":
            self.take()
        self.newlines()
        body, last = self._do()
        return For(name, words, body, first=first, last=last)

    def _do(self) -> tuple[List, int]:
        self.expect("do")
        body = self._some_until(frozenset({"done"}))
        return body, self.expect("done").line

    def _while(self) -> While:
        token = self.take()
        condition = self._some_until(frozenset({"do"}))
        body, last = self._do()
        until = bool(token.word and token.word.plain == "until")
        return While(condition, body, until, first=token.line, last=last)

    def _case(self) -> Case:
        first = self.take().line
        subject = self.take().word
        if subject is None:
            raise NotUnderstood("a case without a word", first)
        self.newlines()
        self.expect("in")
        arms: list[tuple[list[Word], List]] = []
        while True:
            self.newlines()
            if self.keyword() == "esac":
                return Case(subject, arms, first=first, last=self.take().line)
            if self.peek().text == "(":
                self.take()
            patterns = []
            while (pattern := self.take().word) is not None:
                patterns.append(pattern)
                if self.peek().text != "|":
                    break
                self.take()
            if not patterns:
                raise NotUnderstood("a case without a pattern", self.peek().line)
            self._close(")")
            body = self.list_until(frozenset({"esac"}))
            arms.append((patterns, body))
            if self.peek().text == ";;":
                self.take()
            elif self.keyword() != "esac":
                raise NotUnderstood("a case that falls through", self.peek().line)

    def _function(self, word: Word) -> Function:
        self.at += 3
        return self._function_body(word.plain, word.line)

    def _keyword_function(self) -> Function:
        first = self.take().line
        word = self.take().word
        if self.peek().text == "(":
            self.take()
            self._close(")")
        return self._function_body(word.plain if word else None, first)

    def _function_body(self, name: str | None, first: int) -> Function:
        if not name:
            raise NotUnderstood("a function without a name", first)
        if not self.bash and not (name.isascii() and name.isidentifier()):
            # Said while reading, whether the function is reached or not: so does the shell.
            raise NotUnderstood(f"only bash takes {name} for the name of a function", first)
        self.newlines()
        body = self._command()
        if isinstance(body, Simple):
            raise NotUnderstood("a function without a body", first)
        return Function(name, body, first=first, last=body.last)

    def _test(self) -> Test:
        first = self.take().line
        words: list[Word] = []
        while True:
            token = self.take()
            if token.text == "":
                raise NotUnderstood("[[ does not end", first)
            if token.word is None:
                words.append(Word([], token.line))  # an operator: what it means is not worked out
                continue
            if token.word.plain == "]]":
                return Test(words, first=first, last=token.line)
            words.append(token.word)

    def _simple(self) -> Simple:
        first = self.peek().line
        node, start = Simple([], [], [], first=first, last=first), self.at
        while True:
            token = self.peek()
            digits = token.word.plain if token.word and self.peek(1).touches else None
            if digits and digits.isdigit() and self.peek(1).text in REDIRECTS:
                self.take()
                self._redirect(node.redirects, digits)
                continue
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

    def _redirect(self, into: list[Redirect], number: str = "") -> bool:
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


_COMPOUND: Mapping[str, Callable[[_Parser], Command]] = {
    "{": _Parser._group,  # noqa: SLF001
    "if": _Parser._if,  # noqa: SLF001
    "for": _Parser._for,  # noqa: SLF001
    "while": _Parser._while,  # noqa: SLF001
    "until": _Parser._while,  # noqa: SLF001
    "case": _Parser._case,  # noqa: SLF001
    "[[": _Parser._test,  # noqa: SLF001
    "function": _Parser._keyword_function,  # noqa: SLF001
}
