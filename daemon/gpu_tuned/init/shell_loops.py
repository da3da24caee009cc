"""Loops: over words, and as long as a command succeeds. Each body is read once for each known word, or once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpu_tuned.init import shell_commands, shell_ends, shell_tests
from gpu_tuned.init.model import Kind
from gpu_tuned.init.shell_nodes import For, While
from gpu_tuned.init.shell_state import GOOD, OPEN, Here, Status, Way, either, joined
from gpu_tuned.init.shell_values import GLOB, NOT_KNOWN, many, one, varied

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk


def for_(walk: Walk, command: For, here: Here) -> Status:
    """A loop over words; where these are not known, once, with doubt."""
    values = [NOT_KNOWN] if command.words is None else many(command.words, here.variables)
    shell_commands.substituted(walk, command.words or (), here, command.first)
    shell_ends.may_end(command.words or (), command.first, here)
    for word in command.words or ():
        if GLOB.search(pattern := one(word, here.variables).text):
            walk.seen.runs_one_of(pattern)
    before, way = here.begin_of("loop"), here.way
    open_ = any(not value.known for value in values)
    functions = dict(here.functions)
    if open_:
        values = [NOT_KNOWN]
        here.way = here.way.doubted(Kind.LOOP, "what the loop goes over is not written in the file")
        shell_tests.forget_assigned(command.body, here)
    several = len({value.text for value in values}) > 1
    status = GOOD
    for value in values:
        if command.name:
            here.variables.single[command.name] = varied(value) if several else value
        status = walk.run(command.body, here)
        if here.left in ("exit", "return", "break", "never"):
            break
        here.left = ""
    if here.left in ("break", "continue"):
        here.left = ""
    elif open_ and here.left:
        here.doubt_rest("script", f"the loop in line {command.first} may end it before")
        here.left = ""
    here.way = way
    stopped = here.end_of("loop", before)
    if stopped:
        shell_tests.forget_assigned(command.body, here)
    if open_:
        here.functions = joined(functions, here.functions)
        shell_tests.forget_assigned(command.body, here)
    return OPEN if (open_ or stopped) and status != GOOD else status


def while_(walk: Walk, command: While, here: Here) -> Status:
    """A loop for ever, one that waits for a command to succeed, or one of which nobody knows how often it runs."""
    changing = [*command.condition, *command.body]
    shell_tests.forget_assigned(changing, here)
    looked = here.flow.get("script", Way()).passed
    here.tested += 1
    status = walk.run(command.condition, here)
    here.tested -= 1
    fails = here.flow.get("script", Way()).passed - looked
    if command.until:
        status = status.negated()
    before, way, endless = here.begin_of("loop"), here.way, here.endless
    if status.ok:
        here.endless = True
        if status.needs:
            here.way = here.way.needing(status.needs)
        walk.run(command.body, here)
        here.way = way
        if here.left == "break":
            here.left = ""
        else:
            here.left = here.left if here.left != "continue" else ""
            here.left = here.left or "never"  # unless the condition fails, or something in the body leaves it
            if status.needs or fails:
                here.add_flow("loop", Way(needs=status.needs, passed=fails))
        here.end_of("loop", before)
    else:
        waits = status.ok is False
        why = "runs only while the loop waits" if waits else "a loop whose condition decides whether it runs"
        body, around = here.fork(here.way.doubted(Kind.BRANCH, why)), here.fork()
        body.way = body.way.unless_done(status.needs)
        walk.run(command.body, body)
        if body.left in ("break", "continue"):
            body.left = ""
        body.flow.pop("loop", None)
        if waits:
            around.variables.join(body.variables)
            around.functions = joined(around.functions, body.functions)
            here.adopt(around)
            here.add_flow("start", Way(needs=status.needs))
        else:
            either(here, [around, body], command.first)
            if not shell_tests.reads(command.condition):
                here.doubt_rest("start", f"the loop in line {command.first} may never end")
        here.way = way
        here.end_of("loop", before)
    here.endless = endless
    shell_tests.forget_assigned(changing, here)
    return GOOD if status.ok is False and not status.needs else OPEN
