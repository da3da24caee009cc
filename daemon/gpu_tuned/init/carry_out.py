"""Carries out what `init` proposed: originals into a backup first, the policy next, then what it replaces.

Every folder is opened without following a link and checked all the way up before anything is written into it: where
not only root can write, nothing is. Whatever fails, the backup is complete before the first change, and its undo.sh
puts everything back by plain shell: it works after gpu-tuned is gone as well.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress

from gpu_tuned.core.errors import GpuTunedError, NotPermitted
from gpu_tuned.init import modes
from gpu_tuned.init.edit import Action, Change
from gpu_tuned.init.rooted import Rooted
from gpu_tuned.init.undo import undo_script

BACKUPS = "/var/backups/gpu-tuned"


def carry_out(files: Rooted, target: str, policy: str, changes: Iterable[Change], stamp: str) -> tuple[str, str]:
    """Write `policy` to the host path `target` and change the files. Returns the backup folder (a host path) and the
    command that undoes it all. Raises NotPermitted, and GpuTunedError with what was done until then."""
    todo = [change for change in changes if change.action is not Action.LEAVE]
    doing, started, undo = f"writing {target}", False, ""
    try:
        refuse(files, target)
        doing = f"making the backup below {BACKUPS}"
        backup = _new_backup(files, stamp)
        undo = f"sh {shlex.quote(files.real(backup) + '/undo.sh')}"
        _back_up(files, backup, target, todo, stamp)
        started = True
        doing = f"writing {target}"
        make_folders(files, os.path.dirname(target), 0o755)
        write_file(files, target, policy.encode(), 0o644)
        for change in todo:
            doing = f"changing {change.path}"
            _carry(files, change)
    except OSError as error:
        after = f"; what was done until then is undone by: {undo}" if started else "; nothing was changed"
        kind = NotPermitted if isinstance(error, PermissionError) else GpuTunedError
        raise kind(f"{doing}: {error.strerror or error}{after}") from error
    return backup, undo


def _carry(files: Rooted, change: Change) -> None:
    refuse(files, change.path)
    if change.action is Action.EDIT:
        content = change.content.encode("utf-8", "surrogateescape")
        write_file(files, change.path, content, None, change.before.encode("utf-8", "surrogateescape"))
        return
    for path in (*change.links, change.path):
        with files.folder(os.path.dirname(path)) as folder:
            os.unlink(os.path.basename(path), dir_fd=folder)


def refuse(files: Rooted, path: str) -> None:
    """Raise OSError where a link, or somebody who is not root, could lead a write to `path` elsewhere. What is not
    there yet is judged by the nearest folder that is."""
    here = path
    while here != "/" and not files.there(here):
        if _is_link(files, here):
            break
        here = os.path.dirname(here)
    why = modes.not_ours(files, here)
    if why:
        raise OSError(
            errno.EPERM if "may write" in why or "belongs" in why else errno.ELOOP, f"{why}, and it is not followed"
        )


def _is_link(files: Rooted, path: str) -> bool:
    try:
        with files.folder(os.path.dirname(path)) as folder:
            return stat.S_ISLNK(os.stat(os.path.basename(path), dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def make_folders(files: Rooted, path: str, mode: int) -> None:
    """Make a folder and those above it, without following a link."""
    done = ""
    for part in path.strip("/").split("/"):
        with files.folder(done or "/") as folder, suppress(FileExistsError):
            os.mkdir(part, mode, dir_fd=folder)
        done = f"{done}/{part}"
    with files.folder(done):
        pass  # raises where something in the way is no folder


def _new_backup(files: Rooted, stamp: str) -> str:
    refuse(files, BACKUPS)
    make_folders(files, BACKUPS, 0o755)
    refuse(files, BACKUPS)
    backup = f"{BACKUPS}/{stamp}"
    while True:
        with files.folder(BACKUPS) as folder, suppress(FileExistsError):
            os.mkdir(os.path.basename(backup), 0o700, dir_fd=folder)  # a crontab in it was nobody else's to read
            return backup
        backup += "+"


def _back_up(files: Rooted, backup: str, target: str, todo: Sequence[Change], stamp: str) -> None:
    steps = []
    for path in (target, *(path for change in todo for path in (*change.links, change.path))):
        if files.there(path):
            make_folders(files, f"{backup}/files{os.path.dirname(path)}", 0o755)
            _copy(files, path, f"{backup}/files{path}")
            steps.append(("back", path))
        else:
            steps.append(("gone", path))
    steps.reverse()
    folder = os.path.dirname(target)
    steps += [] if files.there(folder) else [("drop", folder)]
    script = undo_script(stamp, files.root, files.real(backup), f"{backup}/since", steps)
    write_file(files, f"{backup}/undo.sh", script.encode("utf-8", "surrogateescape"), 0o700)


def _copy(files: Rooted, source: str, target: str) -> None:
    """A file or a link with its owner, mode, times and extended attributes."""
    name, copy = os.path.basename(source), os.path.basename(target)
    with files.folder(os.path.dirname(source)) as here, files.folder(os.path.dirname(target)) as there:
        status = os.stat(name, dir_fd=here, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=here), copy, dir_fd=there)
            with suppress(PermissionError):
                os.chown(copy, status.st_uid, status.st_gid, dir_fd=there, follow_symlinks=False)
            return
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, f"{source} is no file")
        reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(reading, "rb") as old, open(os.open(copy, flags, 0o600, dir_fd=there), "wb") as new:
            new.write(old.read())
            _same_as(old.fileno(), new.fileno())
            new.flush()
            os.fsync(new.fileno())
            os.utime(new.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _same_as(old: int, new: int) -> None:
    """Owner, mode and extended attributes (ACLs and labels among them) of one open file for another."""
    status = os.fstat(old)
    with suppress(PermissionError):
        os.fchown(new, status.st_uid, status.st_gid)
    for name in _attributes(old):
        with suppress(OSError):
            os.setxattr(new, name, os.getxattr(old, name))
    os.fchmod(new, stat.S_IMODE(status.st_mode))


def _attributes(descriptor: int) -> list[str]:
    try:
        return os.listxattr(descriptor)
    except OSError:
        return []


def write_file(files: Rooted, path: str, content: bytes, mode: int | None, before: bytes | None = None) -> None:
    """Replace a file at once and synced; `mode` None keeps owner, mode and extended attributes of the one there.
    Raises OSError where it no longer holds `before`."""
    name = os.path.basename(path)
    temporary = f".gpu-tuned-{os.getpid()}-{name}"[:200]
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with files.folder(os.path.dirname(path)) as folder:
        try:
            with open(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as file:
                if mode is None:
                    old = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                    with open(old, "rb") as there:
                        if before is not None and there.read() != before:
                            raise OSError(errno.ESTALE, "it was changed in the meantime")
                        _same_as(old, file.fileno())
                else:
                    os.fchmod(file.fileno(), mode)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
