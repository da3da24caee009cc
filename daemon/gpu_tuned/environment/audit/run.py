"""The audit of several files together: what one says about another counts (env_file:, EnvironmentFile=, extends)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gpu_tuned.environment.audit import components, containers, contradictions, files, secrets, values
from gpu_tuned.environment.audit.model import (
    Certainty,
    Environment,
    Finding,
    Reader,
    Reading,
    Trap,
    Unreadable,
)
from gpu_tuned.environment.audit.names import Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.environment.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Result:
    findings: tuple[Finding, ...]
    """All of them, also those of low certainty; by file, line and column."""
    unreadable: tuple[str, ...]
    """Why what was named could not be audited, a sentence for each."""
    audited: int
    """Files and processes."""


@dataclass(slots=True)
class _Audit:
    catalogue: Catalogue
    told: Mapping[str, str]
    texts: files.Files = field(default_factory=files.Files)
    named: dict[str, str] = field(default_factory=dict)
    """What the files that were asked for are called, by their identity."""
    readings: dict[str, Reading] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    referred: set[str] = field(default_factory=set)
    """Env files that were asked for, and are audited as part of the file that refers to them."""

    def called(self, path: str) -> str:
        """A file as whoever asked for it calls it: a unit has the absolute path of what somebody named otherwise."""
        return self.named.get(files.identity(path), posixpath.normpath(path))


def of_files(
    catalogue: Catalogue,
    paths: list[str],
    reader: Reader | None = None,
    told: Mapping[str, str] | None = None,
    standard_input: bytes | None = None,
) -> Result:
    """Audits files and folders; "-" is `standard_input`. `reader` says who reads env files, `told` what runs."""
    audit = _Audit(catalogue, told or {})
    if standard_input is not None:
        audit.texts.put("-", standard_input)
    wanted: dict[str, bool] = {}
    for asked in paths:
        meant = list(files.expand(asked))
        if not meant:
            audit.unreadable.append(f"{asked}: nothing in it has the name of a file that is audited; name the files")
        for path, named in meant:
            path = posixpath.normpath(path)
            wanted[path] = named or wanted.get(path, False)
            audit.named.setdefault(files.identity(path), path)
    late: list[str] = []
    for path, named in wanted.items():
        try:
            text = audit.texts.text(path)
        except Unreadable as error:
            audit.unreadable.append(str(error))
            continue
        if files.kind_of(path, text) is files.FileKind.ENV_FILE:
            late.append(path)
        else:
            _read(audit, path, text, None, template_is_trouble=named)
    _env_files(audit, late, reader)
    return _judged(audit)


def of_environments(
    catalogue: Catalogue, environments: list[Environment], told: Mapping[str, str], unreadable: list[str]
) -> Result:
    """Audits what is already read: environments of processes."""
    audit = _Audit(catalogue, told, unreadable=list(unreadable))
    for number, environment in enumerate(environments):
        audit.readings[f"{environment.place.file}#{number}"] = Reading([environment])
    return _judged(audit)


def _read(audit: _Audit, path: str, text: str, reader: Reader | None, *, template_is_trouble: bool = True) -> None:
    try:
        audit.readings[path] = files.read(path, text, audit.texts, reader)
    except Unreadable as error:
        # A chart's templates in a folder that somebody named are not what was meant.
        if template_is_trouble or "{{" not in text:
            audit.unreadable.append(str(error))


def _env_files(audit: _Audit, paths: list[str], reader: Reader | None) -> None:
    """Env files come last: who reads them, and what runs there, is said by the others."""
    referred = {audit.called(path) for reading in audit.readings.values() for path in reading.refers}
    for path in paths:
        text = audit.texts.text(path)
        if reader is None and path in referred:
            audit.referred.add(path)
            continue
        who = reader or files.reader_of(path, text)
        around, interpolated = _around(audit, path)
        if around is not None and reader is None:
            audit.readings[path] = around
            continue
        _read(audit, path, text, who)
        reading = audit.readings.get(path)
        if reading is not None:
            reading.interpolated |= interpolated
            if posixpath.basename(path).startswith(".env"):
                reading.environments[0].fragment = True


def _around(audit: _Audit, path: str) -> tuple[Reading | None, set[str]]:
    """The services and units beside an env file that read it, to be told of as far as the file goes; and the names
    that Compose files beside it expand."""
    found: Reading | None = None
    interpolated: set[str] = set()
    for other in files.beside(path, audit.texts):
        try:
            beside = files.read(other, audit.texts.text(other), audit.texts, None)
        except Unreadable:
            continue
        interpolated |= beside.interpolated
        if path in map(audit.called, beside.refers):
            found = found or Reading(only=path)
            found.environments += [
                one for one in beside.environments if path in {audit.called(a.place.file) for a in one.assignments}
            ]
            found.traps += beside.traps
            found.used |= beside.used
    return found, interpolated


def _look_into_scripts(reading: Reading, audit: _Audit) -> None:
    """An entrypoint that lies beside the Dockerfile, or where a unit starts it: what it names has a reader."""
    for environment in reading.environments:
        found = components.scripts(environment)
        texts = []
        for word in found:
            beside = posixpath.join(posixpath.dirname(environment.place.file), posixpath.basename(word))
            texts.append((None if environment.container else audit.texts.get(word)) or audit.texts.get(beside))
        if found and None not in texts:
            environment.scripts_read = True
            reading.used |= {name for text in texts for name in _WORD.findall(text or "")}


_WORD = re.compile(r"(?<![A-Za-z0-9_])[A-Z][A-Z0-9_]{3,}")


def _judged(audit: _Audit) -> Result:
    readings = list(audit.readings.values())
    for reading in readings:
        _look_into_scripts(reading, audit)
    names = Names(
        audit.catalogue,
        frozenset(name for reading in readings for name in reading.used),
        frozenset(name for reading in readings for name in reading.interpolated),
    )
    found: dict[tuple[str, str, object], Finding] = {}
    for reading in readings:
        for finding in _of_reading(reading, audit, names):
            finding = replace(finding, place=replace(finding.place, file=audit.called(finding.place.file)))
            if reading.only and finding.place.file != reading.only:
                continue
            key = (finding.id, finding.name, finding.place)
            before = found.get(key)
            if before is None or finding.certainty.rank < before.certainty.rank:
                found[key] = finding
    order = sorted(
        _without_ignored(found.values(), audit.texts),
        key=lambda one: (one.place.file, one.place.line, one.place.column, one.id),
    )
    return Result(tuple(order), tuple(audit.unreadable), len(audit.readings) + len(audit.referred))


def _of_reading(reading: Reading, audit: _Audit, names: Names) -> Iterator[Finding]:
    for trap in reading.traps:
        yield _of_trap(trap, names)
    for environment in reading.environments:
        components.fill_in(environment, audit.catalogue, audit.told)
        yield from names.findings(environment)
        yield from values.findings(audit.catalogue, environment)
        yield from contradictions.findings(environment)
        yield from containers.findings(environment)
        yield from secrets.findings(environment)


_OWN_PROGRAM_MAY_WANT_IT = frozenset({"compose-list-quotes", "compose-list-space", "env-file-quotes"})


def _of_trap(trap: Trap, names: Names) -> Finding:
    certainty, replacement = trap.certainty, trap.replacement
    if trap.id in _OWN_PROGRAM_MAY_WANT_IT and not names.may_be_known(trap.name):
        certainty = Certainty.LOW  # a script that evaluates its arguments wants the quotes
    if secrets.is_secret_name(trap.name):
        replacement = ""
    return Finding(trap.id, trap.name, trap.place, certainty, trap.message, replacement)


# --- `# gpu-tuned: ignore ID` -----------------------------------------------------------------------------------

_IGNORE = re.compile(r"[#;]\s*gpu-tuned:\s*ignore\s+([\w-]+(?:[ ,]+[\w-]+)*)")


def _without_ignored(findings: Iterable[Finding], texts: files.Files) -> Iterator[Finding]:
    by_file: dict[str, dict[int, set[str]]] = {}
    for finding in findings:
        file = finding.place.file
        if file not in by_file:
            by_file[file] = _ignored(texts.get(file) or "") if finding.place.line else {}
        if finding.id not in by_file[file].get(finding.place.line, ()):
            yield finding


def _ignored(text: str) -> dict[int, set[str]]:
    """Line -> ids that are ignored there: those of a comment in the line or in the one above."""
    found: dict[int, set[str]] = {}
    if "gpu-tuned:" not in text:
        return found
    for number, line in enumerate(text.split("\n"), 1):
        match = _IGNORE.search(line)
        if match:
            ids = set(re.split(r"[ ,]+", match[1]))
            alone = line.lstrip()[:1] in ("#", ";")
            found.setdefault(number + alone, set()).update(ids)
    return found


def visible(findings: tuple[Finding, ...], *, everything: bool) -> tuple[Finding, ...]:
    """Without `everything` (--all) those of low certainty stay away."""
    return findings if everything else tuple(one for one in findings if one.certainty is not Certainty.LOW)
