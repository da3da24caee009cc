"""What a generated host is: its files, what starts at boot, and what nobody can know beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One program as the system starts it: words with nothing left to expand. `env` are its variables beside PATH;
    `goes_on`: what follows in its group runs also where it fails (`-` before an ExecStart=)."""

    words: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    goes_on: bool = False


@dataclass(frozen=True)
class Group:
    """Steps that run one after another: a unit, rc.local, a cron job."""

    name: str
    steps: tuple[Step, ...]


@dataclass
class Layout:
    """`boot` starts at every boot, in an order that is not known between groups unless `ordered`; `sometimes` may run
    later, or not. `unknown` are the commands whose outcome nobody knows: name -> (exit status, output) to choose
    from. `variables` may stand in the environment of whatever starts: name -> values, None for unset. `files` with
    several texts (None: absent) in `coming` come and go. `racing`: a script runs two things at once."""

    seed: int
    boards: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    boot: list[Group] = field(default_factory=list)
    sometimes: list[Group] = field(default_factory=list)
    unknown: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    variables: dict[str, list[str | None]] = field(default_factory=dict)
    coming: dict[str, list[str | None]] = field(default_factory=dict)
    ordered: bool = False
    racing: bool = False
    prior: tuple[dict[str, object], ...] = ()
    kinds: list[str] = field(default_factory=list)
