"""A walk that holds every readable setting of every board, and the host's, against what is true: as walk.py does for
the power limit, with any mixture of settings, rules, modes and faults."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gpu_tuned.core.errors import DriverPermission
from gpu_tuned.core.model import ApplicationClocks, Board, NumaBalancing, Setting, Value, wire
from tests.chaos.model import must
from tests.chaos.settings_policies import PAIR, VALUES, Wish, settings_policy
from tests.fakes import FakeGpu
from tests.loop.stage import LADDER, Asked, Stage, board

SELDOM = 95
"""Looks after which application clocks that somebody changed have been read."""


@dataclass
class Known:
    """One setting of a board. `originals`: what may be told as found at first; `before`: what could be in the driver
    initialisation before; `begins`: the next look may take another one, for it is a run that knows none; `ours`: a
    value of ours that is no original was taken; `unseen`: looks for which a value that somebody set may go unnoticed.
    """

    originals: set[Value] = field(default_factory=set)
    before: set[Value] = field(default_factory=set)
    begins: bool = True
    ours: bool = False
    unseen: int = 0


def two_memory_clocks(one: Board) -> Board:
    ladders = {3201: LADDER, 2619: LADDER}
    default = ApplicationClocks(3201, 1980)
    return replace(one, memory_ladder_mhz=(3201, 2619), gpu_ladders_mhz=ladders, default_application_clocks=default)


class SettingsWalk:
    """`step` does something to the world and lets the loop look once; all that it says then is held."""

    def __init__(self, seed: int, verbose: bool = False) -> None:
        self.random, self._verbose = random.Random(seed), verbose
        boards = [two_memory_clocks(board(i)) for i in range(self.random.randint(1, 3))]
        self.uuids = [one.gpu.uuid for one in boards]
        self.policy = settings_policy(self.random, self.uuids)
        self.stage = Stage(self.policy.text, *boards)
        self.gpus = list(self.stage.gpus.gpus.values())
        self.known = [{setting: Known() for setting in VALUES} for _ in boards]
        self.wanted_away: set[int] = set()
        self.released: set[int] = set()
        self.bindings = self.looks = 0
        self.knob_refuses = self.knob_deaf = False
        self.stage.kernel.set_numa_balancing = self._set_knob  # type: ignore[method-assign]
        self.look()

    def go(self, actions: Sequence[Callable[[SettingsWalk], None]], steps: int) -> None:
        for _ in range(steps):
            self.step(self.random.choice(actions))
        self.calm()

    def step(self, action: Callable[[SettingsWalk], None]) -> None:
        if self._verbose:
            print(f"{self.stage.clock.mono:8.0f}  {action.__name__}", file=sys.stderr)
        action(self)
        self.look()

    def _set_knob(self, value: NumaBalancing) -> None:
        if self.knob_refuses:
            raise DriverPermission("a read-only file system")
        if not self.knob_deaf:
            self.stage.kernel.knob = value

    def ask(self, name: str, **parameters: Any) -> None:
        self.stage.mailbox.commands.append(Asked(name, {"gpu": None, "setting": None, "for_s": None} | parameters))

    def look(self, seconds: float | None = None) -> None:
        found = [dict(gpu.values) for gpu in self.gpus]
        written = [len(gpu.writes) for gpu in self.gpus]
        self.stage.turn(seconds=seconds or self.random.choice([2, 2, 2, 7, 40]))
        new, self.looks = self.stage.gpus.looks[self.looks :], len(self.stage.gpus.looks)
        for i, gpu in enumerate(self.gpus):
            looks = [look for uuid, look in new if uuid == gpu.uuid]
            self._learn(i, gpu, found[i], looked=bool(looks), pair=any(one.application_clocks for one in looks))
            self._hold_writes(i, gpu.writes[written[i] :])
        for i, gpu in enumerate(self.gpus):
            self._hold_rows(i, gpu)
        self._hold_host()
        self._hold_codes()

    def _learn(self, i: int, gpu: FakeGpu, found: Mapping[Setting, Value], *, looked: bool, pair: bool) -> None:
        for setting, known in self.known[i].items():
            known.unseen = max(0, known.unseen - 1)
            if not looked or setting in gpu.unreadable or gpu.lost or gpu.mute or (setting is PAIR and not pair):
                continue
            known.unseen = 0
            if known.begins or not known.originals:
                known.originals.add(found[setting])
                wish = self.policy.wishes[i].get(setting)
                if wish is not None and found[setting] == wish.value:  # ours, for all that the daemon can know
                    known.originals |= known.before
            known.begins = False

    def _hold_writes(self, i: int, writes: list[tuple[Setting, Value]]) -> None:
        must(not (writes and self.policy.observing), "observe mode writes nothing", writes)
        for setting, value in writes:
            if setting not in VALUES:
                continue
            wish, known = self.policy.wishes[i].get(setting), self.known[i][setting]
            wished = wish is not None and wish.enforced and value == wish.value
            must(wished or value in known.originals, "what is written is wished, or what was found at first", value)
            if self.gpus[i].values[setting] == value:
                known.ours = value not in known.originals

    def _row_of(self, i: int) -> tuple[str | None, Mapping[Setting, Mapping[str, Any]]]:
        for gpu in self.stage.mailbox.document["gpus"]:
            if gpu["uuid"] == self.uuids[i]:
                return gpu["state"], {Setting(row["setting"]): row for row in gpu["settings"]}
        return None, {}

    def met(self, i: int, setting: Setting, wish: Wish) -> bool:
        value = self.gpus[i].values[setting]
        return value in self.known[i][setting].originals if wish.original else value == wish.value

    def _hold_rows(self, i: int, gpu: FakeGpu) -> None:
        state, rows = self._row_of(i)
        for setting, row in rows.items():
            must(row["in_order"] or row["message"], "a row that is not in order says why", row)
            wish, value = self.policy.wishes[i].get(setting), gpu.values.get(setting)
            if setting not in VALUES:
                must(row["state"] != "held", "held is said of what cannot be read", row)
                continue
            known = self.known[i][setting]
            if row["state"] == "held":
                must(wish is not None and wish.enforced and not self.policy.observing, "held is enforced", row)
                fits = known.unseen or (row["observed"] == wire(value) and wish and self.met(i, setting, wish))
                must(fits, f"held, and the board has {value}", row)
            compares = wish is not None and (wish.value is not None or wish.original) and not known.unseen
            if row["state"] == "watched" and row["in_order"] and wish is not None and compares:
                must(self.met(i, setting, wish), f"watched and as wished, and the board has {value}", row)
            if row["original"] is not None and state == "ok":
                told = {str(wire(one)) for one in known.originals}
                must(str(row["original"]) in told, f"originals were {told}", row)

    def _hold_host(self) -> None:
        knob, numa = self.stage.kernel.knob, self.policy.numa
        for row in self.stage.mailbox.document["host"]["settings"]:
            must(row["in_order"] or row["message"], "a row that is not in order says why", row)
            if row["state"] == "held":
                as_wished = (knob is not NumaBalancing.OFF) == (numa == "on")
                must(numa and not self.policy.observing and as_wished, f"held, and the kernel has {knob}", row)
                must(row["observed"] == wire(knob), "what was observed is what the kernel has", row)

    def _hold_codes(self) -> None:
        code, waited = self.stage.exit_code, self.stage.wait_code
        for i, gpu in enumerate(self.gpus):
            if i in self.wanted_away | self.released or gpu.board.gpu.pci in self.stage.kernel.sleeping:
                continue
            for setting, wish in self.policy.wishes[i].items():
                if self.known[i][setting].unseen or (wish.value is None and not wish.original):
                    continue
                met = self.met(i, setting, wish)
                must(code or met or not wish.enforced, f"in order, and {setting.value} is not", (wish, gpu.values))
                must(
                    waited or met or not wish.required, f"`wait` ended well, and {setting.value}", (wish, gpu.values)
                )

    def renew(self, i: int) -> None:
        """A new driver initialisation, which the kernel's binding tells."""
        self.bindings += 1
        self.stage.kernel.bind(self.gpus[i].board.gpu.pci, f"anew-{self.bindings}")
        self.gpus[i].reinitialise()
        self.known[i] = {
            setting: Known(before=known.originals | known.before, unseen=SELDOM if setting is PAIR else 0)
            for setting, known in self.known[i].items()
        }
        self.wanted_away.discard(i)

    def calm(self) -> None:
        """The faults stop, and somebody asks to apply: what is enforced is in force, unless it is fought over."""
        kernel = self.stage.kernel
        for gpu in self.gpus:
            gpu.deaf = gpu.lost = gpu.mute = False
            gpu.undescribed = None
            gpu.refuses.clear()
            gpu.unreadable.clear()
        self.knob_refuses = self.knob_deaf = False
        kernel.sleeping.clear()
        self.stage.this_boot.full = self.stage.lasting.full = None
        for i in range(len(self.gpus)):
            if not kernel.loaded or i in self.wanted_away:
                self.renew(i)
        kernel.loaded, self.stage.gpus.absent = "580.159.04", None
        self.released.clear()
        self.ask("resume")
        for seconds in (700, 2):
            self.look(seconds)
        self.ask("apply")
        for _ in range(2):
            self.look(2)
        for i, wishes in enumerate(self.policy.wishes):
            for setting, wish in wishes.items():
                if wish.enforced and wish.value is not None and not self.policy.observing:
                    row = self._row_of(i)[1].get(setting)
                    fought = row is not None and row["state"] == "contested"
                    must(fought or self.met(i, setting, wish), f"{self.gpus[i].values[setting]} in the end", row)
