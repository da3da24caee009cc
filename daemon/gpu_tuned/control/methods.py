"""What each method of io.gputuned.Control answers; the interface file beside this one says it to clients.

Parsing of interface files, dispatch and org.varlink.service are the varlink library's, which costs more at a start
than all else here and is imported by the first call that needs it. What is only read, Status, Plan and Throttle, does
not: it is answered from an encoding made once for each published document; a plan's as well once for each change of
the policy files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu_tuned import __version__
from gpu_tuned.control.framing import decode, encode
from gpu_tuned.control.guard import LETS_GO, guarded
from gpu_tuned.control.mailbox import Command, Mailbox, MailboxFull
from gpu_tuned.control.peers import Access, Peer
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.status import FORMAT, timestamp
from gpu_tuned.ports import Answer

if TYPE_CHECKING:
    from gpu_tuned.core.wire import PlanReply, StatusReply, ThrottledGpu, ThrottleReply
    from gpu_tuned.ports import Document

INTERFACE = "io.gputuned.Control"
RELEASE_MAX_S = 366 * 24 * 3600.0

_READS = frozenset(f"{INTERFACE}.{method}" for method in ("Status", "Plan", "Throttle"))
_NOTHING_YET = "the daemon has just started and has not published its first status yet"


def error_reply(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A Varlink error; a name without a dot is one of this interface's own."""
    return {"error": name if "." in name else f"{INTERFACE}.{name}", "parameters": dict(parameters)}


class _Refused(Exception):
    """A method's own answer, where it is an error. `reply`: what its caller is sent."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__(reply)
        self.reply = reply


def _error(name: str, **parameters: Any) -> _Refused:
    return _Refused(error_reply(name, parameters))


def _invalid(parameter: str) -> dict[str, Any]:
    return error_reply("org.varlink.service.InvalidParameter", {"parameter": parameter})


@dataclass(slots=True)
class Call:
    """One request on its way: who calls, and what is left to be done once the method has returned."""

    peer: Peer
    replies: list[bytes]
    command: Command | None = None
    watches: bool = False


class _Control:
    """The methods, as `varlink.Service` calls them: parameters by position, `_request` is the Call."""

    def __init__(self, mailbox: Mailbox, access: Access) -> None:
        self._mailbox = mailbox
        self._access = access

    def Status(self) -> StatusReply:
        document = self._document()
        return {
            "format": FORMAT,
            "policy": document["policy"],
            "driver": document["driver"],
            "gpus": document["gpus"],
            "host": document["host"],
        }

    def Plan(self) -> PlanReply:
        document = self._document()
        driver = document["driver"]
        if driver["state"] != "ok" and not document["gpus"]:  # "nothing to write" would be a guess
            raise _error("DriverTrouble", message=driver["message"] or f"the driver is {driver['state']}")
        try:
            plan = document["plan"]()
        except PolicyError as error:
            raise _error("PolicyRefused", problems=list(error.problems)) from None
        return {**plan, "not_answering_since": driver["not_answering_since"]}

    def Throttle(self) -> ThrottleReply:
        document = self._document()
        gpus: list[ThrottledGpu] = [
            {
                "index": gpu["index"],
                "uuid": gpu["uuid"],
                "pci": gpu["pci"],
                "name": gpu["name"],
                "state": gpu["state"],
                "message": gpu["message"],
                "throttle": gpu["throttle"],
            }
            for gpu in document["gpus"]
        ]
        driver = document["driver"]
        return {
            "format": FORMAT,
            "driver": driver,
            "gpus": gpus,
            "not_answering_since": driver["not_answering_since"],
        }

    def Watch(self, _message: dict[str, Any], _request: Call) -> Iterator[dict[str, Any]]:
        yield from ()
        if not _message.get("more") or _message.get("oneway"):
            raise _error("org.varlink.service.ExpectedMore")
        _request.watches = True

    def Apply(self, _request: Call) -> Iterator[dict[str, Any]]:
        return self._ask(_request, "Apply")

    def Reload(self, _request: Call) -> Iterator[dict[str, Any]]:
        return self._ask(_request, "Reload")

    def Restore(self, gpu: str | None, setting: str | None, _request: Call) -> Iterator[dict[str, Any]]:
        return self._ask(_request, "Restore", gpu=gpu, setting=setting)

    def Release(self, gpu: str | None, for_s: float | None, _request: Call) -> Iterator[dict[str, Any]]:
        return self._ask(_request, "Release", gpu=gpu, for_s=for_s)

    def Resume(self, gpu: str | None, _request: Call) -> Iterator[dict[str, Any]]:
        return self._ask(_request, "Resume", gpu=gpu)

    def _document(self) -> Document:
        document = self._mailbox.document_now()
        if document is None:
            raise _error("DriverTrouble", message=_NOTHING_YET)
        return document

    def _ask(self, call: Call, method: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Lay a command down for the loop. A generator, because one that yields nothing has no reply yet."""
        yield from ()
        if not self._access.admits(call.peer):
            raise _error("NotPermitted", method=method, needed=self._access.needed)
        if method in LETS_GO and not self._access.trusts(call.peer):
            required = guarded(self._document(), method, parameters)
            if required:
                raise _error("NotPermitted", method=method, needed=f"root: {required}")
        for name, value in parameters.items():
            if not _makes_sense(value):
                raise _Refused(_invalid(name))
        since = self._mailbox.not_answering_since()
        if since is not None:
            raise _error("NotAnswering", since=since)
        try:
            call.command = self._mailbox.ask(method.lower(), parameters)
        except MailboxFull:
            raise _error("Busy", message="too many commands wait for the daemon already") from None


