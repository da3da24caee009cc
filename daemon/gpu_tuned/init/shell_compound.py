"""Compound commands of a shell script, each from its keyword on: groups, conditions, loops, functions, tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gpu_tuned.init.shell_nodes import (
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    List,
    NotUnderstood,
    Simple,
    Test,
    While,
    Word,
)

if TYPE_CHECKING:
    from gpu_tuned.init.shell_parse import Parser


def _group(parser: Parser) -> Group:
    first = parser.take().line
    body = parser.some_until(frozenset({"}"}))
    return Group(body, subshell=False, first=first, last=parser.expect("}").line)


def _if(parser: Parser) -> If:
    first = parser.take().line
    arms: list[tuple[List, List]] = []
    otherwise = None
    while True:
        condition = parser.some_until(frozenset({"then"}))
        parser.expect("then")
        arms.append((condition, parser.some_until(frozenset({"elif", "else", "fi"}))))
        keyword = parser.keyword()
        if keyword == "elif":
            parser.take()
            continue
        if keyword == "else":
            parser.take()
            otherwise = parser.some_until(frozenset({"fi"}))
        return If(arms, otherwise, first=first, last=parser.expect("fi").line)


def _for(parser: Parser) -> For:
    first = parser.take().line
    words: list[Word] | None = None
    name = ""
    if parser.peek().text == "((" and parser.peek().word is None:
        if parser.take().source.count(";") != 2:
            raise NotUnderstood("a loop that counts takes three expressions", first)
    else:
        named = parser.take().word
        if named is None or not named.plain:
            raise NotUnderstood("a loop without a variable", first)
        name = named.plain
        if not (name.isascii() and name.isidentifier()):
            raise NotUnderstood(f"{name} is no name of a variable", first)
        parser.newlines()
        if parser.keyword() == "in":
            parser.take()
            words = []
            while (word := parser.peek().word) is not None:
                words.append(word)
                parser.take()
    if parser.peek().text == ";":
        parser.take()
    parser.newlines()
    body, last = _do(parser)
    return For(name, words, body, first=first, last=last)


def _do(parser: Parser) -> tuple[List, int]:
    parser.expect("do")
    body = parser.some_until(frozenset({"done"}))
    return body, parser.expect("done").line


def _while(parser: Parser) -> While:
    token = parser.take()
    condition = parser.some_until(frozenset({"do"}))
    body, last = _do(parser)
    until = bool(token.word and token.word.plain == "until")
    return While(condition, body, until, first=token.line, last=last)


def _case(parser: Parser) -> Case:
    first = parser.take().line
    subject = parser.take().word
    if subject is None:
        raise NotUnderstood("a case without a word", first)
    parser.newlines()
    parser.expect("in")
    arms: list[tuple[list[Word], List]] = []
    while True:
        parser.newlines()
        if parser.keyword() == "esac":
            return Case(subject, arms, first=first, last=parser.take().line)
        if parser.peek().text == "(":
            parser.take()
        patterns = []
        while (pattern := parser.take().word) is not None:
            patterns.append(pattern)
            if parser.peek().text != "|":
                break
            parser.take()
        if not patterns:
            raise NotUnderstood("a case without a pattern", parser.peek().line)
        parser.close(")")
        body = parser.list_until(frozenset({"esac"}))
        arms.append((patterns, body))
        if parser.peek().text == ";;":
            parser.take()
        elif parser.keyword() != "esac":
            raise NotUnderstood("a case that falls through", parser.peek().line)


def function(parser: Parser, word: Word) -> Function:
    """`name() BODY`, of which the name is known."""
    parser.at += 3
    return _function_body(parser, word.plain, word.line)


def _keyword_function(parser: Parser) -> Function:
    first = parser.take().line
    word = parser.take().word
    if parser.peek().text == "(":
        parser.take()
        parser.close(")")
    return _function_body(parser, word.plain if word else None, first)


def _function_body(parser: Parser, name: str | None, first: int) -> Function:
    if not name:
        raise NotUnderstood("a function without a name", first)
    if not parser.bash and not (name.isascii() and name.isidentifier()):
        # Said while reading, whether the function is reached or not: so does the shell.
        raise NotUnderstood(f"only bash takes {name} for the name of a function", first)
    parser.newlines()
    body = parser.command()
    if isinstance(body, Simple):
        raise NotUnderstood("a function without a body", first)
    return Function(name, body, first=first, last=body.last)


def _test(parser: Parser) -> Test:
    first = parser.take().line
    words: list[Word] = []
    while True:
        token = parser.take()
        if token.text == "":
            raise NotUnderstood("[[ does not end", first)
        if token.word is None:
            words.append(Word([], token.line))  # an operator: what it means is not worked out
            continue
        if token.word.plain == "]]":
            return Test(words, first=first, last=token.line)
        words.append(token.word)


COMPOUND: Mapping[str, Callable[[Parser], Command]] = {
    "{": _group,
    "if": _if,
    "for": _for,
    "while": _while,
    "until": _while,
    "case": _case,
    "[[": _test,
    "function": _keyword_function,
}
"""Keyword -> what reads the command that begins with it."""
