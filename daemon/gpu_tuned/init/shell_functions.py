"""Calls of functions that a script defines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gpu_tuned.init import shell_tests
from gpu_tuned.init.model import Kind
from gpu_tuned.init.shell_nodes import Command, Simple
from gpu_tuned.init.shell_runners import through
from gpu_tuned.init.shell_scripts import DEEPEST
from gpu_tuned.init.shell_state import OPEN, Here, Status, either
from gpu_tuned.init.shell_values import Text

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk


External = Callable[["Walk", Sequence[Text], Here, Simple], Status]


def called(walk: Walk, words: Sequence[Text], here: Here, node: Simple, external: External) -> Status:
    """What may be one of several functions, or none, is each of them with a doubt. `external` runs it where it is no
    function."""
    name = words[0].text
    bodies = here.functions[name]
    if len(bodies) == 1 and bodies[0] is not None:
        return _one(walk, words, bodies[0], here, node)
    way = here.way.doubted(Kind.BRANCH, f"{name} may be a function or a command here, or another function")
    arms = []
    for body in bodies:
        arms.append(here.fork(way))
        if body is None:
            external(walk, words, arms[-1], node)
        else:
            _one(walk, words, body, arms[-1], node)
    either(here, arms, node.first)
    return OPEN


def _one(walk: Walk, words: Sequence[Text], body: Command, here: Here, node: Simple) -> Status:
    name = words[0].text
    through(walk, words, here, node)
    if name in here.calls or len(here.calls) > DEEPEST:
        here.doubt_rest("script", f"{name} calls itself", Kind.UNREADABLE)
        return OPEN
    before, arguments, calls = here.begin_of("function"), here.variables.arguments, here.calls
    # A value that comes by way of an argument is one that a reader has to work out.
    given = tuple(words[1:])
    here.variables.arguments = arguments if given == arguments else None if given else ()
    here.calls, within, here.within = (*calls, name), here.within, "function"
    outside, kept, here.locals = here.variables.copy(), here.locals, set()
    called_in, here.file = here.file, walk.written_in.get(id(body), (body, here.file))[1]
    status = walk.command(body, here)
    here.file = called_in
    for own in here.locals:
        here.variables.as_in(outside, own)
    here.calls, here.variables.arguments, here.locals, here.within = calls, arguments, kept, within
    if here.left == "return":
        here.left, status = "", here.code
    elif here.left in ("break", "continue"):
        here.left = ""  # older shells leave the loop around the call, newer ones go on
        here.doubt_rest("loop", f"{name} may leave the loop that it is called in")
    if here.end_of("function", before):
        shell_tests.forget_assigned([body], here)
        status = OPEN
    return status
