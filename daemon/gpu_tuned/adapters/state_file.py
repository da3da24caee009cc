"""Where state survives a restart, and the lock that keeps a second writer away."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from gpu_tuned.adapters.plain_files import content
from gpu_tuned.adapters.process import was_killed
from gpu_tuned.core.errors import AlreadyRunning, GpuTunedError, NotPermitted, StillInDriver

FORMAT = 1
FILE = "state.json"
POLICY_FILE = "policy.json"
"""Where both halves share a folder."""
SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes. A few kB a GPU are usual; what is larger is not ours, and is not read into memory."""
DAMAGED_KEPT = 5
TAKES_NO_FILE = (errno.EROFS, errno.ENOSPC, errno.EDQUOT)


class StateFile:
    """`ports.Store`: one JSON file in a folder of its own (mode 0700, made on the first save).

    `sync` puts a descriptor's bytes on the disk before a save counts; `volatile` makes a store for a folder that no
    power cut survives anyhow, such as one in /run. `holds`: what is not known without it, in words. The file carries
    a format number and a checksum over the state. A file that is cut short, edited, unreadable or of another format
    is set aside under a name with the time, reported once, never trusted.
    """

    def __init__(
        self,
        folder: str | Path,
        name: str = FILE,
        sync: Callable[[int], None] = os.fsync,
        holds: str = "the last good policy",
    ) -> None:
        self._folder, self._name, self._holds = Path(folder), name, holds
        self._sync = sync
        self._path = self._folder / name
        self._damage: str | None = None

    def load(self) -> Mapping[str, Any]:
        self._remove_leftovers()
        try:
            return _decode(_content(self._path))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._damage = self.refuse(why)
            return {}

    def save(self, state: Mapping[str, Any]) -> None:
        """Raises GpuTunedError where the disk is full, read-only or not ours to write, and for a state that `load`
        would refuse."""
        try:
            data = _encode(state)
        except (ValueError, TypeError, RecursionError) as error:
            raise GpuTunedError(f"state cannot be saved to {self._path}: {error}") from error
        if len(data) > SIZE_LIMIT:
            raise GpuTunedError(
                f"state cannot be saved to {self._path}: {len(data)} bytes, at most {SIZE_LIMIT} are read again"
            )
        new = self._folder / f".{self._name}.{os.getpid()}.new"
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            try:
                self._write(new, data)
                os.rename(new, self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(new)
                raise
            self._sync_folder()
        except OSError as error:
            raise GpuTunedError(
                f"state cannot be saved to {self._path}: {error.strerror or error}; "
                f"{self._folder} must be a folder that the daemon may write to, with room for a few kB"
            ) from error

    def _write(self, path: Path, data: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # whatever lies there: opening a pipe waits for its reader
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            self._sync(file)
        finally:
            os.close(file)

    def _sync_folder(self) -> None:
        """The rename itself survives a power cut only once its folder is on the disk."""
        file = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._sync(file)
        finally:
            os.close(file)

    def damage(self) -> str | None:
        """What was wrong with the file that `load` found, once; None when nothing was."""
        damage, self._damage = self._damage, None
        return damage

    def refuse(self, why: str) -> str:
        return f"State file {self._path} cannot be used: {why}; {self._set_aside()}"

    def _set_aside(self) -> str:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        aside = self._folder / f"{self._name}.damaged-{stamp}"
        number = 1
        while os.path.lexists(aside):
            number += 1
            aside = self._folder / f"{self._name}.damaged-{stamp}-{number}"
        try:
            os.rename(self._path, aside)
        except OSError as error:
            return f"it could not be set aside ({error.strerror}) and is ignored"
        self._bound_damaged()
        return f"set aside as {aside.name}; {self._holds} is not known any more"

    def _bound_damaged(self) -> None:
        """Keep the newest few: a disk that keeps damaging files must not fill up with them."""
        with contextlib.suppress(OSError):
            damaged = [p for p in self._folder.iterdir() if p.name.startswith(f"{self._name}.damaged-")]
            damaged.sort(key=lambda path: path.lstat().st_ctime_ns)
            for path in damaged[:-DAMAGED_KEPT]:
                with contextlib.suppress(OSError):  # a folder stays: it was somebody's, not ours
                    path.unlink()

    def _remove_leftovers(self) -> None:
        """What a save that was killed left behind. Only the writer loads, so nobody is saving now."""
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if path.name.startswith(f".{self._name}.") and path.name.endswith(".new"):
                    with contextlib.suppress(OSError):
                        path.unlink()


def _content(path: Path) -> bytes:
    """The bytes of a state file. Raises OSError, and ValueError for what is none."""
    data = content(path, SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise ValueError(f"it is larger than {SIZE_LIMIT} bytes, which no state is")
    return data


def _encode(state: Mapping[str, Any]) -> bytes:
    # Once there and back: keys that are numbers become text, and text sorts differently.
    body = _canonical(json.loads(json.dumps(state, allow_nan=False)))
    # Against accident, not forgery: whoever can write here is root. hashlib would load 4 MB of OpenSSL.
    head = json.dumps({"format": FORMAT, "crc32": zlib.crc32(body.encode())})
    return f'{head[:-1]}, "state": {body}}}\n'.encode()


def _decode(data: bytes) -> dict[str, Any]:
    """The state in a file's bytes. Raises ValueError saying what is wrong with them, RecursionError."""
    try:
        whole = json.loads(data.decode("utf-8"), parse_float=_finite, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise ValueError("it is no UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON (line {error.lineno}, column {error.colno}: {error.msg})") from error
    if not isinstance(whole, dict) or not isinstance(whole.get("state"), dict):
        raise ValueError("it does not look like a state file of gpu-tuned")
    if whole.get("format") != FORMAT:
        raise ValueError(f"it has format {whole.get('format')!r}, this version reads {FORMAT}")
    state: dict[str, Any] = whole["state"]
    if whole.get("crc32") != zlib.crc32(_canonical(state).encode()):
        raise ValueError("its checksum does not match")
    return state


def _finite(text: str) -> float:
    """JSON has no infinity, and still 1e999 is one."""
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"it holds {text[:20]}, which is no number of ours")


def _canonical(state: Any) -> str:
    return json.dumps(state, sort_keys=True, separators=(",", ":"))


def volatile(folder: str | Path) -> StateFile:
    """A store for this boot's GPUs, which ends with the boot: a save does not wait for any disk."""
    return StateFile(folder, sync=lambda descriptor: None, holds="what was found at first")


class WriterLock:
    """One writer per driver: held from `take` until `release` or the end of the process.

    The file stays: removing it would let a third process lock a file that nobody else sees any more.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._file: int | None = None

    def take(self) -> None:
        """Raises AlreadyRunning naming the holder (StillInDriver where it was killed and cannot end), NotPermitted
        where this user may not, GpuTunedError where the file cannot be made for another reason."""
        if self._file is None:
            self._file = self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def wait(self) -> None:
        """As `take`, and wait for the holder's end, for ever if need be; no signal handler runs meanwhile."""
        if self._file is None:
            self._file = self._locked(fcntl.LOCK_EX)

    def _locked(self, how: int) -> int:
        file, path = self._opened()
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            holder = ""
            with contextlib.suppress(OSError):  # a folder holds no number
                holder = os.pread(file, 32, 0).decode("ascii", "replace").strip()
            os.close(file)
            raise self._held(holder, path) from None
        except OSError as error:
            os.close(file)
            raise GpuTunedError(f"the writer's lock {path} cannot be taken: {error.strerror}") from error
        with contextlib.suppress(OSError):  # who holds it is for people; that it is held is what counts
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        return file

    def _opened(self) -> tuple[int, Path]:
        """The lock's file; where the disk takes none, the nearest thing on the way to it that is there: no required
        cap may stay away because /run is full or read-only."""
        try:
            os.makedirs(self._path.parent, mode=0o755, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.fchmod(file, 0o600)  # who may open it may lock it, and keep every writer away
        except OSError as error:
            if error.errno in TAKES_NO_FILE and os.geteuid() == 0:
                for path in (self._path, *self._path.parents):
                    with contextlib.suppress(OSError):
                        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), path
            kind = NotPermitted if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else GpuTunedError
            raise kind(f"the writer's lock {self._path} cannot be made: {error.strerror}") from error
        return file, self._path

    def _held(self, holder: str, path: Path) -> AlreadyRunning:
        if holder.isdecimal() and was_killed(int(holder)):
            return StillInDriver(
                f"process {holder}, a gpu-tuned that was killed, sits in a driver call that no signal ends"
            )
        who = f"process {holder}" if holder else "somebody"
        return AlreadyRunning(f"another gpu-tuned writes to this driver: {who} holds {path}")

    def release(self) -> None:
        """Let go; does nothing when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> WriterLock:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
