"""kernel.numa_balancing: the ways in which people set it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_tuned.core.model import NumaBalancing, Setting
from gpu_tuned.init.model import Doubt, Kind
from gpu_tuned.init.nvidia_smi import Said
from gpu_tuned.init.shell_nodes import Simple
from gpu_tuned.init.shell_values import Text

FILE = "/proc/sys/kernel/numa_balancing"
_LINE = re.compile(r"\s*-?kernel[./]numa_balancing\s*=\s*([0-9]+)\s*")


def said(text: str) -> Said | None:
    """What a sysctl line ("kernel.numa_balancing = 0") asks for."""
    found = _LINE.fullmatch(text)
    return _value(found[1], " ".join(text.split())) if found else None


def _value(value: str, words: str) -> Said:
    return Said(Setting.NUMA_BALANCING, NumaBalancing.OFF if int(value) == 0 else NumaBalancing.ON, words)


def written(words: Sequence[Text], node: Simple) -> Said | None:
    """`echo 0 > /proc/sys/kernel/numa_balancing`"""
    if not any(redirect.op in (">", ">>") and redirect.target.literal == FILE for redirect in node.redirects):
        return None
    return echoed(words)


def echoed(words: Sequence[Text]) -> Said:
    text = " ".join(word.text for word in words[1:] if not word.text.startswith("-")).replace("\\n", "").strip()
    if words[0].text.rpartition("/")[2] in ("echo", "printf") and text.isdigit():
        return _value(text, f"{text} into {FILE}")
    why = Doubt(Kind.COMPUTED, "the value is not written in the file")
    return Said(Setting.NUMA_BALANCING, None, f"something into {FILE}", doubt=why)
