"""Programs that run a command from their words or their input: at once, later, or again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gpu_tuned.init import nvidia_smi
from gpu_tuned.init.commands import AT_ONCE, CALLED, ELSEWHERE, FEEDING, PATH, RUNNERS, SHELLS
from gpu_tuned.init.model import Doubt, Kind
from gpu_tuned.init.nvidia_smi import Said, shown
from gpu_tuned.init.shell_names import bare
from gpu_tuned.init.shell_nodes import Pipeline, Simple
from gpu_tuned.init.shell_scripts import script
from gpu_tuned.init.shell_state import OPEN, Here, Status
from gpu_tuned.init.shell_values import Text, many

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk


def through(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """A program that runs a command from its words, or may do so: at once, later, or again and again."""
    name = shown([words[0].text.rpartition("/")[2]])
    joined = " ".join([*(word.text for word in words), documents(node) if name in RUNNERS else ""])
    if name in ELSEWHERE or not CALLED.search(joined):
        return OPEN
    place = here if name in AT_ONCE else here.aside()
    said = nvidia_smi.mentioned(joined)
    if name in FEEDING and not said:
        said = (Said(None, None, shown([word.text for word in words]), None),)
    for each in said:
        why = f"{name} runs it" if name in RUNNERS else f"{name} may run it"
        walk.seen.say(place, node.first, replace(each, doubt=Doubt(Kind.COMPUTED, why)))
    return OPEN


def fed(walk: Walk, pipeline: Pipeline, here: Here) -> None:
    """What the commands of a pipeline hand to a shell, or to one who calls a shell later, as text."""
    lines = [many(node.words, here.variables) for node in pipeline.commands if isinstance(node, Simple)]
    commands = [bare(words, here, Text(PATH))[0] for words in lines if words]
    texts = [word.text for words in commands for word in words[1:]]
    for words in commands:
        if words and words[0].text.rpartition("/")[2] == "tee" and CALLED.search(" ".join(texts)):
            walk.seen.written.update((word.text, " ".join(texts)) for word in words[1:])
    if not any(_reads_commands([word.text for word in words]) for words in commands if words):
        return
    why = Doubt(Kind.UNREADABLE, "another program runs it as text")
    place = here.fork(here.way.doubted(why.kind, why.why)).aside()
    for text in texts:
        for each in nvidia_smi.mentioned(text) if CALLED.search(text) else ():
            walk.seen.say(place, pipeline.first, replace(each, doubt=why))
        if text.startswith("/") and walk.files.script(text):
            script(walk, Text(text), (), place, pipeline.first, "sh")


def _reads_commands(words: Sequence[str]) -> bool:
    name = words[0].rpartition("/")[2]
    if name in SHELLS:
        return "-s" in words or all(word.startswith("-") and "c" not in word for word in words[1:])
    return name in ("at", "batch", "crontab")


def documents(node: Simple) -> str:
    """What here-documents and `<<<` hand to a command."""
    return " ".join(
        redirect.document or (redirect.target.literal or "" if redirect.op == "<<<" else "")
        for redirect in node.redirects
    )
