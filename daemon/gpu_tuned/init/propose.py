"""What is taken over and what is left, with the reason: effects and boards in, decisions out.

A value is taken over only where it is set at every boot, to this value, on this board, and nothing that happens by
itself could set another one; and where the board does not speak against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gpu_tuned.core.model import UNLOCKED, Board, NumaBalancing, Setting, text
from gpu_tuned.init import verdict
from gpu_tuned.init.decision import Decision, Left, Taken
from gpu_tuned.init.model import Doubt, Effect, Kind
from gpu_tuned.init.order import Order, last_words
from gpu_tuned.init.verdict import Fit, Host, Misfit

ORDER = (
    Setting.PERSISTENCE_MODE,
    Setting.POWER_LIMIT,
    Setting.APPLICATION_CLOCKS,
    Setting.COMPUTE_MODE,
    Setting.GPU_CLOCK,
    Setting.MEMORY_CLOCK,
)
"""Those that can be read come first: what they say of a script counts for those that cannot."""
_KNOWN_TO_LEAVE = frozenset({Kind.UNSUPPORTED, Kind.SUBCOMMAND})
_WATCHED = frozenset({Kind.CONTROLLER, Kind.TIMER, Kind.HOOK, Kind.RIVAL, Kind.PROGRAM})


def decide(host: Host, effects: tuple[Effect, ...]) -> Decision:
    """What becomes of every effect."""
    judge = _Judge(host, _left_whole(effects))
    for board in host.boards:
        for setting in ORDER:
            judge.settle(board, setting)
    judge.settle_host()
    return judge.decision()


def _left_whole(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """What decides again and again is one thing: of a controller no part is taken over."""
    files = {e.file for e in effects if e.doubt and e.doubt.kind is Kind.CONTROLLER and e.setting is not None}
    why = Doubt(Kind.CONTROLLER, "it is part of a program that goes on deciding what the GPU is set to")
    return tuple(replace(e, doubt=why) if e.file in files and e.doubt is None else e for e in effects)


class _Judge:
    def __init__(self, host: Host, effects: tuple[Effect, ...]) -> None:
        self.host, self.effects = host, effects
        self.found = Decision()
        self.reasons: dict[int, Misfit] = {}
        self.doubted: set[tuple[str, str]] = set()  # (start, UUID) that the board spoke against
        self.holds: dict[int, set[str]] = {}
        self.accepted: Mapping[int, bool] = {e.number: self._accepted(e) for e in effects}
        self.order = Order(host, effects, self.accepted)
        self.blanket = [
            e
            for e in effects
            if e.setting is None and e.gpus is None and e.active and e.doubt and e.doubt.kind not in _KNOWN_TO_LEAVE
        ]

    def _accepted(self, effect: Effect) -> bool:
        """Whether every board that it means takes it, so that the command ends well."""
        if effect.setting is None or effect.target is None or effect.gpus is None:
            return False
        if verdict.strangers(effect.gpus, self.host):
            return False
        if effect.setting is Setting.NUMA_BALANCING:
            return True
        boards = [board for board in self.host.boards if verdict.names(effect.gpus, board)]
        return all(self._takes(effect, board) for board in boards)

    def _takes(self, effect: Effect, board: Board) -> bool:
        judged = verdict.fit(effect, board, self.host)
        return isinstance(judged, Fit) or judged.doubt.kind is Kind.HARMFUL

    def _doubt(self, effect: Effect) -> Doubt | None:
        if effect.doubt:
            return effect.doubt
        if absent := verdict.strangers(effect.gpus, self.host):
            return Doubt(Kind.GPU_UNKNOWN, f"no GPU that is here goes by {', '.join(absent)}")
        refused = [number for number in effect.needs if not self.accepted[number]]
        if refused:
            words = next(e.words for e in self.effects if e.number == refused[0])
            return Doubt(Kind.BRANCH, f"runs only where `{words}` succeeds, which the board refuses or may refuse")
        if effect.unless:
            return Doubt(Kind.BRANCH, "runs only where another command fails")
        return None

    def settle(self, board: Board, setting: Setting) -> None:
        """One setting of one board."""
        uuid = board.gpu.uuid
        mine = [e for e in self.effects if e.setting is setting and verdict.names(e.gpus, board)]
        certain: list[tuple[Effect, Fit]] = []
        rest: list[Effect] = []
        dead = [effect for effect in mine if self.order.dead(effect)]
        for effect in mine:
            if effect in dead:
                self.holds.setdefault(effect.number, set()).add(uuid)
                continue
            doubt = self._doubt(effect)
            judged = verdict.fit(effect, board, self.host) if effect.target is not None else None
            if doubt is None and isinstance(judged, Fit):
                certain.append((effect, judged))
                continue
            if doubt is None and isinstance(judged, Misfit):
                self.reasons.setdefault(effect.number, judged)
            elif doubt is not None:
                self.reasons.setdefault(effect.number, Misfit(doubt, self._instead(effect, judged, doubt, board)))
            rest.append(effect)
        active = [e for e in rest if e.active and not self.order.overwritten(e, certain)]
        active += [e for e in self.blanket if _covers(e, setting)]
        if certain:
            why = self.order.left_half(certain) or self.order.fallen_back(certain, dead, board)
            why = why or self._agreed(certain, active, board, setting)
            if why is None:
                self._take(board, setting, certain)
                return
            for effect, judged in certain:
                line = verdict.line(setting, judged.value, board, self.host)
                self.reasons.setdefault(effect.number, Misfit(why, line))
        # What nothing starts may have been run by hand: where its value is not known, it may be the one in force.
        if certain or active or any(effect.target is None or effect.undone for effect in rest):
            self.found.busy.add((uuid, setting))

    def _agreed(
        self, certain: list[tuple[Effect, Fit]], active: list[Effect], board: Board, setting: Setting
    ) -> Doubt | None:
        """Why what is certain by itself is not so beside the rest; None where it is."""
        values = last_words(certain)
        if len(values) > 1:
            return Doubt(
                Kind.CONFLICT, f"{' and '.join(map(text, values))} are both set, and which one is last is not known"
            )
        (value,) = values
        for other in active:
            target = verdict.fit(other, board, self.host) if other.setting and other.target is not None else None
            if not (isinstance(target, Fit) and target.value == value and other.gpus is not None):
                place = f"{other.file} line {other.line}"
                return Doubt(Kind.CONFLICT, f"`{other.words}` ({place}) may set it as well, to something else")
        against = verdict.witness(setting, value, board, self.host)
        starts = {effect.start for effect, _ in certain}
        if against:
            self.doubted |= {(start, board.gpu.uuid) for start in starts}
            return against
        if any(effect.undone for effect, _ in certain) and not self._lasts(board, setting, starts):
            return Doubt(Kind.STOP, "its unit ends at once, without RemainAfterExit=, and ExecStop= takes it back")
        if not setting.readable and any((start, board.gpu.uuid) in self.doubted for start in starts):
            return Doubt(Kind.DIFFERS, "what can be read of this board is not what the same file says")
        return None

    def _lasts(self, board: Board, setting: Setting, starts: set[str]) -> bool:
        """Whether no unit among these takes it back as soon as it has run. What the board has now is no witness here:
        it may have the unit's value by chance."""
        stops = [e for e in self.effects if e.undone and e.setting is setting and e.start in starts]
        return not any(e.doubt and e.doubt.kind is Kind.STOP and verdict.names(e.gpus, board) for e in stops)

    def _take(self, board: Board, setting: Setting, certain: list[tuple[Effect, Fit]]) -> None:
        judged = certain[-1][1]
        same = [effect for effect, other in certain if other.value == judged.value]
        remark = judged.remark
        beside = verdict.beside(judged.value, self.host.found(board, setting), board)
        self.found.taken.append(
            Taken(board.gpu.uuid, setting, judged.value, tuple(reversed(same)), beside, remark.strip())
        )
        for effect, _ in certain:
            self.holds.setdefault(effect.number, set()).add(board.gpu.uuid)

    def _instead(self, effect: Effect, judged: Fit | Misfit | None, doubt: Doubt, board: Board) -> str | None:
        setting = effect.setting
        if doubt.kind is Kind.STOP or setting is None:
            return None
        if isinstance(judged, Fit) and judged.value is UNLOCKED:
            return None
        same = {e.target for e in self.effects if e.setting is setting and e.file == effect.file}
        if len(same) > 1 and doubt.kind not in _WATCHED:
            return None  # which of them is meant is a person's to say
        if doubt.kind in _WATCHED:
            return f'watch = ["{setting.value}"]'
        if isinstance(judged, Fit):
            return verdict.line(setting, judged.value, board, self.host)
        return judged.instead if judged else None

    def settle_host(self) -> None:
        """kernel.numa_balancing."""
        mine = [e for e in self.effects if e.setting is Setting.NUMA_BALANCING]
        certain = [(e, Fit(e.target)) for e in mine if isinstance(e.target, NumaBalancing) and not self._doubt(e)]
        now = self.host.numa_now
        why: Doubt | None = None
        if now is None:
            why = Doubt(Kind.UNSUPPORTED, "this kernel has no such knob")
        elif certain:
            values = last_words(certain)
            other = [e for e in mine if self._doubt(e) and e.active and e.target is not values[0]]
            if len(values) > 1 or other:
                why = Doubt(Kind.CONFLICT, "more than one of them sets it")
            elif values[0] is not now and now is NumaBalancing.OFF:
                why = Doubt(Kind.DIFFERS, f"the file says {text(values[0])}, and it is {text(now)} now")
        if certain and why is None:
            value = certain[-1][1].value
            beside = "as now" if value is now else f"now: {text(now)}"
            self.found.taken.append(
                Taken(None, Setting.NUMA_BALANCING, value, tuple(e for e, _ in certain[::-1]), beside)
            )
            self.found.covered |= {e.number for e, _ in certain}
        for effect in mine:
            if effect.number not in self.found.covered:
                doubt = self._doubt(effect) or why or Doubt(Kind.UNREADABLE, "it is not understood")
                self.reasons.setdefault(effect.number, Misfit(doubt))

    def decision(self) -> Decision:
        """With every effect either covered or left."""
        for effect in self.effects:
            means = {
                b.gpu.uuid for b in self.host.boards if effect.gpus is not None and verdict.names(effect.gpus, b)
            }
            doubt = self._doubt(effect)
            if effect.doubt is None and doubt and doubt.kind is Kind.GPU_UNKNOWN:
                self.reasons[effect.number] = Misfit(doubt, self._wished(effect))
            elif effect.setting is not None and means and means <= self.holds.get(effect.number, set()):
                self.found.covered.add(effect.number)
        self.found.left = list(self._left())
        return self.found

    def _wished(self, effect: Effect) -> str | None:
        return (
            (verdict.said(effect.setting, effect.target) or None)
            if effect.setting and effect.target is not None
            else None
        )

    def _left(self) -> Iterable[Left]:
        seen: set[tuple[object, ...]] = set()
        for effect in self.effects:
            key = (effect.file, effect.line, effect.words, effect.setting)
            if effect.number in self.found.covered or key in seen:
                continue
            seen.add(key)
            doubt = effect.doubt or Doubt(Kind.GPU_UNKNOWN, "no GPU that is here is meant by it")
            misfit = self.reasons.get(effect.number) or Misfit(doubt)
            yield Left(effect, misfit.doubt.kind, misfit.doubt.why, misfit.instead)


def _covers(blanket: Effect, setting: Setting) -> bool:
    """Whether something that is not known may set this: other programs of this kind set limits and clocks."""
    rival = blanket.doubt is not None and blanket.doubt.kind is Kind.RIVAL
    return not rival or setting in (Setting.POWER_LIMIT, Setting.GPU_CLOCK, Setting.MEMORY_CLOCK)
