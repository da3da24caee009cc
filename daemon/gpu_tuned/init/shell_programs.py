"""Programs that are neither nvidia-smi nor part of a shell: tools that do nothing to a GPU, scripts of the host, and
whatever else a script calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gpu_tuned.core.model import Setting
from gpu_tuned.init import numa, shell_ends
from gpu_tuned.init.commands import (
    ELSEWHERE,
    FOLDER_RUNNERS,
    FOR_EVER,
    IDLE,
    INTERPRETERS,
    MUTE,
    RELOADS,
    RIVALS,
    RUNNERS,
    SERVES,
    SHELLS,
    STARTING,
    SURE,
    SYSTEM_S,
)
from gpu_tuned.init.model import Doubt, Kind
from gpu_tuned.init.nvidia_smi import Said, shown
from gpu_tuned.init.programs import program_lines
from gpu_tuned.init.shell_nodes import Simple
from gpu_tuned.init.shell_runners import documents, through
from gpu_tuned.init.shell_scripts import located, script
from gpu_tuned.init.shell_seen import Program
from gpu_tuned.init.shell_state import GOOD, OPEN, Here, Status, Way
from gpu_tuned.init.shell_values import Text

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk


def run(walk: Walk, words: Sequence[Text], here: Here, place: Here, node: Simple) -> Status:
    """One program with its words. `place` is who runs it, and `here` the shell that waits for it."""
    name, line = words[0].text.rpartition("/")[2], node.first
    after = " ".join(word.text for word in words[1:])
    if own(walk, words[0].text):
        walk.seen.others.add((here.file, line))
        return _file(walk, words, place, node)
    if name in FOR_EVER and FOR_EVER[name].fullmatch(after):
        here.left = "never"
    if said := _further(name, words, walk):
        walk.seen.say(place, line, said)
        return OPEN if said.loses else GOOD
    if name in IDLE:
        return GOOD if name not in SURE or SURE[name].fullmatch(after) else OPEN
    walk.seen.units += [(unit, place.reached().doubt) for unit in _started(name, words)]
    walk.seen.others.add((here.file, line))
    if name in RUNNERS or name in ELSEWHERE:
        _given_files(walk, words, place)
        may_go_on(walk, place)
        return through(walk, words, place, node)
    if name in MUTE:
        if name == "mkdir":
            walk.seen.folders |= {word.text.rstrip("/") for word in words[1:]}
        elif name in ("pkill", "killall"):
            shell_ends.killed_by_name(walk, words, here, line)
        return OPEN
    return _file(walk, words, place, node)


def may_go_on(walk: Walk, here: Here) -> None:
    """A program may be a server: what follows comes when that has ended, if ever."""
    here.add_flow("start", Way(passed=frozenset([walk.steps])))


def _started(name: str, words: Sequence[Text]) -> list[str]:
    """The units that a command starts."""
    given = [word.text for word in words[1:] if not word.text.startswith("-")]
    if name == "systemctl" and given[:1] and given[0] in STARTING:
        return given[1:]
    if name in ("service", "rc-service", "invoke-rc.d") and given[1:2] and given[1] in STARTING:
        return given[:1]
    return []


def own(walk: Walk, name: str) -> bool:
    """Whether a command is a script of this host, whatever tool it has its name from."""
    path = name if "/" in name else walk.files.find(name) or ""
    return path.startswith("/") and not SYSTEM_S.match(path) and walk.files.script(path) is not None


_GONE = Doubt(Kind.UNSUPPORTED, "the driver lets go of the GPU: what was set before is gone")
RELOADED = Said(None, None, "a reset", doubt=_GONE, loses=True)


def _further(name: str, words: Sequence[Text], walk: Walk) -> Said | None:
    """Commands of others that set GPUs, and the kernel's knob."""
    texts = [word.text for word in words]
    if name == "nvidia-persistenced" and "--no-persistence-mode" not in texts:
        return Said(Setting.PERSISTENCE_MODE, target=True, words=name)
    if name == "nvidia-settings" and any(
        text in ("-a", "--assign") or text.startswith("--assign=") for text in texts
    ):
        why = "gpu-tuned does not hold clock offsets, fans and what else nvidia-settings sets"
        return Said(None, None, name, doubt=Doubt(Kind.UNSUPPORTED, why))
    if name in RIVALS:
        return Said(None, None, shown(texts), None, Doubt(Kind.RIVAL, f"{RIVALS[name]} sets GPUs by itself"))
    if name in RELOADS and RELOADS[name].fullmatch(" ".join(texts[1:])):
        return replace(RELOADED, words=shown(texts))
    if name == "nvidia-cuda-mps-control" and "-d" in texts:
        walk.seen.mps = True
    if name == "sysctl":
        return next((said for text in texts[1:] if (said := numa.said(text))), None)
    return None


