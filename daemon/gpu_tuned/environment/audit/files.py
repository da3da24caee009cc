"""Which file is of which kind, what it refers to, and the texts themselves."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path

from gpu_tuned.environment.audit.model import Reader, Reading, Unreadable
from gpu_tuned.environment.audit.readers import dockerfile, envfile, unit

_MOST_BYTES = 64 << 20
_SHELLS_PIPES = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
"""Where a shell puts what a command prints, `<(command)`: such a pipe has somebody who writes."""
_MOST_BESIDE = 100
"""Files of the same folder that are looked at for who reads an env file."""
_SKIPPED = frozenset({".git", "node_modules", ".venv", "venv", "__pycache__", "site-packages", ".tox"})


class FileKind(Enum):
    DOCKERFILE = "Dockerfile"
    YAML = "YAML"
    UNIT = "unit"
    ENV_FILE = "env file"


class Files:
    """Texts by path, each read once."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._given: dict[str, bytes] = {}

    def text(self, path: str) -> str:
        """Raises Unreadable where there is none, or it is no text."""
        path = posixpath.normpath(path)
        if path not in self._texts:
            given = self._given.get(path)
            self._texts[path] = _decoded(path, _read(path) if given is None else given)
        return self._texts[path]

    def get(self, path: str) -> str | None:
        """The same, for what another file refers to and may not be there."""
        try:
            return self.text(path)
        except Unreadable:
            return None

    def put(self, path: str, data: bytes) -> None:
        """What stands for the content of `path`, so that it is never opened."""
        self._given[posixpath.normpath(path)] = data


def _read(path: str) -> bytes:
    try:
        if not _may_be_opened(path):
            raise Unreadable(path, "is no regular file")
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(path, why) from None
    if len(data) > _MOST_BYTES:
        raise Unreadable(path, f"is larger than {_MOST_BYTES >> 20} MiB")
    return data


def _may_be_opened(path: str) -> bool:
    """Anybody's Compose file or unit may name a pipe that nobody writes to, or a device: /dev/zero never ends, and
    /dev/watchdog counts from when it is opened."""
    status = os.stat(path)
    if stat.S_ISFIFO(status.st_mode):
        return path.startswith(_SHELLS_PIPES)
    return stat.S_ISREG(status.st_mode) or os.path.samestat(status, os.stat(os.devnull))


