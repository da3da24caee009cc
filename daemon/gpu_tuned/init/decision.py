"""What becomes of what was found: values taken over, lines left, and what is in force and held."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpu_tuned.core.model import Board, Setting, Unread, Value
from gpu_tuned.core.settings import factory_default
from gpu_tuned.init import verdict
from gpu_tuned.init.model import Effect, Kind
from gpu_tuned.init.verdict import Fit, Host


@dataclass(frozen=True, slots=True)
class Taken:
    """A value that goes into the policy. `gpu` is a UUID, None for the host; `effects` are those that ask for it, the
    last one first."""

    gpu: str | None
    setting: Setting
    value: Value
    effects: tuple[Effect, ...]
    beside: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """What stays as it is. `instead`: a line that a person could write into the policy."""

    effect: Effect
    kind: Kind
    reason: str
    instead: str | None = None


@dataclass(slots=True)
class Decision:
    """`covered`: numbers of the effects that the policy takes the place of; `busy`: (UUID, setting) of what something
    sets by itself and is not taken over."""

    taken: list[Taken] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    covered: set[int] = field(default_factory=set)
    busy: set[tuple[str, Setting]] = field(default_factory=set)

    def of(self, board: Board, setting: Setting) -> Taken | None:
        return next((t for t in self.taken if t.gpu == board.gpu.uuid and t.setting is setting), None)


def in_force(host: Host, decision: Decision, board: Board, setting: Setting) -> Value | None:
    """What somebody set by hand and nothing here sets: to be held as it is. A default is nobody's wish."""
    found = host.found(board, setting)
    default = factory_default(board, setting)
    if (
        setting is Setting.PERSISTENCE_MODE
        or setting in board.absent
        or (setting is Setting.COMPUTE_MODE and board.mig)
    ):
        return None
    if found is None or isinstance(found, Unread) or default is None or found == default:
        return None
    if (board.gpu.uuid, setting) in decision.busy or not verdict.writable(found):
        return None
    target = Effect("", 0, "", setting, found)
    return found if verdict.names((), board) and _possible(target, board, host) else None


def _possible(effect: Effect, board: Board, host: Host) -> bool:
    judged = verdict.fit(effect, board, host)
    return isinstance(judged, Fit) or judged.doubt.kind is Kind.HARMFUL