def _makes_sense(value: str | float | None) -> bool:
    """What the types let through and the loop shall not see: lone surrogates (no journal takes them), and times
    that are no time."""
    if isinstance(value, str):
        return value.isprintable()
    return value is None or (math.isfinite(value) and 0 < value <= RELEASE_MAX_S)


class Responder:
    """Requests to replies. Keeps no state of a client; belongs to the control thread."""

    def __init__(self, mailbox: Mailbox, access: Access) -> None:
        self._control = _Control(mailbox, access)
        self._mailbox = mailbox
        self._encoded: dict[str, tuple[object, Mapping[str, Any], bytes]] = {}

    def respond(self, message: bytes, peer: Peer) -> Call:
        """Serve one request. Raises framing.BadMessage for what is none."""
        call = Call(peer, [])
        request = decode(message)
        wrong = _shape(request)
        if wrong is not None:
            reply: bytes | None = encode(_invalid(wrong))
        elif request["method"] in _READS and not request.get("parameters"):
            reply = self._read(request["method"].rpartition(".")[2])
        else:
            reply = self._through_library(message, call)
        if reply is not None and not request.get("oneway"):
            call.replies.append(reply)
        if request.get("oneway"):
            call.command = None  # nobody waits for its answer
        return call

    @cached_property
    def _service(self) -> Any:
        import varlink

        service = varlink.Service(
            vendor="gpu-tuned",
            product="gpu-tuned",
            version=__version__,
            url="",
            interface_dir=str(Path(__file__).parent),
        )
        service.interface(INTERFACE)(lambda: self._control)
        return service

    def _through_library(self, message: bytes, call: Call) -> bytes | None:
        try:
            for reply in self._service.handle(message, _request=call):
                # The library names a parameter of a wrong type by its own path to it.
                return bytes(reply).replace(b'"parameter": "server.call.', b'"parameter": "') + b"\0"
        except _Refused as refused:
            return encode(refused.reply)
        except OverflowError:  # an integer too large for a float; for_s is the only float there is
            return encode(_invalid("for_s"))
        return None

    def _read(self, method: str) -> bytes:
        """The reply to a method that answers from the document; every client is sent the same bytes."""
        document = self._mailbox.document_now()
        if document is None:
            return encode(error_reply("DriverTrouble", {"message": _NOTHING_YET}))
        kept, made_of = self._encoded.get(method), self._made_of(method, document)
        if kept is not None and kept[0] is made_of and kept[1] is document:
            return kept[2]
        try:
            reply = encode({"parameters": getattr(self._control, method)()})
        except _Refused as refused:
            reply = encode(refused.reply)
        self._encoded[method] = (made_of, document, reply)
        return reply

    @staticmethod
    def _made_of(method: str, document: Document) -> object:
        """What tells whether a reply is still right. A plan is of the policy files as they lie now, which may be
        others than when the document was published; where they cannot be planned with, it is made of the problems."""
        try:
            return document["plan"]() if method == "Plan" else document
        except PolicyError as error:
            return error.problems


def _shape(request: dict[str, Any]) -> str | None:
    """The first key of a request that is not of its type; the library takes it for granted that all are."""
    if not isinstance(request.get("method"), str):
        return "method"
    if not isinstance(request.get("parameters"), (dict, type(None))):
        return "parameters"
    for name, value in (request.get("parameters") or {}).items():
        if isinstance(value, bool):  # which the library takes for a number; no method has one
            return str(name)
    for flag in ("more", "oneway", "upgrade"):
        if not isinstance(request.get(flag), (bool, type(None))):
            return flag
    return "upgrade" if request.get("upgrade") else None  # there is nothing to upgrade to


def answer_reply(answer: Answer) -> bytes:
    """What the loop said to a command, as its caller hears it."""
    if answer.error is not None:
        return encode(error_reply(answer.error, answer.parameters))
    return encode({"parameters": {"format": FORMAT, **answer.parameters}})


def event_reply(sequence: int, missed: int, event: Mapping[str, Any] | None) -> bytes:
    """One reply to Watch. An event's `at` is seconds since the epoch inside, and text on the wire as all times."""
    if event is not None and isinstance(event.get("at"), (int, float)):
        event = {**event, "at": timestamp(event["at"])}
    parameters = {"format": FORMAT, "sequence": sequence, "missed": missed, "event": event}
    return encode({"parameters": parameters, "continues": True})