def _decoded(path: str, data: bytes) -> str:
    if b"\0" in data:
        raise Unreadable(path, "no text: it holds NUL bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(path, "no UTF-8", line) from None


def identity(path: str) -> str:
    """The same for every path of one file: absolute or not, over links or not."""
    return os.path.realpath(path)


def kind_of(path: str, text: str) -> FileKind:
    """By its name, else by how it begins."""
    name = posixpath.basename(path).lower()
    if re.fullmatch(r"(dockerfile|containerfile)([._-].*)?|.*[._-](dockerfile|containerfile)", name):
        return FileKind.DOCKERFILE
    if name.endswith(unit.SUFFIXES) or unit.is_unit(text[:20000]):
        return FileKind.UNIT
    if name.endswith((".yaml", ".yml", ".json")):
        return FileKind.YAML
    if name.endswith(".env") or name.startswith(".env") or "env" in name.split("."):
        return FileKind.ENV_FILE
    for line in text.splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if re.match(r"(FROM|ARG|ENV|RUN|ONBUILD|LABEL|COPY|WORKDIR)\s+\S", line, re.IGNORECASE):
            return FileKind.DOCKERFILE
        if re.match(r"(---|(services|apiVersion|kind|version|name|x-[\w-]+|metadata|image|env)\s*:)", line):
            return FileKind.YAML
        return FileKind.ENV_FILE
    return FileKind.ENV_FILE


def read(path: str, text: str, files: Files, reader: Reader | None) -> Reading:
    """The reading of one file of any kind; `reader` is for env files. Raises Unreadable."""
    kind = kind_of(path, text)
    if kind is FileKind.DOCKERFILE:
        return dockerfile.read(text, path)
    if kind is FileKind.UNIT:
        return unit.read(text, path, files.get, tuple(_drop_ins(path, files)))
    if kind is FileKind.ENV_FILE:
        return envfile.read(text, path, reader)
    from gpu_tuned.environment.audit.readers import compose, kubernetes, nodes

    documents = nodes.documents(text, path)
    try:
        if compose.is_compose(documents):
            return compose.read(documents, path, files.get)
        return kubernetes.read(documents, path)
    except RecursionError:
        raise Unreadable(path, "nested too deep") from None


def _drop_ins(path: str, files: Files) -> Iterator[tuple[str, str]]:
    found: dict[str, str] = {}
    for folder in _drop_in_folders(path):
        with suppress(OSError, ValueError):
            found |= {name: posixpath.join(folder, name) for name in os.listdir(folder) if name.endswith(".conf")}
    for name in sorted(found):
        text = files.get(found[name])
        if text is not None:
            yield found[name], text


def _drop_in_folders(path: str) -> Iterator[str]:
    """Beside a unit or quadlet, most general first: those of its type, of names that begin alike, of its template,
    its own (systemd.unit(5), podman-systemd.unit(5))."""
    beside, name = posixpath.split(path)
    stem, _, kind = name.rpartition(".")
    parts = stem.split("-")
    names = [f"{kind}.d", *(f"{'-'.join(parts[:count])}-.{kind}.d" for count in range(1, len(parts)))]
    template = f"{stem.partition('@')[0]}@.{kind}.d"
    for each in (*names, *((template,) if "@" in stem else ()), f"{name}.d"):
        yield posixpath.join(beside, each)


def reader_of(path: str, text: str) -> Reader | None:
    """Who reads an env file, as far as its name and its first comment say."""
    name = posixpath.basename(path)
    if name == ".env" or name.startswith(".env."):
        return Reader.COMPOSE
    if path.startswith(("/etc/default/", "/etc/sysconfig/", "/etc/conf.d/")):
        return Reader.SYSTEMD
    comment = "\n".join(line for line in text[:2000].splitlines()[:10] if line.lstrip().startswith("#"))
    if re.search(r"EnvironmentFile|systemd|\w\.service\b", comment):
        return Reader.SYSTEMD
    if "--env-file" in comment and "compose" not in comment.lower():
        return Reader.DOCKER
    if re.search(r"compose|env_file", comment, re.IGNORECASE):
        return Reader.COMPOSE
    return None


def beside(path: str, files: Files) -> Iterator[str]:
    """Files of the same folder that name this one: who reads an env file is said there."""
    folder, name = posixpath.split(path)
    try:
        names = sorted(os.listdir(folder or "."))
    except (OSError, ValueError):
        return
    looked = 0
    for other in names:
        if other == name or not other.endswith((".yml", ".yaml", ".service", ".container", ".conf")):
            continue
        looked += 1
        if looked > _MOST_BESIDE:
            return
        where = posixpath.join(folder, other)
        text = files.get(where)
        if text is not None and (name in text or name == ".env"):
            yield where


_DROP_INS = re.compile(r"(?:^|[/.])(?:service|container)\.d$")


def expand(path: str) -> Iterator[tuple[str, bool]]:
    """The files meant, and whether they were named: a folder stands for what in it has a name of one of the kinds."""
    if path == "-" or not os.path.isdir(path):
        yield path, True
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(set(folders) - _SKIPPED)
        for name in sorted(names):
            if _by_name(name) or (name.endswith(".conf") and _DROP_INS.search(folder)):
                yield posixpath.join(folder, name), False


def _by_name(name: str) -> bool:
    lower = name.lower()
    return lower.startswith((".env", "dockerfile", "containerfile")) or lower.endswith(
        (".yaml", ".yml", ".service", ".container", ".env", ".dockerfile", ".containerfile")
    )
