"""Dockerfiles, as BuildKit reads them: ENV, ARG, FROM, CMD, ENTRYPOINT, VOLUME, and RUN as far as it exports.

An own reader, since the parsers to be had are binaries or take heredoc bodies for instructions (docs/decisions/0110).
BuildKit's own parser is the oracle of its tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from gpu_tuned.environment.audit.interpolation import interpolate, names_in
from gpu_tuned.environment.audit.model import (
    Assignment,
    Certainty,
    Environment,
    Mount,
    Place,
    Reading,
    Trap,
)
from gpu_tuned.environment.audit.readers.dockerlines import Line, lines_of
from gpu_tuned.environment.audit.readers.words import command_of, split

_INSTRUCTION = re.compile(r"\s*(?:ONBUILD\s+)?([A-Za-z]+)\s*", re.IGNORECASE)
_SIMPLE_ENV = re.compile(r"ENV ([A-Za-z_][A-Za-z0-9_]*)=([^\s'\"\\#$`]*)\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CMAKE_ARGS = re.compile(r"\bCMAKE_ARGS=(\"[^\"]*\"|'[^']*'|\S+)")
_EXPORTS_ALONE = re.compile(r"\s*export\s+[A-Za-z_]\w*=(\"[^\"]*\"|'[^']*'|[^\s;&|]*)\s*")
_MOST_INHERITED = 5000
_MOST_OF_A_RUN = 20000
_QUOTED_NAME = re.compile(r"([\"'])(\w+)\1")
FORM = "ENV {name}={value}"
_ARG_FORM = "ARG {name}={value}"


@dataclass(slots=True)
class _Stage:
    environment: Environment
    names: dict[str, str] = field(default_factory=dict)
    """ARG and ENV so far, where their values are known: what `$NAME` expands to."""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()


def read(text: str, file: str) -> Reading:
    """An environment for each stage, with what it inherits from the stages that it is built from; for a file
    without FROM, one for the fragment."""
    reading = Reading()
    stages: dict[str, _Stage] = {}
    before = _Stage(Environment("", Place(file, 1, 1), container=True, fragment=True))
    stage = before
    every: list[_Stage] = []
    for line in lines_of(text):
        head = _INSTRUCTION.match(line.text)
        instruction = head[1].upper() if head else ""
        at = head.end() if head else 0
        rest = line.text[at:]
        if instruction == "FROM":
            stage = _from(rest, line.place(file, at), before, stages, len(every), reading)
            every.append(stage)
        elif instruction in ("ENV", "ARG"):
            _env(line, at, stage, reading, arg=instruction == "ARG")
        else:
            reading.used |= names_in(line.text) | names_in(line.heredocs)
            _other(instruction, rest, line, at, stage, reading)
    if before.environment.assignments or not every:
        every.insert(0, before)
    for found in every:
        found.environment.command = (*found.entrypoint, *found.cmd)
        reading.environments.append(found.environment)
    return reading


def _from(  # noqa: PLR0913 - what a FROM line says, and the stages before it
    rest: str, place: Place, before: _Stage, stages: dict[str, _Stage], number: int, reading: Reading
) -> _Stage:
    words = [word for word in rest.split() if not word.startswith("--")]
    written = words[0] if words else ""
    reading.used |= names_in(written)
    image, _ = interpolate(written, before.names)
    name = words[2].lower() if len(words) > 2 and words[1].lower() == "as" else ""
    parent = stages.get((image or "").lower())
    label = f"stage {name or number}"
    environment = Environment(label, place, image=image or "", container=True)
    stage = _Stage(environment)
    if parent:
        environment.image = parent.environment.image
        if len(parent.environment.assignments) <= _MOST_INHERITED:
            environment.assignments = [one for one in parent.environment.assignments if not one.build_only]
            stage.names = {one.name: one.value for one in environment.assignments if one.value is not None}
        environment.mounts = list(parent.environment.mounts)
        environment.installs = parent.environment.installs
        stage.entrypoint, stage.cmd = parent.entrypoint, parent.cmd
    stages[str(number)] = stage
    if name:
        stages[name] = stage
    return stage


def _env(line: Line, at: int, stage: _Stage, reading: Reading, *, arg: bool) -> None:
    environment = stage.environment
    file = environment.place.file
    simple = _SIMPLE_ENV.fullmatch(line.text)
    if simple:
        place = line.place(file, simple.start(1))
        environment.assignments.append(Assignment(simple[1], simple[2], place, FORM))
        stage.names[simple[1]] = simple[2]
        return
    rest = line.text[at:]
    words = _words(rest)
    if not words:
        return
    form = _ARG_FORM if arg else FORM
    if not arg and "=" not in words[0][1]:
        _old_form(rest, at, line, stage, reading)
        return
    last = None
    for start, word in words:
        name, equals, raw = word.partition("=")
        if quoted := _QUOTED_NAME.fullmatch(name):
            start, name = start + 1, quoted[2]
        if word.startswith("#"):
            _comment_trap(last, line.place(file, at + start), reading, arg=arg)
            return
        if not equals and not arg:
            _space_trap(last, word, line.place(file, at + start), reading)
            if last is not None:  # what was meant is not what stands in this word alone
                environment.assignments[-1] = replace(last, value=None)
            return
        value = _value(raw, stage, reading) if equals else None
        if _NAME.fullmatch(name):
            last = Assignment(name, value, line.place(file, at + start), form, build_only=arg)
            environment.assignments.append(last)
            if value is not None:
                stage.names[name] = value


def _old_form(rest: str, at: int, line: Line, stage: _Stage, reading: Reading) -> None:
    """`ENV NAME all the rest`."""
    name, _, raw = rest.strip().partition(" ")
    if "\t" in name:
        name, _, raw = rest.strip().partition("\t")
    place = line.place(stage.environment.place.file, at)
    raw = raw.strip()
    if not _NAME.fullmatch(name):
        return
    if raw.startswith("="):
        _space_around(name, raw, place, stage, reading)
        return
    comment = re.search(r"\s#\s", raw)
    if comment:
        raw = raw[: comment.start()].rstrip()
    value = _value(raw, stage, reading)
    found = Assignment(name, value, place, FORM)
    if comment:
        _comment_trap(found, place, reading, arg=False, old_form=True)
    stage.environment.assignments.append(found)
    if value is not None:
        stage.names[name] = value


def _space_around(name: str, raw: str, place: Place, stage: _Stage, reading: Reading) -> None:
    """`ENV NAME = value`."""
    meant = raw[1:].strip()
    message = f'the space at = makes the value of {name} "{raw[:40]}"'
    right = FORM.replace("{name}", name).replace("{value}", meant)
    reading.traps.append(Trap("dockerfile-space", name, place, Certainty.CERTAIN, message, right))
    stage.environment.assignments.append(Assignment(name, None, place, FORM))


def _comment_trap(
    last: Assignment | None, place: Place, reading: Reading, *, arg: bool, old_form: bool = False
) -> None:
    name = last.name if last else ""
    what = "ARG" if arg else "ENV"
    if old_form or arg:
        why = f"the text behind # becomes part of the {'names' if arg else 'value of ' + name}"
    else:
        why = 'this line does not build (can\'t find = in "#")'
    right = _line(last) if last else ""
    message = f"a comment cannot stand behind {what}: {why}; put it on a line of its own"
    where = last.place if last else place
    reading.traps.append(Trap("dockerfile-comment", name, where, Certainty.CERTAIN, message, right))


def _space_trap(last: Assignment | None, word: str, place: Place, reading: Reading) -> None:
    name = last.name if last else ""
    message = f'this line does not build (can\'t find = in "{word[:40]}"): a value with a space needs quotes'
    right = ""
    if last and last.value is not None:
        right = f'ENV {name}="{last.value} {word}"'
    reading.traps.append(
        Trap("dockerfile-space", name, last.place if last else place, Certainty.CERTAIN, message, right)
    )


def _line(found: Assignment) -> str:
    value = found.value
    if value is None:
        return ""
    quoted = f'"{value}"' if re.search(r"[\s;]", value) else value
    return found.form.replace("{name}", found.name).replace("{value}", quoted)


def _other(  # noqa: PLR0913 - an instruction as it was taken apart, and what it goes into
    instruction: str, rest: str, line: Line, at: int, stage: _Stage, reading: Reading
) -> None:
    environment = stage.environment
    if instruction == "CMD":
        stage.cmd = command_of(rest)
    elif instruction == "ENTRYPOINT":
        stage.entrypoint, stage.cmd = command_of(rest), ()
    elif instruction == "VOLUME":
        place = line.place(environment.place.file, at)
        environment.mounts += [Mount(target, tmpfs=False, noexec=False, place=place) for target in command_of(rest)]
    elif instruction == "RUN":
        body = line.heredocs or rest
        environment.installs += f"\n{body[:_MOST_OF_A_RUN]}"
        if cmake := _CMAKE_ARGS.search(body):
            value = cmake[1].strip("'\"")
            place = line.place(environment.place.file, at + cmake.start() if body is rest else 0)
            environment.assignments.append(Assignment("CMAKE_ARGS", value, place, build_only=True))
        statements = [part for part in re.split(r"&&|;|\n", body) if part.strip()]
        if statements and all(_EXPORTS_ALONE.fullmatch(part) for part in statements):
            name, _, value = statements[0].split("export", 1)[1].strip().partition("=")
            reading.traps.append(
                Trap(
                    "dockerfile-run-export",
                    name,
                    line.place(environment.place.file, 0),
                    Certainty.CERTAIN,
                    f"what RUN exports ends with that RUN: {name} is not set afterwards",
                    f"ENV {name}={value.strip()}",
                )
            )


def _value(raw: str, stage: _Stage, reading: Reading) -> str | None:
    """The value behind `NAME=`: quotes and escapes away, what is known put in."""
    plain = not any(letter in raw for letter in "'\"\\$")
    if plain:
        return raw
    if "$" not in raw:
        words = split(raw)
        return raw[:0] if not words else " ".join(word.text for word in words)
    reading.used |= names_in(raw)
    if raw.startswith("'"):
        return raw.strip("'")
    words = split(raw.replace("\\$", "$$"))
    value, _ = interpolate(" ".join(word.text for word in words), stage.names)
    return value


def _words(rest: str) -> list[tuple[int, str]]:
    """Words as BuildKit finds them: quotes and escapes stay in, white space inside of them does not part."""
    words: list[tuple[int, str]] = []
    start, quote, at = -1, "", 0
    while at < len(rest):
        letter = rest[at]
        if letter == "\\" and at + 1 < len(rest):
            start = at if start < 0 else start
            at += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter.isspace():
            if start >= 0:
                words.append((start, rest[start:at]))
                start = -1
        else:
            start = at if start < 0 else start
            quote = letter if letter in "'\"" else ""
        at += 1
    if start >= 0:
        words.append((start, rest[start:]))
    return words
