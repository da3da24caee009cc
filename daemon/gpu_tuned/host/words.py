"""A shell command line in words: its pipelines, their commands, and what stands before a command's name."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

# They may stand before a command and leave it what it is; those with an option that takes a word of its own.
_PREFIXES = {"sudo", "doas", "env", "exec", "nohup", "command", "time", "nice", "ionice", "timeout", "setsid"}
_WORD_AFTER = {"sudo": ("-u", "-g", "-h", "-p"), "nice": ("-n",), "ionice": ("-c", "-n"), "timeout": ("-k", "-s")}
_KEYWORDS = {"if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "{", "}", "!"}
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=.*")
_DURATION = re.compile(r"[0-9.]+[smhd]?")


@dataclass(frozen=True, slots=True)
class Command:
    """The words of one command, and the files that its output goes into."""

    words: tuple[str, ...]
    into: tuple[str, ...] = ()


def pipelines(code: str) -> list[tuple[list[Command], bool]] | None:
    """Every pipeline of a command line, and whether it stands by itself: not inside a condition, a loop, a subshell.
    None where the quotes do not end."""
    lexer = shlex.shlex(code, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:
        return None
    found: list[tuple[list[Command], bool]] = []
    commands: list[Command] = []
    words: list[str] = []
    into: list[str] = []
    simple, before = True, ""

    def end_command() -> None:
        if words or into:
            commands.append(Command(tuple(words), tuple(into)))
        words.clear()
        into.clear()

    waiting = iter(tokens)
    for token in waiting:
        if not set(token) <= set(";&|()<>"):
            words.append(token)
        elif ">" in token or "<" in token:
            if words and words[-1].isdigit() and len(words) > 1 and re.search(rf"{words[-1]}[<>]", code):
                words.pop()  # 2>/dev/null
            target = next(waiting, "")
            into += [target] if ">" in token else []
        elif token in ("|", "|&"):
            end_command()
        else:
            end_command()
            if commands:
                # What follows `||` runs only where the first failed, and is no setting to rely on.
                found.append((commands.copy(), simple and (before != "||" or _idle(commands))))
            commands.clear()
            simple, before = simple and not set(token) & set("()"), token
    end_command()
    if commands:
        found.append((commands.copy(), simple and (before != "||" or _idle(commands))))
    return found


def _idle(commands: list[Command]) -> bool:
    return all(command.words[:1] in (("true",), (":",)) for command in commands)


def bare(words: tuple[str, ...]) -> tuple[list[str], bool]:
    """A command without sudo and its like, and whether it stood outside of `if`, `do` and other keywords."""
    rest = list(words)
    plain = True
    while rest:
        word = rest[0]
        if word in _KEYWORDS:
            plain = False
            rest.pop(0)
        elif _ASSIGNED.fullmatch(word):
            rest.pop(0)
        elif (name := word.rpartition("/")[2]) in _PREFIXES:
            rest.pop(0)
            while rest and (rest[0].startswith("-") or (name == "timeout" and _DURATION.fullmatch(rest[0]))):
                option = rest.pop(0)
                if option in _WORD_AFTER.get(name, ()) and rest:
                    rest.pop(0)
        else:
            break
    return rest, plain
