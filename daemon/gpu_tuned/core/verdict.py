"""What the doctor says of a host: a verdict for each check, never better than what was seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Verdict(str, Enum):
    """Worst first. `UNKNOWN`: what the check needs could not be seen; it is never taken for `OK`."""

    TROUBLE = "trouble"
    WARNING = "warning"
    UNKNOWN = "unknown"
    OK = "ok"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Verdict).index(self)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of these; `UNKNOWN` of none at all."""
    return min(verdicts, key=lambda verdict: verdict.rank, default=Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to. `check` is its id, stable for programs; `title` the same for people.

    `seen` is what was found, for `UNKNOWN` why nothing could be. `why` says what it costs, `advice` what to do,
    `commands` the shell commands for it, each complete; all three are empty for `OK`. `gpus`: the PCI addresses
    of the GPUs concerned, where it is not the host.
    """

    check: str
    title: str
    verdict: Verdict
    seen: str
    why: str = ""
    advice: str = ""
    commands: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings of one look, in the order of the checks, and how long it took (`took_s`, seconds)."""

    findings: tuple[Finding, ...]
    took_s: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst among the findings."""
        return worst(finding.verdict for finding in self.findings)
