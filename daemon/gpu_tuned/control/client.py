"""A small client of io.gputuned.Control, for gpu-tunedctl.

Its start counts: a status costs little more than the interpreter. So there is json, the C half of the socket
module (the Python half brings selectors and enums that nothing here needs: 8 ms of a start of 40), and no more:
no varlink, no dataclasses, no typing. docs/decisions/0042 has the numbers.
"""

from __future__ import annotations

import _socket
import json
import os
import stat
import time

from gpu_tuned.core.errors import (
    DriverTrouble,
    GpuTunedError,
    NotPermitted,
    NotReachable,
    PolicyError,
    UsageError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Literal, overload

    from gpu_tuned.core.wire import PlanReply, StatusReply, ThrottleReply, WatchReply

    Given = Mapping[str, Any] | None

INTERFACE = "io.gputuned.Control"
FORMAT = 1
"""core.status says the same; it costs too much to be asked."""
REPLY_MAX_BYTES = 16 * 1024 * 1024
_RECEIVE_BYTES = 256 * 1024
_AGAIN_S = 0.02


class RemoteError(GpuTunedError):
    """An error of the daemon's that is none of the others. `name` is its Varlink name."""

    def __init__(self, name: str, parameters: Mapping[str, Any], text: str) -> None:
        super().__init__(text)
        self.name = name
        self.parameters = parameters


class Busy(RemoteError):
    """The daemon takes nobody more at this moment."""


class Late(NotReachable):
    """Somebody listens, and has not answered in time: a daemon that hangs, or one with a crowd to serve."""


if TYPE_CHECKING:

    @overload
    def call(
        path: str, method: Literal["Status"], parameters: Given = ..., timeout_s: float = ...
    ) -> StatusReply: ...
    @overload
    def call(path: str, method: Literal["Plan"], parameters: Given = ..., timeout_s: float = ...) -> PlanReply: ...
    @overload
    def call(
        path: str, method: Literal["Throttle"], parameters: Given = ..., timeout_s: float = ...
    ) -> ThrottleReply: ...
    @overload
    def call(path: str, method: str, parameters: Given = ..., timeout_s: float = ...) -> Any: ...


def call(path: str, method: str, parameters: Given = None, timeout_s: float = 35.0) -> Any:
    """Call one method and return its reply's parameters; fields that nobody knows are left in.

    `method` without a dot is one of io.gputuned.Control. `timeout_s` bounds the whole call; a command waits for
    the loop, so its time must be longer than the daemon's own 30 s.
    Raises NotReachable, NotPermitted, PolicyError, UsageError, DriverTrouble, RemoteError.
    """
    connection = _Connection(path, timeout_s)
    try:
        connection.send(_request(method, parameters))
        parameters = _parameters(connection.reply(), path)[0]
        return parameters if "." in method else _ours(parameters, path)
    finally:
        connection.close()


def watch(path: str, timeout_s: float = 5.0) -> Iterator[WatchReply]:
    """Events as they come: {"sequence", "missed", "event"}. When this returns, watching has begun.

    `timeout_s` bounds the beginning; an event may take as long as it takes. The iterator ends never by itself;
    raises as `call` does, NotReachable when the daemon goes.
    """
    connection = _Connection(path, timeout_s)
    try:
        connection.send(_request("Watch", None, more=True))
        _ours(_parameters(connection.reply(), path)[0], path)
    except BaseException:
        connection.close()
        raise
    connection.patient()
    return _replies(connection, path)


def _replies(connection: _Connection, path: str) -> Iterator[WatchReply]:
    try:
        continues = True
        while continues:
            parameters, continues = _parameters(connection.reply(), path)
            if parameters.get("event") is not None:
                yield parameters
    finally:
        connection.close()


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:  # gone meanwhile
        return True


def _request(method: str, parameters: Mapping[str, Any] | None, *, more: bool = False) -> bytes:
    request: dict[str, Any] = {"method": method if "." in method else f"{INTERFACE}.{method}"}
    if parameters:
        request["parameters"] = {key: value for key, value in parameters.items() if value is not None}
    if more:
        request["more"] = True
    return json.dumps(request).encode("ascii") + b"\0"


def _parameters(raw: bytes, path: str) -> tuple[Any, bool]:
    """A reply's parameters, and whether more follow. Raises what an error in it stands for."""
    try:
        reply = json.loads(raw)
        parameters = reply.get("parameters") or {}
        error = reply.get("error")
        if not isinstance(parameters, dict):
            raise ValueError
    except (ValueError, AttributeError, RecursionError):
        raise NotReachable(f"what answers at {path} does not speak Varlink: is it gpu-tuned's socket?") from None
    if error is not None:
        raise _error(str(error), parameters)
    return parameters, bool(reply.get("continues"))


def _ours(parameters: Any, path: str) -> Any:
    """The parameters of a reply of gpu-tuned's, to which fields are only ever added. Raises NotReachable."""
    form = parameters.get("format")
    if form == FORMAT:
        return parameters
    problem = "is not gpu-tuned" if form is None else f"is a gpu-tuned of another version (format {form!r})"
    raise NotReachable(f"what answers at {path} {problem}; this gpu-tunedctl reads format {FORMAT}")


def _error(name: str, parameters: dict[str, Any]) -> GpuTunedError:
    """The daemon's error as one of ours, by name; an unknown one keeps its name and parameters."""
    own = name.removeprefix(INTERFACE + ".")

    def told(key: str) -> str:
        value = parameters.get(key)
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    if own == "NotPermitted":
        return NotPermitted(f"{told('method').lower()} needs {told('needed')}")
    if own == "PolicyRefused":
        problems = parameters.get("problems")
        listed = problems if isinstance(problems, list) and problems else ["the policy was refused"]
        return PolicyError(tuple(map(str, listed)))
    if own == "NoSuchGpu":
        return UsageError(f"there is no GPU {told('gpu')}; known: {told('known') or 'none'}")
    if own == "NoSuchSetting":
        return UsageError(f"there is no setting {told('setting')}; known: {told('known') or 'none'}")
    if own == "NotAnswering":
        return DriverTrouble(f"the driver has not answered since {told('since')}; nothing can be asked of it")
    if own == "DriverTrouble":
        return DriverTrouble(told("message"))
    if own == "Busy":
        return Busy(name, parameters, f"the daemon: {told('message')}")
    if own == "InvalidMessage":
        return RemoteError(name, parameters, f"the daemon: {told('problem')}")
    service = name.removeprefix("org.varlink.service.")
    if service in ("MethodNotFound", "MethodNotImplemented", "InterfaceNotFound"):
        what = told("interface" if service == "InterfaceNotFound" else "method")
        return RemoteError(
            name,
            parameters,
            f"the daemon does not know {what}: it may be older than this command (`gpu-tunedctl status --json` "
            "has its version)",
        )
    if service == "InvalidParameter":
        return RemoteError(name, parameters, f"the daemon does not take the parameter {told('parameter')} so")
    return RemoteError(name, parameters, f"the daemon answered {name} {json.dumps(parameters)}")


class _Connection:
    """A connection, with every way that it can fail put into a sentence."""

    def __init__(self, path: str, timeout_s: float) -> None:
        self._path, self._timeout_s = path, timeout_s
        self._until_s: float | None = time.monotonic() + timeout_s
        self._kept = bytearray()
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        path = self._path
        while True:
            self._wait_at_most()
            try:
                return self._socket.connect(path)
            except BlockingIOError:  # its queue of clients is full
                time.sleep(_AGAIN_S)
            except (FileNotFoundError, NotADirectoryError):
                raise NotReachable(
                    f"no daemon: there is no socket {path}; start it (systemctl start gpu-tuned), or name its socket "
                    "(--socket, GPU_TUNED_SOCKET)"
                ) from None
            except PermissionError:
                raise NotPermitted(
                    f"this user may not connect to {path}: look at the modes of the socket and of its folder"
                ) from None
            except ConnectionRefusedError:
                if not _is_socket(path):
                    raise NotReachable(
                        f"no daemon: {path} is no socket; name the daemon's (--socket, GPU_TUNED_SOCKET)"
                    ) from None
                raise NotReachable(
                    f"no daemon: nobody listens on {path}, which an ended one left behind; start it (systemctl start "
                    "gpu-tuned)"
                ) from None
            except TimeoutError:
                raise self._late() from None
            except OSError as error:  # a path too long among others
                raise NotReachable(f"cannot connect to {path or repr(path)}: {error.strerror or error}") from None

    def patient(self) -> None:
        """No time limit from here on."""
        self._until_s = None
        self._socket.settimeout(None)

    def send(self, data: bytes) -> None:
        try:
            self._wait_at_most()
            self._socket.sendall(data)
        except TimeoutError:
            raise self._late() from None
        except OSError:
            pass  # the daemon closed; it may have said why before, and `reply` reads that

    def reply(self) -> bytes:
        """The next message, without its zero byte."""
        looked = 0
        while True:
            end = self._kept.find(0, looked)
            if end >= 0:
                message = bytes(self._kept[:end])
                del self._kept[: end + 1]
                return message
            looked = len(self._kept)
            if looked > REPLY_MAX_BYTES:
                raise NotReachable(f"what answers at {self._path} does not end: is it gpu-tuned's socket?")
            self._wait_at_most()
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except TimeoutError:
                raise self._late() from None
            except OSError:
                data = b""
            if not data:
                raise NotReachable(
                    f"the daemon at {self._path} closed the connection before its answer was whole; it may be "
                    "restarting: try again, then see journalctl -u gpu-tuned"
                )
            self._kept += data

    def close(self) -> None:
        self._socket.close()

    def _wait_at_most(self) -> None:
        if self._until_s is not None:
            left_s = self._until_s - time.monotonic()
            if left_s <= 0:
                raise self._late()
            self._socket.settimeout(left_s)

    def _late(self) -> Late:
        return Late(
            f"the daemon at {self._path} did not answer within {self._timeout_s:g} s; see journalctl -u gpu-tuned"
        )
