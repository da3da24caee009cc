"""`gpu-tunedctl watch`: events as they come, until Ctrl-C or until the daemon goes away."""

from __future__ import annotations

import gc
import json
import sys
import time

from gpu_tuned.control import client
from gpu_tuned.core.words import counted
from gpu_tuned.ctl.render.text import Colour, clean, colour_for
from gpu_tuned.ctl.render.values import epoch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import WatchReply
    from gpu_tuned.ctl.options import Options

EXAMPLES = """\
examples:
  gpu-tunedctl watch
  gpu-tunedctl watch --json | jq -r '.event.message // empty'

Ctrl-C ends it, with exit code 0; when the daemon goes away it ends with 3.
"""
_WARNING, _ERROR = 4, 3  # syslog(3)


def run(options: Options) -> int:
    colour = colour_for(sys.stdout, no_color=options.no_color)
    gc.enable()  # unlike the other verbs this one lives long
    try:
        replies = client.watch(options.socket, options.timeout)
        if sys.stdout.isatty() and not options.json:
            print(colour("dim", "watching; Ctrl-C ends"), flush=True)
        for reply in replies:
            for text in [json.dumps(reply)] if options.json else lines(reply, colour):
                print(text)
            sys.stdout.flush()
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()  # the shell's prompt belongs on a line of its own, not behind ^C
    return 0


def lines(reply: WatchReply, colour: Colour) -> list[str]:
    """One reply of `Watch` as text: what was missed, if something was, then the event with its local time."""
    told = []
    missed = reply.get("missed") or 0
    if missed:
        told.append(colour("warn", f"          ({counted(missed, 'event')} missed: read too slowly)"))
    event = reply.get("event")
    if event:
        priority = event.get("priority", 6)
        style = "bad" if priority <= _ERROR else "warn" if priority == _WARNING else ""
        told.append(f"{colour('dim', _clock(event.get('at')))}  {colour(style, clean(event['message']))}")
    return told


def _clock(at: object) -> str:
    seconds = at if isinstance(at, (int, float)) else epoch(str(at))
    if seconds is None:
        return "--:--:--"
    then = time.localtime(seconds)
    return f"{then.tm_hour:02}:{then.tm_min:02}:{then.tm_sec:02}"
