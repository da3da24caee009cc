"""Who may run a file below a root, and who may change it: what modes, owners and names of files say."""

from __future__ import annotations

import os
import stat

from gpu_tuned.init.rooted import FOLDER, Rooted


def executable(files: Rooted, path: str) -> bool:
    """Whether a file may be executed. One that not even its owner may write lies in a copy that has lost its
    modes: nothing is known of it, and it counts as executable."""
    mode = _mode(files, path)
    return bool(mode & 0o111) or not mode & 0o200


def writable_by_others(files: Rooted, path: str) -> bool:
    """Whether its group or everybody may write to a file."""
    return bool(_mode(files, path) & 0o022)


def bare(files: Rooted, path: str) -> bool:
    """Whether a file lies in a copy that has lost its modes."""
    return not _mode(files, path) & 0o311


def _mode(files: Rooted, path: str) -> int:
    where = files.resolve(path)
    try:
        with files.folder(os.path.dirname(where or "/")) as folder:
            return os.stat(os.path.basename(where or "/"), dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        return 0


def not_ours(files: Rooted, path: str) -> str:
    """Why a file is left alone by one who writes as root; "" where it may be changed.

    Wherever not only root can write, all the way up, a name can become a link between our look and our write.
    """
    allowed = (0, os.geteuid())
    parts = [part for part in path.split("/") if part]
    with files.folder("/") as top:
        descriptor = os.dup(top)
    try:
        for depth, part in enumerate(["", *parts]):
            status = os.stat(part, dir_fd=descriptor, follow_symlinks=False) if part else os.fstat(descriptor)
            where = "/" + "/".join(parts[:depth])
            if stat.S_ISLNK(status.st_mode):
                return f"{where} is a link"
            if status.st_uid not in allowed:
                return f"{where} belongs to user {status.st_uid}, not to root"
            if status.st_mode & stat.S_IWOTH:
                return f"everybody may write to {where}"
            if status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid()):
                return f"group {status.st_gid} may write to {where}"
            if depth == len(parts) and stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                return "it has a second name, a hard link, that would keep the old text"
            if part and stat.S_ISDIR(status.st_mode):
                inner = os.open(part, FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
    except OSError as error:
        return error.strerror or str(error)
    finally:
        os.close(descriptor)
    return ""
