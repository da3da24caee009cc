"""Bytes to Varlink messages: JSON objects with a zero byte after each."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MESSAGE_MAX_BYTES = 64 * 1024
"""A request is a method's name and a handful of parameters; nothing near this size is meant well."""


class BadMessage(ValueError):
    """What came is no Varlink request; the text says what is wrong with it, for the client."""


class Framer:
    """Cuts a stream at zero bytes; keeps at most one message too long and no more."""

    def __init__(self, message_max_bytes: int = MESSAGE_MAX_BYTES) -> None:
        self._max = message_max_bytes
        self._kept = bytearray()
        self._looked = 0

    def __len__(self) -> int:
        """Bytes kept."""
        return len(self._kept)

    def feed(self, data: bytes) -> None:
        self._kept += data

    def take(self) -> bytes | None:
        """The next whole message without its zero byte, None when there is none yet. Raises BadMessage."""
        end = self._kept.find(0, self._looked)
        if end < 0:
            self._looked = len(self._kept)
        if end > self._max or (end < 0 and len(self._kept) > self._max):
            raise BadMessage(f"a message may have {self._max} bytes, and this one has more")
        if end < 0:
            return None
        message = bytes(self._kept[:end])
        del self._kept[: end + 1]
        self._looked = 0
        return message


def _no_constant(word: str) -> NoReturn:
    raise BadMessage(f"{word} is not JSON")


def decode(message: bytes) -> dict[str, Any]:
    """One message as the object that it must be. Raises BadMessage and nothing else."""
    try:
        found = json.loads(message.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise BadMessage(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise BadMessage(f"not JSON at character {error.pos}: {error.msg}") from None
    except RecursionError:
        raise BadMessage("nested too deeply") from None
    except BadMessage:
        raise
    except ValueError:  # an integer of more than 4300 digits (CVE-2020-10735)
        raise BadMessage("a number with too many digits") from None
    if not isinstance(found, dict):
        raise BadMessage(f"a request is a JSON object, and this is {_kind(found)}")
    return found


def _kind(found: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(found), "a number")


def encode(message: dict[str, Any]) -> bytes:
    """One message with its zero byte, ASCII. Raises ValueError for NaN and infinities: they are not JSON."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\0"
