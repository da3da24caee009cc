"""Words and lines that findings about names share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from gpu_tuned.environment.audit import secrets
from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Finding, line_with
from gpu_tuned.environment.judge import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.environment.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Make:
    """Findings about one assignment, all as sure."""

    one: Assignment
    environment: Environment
    certainty: Certainty

    def __call__(self, id: str, message: str, replacement: str) -> Finding:
        one = self.one
        return Finding(id, one.name, one.place, self.certainty, message, replacement, where=self.environment.label)


def label(catalogue: Catalogue, verdict: Verdict) -> str:
    component = catalogue.components.get(verdict.component)
    return component.label if component else verdict.component or "nobody"


def right(catalogue: Catalogue, one: Assignment, replacement: str) -> str:
    """The line that would be right: an option, or the same line with the name that `replacement` begins with."""
    option = re.match(r"(--[\w.-]+)(?: ((?!or\b|to\b|and\b|with\b|in\b)[a-z0-9_]+)(?![\w|]))?", replacement)
    if option:
        same = one.name.endswith(option[1].lstrip("-").replace("-", "_").upper())
        value = option[2] or (one.value if same and one.value and " " not in one.value else None)
        return f"{option[1]} {value}" if value else option[1]
    match = re.match(r"([A-Za-z_][A-Za-z0-9_]*)(?:=([^\s;,]+))?(?![\w.])", replacement)
    if not match or not (match[2] or catalogue.facts(match[1]).known):
        return ""
    name, value = match[1], match[2]
    if value is None and one.value and alike(one.name, name) and not secrets.is_secret_name(name):
        value = one.value
    return line_with(one, name, value) or f"{name}={value}" if value is not None else name


def bare(name: str) -> str:
    return name.replace("_", "").upper()


def near_enough(name: str, other: str) -> bool:
    return SequenceMatcher(None, bare(name), bare(other), autojunk=False).ratio() >= 0.9


def alike(one: str, other: str) -> bool:
    """Whether two names share so many words that what the one was set to may stand for the other."""
    words, others = set(one.split("_")), set(other.split("_"))
    return len(words & others) >= max(2, len(words | others) / 2) or bare(one) == bare(other)


def told(replacement: str) -> str:
    return f"instead: {replacement}" if re.match(r"--|[A-Z]\w+_\w+|nvidia-smi", replacement) else replacement


def until(verdict: Verdict) -> str:
    if verdict.first_without:
        last = f"last in {verdict.last}, " if verdict.last else ""
        return f" ({last}gone in {verdict.first_without})"
    return f" (last in {verdict.last})" if verdict.last else ""


def instead(verdict: Verdict) -> str:
    remark = f" ({verdict.remark})" if verdict.remark else ""
    if verdict.replacement:
        return f"; {told(verdict.replacement)}{remark}"
    return f"; nothing takes its place{remark}"


def feature(name: str) -> str:
    match = re.search(r"_(?:NO|DISABLE)_(\w+)$", name)
    return match[1].lower().replace("_", " ") if match else "it"
