"""Texts that are no shell, programs and configurations of others: named with the line, and not understood."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpu_tuned.core.model import Setting
from gpu_tuned.init import nvidia_smi
from gpu_tuned.init.model import Doubt, Effect, Kind
from gpu_tuned.init.nvidia_smi import Said
from gpu_tuned.init.rivals import CALLS, CONFIGURED, Rival

_LONGEST = 2000


def program_lines(text: str) -> Iterator[tuple[int, Said]]:
    """The lines of a program that call NVML's setters, or nvidia-smi with an option that sets."""
    smi = "nvidia-smi" in text
    for number, row in enumerate(text.split("\n"), 1):
        if row.lstrip().startswith(("#", "//", "import ", "from ")) or len(row) > _LONGEST:
            continue
        for call, setting in CALLS:
            if found := call.search(row):
                yield number, Said(setting, None, found[0], None if setting else ())
        if smi:
            for said in nvidia_smi.mentioned(row):
                yield number, said


def effects_of(path: str, text: str, doubt: Doubt) -> list[Effect]:
    """The same as effects, all of them doubtful."""
    return [
        Effect(path, number, said.words, said.setting, None, said.gpus, doubt) for number, said in program_lines(text)
    ]


def rival_effects(rival: Rival, path: str, text: str) -> list[Effect]:
    """The values in a rival's configuration."""
    doubt = Doubt(Kind.RIVAL, f"{rival.name} sets it by itself, at its start and after")
    found = []
    keys = "|".join(map(re.escape, rival.keys))
    for number, row in enumerate(text.split("\n"), 1):
        if row.lstrip().startswith("#") or len(row) > _LONGEST:
            continue
        for match in re.finditer(rf"\b({keys})[\"']?\s*[:=]\s*[\"']?(\{{[^}}]*\}}|[\w.-]+)", row):
            setting: Setting | None = rival.keys[match[1]]
            gpus = None if setting else ()
            found.append(Effect(path, number, f"{match[1]}: {match[2]}", setting, None, gpus, doubt))
    return found


def rivals() -> Iterator[tuple[Rival, str]]:
    """Every rival with each place where its configuration may lie."""
    for rival in CONFIGURED:
        for path in rival.files:
            yield rival, path
