"""Which program a command's name stands for: without sudo and its like, and by PATH."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpu_tuned.init.commands import HOME, PATH, PREFIXES, TOOL, VALUED
from gpu_tuned.init.model import UNKNOWN
from gpu_tuned.init.nvidia_smi import shown
from gpu_tuned.init.shell_assign import assigned
from gpu_tuned.init.shell_nodes import Simple
from gpu_tuned.init.shell_state import Here
from gpu_tuned.init.shell_values import Text

if TYPE_CHECKING:
    from gpu_tuned.init.shell_run import Walk


def looked_for(node: Simple, here: Here) -> Text:
    """Where the command of this line is looked for."""
    if not node.assigned:
        return here.variables.single.get("PATH", Text(PATH))
    known = here.variables.copy()
    known.single.setdefault("PATH", Text(PATH))
    for word in node.assigned:
        assigned(word, known)
    return known.single["PATH"]


def another(walk: Walk, name: str, path: Text) -> str:
    """Why a command of this name may be another one than NVIDIA's; "" where it is that one."""
    if "/" in name:
        if walk.files.script(name):
            return f"{name} is a script"
        known = TOOL.match(name) or (name.startswith("/") and walk.files.there(name))
        return "" if known else f"{shown([name])} may be another program"
    for folder in path.text.split(":"):
        if not folder.startswith("/") or UNKNOWN in folder:
            return f"PATH has {shown([folder]) or 'the working folder'} in it, where another {name} may be"
        found = f"{folder}/{name}"
        if folder in HOME or walk.files.there(found):
            return another(walk, found, path)
    return f"PATH is {shown([path.text])} here, where no {name} may be found"


def bare(words: list[Text], here: Here, path: Text) -> tuple[list[Text], Here, Text]:
    """A command without sudo and its like; who then runs it is in the place that comes back, and beside it where it
    is looked for."""
    place = here
    while words:
        name = words[0].text.rpartition("/")[2]
        if name == "command" and len(words) > 1 and words[1].text in ("-v", "-V"):
            return [Text("which"), *words[2:]], place, path
        if name == "env" or name in PREFIXES:
            options = words[1:]
            while options and (options[0].text.startswith("-") or (name == "env" and "=" in options[0].text)):
                option = options.pop(0)
                if name == "setsid" and option.text in ("-f", "--fork"):
                    place = place.aside()
                if option.text.startswith("PATH="):
                    path = replace(option, text=option.text[5:])
                value = options.pop(0) if option.text in VALUED.get(name, ()) and options else None
                if option.text in ("-u", "--user") and name in ("sudo", "doas", "runuser", "setpriv"):
                    place = replace(place, root=place.root and value is not None and value.text == "root")
                if option.text == "--":
                    break
            if name == "timeout" and options:
                options.pop(0)
            if not options:
                return words, place, path
            words = options
        else:
            break
    return words, place, path
