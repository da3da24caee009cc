"""Redirections: where one cannot be opened, a shell does not run the command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpu_tuned.init.model import UNKNOWN
from gpu_tuned.init.shell_nodes import Part, Redirect
from gpu_tuned.init.shell_state import Here
from gpu_tuned.init.shell_values import one

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk

_INPUT = frozenset({"<", "<>"})
_TEXT = frozenset({"<<", "<<-", "<<<"})
_COPY = frozenset({"<&", ">&"})
_NAMES = re.compile(r"\s*(?:date(?:\s+[^/|;&]*)?|hostname(?: -s)?|uname -[nr]|nproc)\s*")
_ABSENT = frozenset({"/dev/tty", "/dev/console"})
"""Devices that a boot may not have."""


def opened(walk: Walk, redirects: Sequence[Redirect], here: Here) -> bool:
    """Whether every one of them can be opened at any boot."""
    return all(_opened(walk, redirect, here) for redirect in redirects)


def _one_name(part: Part) -> bool:
    """Whether a substitution gives part of a file's name, without a folder."""
    return part.op == "commands" and bool(_NAMES.fullmatch(part.text))


def _opened(walk: Walk, redirect: Redirect, here: Here) -> bool:
    if redirect.op in _TEXT:
        return True
    if [part.op for part in redirect.target.parts] == ["process"]:
        return True
    target = one(redirect.target, here.variables)
    path, whole = target.text, target.known
    if redirect.op in _COPY and (path.isdigit() or path == "-"):
        return True
    if not whole:
        # In a folder that is known, a name that is worked out is one name where it is quoted, or in the plain shell.
        made = [part for part in redirect.target.parts if part.kind != "text"]
        path = path.partition(UNKNOWN)[0]
        if "/" not in path or not all((part.quoted or not here.bash) and _one_name(part) for part in made):
            return False
    if path.startswith(("/dev/", "/proc/")) and whole:
        return path not in _ABSENT
    if redirect.op in _INPUT:
        return whole and (not path.startswith("/") or walk.files.there(path))
    folder = path.rpartition("/")[0]
    return not path.startswith("/") or folder in walk.seen.folders or walk.files.folder(folder or "/")
