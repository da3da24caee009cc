"""One walk: a whole loop on fakes, and what is true of its boards."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from gpu_tuned.core.model import PowerLimit, Setting, wire
from tests.chaos.model import Truth, check_row, check_whole, check_writes, must
from tests.chaos.policies import BOARDS, fleet_policies
from tests.fakes import FakeGpu
from tests.loop.stage import Stage, board

POWER = Setting.POWER_LIMIT


class Walk:
    """One walk. `step` does something to the world and lets the loop look once; whatever is said then is checked."""

    def __init__(self, seed: int, verbose: bool = False) -> None:
        self.random = random.Random(seed)
        self.verbose = verbose
        boards = [board(i, least, most, most) for i, (least, most) in enumerate(BOARDS[: self.random.randint(1, 3)])]
        self.uuids = [one.gpu.uuid for one in boards]
        self.in_force = fleet_policies(self.random, self.uuids)
        self.stage = Stage(self.in_force.text, *boards)
        self.gpus = list(self.stage.gpus.gpus.values())
        self.truths = [Truth(*BOARDS[i], watts=BOARDS[i][1]) for i in range(len(self.gpus))]
        self.bound = self.looks = 0
        self.released: set[int] = set()
        self.refused = [False] * len(self.gpus)
        self.ours = [False] * len(self.gpus)  # a value of ours that is not the original was taken, and may be there
        self.put = [0.0] * len(self.gpus)  # the last that was, watts
        self.writes = [0] * len(self.gpus)
        self.look()

    def go(self, actions: Sequence[Callable[[Walk], None]], steps: int) -> None:
        for _ in range(steps):
            self.step(self.random.choice(actions))
        self.calm()

    def step(self, action: Callable[[Walk], None]) -> None:
        if self.verbose:
            print(f"{self.stage.clock.mono:8.0f}  {action.__name__}", file=sys.stderr)
        action(self)
        self.look()

    def look(self) -> None:
        """One turn, and everything that it says held against the truth."""
        stage = self.stage
        found = [limit_w(gpu) for gpu in self.gpus]
        before = [len(gpu.writes) for gpu in self.gpus]
        stage.turn(seconds=self.random.choice([2, 2, 2, 7, 40]))
        looked = self.looked()
        observing = self.in_force.observing
        written = [
            (i, value.limit_mw / 1000)
            for i, gpu in enumerate(self.gpus)
            for setting, value in gpu.writes[before[i] :]
            if setting is POWER and isinstance(value, PowerLimit)
        ]
        for i, (gpu, truth) in enumerate(zip(self.gpus, self.truths, strict=True)):
            state = stage.supervisor.inventory.states.get(gpu.uuid)
            truth.seen = gpu.uuid in looked and state is not None and state.here
            truth.readable = POWER not in gpu.unreadable
            if gpu.uuid in looked:
                truth.looked_at(found[i])
            truth.watts = limit_w(gpu)
            asked = [value for setting, value in gpu.writes[self.writes[i] :] if setting is POWER]
            self.writes[i] = len(gpu.writes)
            row = self.row(i)
            if asked and asked[-1] == gpu.values[POWER]:
                self.put[i], self.ours[i] = truth.watts, truth.watts not in truth.originals
            self.refused[i] |= bool(row) and row["state"] == "refused"
        truths = self.demanded()
        check_writes(written, truths, self.in_force.wishes, observing)
        for i, truth in enumerate(truths):
            check_row(self.row(i), truth, self.in_force.wishes[i], observing)
        for gpu in self.gpus:
            self.check_others(gpu)
        asleep = [gpu.board.gpu.pci in stage.kernel.sleeping for gpu in self.gpus]
        boards = list(zip(truths, asleep, self.in_force.wishes, strict=True))
        check_whole(stage.exit_code, stage.wait_code, boards, observing)

    def check_others(self, gpu: FakeGpu) -> None:
        """Whatever is called held is what the board has. Application clocks are read at every fifth look alone."""
        rows = [
            row for one in self.stage.mailbox.document["gpus"] if one["uuid"] == gpu.uuid for row in one["settings"]
        ]
        for row in rows:
            setting = Setting(row["setting"])
            must(row["in_order"] or row["message"], "a row that is not in order says why", row)
            must(setting.readable or row["state"] != "held", "held is said of what cannot be read", row)
            if row["state"] == "held" and setting is not Setting.APPLICATION_CLOCKS:
                must(row["observed"] == wire(gpu.values[setting]), f"the board has {gpu.values[setting]}", row)

    def demanded(self) -> list[Truth]:
        """The truths by the policy in force: a GPU that it names, or one of so many that there must be, is away on
        nobody's purpose."""
        short = self.in_force.counted and any(truth.on_purpose for truth in self.truths)
        named = self.in_force.named
        return [
            replace(truth, on_purpose=truth.on_purpose and not short and i not in named)
            for i, truth in enumerate(self.truths)
        ]

    def looked(self) -> set[str]:
        """The GPUs that were looked at since the last time this was asked."""
        new = {uuid for uuid, _ in self.stage.gpus.looks[self.looks :]}
        self.looks = len(self.stage.gpus.looks)
        return new

    def left_by_restore(self) -> None:
        """Somebody's own limit, which a restore left, is none of ours."""
        for i, gpu in enumerate(self.gpus):
            state = self.stage.supervisor.inventory.states.get(gpu.uuid)
            if state is not None and state.here and limit_w(gpu) != self.put[i]:
                self.ours[i] = False

    def row(self, index: int) -> dict[str, object]:
        uuid = self.gpus[index].uuid
        rows = [row for gpu in self.stage.mailbox.document["gpus"] if gpu["uuid"] == uuid for row in gpu["settings"]]
        return next((row for row in rows if row["setting"] == POWER.value), {})

    def calm(self) -> None:
        """The faults stop. Within two looks everything is as wished, or says why not."""
        stage = self.stage
        for gpu in self.gpus:
            gpu.deaf = gpu.lost = gpu.mute = False
            gpu.undescribed = None
            gpu.refuses.clear()
            gpu.unreadable.clear()
        self.load_driver()
        for gpu in self.gpus:
            self.rebind(gpu)
        stage.kernel.sleeping.clear()
        stage.this_boot.full = stage.lasting.full = None
        self.resume()
        for seconds in (700, 2, 2):
            stage.turn(seconds=seconds)
            self.settle_after_command()
        stage.ask("apply")
        self.settle_after_command()
        stage.turn(2)
        for truth, gpu in zip(self.truths, self.gpus, strict=True):
            truth.watts, truth.seen, truth.readable = limit_w(gpu), True, True
        observing = self.in_force.observing
        for i, truth in enumerate(self.demanded()):
            row, wish = self.row(i), self.in_force.wishes[i]
            check_row(row, truth, wish, observing)
            possible = wish.watts is not None and (truth.least_w <= wish.watts or truth.watts <= wish.watts)
            if wish.enforced and not observing and possible and (wish.watts or 0) <= truth.most_w:
                assert row["in_order"] or row["message"], row
                assert wish.met_by(truth.watts) or row["state"] in ("refused", "contested"), (row, truth)

    # -- what belongs together

    def load_driver(self) -> None:
        """Every GPU then begins anew."""
        kernel, gpus = self.stage.kernel, self.stage.gpus
        if kernel.loaded:
            return
        kernel.loaded, gpus.absent = "580.159.04", None
        for gpu in self.gpus:
            self.bound += 1
            pci = gpu.board.gpu.pci
            if pci in kernel.bindings:
                kernel.bindings[pci] = f"anew-{self.bound}"
                self.renew(gpu)

    def renew(self, gpu: FakeGpu) -> None:
        """A new driver initialisation, which the kernel's binding tells."""
        i = gpu.board.index
        gpu.reinitialise()
        self.truths[i].initialised_anew()
        self.refused[i] = self.ours[i] = False

    def rebind(self, gpu: FakeGpu) -> None:
        kernel, pci = self.stage.kernel, gpu.board.gpu.pci
        if pci not in kernel.bindings and kernel.loaded:
            self.bound += 1
            kernel.bind(pci, f"anew-{self.bound}")
            self.truths[gpu.board.index].on_purpose = gpu.board.index in self.released
            self.renew(gpu)

    def resume(self) -> None:
        self.stage.ask("resume")
        self.released.clear()
        for truth, gpu in zip(self.truths, self.gpus, strict=True):
            truth.on_purpose = gpu.board.gpu.pci not in self.stage.kernel.bindings
        self.settle_after_command()

    def settle_after_command(self) -> None:
        """A command is served by a turn of its own, in which originals may have been taken."""
        looked = self.looked()
        for gpu, truth in zip(self.gpus, self.truths, strict=True):
            state = self.stage.supervisor.inventory.states.get(gpu.uuid)
            known = state.original(POWER) if state else None
            if gpu.uuid in looked and known is not None and isinstance(known.value, PowerLimit):
                truth.readable = POWER not in gpu.unreadable
                truth.looked_at(known.value.limit_mw / 1000)


def limit_w(gpu: FakeGpu) -> float:
    value = gpu.values[POWER]
    assert isinstance(value, PowerLimit)
    return value.limit_mw / 1000
