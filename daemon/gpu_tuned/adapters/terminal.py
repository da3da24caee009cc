"""Events for somebody who runs the daemon by hand: one line each, coloured on a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, TextIO

import structlog

from gpu_tuned.adapters.stream import Stream
from gpu_tuned.core.events import Event, Priority, words

_RESET, _DIM = "\x1b[0m", "\x1b[2m"
_COLOURS = {
    Priority.CRITICAL: "\x1b[1;31m",
    Priority.ERROR: "\x1b[31m",
    Priority.WARNING: "\x1b[33m",
    Priority.NOTICE: "\x1b[32m",
}


WAIT_S = 0.25
"""How long one try waits for a reader."""


class Terminal:
    """An outlet of `Speaker`: each event a line made by structlog, on `stream`."""

    name = "standard error"

    def __init__(self, stream: TextIO | None, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._stream = Stream(stream)
        self._log: Any = structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[_Lines(coloured=wants_colour(stream, environment))],
            wrapper_class=structlog.BoundLogger,
        )

    def tell(self, event: Event, late_s: float) -> bool:
        """Write one event's line; the line has the event's own time, however late. Raises OSError."""
        line = self._log.msg(words(event), at=event.at, priority=event.kind.priority, origin=event.origin)
        return self._stream.put(line, WAIT_S)


def wants_colour(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Colour on a terminal that can, unless NO_COLOR is set (no-color.org)."""
    if stream is None or stream.closed:
        return False
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


class _Lines:
    """The last structlog processor: "14:02:11 warning   words  (origin)", local time."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured

    def __call__(self, logger: object, method: str, event: Mapping[str, Any]) -> str:
        priority: Priority = event["priority"]
        clock = time.strftime("%H:%M:%S", time.localtime(event["at"]))
        line = f"{self._in(_DIM, clock)} {self._in(_COLOURS.get(priority), f'{priority.name.lower():8}')} "
        line += _printable(event["event"])
        origin = event["origin"]
        return f"{line}  {self._in(_DIM, f'({_printable(origin)})')}" if origin else line

    def _in(self, colour: str | None, words: str) -> str:
        return f"{colour}{words}{_RESET}" if self._coloured and colour else words


def _printable(words: str) -> str:
    """Without control characters: a driver's or a file's text must not steer somebody's terminal."""
    return "".join(c if c.isprintable() else "?" for c in words)
