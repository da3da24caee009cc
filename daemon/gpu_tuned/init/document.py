"""The document of `gpu-tunedctl init --json`, from which the table is made as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_tuned.core.advice import Advice
from gpu_tuned.core.model import text, wire
from gpu_tuned.init.decision import Decision, Left, Taken
from gpu_tuned.init.edit import Action, Change
from gpu_tuned.init.model import Kind, Scan, Writer
from gpu_tuned.init.verdict import Host

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Target:
    """Where the policy goes and its text; `present` says what lies there now; `drop_ins` stay and win over it;
    `written`: the backup's folder and the command that undoes it all, once that was done."""

    path: str
    policy: str
    present: str
    drop_ins: tuple[str, ...]
    written: tuple[str, str] | None


def document(  # noqa: PLR0913 - what each step of init has found
    host: Host, scan: Scan, decision: Decision, changes: Sequence[Change], target: Target, advice: Iterable[Advice]
) -> dict[str, Any]:
    """Everything that `init` found and proposes. Fields are only ever added."""
    writers = [*scan.writers, *_controllers(decision, scan)]
    return {
        "format": FORMAT,
        "gpus": [
            {"uuid": board.gpu.uuid, "pci": board.gpu.pci, "name": board.gpu.name, "index": board.index}
            for board in host.boards
        ],
        "taken": [_taken(taken) for taken in decision.taken],
        "left": [_left(left) for left in decision.left],
        "writers": [{"file": w.file, "kind": w.kind, "reason": w.reason} for w in writers],
        "files": [_file(change) for change in changes],
        "policy": target.policy,
        "target": {"path": target.path, "present": target.present, "drop_ins": list(target.drop_ins)},
        "unread": [{"path": path, "reason": why} for path, why in scan.unread],
        "written": {"backup": target.written[0], "undo": target.written[1]} if target.written else None,
        "advice": [one.wire() for one in advice],
        "next": list(_next(scan, decision, changes, target)),
    }


def _taken(taken: Taken) -> dict[str, Any]:
    last = taken.effects[0]
    return {
        "gpu": taken.gpu,
        "setting": taken.setting.value,
        "value": wire(taken.value),
        "shown": text(taken.value),
        "change": taken.beside,
        "file": last.file,
        "line": last.line,
        "text": last.words,
    }


def _left(left: Left) -> dict[str, Any]:
    effect = left.effect
    return {
        "file": effect.file,
        "line": effect.line,
        "text": effect.words,
        "setting": effect.setting.value if effect.setting else None,
        "kind": left.kind.value,
        "reason": left.reason,
        "instead": left.instead,
    }


def _file(change: Change) -> dict[str, Any]:
    return {"path": change.path, "action": change.action.value, "why": change.why, "lines": list(change.lines)}


def _controllers(decision: Decision, scan: Scan) -> Iterator[Writer]:
    """Files whose loops go on setting what is not taken over."""
    known = {writer.file for writer in scan.writers}
    for left in decision.left:
        if left.kind in (Kind.CONTROLLER, Kind.RIVAL) and left.effect.file not in known:
            known.add(left.effect.file)
            yield Writer(left.effect.file, left.kind.value, left.reason)


def _next(scan: Scan, decision: Decision, changes: Sequence[Change], target: Target) -> Iterator[str]:
    if target.written is None:
        yield "gpu-tunedctl init --write"
    else:
        yield "gpu-tunedctl plan --offline           # what will be written to the GPUs"
        yield "systemctl enable --now gpu-tuned      # where it does not run yet"
        yield "gpu-tunedctl reload                   # where it runs"
    for change in changes:
        if change.action is Action.MOVE and change.unit:
            yield f"systemctl stop {change.unit}   # once gpu-tuned runs: until then this unit holds the settings"
        elif change.action is Action.EDIT:
            for unit in change.restart:
                yield f"systemctl restart {unit}   # it still runs the lines that are gone from {change.path}"
    covered = {effect.file for taken in decision.taken for effect in taken.effects}
    for change in changes:
        if change.action is Action.LEAVE and change.path in covered:
            yield from _disable(change, scan)


def _disable(change: Change, scan: Scan) -> Iterator[str]:
    """How to end what stays in place and sets the same at every boot, where nothing needs it and all it sets is
    held. Nothing of it is done here."""
    whole = not change.why.startswith("not all of it")
    for unit in dict.fromkeys((change.unit, *sorted(change.started_by))):
        if not unit or "needs it" in change.why or "starts it" in change.why or not whole:
            continue
        if scan.nixos:
            yield f"systemd.services.{unit.removesuffix('.service')}.enable = false;   # in configuration.nix"
        else:
            yield f"systemctl disable --now {unit}   # it stays where it is, and sets the same at every boot"
