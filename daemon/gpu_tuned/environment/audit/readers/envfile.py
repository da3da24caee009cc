"""Env files, as each of their readers takes them.

The same line means different things: `docker run --env-file` keeps quotes and `# text` in the value, Compose strips
both and expands `${NAME}`, systemd strips quotes and keeps `# text`. Where it is not known who reads a file, every
line is judged by all three, and what they disagree on is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_tuned.environment.audit.interpolation import interpolate
from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Place, Reader, Reading, Trap

FORM = "{name}={value}"
# A line that means the same to everybody, which most are.
_PLAIN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=([^\s'\"\\#$`]*)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_EXPORT = re.compile(r"export\s+")
_MOST_LINES = 200
"""Of a quoted value: an unclosed quote in a long file must not cost the square of its lines."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """A logical line as one reader takes it."""

    name: str
    value: str | None = None
    """As the reader takes it or, behind a trap, as it was meant; None: from the reader's own environment, or not
    known."""
    trap: str = ""
    """An id of _TRAPS."""
    lines: int = 1


def read(text: str, file: str, reader: Reader | None) -> Reading:
    """The environment that `text` gives; `reader` None: not known who reads it."""
    reading = Reading()
    # What systemd and Compose read may be for an ExecStart= or a ${NAME} that is not here; a container gets it whole.
    environment = Environment("", Place(file, 1, 1), fragment=reader in (None, Reader.DOCKER))
    readers = (reader,) if reader else tuple(Reader)
    lines = text.removeprefix("\ufeff").split("\n")
    number = 0
    while number < len(lines):
        line = lines[number].removesuffix("\r")
        plain = _PLAIN.fullmatch(line)
        if plain:
            environment.assignments.append(Assignment(plain[1], plain[2], Place(file, number + 1, 1), FORM))
        elif line.strip() and not line.lstrip().startswith("#"):
            number += _odd_line(lines, number, readers, environment, reading) - 1
        number += 1
    reading.environments.append(environment)
    return reading


def _odd_line(
    lines: list[str], number: int, readers: tuple[Reader, ...], environment: Environment, reading: Reading
) -> int:
    """Reads a logical line that is not plain; how many lines it took."""
    by_reader = {reader: _HOW[reader](lines, number) for reader in readers}
    # Compose is who most people have in mind when they write quotes and comments.
    favourite = Reader.COMPOSE if Reader.COMPOSE in readers else readers[0]
    taken = by_reader[favourite]
    best = taken if taken.name else next((one for one in by_reader.values() if one.name), taken)
    indent = len(lines[number]) - len(lines[number].lstrip())
    place = Place(environment.place.file, number + 1, indent + 1)
    for trap in {one.trap: None for one in by_reader.values() if one.trap}:
        who = [reader for reader, one in by_reader.items() if one.trap == trap]
        reading.traps.append(_trap(trap, who, readers, best, place))
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", best.name):
        value = best.value
        if value is not None and favourite is Reader.COMPOSE and "$" in value:
            value, used = interpolate(value)
            reading.used |= used
        doubtful = len({(one.value, one.trap) for one in by_reader.values()}) > 1
        environment.assignments.append(Assignment(best.name, value, place, FORM, doubtful=doubtful))
    return max(1, taken.lines)


def _trap(trap: str, who: list[Reader], readers: tuple[Reader, ...], taken: _Taken, place: Place) -> Trap:
    message, sure, unsure = _TRAPS[trap]
    told = " and ".join(_SPOKEN[reader] for reader in who)
    message = f"{told}: {message.replace('{name}', taken.name)}"
    others = [_SPOKEN[reader] for reader in readers if reader not in who]
    if others:
        message += f" ({' and '.join(others)}: no trouble)"
    certainty = sure if len(readers) == 1 else unsure if len(who) > 1 else Certainty.LOW
    right = f"{taken.name}={taken.value}" if taken.name and taken.value is not None and trap in _MENDED else ""
    return Trap(trap, taken.name, place, certainty, message, right)


_SPOKEN = {Reader.DOCKER: "docker run --env-file", Reader.COMPOSE: "Compose", Reader.SYSTEMD: "systemd"}
_TRAPS = {
    "env-file-quotes": ("the quotes stay in the value of {name}", Certainty.CERTAIN, Certainty.LIKELY),
    "env-file-comment": (
        "the comment behind {name} becomes part of its value; put it on a line of its own",
        Certainty.CERTAIN,
        Certainty.LIKELY,
    ),
    "env-file-export": ("`export` is not known in an env file, {name} is not set", Certainty.CERTAIN, Certainty.LOW),
    "env-file-space": ("no space may stand around the name", Certainty.CERTAIN, Certainty.LIKELY),
    "env-file-expansion": (
        "$ is not expanded in an env file, it stays in the value of {name}",
        Certainty.LIKELY,
        Certainty.LOW,
    ),
    "env-file-line": ("this is no NAME=value", Certainty.CERTAIN, Certainty.LIKELY),
    "env-file-unclosed": (
        "the quote that begins the value of {name} is not closed",
        Certainty.CERTAIN,
        Certainty.LIKELY,
    ),
}
"""What goes wrong: in words, how sure with a known reader, how sure where most of the possible readers do so."""
_MENDED = {"env-file-quotes", "env-file-comment", "env-file-export", "env-file-space"}


# --- docker run --env-file -------------------------------------------------------------------------------------


def _docker(lines: list[str], number: int) -> _Taken:
    """Everything behind the first "=" is the value, to the end of the line."""
    line = lines[number].removesuffix("\r").lstrip()
    name, equals, value = line.partition("=")
    if not _NAME.fullmatch(name):
        bare = _EXPORT.sub("", name, count=1).strip()
        stripped = _unquoted(value.strip())
        if bare != name.strip() and _NAME.fullmatch(bare):
            return _Taken(bare, stripped if equals else None, "env-file-export")
        return (
            _Taken(bare, stripped, "env-file-space") if _NAME.fullmatch(bare) else _Taken("", None, "env-file-line")
        )
    if not equals:
        return _Taken(name)
    if len(value) > 1 and value.rstrip()[-1:] == value[:1] and value[0] in "'\"":
        return _Taken(name, _unquoted(value.rstrip()), "env-file-quotes")
    if comment := re.search(r"\s#", value):
        return _Taken(name, _unquoted(value[: comment.start()].strip()), "env-file-comment")
    return _expanding(name, value)


def _expanding(name: str, value: str, lines: int = 1) -> _Taken:
    expands = re.search(r"\$\{?[A-Za-z_]", value)
    return _Taken(name, None if expands else value, "env-file-expansion" if expands else "", lines)


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


# --- Compose ---------------------------------------------------------------------------------------------------

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


def _compose(lines: list[str], number: int) -> _Taken:
    """`export` is let through; quotes may reach over lines; a comment behind white space is one."""
    line = _EXPORT.sub("", lines[number].removesuffix("\r").strip(), count=1)
    name, equals, rest = line.partition("=")
    name = name.rstrip()
    if not equals:
        head, colon, tail = line.partition(":")
        if colon and _NAME.fullmatch(head.rstrip()):  # NAME: value is let through as well
            name, rest, equals = head.rstrip(), tail, "="
    if not _NAME.fullmatch(name):
        return _Taken("", None, "env-file-line")
    if not equals:
        return _Taken(name)
    if rest.lstrip()[:1] in ("'", '"'):
        return _quoted(name, rest.lstrip(), lines, number)
    return _Taken(name, re.split(r"\s#", rest, maxsplit=1)[0].strip())


def _quoted(name: str, rest: str, lines: list[str], number: int) -> _Taken:
    quote, body, took = rest[0], rest[1:], 1
    ends = re.compile(r"'" if quote == "'" else r'(?<!\\)(?:\\\\)*"')
    while not (match := ends.search(body)):
        if took >= _MOST_LINES or number + took >= len(lines):
            return _Taken(name, None, "env-file-unclosed")
        body += "\n" + lines[number + took].removesuffix("\r")
        took += 1
    value = body[: match.end() - 1]
    if quote == "'":
        return _Taken(name, value.replace("$", "$$"), lines=took)
    value = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), value)
    return _Taken(name, value, lines=took)


# --- systemd ---------------------------------------------------------------------------------------------------


def _systemd(lines: list[str], number: int) -> _Taken:
    """Quotes are stripped wherever they stand, a backslash at the end goes on, `#` behind a value is part of it."""
    line = lines[number].removesuffix("\r")
    took = 1
    while line.endswith("\\") and took < _MOST_LINES and number + took < len(lines):
        line = line[:-1] + lines[number + took].removesuffix("\r")
        took += 1
    if line.lstrip().startswith(";"):
        return _Taken("", None, lines=took)
    name, equals, rest = line.strip().partition("=")
    name = name.rstrip()
    if not _NAME.fullmatch(name):
        bare = _EXPORT.sub("", name, count=1)
        if bare != name and _NAME.fullmatch(bare):
            return _Taken(bare, _unquoted(rest.strip()), "env-file-export", took)
        return _Taken("", None, "env-file-line", took)
    if not equals:
        return _Taken(name, None, "env-file-line", took)
    value, comment = _systemd_value(rest)
    if comment:
        return _Taken(name, re.split(r"\s+#", value, maxsplit=1)[0], "env-file-comment", took)
    return _Taken(name, value, "", took) if rest.lstrip().startswith("'") else _expanding(name, value, took)


def _systemd_value(rest: str) -> tuple[str, bool]:
    """The value, and whether something in it looks like a comment."""
    value, quote, comment, escaped = [], "", False, False
    for at, letter in enumerate(rest):
        if escaped:
            value.append(letter)
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif quote:
            if letter == quote:
                quote = ""
            else:
                value.append(letter)
        elif letter in "'\"" and not "".join(value).strip():
            quote = letter
        else:
            comment = comment or (letter == "#" and at > 0 and rest[at - 1].isspace())
            value.append(letter)
    return "".join(value).strip(), comment


_HOW = {Reader.DOCKER: _docker, Reader.COMPOSE: _compose, Reader.SYSTEMD: _systemd}
