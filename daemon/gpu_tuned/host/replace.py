"""Carries out what `init` proposed: originals into a backup first, the policy next, then what it replaces.

Whatever fails, the backup is complete before the first change, and its undo.sh puts everything back by plain shell:
it works after gpu-tuned is gone as well.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress

from gpu_tuned.core.errors import GpuTunedError, NotPermitted
from gpu_tuned.core.leftover import Change, Step
from gpu_tuned.host.tree import Tree

BACKUPS = "/var/backups/gpu-tuned"

_UNDO = """\
#!/bin/sh
# Puts back what `gpu-tunedctl init --write` replaced at {stamp}.
# What was changed since then is kept below {since}.
set -eu
root={root}
here={here}

keep() {{
    [ -e "$root$1" ] || [ -L "$root$1" ] || return 0
    mkdir -p "$here/since$(dirname "$1")"
    cp -a "$root$1" "$here/since$1"
}}
back() {{
    keep "$1"
    mkdir -p "$(dirname "$root$1")"
    rm -f "$root$1.undo"
    cp -a "$here/files$1" "$root$1.undo"
    mv -f "$root$1.undo" "$root$1"
    echo "put back $1"
}}
gone() {{
    keep "$1"
    rm -f "$root$1"
    echo "took away $1"
}}

{steps}
"""


def carry_out(root: str, target: str, policy: str, changes: Iterable[Change], stamp: str) -> tuple[str, str]:
    """Write `policy` to the host path `target` and change the files. Returns the backup folder (a host path) and the
    command that undoes it all. Raises NotPermitted, and GpuTunedError with what was done until then."""
    tree = Tree(root)
    todo = [change for change in changes if change.step is not Step.LEAVE]
    backup = f"{BACKUPS}/{stamp}"
    while os.path.lexists(tree.real(backup)):
        backup += "+"
    undo = f"sh {shlex.quote(tree.real(backup) + '/undo.sh')}"
    doing = f"making the backup {backup}"
    started = False
    try:
        _back_up(tree, backup, target, todo, stamp)
        started = True
        doing = f"writing {target}"
        os.makedirs(os.path.dirname(tree.real(target)), exist_ok=True)
        _write(tree.real(target), policy.encode(), 0o644)
        for change in todo:
            doing = f"changing {change.file}"
            if change.step is Step.EDIT:
                _write(tree.real(change.file), change.content, None)
            else:
                for path in (*change.links, change.file):
                    os.unlink(tree.real(path))
    except OSError as error:
        after = f"; what was done until then is undone by: {undo}" if started else "; nothing was changed"
        kind = NotPermitted if isinstance(error, PermissionError) else GpuTunedError
        raise kind(f"{doing}: {error.strerror or error}{after}") from error
    return backup, undo


def _back_up(tree: Tree, backup: str, target: str, todo: list[Change], stamp: str) -> None:
    here = tree.real(backup)
    os.makedirs(os.path.dirname(here), mode=0o755, exist_ok=True)
    os.mkdir(here, 0o700)  # a crontab in it was nobody else's to read
    steps = []
    for path in (target, *(path for change in todo for path in (*change.links, change.file))):
        if os.path.lexists(tree.real(path)):
            _copy(tree.real(path), f"{here}/files{path}")
            steps.append(f"back {shlex.quote(path)}")
        else:
            steps.append(f"gone {shlex.quote(path)}")
    script = _UNDO.format(
        stamp=stamp,
        since=f"{backup}/since",
        root=shlex.quote(tree.root),
        here=shlex.quote(here),
        steps="\n".join(reversed(steps)),
    )
    _write(f"{here}/undo.sh", script.encode("utf-8", "surrogateescape"), 0o700)


def _copy(source: str, target: str) -> None:
    """A file or a link with its owner, mode and times."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
    status = os.lstat(source)
    with suppress(PermissionError):
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)


def _write(path: str, content: bytes, mode: int | None) -> None:
    """Replace a file at once and synced; `mode` None keeps mode and owner of the one there."""
    descriptor, temporary = tempfile.mkstemp(prefix=".gpu-tuned-", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            if mode is None:
                before = os.lstat(path)
                mode = stat.S_IMODE(before.st_mode)
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
