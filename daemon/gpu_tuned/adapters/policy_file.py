"""The policy's files: read as they are, kept as texts, parsed with tomli.

Reading and parsing are two steps, so that the texts of the last good policy can be saved and parsed again at a start
where the files are bad.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import tomli

from gpu_tuned.adapters import plain_files
from gpu_tuned.adapters.safe_path import printable, unsafe
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.policy.parser import Document, parse, profile_names
from gpu_tuned.core.policy.words import shown_line

LARGEST_FILE = 1 << 20
"""Bytes. A policy of a thousand rules takes a tenth of it; whatever is larger was put there by mistake."""

MEANT = {
    "Invalid value": "; text stands in quotes, and true and false are in lower case",
    "Expected newline or end of document after a statement": "; a number has no unit, and no zero before it",
}
"""What somebody who wrote such a line most likely did not know, by tomli's own words."""

DROP_INS = "gpu-tuned.d"
PROFILES = "profiles"

_PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED_PROFILES = (
    Path("/usr/lib/gpu-tuned/profiles"),
    _PACKAGE / "data" / "profiles",  # in a wheel
    _PACKAGE.parents[1] / "etc" / "profiles",  # in a source checkout
)
"""Where profiles of ours lie, the first that has the name winning."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file as it was read. `name` is what origins say, `path` what messages say."""

    name: str
    path: str
    text: str
    shipped: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """Every text that one policy is made of: the main file and its drop-ins in order, and the profiles they use.

    `known_profiles` are the names that could have been used. `partial`: a drop-in read by itself, to check it.
    """

    documents: tuple[Source, ...]
    profiles: tuple[Source, ...] = field(default=())
    known_profiles: tuple[str, ...] = field(default=())
    partial: bool = False

    @property
    def digest(self) -> str:
        """6 hex digits that change whenever a file's name or contents do."""
        digest = 0  # a name to tell policies apart, no seal; hashlib would load OpenSSL, a tenth of our memory
        for source in (*self.documents, *self.profiles):
            for part in (source.name, source.text):
                encoded = part.encode("utf-8", "surrogatepass")
                digest = crc32(len(encoded).to_bytes(8, "big") + encoded, digest)
        return f"{digest:08x}"[:6]

    def to_json(self) -> dict[str, Any]:
        return {
            "documents": [asdict(source) for source in self.documents],
            "profiles": [asdict(source) for source in self.profiles],
            "known_profiles": list(self.known_profiles),
            "partial": self.partial,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Sources:
        """The inverse of `to_json`. Raises PolicyError for anything that `to_json` never wrote."""
        try:
            documents, profiles = (tuple(map(_source, raw[key])) for key in ("documents", "profiles"))
            known, partial = raw["known_profiles"], raw["partial"]
            if documents and isinstance(known, list) and isinstance(partial, bool):
                return cls(documents, profiles, tuple(_text(name) for name in known), partial)
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        raise PolicyError(("the saved policy cannot be read: it is not what gpu-tuned saves",))


def _source(raw: Mapping[str, Any]) -> Source:
    if not isinstance(raw["shipped"], bool):
        raise TypeError("shipped")
    return Source(_text(raw["name"]), _text(raw["path"]), _text(raw["text"]), raw["shipped"])


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise TypeError("text")
    return raw


def load(path: Path) -> Policy:
    """The policy of this file, its drop-ins and profiles. Raises PolicyError with every problem found."""
    return parse_sources(load_sources(path))


def load_sources(path: Path, owners: Collection[int] | None = None) -> Sources:
    """Read the file, its drop-ins, and the profiles they ask for.

    A file in a directory gpu-tuned.d is read by itself, with the profiles that it would have as a drop-in. `owners`:
    the users who may be able to change what is read; None: whoever can, as of a draft. Raises PolicyError where one
    of the files cannot be read, or others could change it; what stands in them is for `parse_sources` to judge.
    """
    problems: list[str] = []
    partial = path.parent.name == DROP_INS
    config = path.parent.parent if partial else path.parent
    if owners is not None:
        problems += _changeable([path] if partial else [path, config / DROP_INS, config / PROFILES], owners)
    sources = [_read(path, problems)]
    if not partial:
        sources += [_read(drop_in, problems) for drop_in in _toml_files(config / DROP_INS, problems)]
    return _with_profiles(
        tuple(source for source in sources if source is not None), config, problems, partial=partial
    )


def _changeable(roots: list[Path], owners: Collection[int]) -> list[str]:
    """Why others than `owners` could change one of these files, or a policy file in one of these folders. Our own
    profiles are left out: they lie beside our own code."""
    paths = roots + [file for root in roots for file in _toml_files(root, [])]
    return list(dict.fromkeys(problem for path in paths for problem in unsafe(path, owners)))


def load_text(text: str, path: Path) -> Policy:
    """The policy that `text` alone would make if it lay at `path`, with the profiles to be had there. Raises
    PolicyError."""
    document = Source(printable(Path(path.name)), printable(path), text)
    return parse_sources(_with_profiles((document,), path.parent, [], partial=False))


def _with_profiles(documents: tuple[Source, ...], config: Path, problems: list[str], *, partial: bool) -> Sources:
    available = _available_profiles(config / PROFILES, problems)
    profiles = []
    for name in dict.fromkeys(name for source in documents for name in _asked_profiles(source)):
        if name in available:
            file, shipped = available[name]
            read = _read(file, problems, f"profile {name}", shipped=shipped)
            profiles += [read] if read else []
    if problems:
        raise PolicyError(tuple(problems))
    return Sources(documents, tuple(profiles), tuple(sorted(available)), partial)


def stamp(path: str) -> object:
    """Compares unequal once the file, a drop-in or an owner's profile was changed, came or went. Raises nothing."""
    # Strings and no Path: it is asked for at each pass, and making a Path costs more than asking the kernel.
    marks: list[object] = [_mark(path)]
    for folder in (DROP_INS, PROFILES):
        directory = os.path.join(os.path.dirname(path), folder)
        marks += [(name, _mark(f"{directory}/{name}")) for name in _toml_names(directory, [])]
    return marks


def _mark(file: str) -> object:
    try:
        found = os.stat(file)
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino


def parse_sources(sources: Sources) -> Policy:
    """The policy that these texts make. Raises PolicyError with every problem found."""
    problems: list[str] = []
    documents = [_document(source, problems) for source in sources.documents]
    profiles = {source.name.removeprefix("profile "): _document(source, problems) for source in sources.profiles}
    if problems:
        # The other files may have problems of their own; tell them in the same breath.
        readable = [document for document in documents if document.data]
        try:
            parse(readable, profiles.get, sources.known_profiles, partial=True)
        except PolicyError as error:
            problems += error.problems
        raise PolicyError(tuple(problems))
    return parse(documents, profiles.get, sources.known_profiles, sources.digest, partial=sources.partial)


def _document(source: Source, problems: list[str]) -> Document:
    return Document(source.name, _toml(source, problems), source.path, source.shipped)


def _toml(source: Source, problems: list[str]) -> dict[str, Any]:
    """The tables of one file; {} and a problem where it is not TOML."""
    try:
        return tomli.loads(source.text)
    except tomli.TOMLDecodeError as error:
        where = f"{source.path}: line {error.lineno}, column {error.colno}"
        line = shown_line(source.text, error.lineno)
        message = f"not valid TOML: {error.msg[:1].lower() + error.msg[1:]}{MEANT.get(error.msg, '')}"
        problems.append(": ".join(part for part in (where, line, message) if part))
    except RecursionError:
        problems.append(f"{source.path}: is nested deeper than any policy can be")
    except ValueError:  # an integer with more digits than Python converts
        problems.append(f"{source.path}: holds a number with more digits than any value can have")
    return {}


def _asked_profiles(source: Source) -> list[str]:
    return profile_names(_toml(source, []))


def _available_profiles(own: Path, problems: list[str]) -> dict[str, tuple[Path, bool]]:
    """Profile name -> (file, whether it is ours). The owner's profile of a name hides ours."""
    found: dict[str, tuple[Path, bool]] = {}
    for directory, shipped in ((own, False), *((place, True) for place in SHIPPED_PROFILES)):
        for file in _toml_files(directory, [] if shipped else problems):
            found.setdefault(file.stem, (file, shipped))
    return found


def _toml_files(directory: Path, problems: list[str]) -> list[Path]:
    return [directory / name for name in _toml_names(directory, problems)]


def _toml_names(directory: str | Path, problems: list[str]) -> list[str]:
    """The *.toml of a directory by name; hidden ones are an editor's. No directory, no files."""
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.append(f"{printable(Path(directory))}: cannot be listed: {_why(error)}")
        return []
    return [name for name in names if name.endswith(".toml") and not name.startswith(".")]


def _read(path: Path, problems: list[str], name: str = "", *, shipped: bool = False) -> Source | None:
    shown = printable(path)
    try:
        # A byte order mark is no part of the text, TOML 1.1 says.
        text = _content(path).decode("utf-8").removeprefix("\ufeff")
        return Source(name or printable(Path(path.name)), shown, text, shipped)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(f"{shown}: line {line}: holds bytes that are no UTF-8 text")
    except OSError as error:
        problems.append(f"{shown}: {_why(error)}")
    except _NoPolicy as error:
        problems.append(f"{shown}: {error}")
    return None


class _NoPolicy(Exception):
    """A file that is not read at all, and why."""


def _content(path: Path) -> bytes:
    try:
        content = plain_files.content(path, LARGEST_FILE + 1)
    except plain_files.NoRegularFile as error:
        raise _NoPolicy("is a directory; name the file in it" if path.is_dir() else "is no regular file") from error
    if len(content) > LARGEST_FILE:
        raise _NoPolicy(f"is larger than {LARGEST_FILE >> 20} MiB, which no policy is")
    return content


def _why(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "there is no such file"
    if error.errno == errno.EACCES:
        return "no permission to read it"
    return f"cannot be read: {error.strerror or error}"
