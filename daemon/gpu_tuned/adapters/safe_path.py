"""Who else could change a file that root acts on: the file itself, and every folder and link on the way to it.

As sshd judges authorized_keys (StrictModes in sshd_config(5)), with two differences: a folder that everybody may
write to passes where it is sticky, for there nobody can replace what is somebody else's; and a group that may write
passes where it is root's, or the owner's own (its number that of the user, as distributions make them).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

WHY = "only root may say what is enforced"
LINKS_AT_MOST = 40
"""As many as the kernel follows, path_resolution(7)."""


def printable(path: Path) -> str:
    """A path as text that any terminal, journal or JSON takes, whatever bytes the name holds."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in text)


def unsafe(path: Path, owners: Collection[int]) -> list[str]:
    """Why this file or folder is not to be trusted, a sentence for each thing wrong and what to type; [] where only
    `owners` (user ids) can change it. What is not there, or cannot be looked at, is for whoever opens it to say."""
    return [problem for step, found in _steps(path) for problem in _judged(step, found, owners)]


def _steps(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything that leads to `path`, from / on, links followed one by one, the file itself last."""
    here, left, links = "/", _parts(os.path.abspath(path)), 0
    try:
        yield here, os.lstat(here)
        while left:
            step = os.path.normpath(os.path.join(here, left.pop(0)))
            found = os.lstat(step)
            yield step, found
            if not stat.S_ISLNK(found.st_mode):
                here = step
                continue
            links += 1
            if links > LINKS_AT_MOST:
                return
            target = os.readlink(step)
            here = "/" if target.startswith("/") else here
            left = _parts(target) + left
    except OSError:
        return


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part and part != "."]


def _judged(step: str, found: os.stat_result, owners: Collection[int]) -> Iterator[str]:
    mode, name = stat.S_IMODE(found.st_mode), printable(Path(step))
    folder, link = stat.S_ISDIR(found.st_mode), stat.S_ISLNK(found.st_mode)
    what = f"{name}: {'this folder ' if folder else ''}"
    if found.st_uid not in owners:
        # It may be somebody's home, which nobody should give to root for the sake of one file in it.
        instead = "keep the file below a folder of root's, or " if folder else ""
        chown = f"chown {'-h ' if link else ''}root {name}"
        yield f"{what}belongs to the user with id {found.st_uid}; {WHY}; {instead}{chown}"
    if link or (folder and mode & stat.S_ISVTX):
        return
    if mode & stat.S_IWOTH:
        yield f"{what}can be written to by everybody (mode {mode:04o}); {WHY}; chmod o-w {name}"
    if mode & stat.S_IWGRP and found.st_gid not in (0, found.st_uid):
        group = f"the group with id {found.st_gid}"
        yield f"{what}can be written to by {group} (mode {mode:04o}); {WHY}; chmod g-w {name}"
