"""How a check puts its verdict: one constructor a verdict, and one way to judge GPU by GPU."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpu_tuned.core.model import Unread
from gpu_tuned.core.verdict import Finding, Verdict, worst
from gpu_tuned.core.words import short_pci


@dataclass(frozen=True, slots=True)
class Check:
    """A check's id and title; makes its findings."""

    id: str
    title: str

    def ok(self, seen: str, gpus: Iterable[str] = ()) -> Finding:
        return Finding(self.id, self.title, Verdict.OK, seen, gpus=tuple(gpus))

    def unknown(self, why: str | Unread, gpus: Iterable[str] = ()) -> Finding:
        return Finding(
            self.id, self.title, Verdict.UNKNOWN, why.why if isinstance(why, Unread) else why, gpus=tuple(gpus)
        )

    def warning(
        self, seen: str, why: str, advice: str, commands: Iterable[str] = (), gpus: Iterable[str] = ()
    ) -> Finding:
        return Finding(self.id, self.title, Verdict.WARNING, seen, why, advice, tuple(commands), tuple(gpus))

    def trouble(
        self, seen: str, why: str, advice: str, commands: Iterable[str] = (), gpus: Iterable[str] = ()
    ) -> Finding:
        return Finding(self.id, self.title, Verdict.TROUBLE, seen, why, advice, tuple(commands), tuple(gpus))


@dataclass(frozen=True, slots=True)
class One:
    """What one GPU came to."""

    pci: str
    verdict: Verdict
    seen: str


def together(check: Check, ones: Iterable[One], why: str, advice: str, commands: Iterable[str] = ()) -> Finding:
    """One finding of all GPUs: the worst verdict, and what was seen by GPU, equal words told once."""
    every = sorted(ones, key=lambda one: one.verdict.rank)
    if not every:
        return check.unknown("no GPU can be looked at")
    verdict = worst(one.verdict for one in every)
    groups: dict[str, list[str]] = {}
    for one in every:
        groups.setdefault(one.seen, []).append(one.pci)
    told = [
        seen if len(groups) == 1 and len(who) == len(every) == 1 else f"{_who(who, len(every))}: {seen}"
        for seen, who in groups.items()
    ]
    seen = "; ".join(told)
    concerned = tuple(one.pci for one in every if one.verdict is verdict)
    if verdict in (Verdict.OK, Verdict.UNKNOWN):
        return Finding(check.id, check.title, verdict, seen, gpus=concerned)
    return Finding(check.id, check.title, verdict, seen, why, advice, tuple(commands), concerned)


def _who(addresses: list[str], of: int) -> str:
    if len(addresses) == of > 1:
        return "both GPUs" if of == 2 else f"all {of} GPUs"
    return ", ".join(short_pci(address) for address in addresses)


def first_unread(*facts: object) -> Unread | None:
    """The first of these that could not be read."""
    return next((fact for fact in facts if isinstance(fact, Unread)), None)
