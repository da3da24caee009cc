"""What is fed with any bytes at all, and what must hold of it: each target raises when something did not.

Used by `run.py` (atheris, which looks for bytes that reach new code) and by the suite, which plays the corpus.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from gpu_tuned.adapters.policy_file import Source, Sources, parse_sources
from gpu_tuned.adapters.state_file import FILE, StateFile, volatile
from gpu_tuned.control.framing import BadMessage, Framer, decode
from gpu_tuned.control.mailbox import Mailbox
from gpu_tuned.control.methods import Responder
from gpu_tuned.control.peers import Access, Peer
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.model import Gpu
from gpu_tuned.core.saved import from_json
from gpu_tuned.core.track import Moment
from tests.contract.sample_document import document

MESSAGE_MAX_BYTES = 4096
MOMENT = Moment(1.7e9, 1000.0)
BOARD = Gpu("GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11", "0000:01:00.0", "NVIDIA GeForce RTX 5090")
ROOT = Peer(1, 0, frozenset())

_mailbox = Mailbox()
_mailbox.publish(document)
_responder = Responder(_mailbox, Access("gpu-tuned-no-such-group"))
_folder = tempfile.TemporaryDirectory(prefix="gpu-tuned-fuzz-")


def wire(data: bytes) -> None:
    """The first byte says where the rest is cut in two. Every message is answered with JSON, or refused as none."""
    cut, rest = (data[0] if data else 0), data[1:]
    framer = Framer(MESSAGE_MAX_BYTES)
    for piece in (rest[:cut], rest[cut:]):
        framer.feed(piece)
        try:
            while (message := framer.take()) is not None:
                _serve(message)
        except BadMessage:
            return
    assert len(framer) <= len(rest)


def _serve(message: bytes) -> None:
    try:
        decode(message)
    except BadMessage:
        return
    call = _responder.respond(message, ROOT)
    for reply in call.replies:
        assert reply.endswith(b"\0")
        json.loads(reply[:-1])
    while _mailbox.take() is not None:
        pass
    _mailbox.answers()


def policy(data: bytes) -> None:
    """A policy, or problems that a person can read; and a policy has a wish or none for any board."""
    text = data.decode("utf-8", "replace")
    try:
        made = parse_sources(Sources((Source("gpu-tuned.toml", "/etc/gpu-tuned/gpu-tuned.toml", text),)))
    except PolicyError as error:
        assert error.problems
        assert all(problem and "\n" not in problem for problem in error.problems), error.problems
        return
    made.wishes_for(BOARD)
    made.unmatched([BOARD])


def state(data: bytes) -> None:
    """A file of these bytes, and one of the state that they spell with a checksum that holds: each is loaded or set
    aside, and what is loaded is understood or refused. What can be saved comes back."""
    store = StateFile(_folder.name, sync=lambda descriptor: None)
    path = Path(_folder.name) / FILE
    path.write_bytes(data)
    assert store.load() == {} or store.damage() is None
    try:
        body = json.loads(data)
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return
    crc32 = zlib.crc32(canonical)
    path.write_bytes(b'{"format": 1, "crc32": %d, "state": %s}\n' % (crc32, canonical))
    loaded = store.load()
    try:
        from_json(loaded, MOMENT)
    except ValueError:
        return
    again = volatile(_folder.name)
    again.save(loaded)
    assert again.load() == loaded


TARGETS: dict[str, Callable[[bytes], None]] = {"wire": wire, "policy": policy, "state": state}