def _file(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    named = words[0].text
    path = located(here, words[0]).text if "/" in named else walk.files.find(named)
    if INTERPRETERS.match(words[0].text.rpartition("/")[2]):
        return _interpreted(walk, words, here, node)
    if words[0].text in walk.seen.written:
        return script(walk, words[0], (), here, node.first)
    if path is None or not path.startswith("/") or walk.files.script(path) is None:
        if "/" in named and not named.startswith("/"):
            walk.seen.perhaps.add(named.rpartition("/")[2])
        _given_files(walk, words, here)
        may_go_on(walk, here)
        if SERVES.search(" ".join(word.text for word in words)):
            here.doubt_rest("start", f"what line {node.first} starts may go on for ever")
        return through(walk, words, here, node)
    return script(walk, Text(path), tuple(words[1:]), here, node.first)


def _given_files(walk: Walk, words: Sequence[Text], here: Here) -> None:
    """Files and folders of which a program may run what lies in them."""
    names = [word.text.rpartition("/")[2] for word in words]
    within = next((FOLDER_RUNNERS[name] for name in names if name in FOLDER_RUNNERS), "")
    if "find" in names and not any(_runs_what_it_finds(names[at + 1]) for at, name in enumerate(names[:-1])
                                   if name in ("-exec", "-execdir")):  # fmt: skip
        within = ""
    places = [located(here, word).text for word in words[1:] if word.known and "/" in word.text]
    for place in [*places, here.folder or ""] if within else places:
        if walk.files.script(place) is not None:
            walk.seen.runs_one_of(place)
        elif within and place and walk.files.folder(place):
            walk.seen.runs_one_of(f"{place.rstrip('/')}/{within}")


def _runs_what_it_finds(name: str) -> bool:
    return name == "{}" or name in SHELLS


def _interpreted(walk: Walk, words: Sequence[Text], here: Here, node: Simple) -> Status:
    """`python3 FILE`, `python3 -m NAME`, `python3 -c TEXT` and their like."""
    file = next((word for word in words[1:] if not word.text.startswith("-")), Text(""))
    found = walk.files.script(located(here, file).text) if file.known and file.text else None
    if found is not None:
        walk.seen.programs.append(Program(found[0], here.file, node.first, here.reached().doubt))
    else:
        _program(walk, " ".join([*(word.text for word in words[1:]), documents(node)]), here, node.first)
        walk.seen.perhaps.add(file.text.rpartition("/")[2])
    if not any(word.text.startswith(("-c", "-e", "-V", "--version")) for word in words[1:2]):
        here.doubt_rest("start", f"what line {node.first} starts may go on for ever")
    return OPEN


def _program(walk: Walk, text: str, here: Here, line: int) -> None:
    """The text of a program in another language, as `python3 -c` and here-documents have it."""
    for _, said in program_lines(text):
        why = Doubt(Kind.PROGRAM, "a program sets it; what it sets, and when, cannot be told from its text")
        walk.seen.say(here, line, replace(said, target=None, doubt=why))
