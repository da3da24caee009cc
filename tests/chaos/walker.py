"""A random walk of a whole loop on fakes through everything that can go wrong, held against the model at each step.

python -m tests.chaos.walker --walks 100000 --seed 1     by hand; prints the seed of a walk that fails
python -m tests.chaos.walker --seed 4711 --walks 1 -v    that walk again, step by step
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverPermission, DriverRefused, DriverTrouble, GpuLost
from gpu_tuned.core.model import ApplicationClocks, ComputeMode, PowerLimit, Setting, wire
from tests.chaos.model import Truth, Wish, check_row, check_whole, check_writes, must
from tests.fakes import FakeGpu
from tests.loop.stage import Stage, board, policy

POWER = Setting.POWER_LIMIT
BOARDS = ((200, 700), (200, 700), (400, 575))
ERRORS: tuple[Callable[[], DriverError], ...] = (
    lambda: DriverRefused("the driver refuses this value"),
    lambda: DriverPermission("not permitted"),
    lambda: DriverTrouble("an unknown error"),
    lambda: GpuLost("the GPU is lost"),
    lambda: DriverAbsent("the NVIDIA driver is not loaded"),
)
Policy = tuple[str, Wish, bool]
RANGES = {"max": lambda least, most: most, "default": lambda least, most: most, "80%": lambda least, most: most * 0.8}
"""What a symbol means on a board whose default is its maximum, watts."""


@dataclass(frozen=True)
class Fleet:
    """A good policy for several boards: its text; the wish for the power limit of each; whether it observes; which
    boards a rule names by UUID; and whether it says how many GPUs there must be."""

    text: str
    wishes: tuple[Wish, ...]
    observing: bool
    named: frozenset[int] = frozenset()
    counted: bool = False


def fleet_policies(random_: random.Random, uuids: Sequence[str]) -> Fleet:
    """A policy as `policies` makes it, perhaps with a rule of its own for one board, a symbol instead of a number, or
    a number of GPUs that there must be."""
    text, wish, observing = policies(random_)
    wishes = [wish] * len(uuids)
    named: set[int] = set()
    if random_.random() < 0.3:
        index = random_.randrange(len(uuids))
        word = random_.choice([*RANGES, "original", str(random_.randint(150, 750))])
        target = word if word.isdigit() else f'"{word}"'
        text += f'\n[[gpu]]\nmatch = {{ uuid = "{uuids[index]}" }}\npower_limit_w = {target}\n'
        least, most = BOARDS[index]
        watts = int(word) if word.isdigit() else round(RANGES[word](least, most)) if word in RANGES else None
        # A later value ends a watch; what was required stays so.
        wishes[index] = replace(wish, watts=watts, enforced=True, ceiling=False, original=word == "original")
        named.add(index)
    counted = random_.random() < 0.2
    if counted:
        text = text.replace("[[gpu]]", f"[host]\ngpus = {len(uuids)}\n[[gpu]]", 1)
    return Fleet(text, tuple(wishes), observing, frozenset(named), counted)


def policies(random_: random.Random) -> Policy:
    """A good policy: its text, what it asks of the power limit, and whether it observes."""
    watts = random_.choice([420, 450, 500, 575])
    observing = random_.random() < 0.15
    kind = random_.choice(["plain", "plain", "required", "ceiling", "watched", "none"])
    lines = ["persistence_mode = true", "gpu_clock_mhz = { max = 1500 }"]
    if kind == "ceiling":
        lines.append(f"power_limit_w = {{ max = {watts} }}")
    elif kind != "none":
        lines.append(f"power_limit_w = {watts}")
    if random_.random() < 0.5:
        lines += ['compute_mode = "exclusive_process"', "application_clocks_mhz = { memory = 3201, gpu = 1500 }"]
    lines += {"required": ['required = ["power_limit_w"]'], "watched": ['watch = ["power_limit_w"]']}.get(kind, [])
    text = policy(*lines, daemon='mode = "observe"' if observing else "")
    wish = Wish(None if kind == "none" else watts, kind != "watched", kind == "ceiling", kind == "required")
    return text, wish, observing


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
        self.ours = [False] * len(self.gpus)  # a value of ours that is not the original was taken
        self.writes = [0] * len(self.gpus)
        self.look()

    def step(self) -> None:
        action = self.random.choice(ACTIONS)
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
            if asked and asked[-1] == gpu.values[POWER]:
                self.ours[i] = truth.watts not in truth.originals
            row = self.row(i)
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

    def row(self, index: int) -> dict[str, object]:
        uuid = self.gpus[index].uuid
        rows = [row for gpu in self.stage.mailbox.document["gpus"] if gpu["uuid"] == uuid for row in gpu["settings"]]
        return next((row for row in rows if row["setting"] == POWER.value), {})

    def calm(self) -> None:
        """The faults stop. Within two looks everything is as wished, or says why not."""
        stage = self.stage
        for gpu in self.gpus:
            gpu.deaf = gpu.lost = False
            gpu.undescribed = None
            gpu.refuses.clear()
            gpu.unreadable.clear()
        if not stage.kernel.loaded:
            driver(self)
        for gpu in self.gpus:
            rebind(self, gpu)
        stage.kernel.sleeping.clear()
        stage.this_boot.full = stage.lasting.full = None
        resume(self)
        for seconds in (700, 2, 2):
            stage.turn(seconds=seconds)
            settle_after_command(self)
        apply(self)
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


def limit_w(gpu: FakeGpu) -> float:
    value = gpu.values[POWER]
    assert isinstance(value, PowerLimit)
    return value.limit_mw / 1000


# --- what happens to the world


def one(walk: Walk) -> FakeGpu:
    return walk.random.choice(walk.gpus)


def nothing(walk: Walk) -> None: ...


def stranger(walk: Walk) -> None:
    gpu = one(walk)
    least, most = BOARDS[gpu.board.index]
    gpu.values[POWER] = PowerLimit(1000 * walk.random.randint(least, most))


def strangers_mode(walk: Walk) -> None:
    """Somebody changes what else can be read."""
    gpu = one(walk)
    gpu.values[Setting.COMPUTE_MODE] = walk.random.choice([ComputeMode.DEFAULT, ComputeMode.PROHIBITED])
    gpu.values[Setting.PERSISTENCE_MODE] = walk.random.choice([True, False])
    gpu.values[Setting.APPLICATION_CLOCKS] = ApplicationClocks(3201, walk.random.choice([1500, 1980]))


def mig(walk: Walk) -> None:
    """MIG goes on or off: compute mode then belongs to nobody, or to the board again."""
    gpu = one(walk)
    on = not gpu.board.mig
    absent = {Setting.COMPUTE_MODE: "MIG is on"} if on else {}
    gpu.board = replace(gpu.board, mig=on, absent=absent)


def lose(walk: Walk) -> None:
    one(walk).lost = True


def find(walk: Walk) -> None:
    for gpu in walk.gpus:
        gpu.lost = False


def not_described(walk: Walk) -> None:
    one(walk).undescribed = walk.random.choice([None, "the driver is not ready"])


def unreadable(walk: Walk) -> None:
    gpu = one(walk)
    if gpu.unreadable:
        gpu.unreadable.clear()
    else:
        gpu.unreadable[POWER] = "timed out"


def refuse(walk: Walk) -> None:
    gpu = one(walk)
    if gpu.refuses:
        gpu.refuses.clear()
    else:
        gpu.refuses[POWER] = walk.random.choice(ERRORS)()


def deaf(walk: Walk) -> None:
    gpu = one(walk)
    gpu.deaf = not gpu.deaf


def counter(walk: Walk) -> None:
    """One alone runs backwards, which tells nothing."""
    one(walk).counters_ns[74] = 0


def renew(walk: Walk, gpu: FakeGpu) -> None:
    """A new driver initialisation, which the kernel's binding tells."""
    i = gpu.board.index
    gpu.reinitialise()
    walk.truths[i].initialised_anew()
    walk.refused[i] = walk.ours[i] = False


def bind_anew(walk: Walk) -> None:
    gpu = one(walk)
    if gpu.board.gpu.pci in walk.stage.kernel.bindings and walk.stage.kernel.loaded:
        walk.bound += 1
        walk.stage.kernel.bindings[gpu.board.gpu.pci] = f"anew-{walk.bound}"
        renew(walk, gpu)


def unbind(walk: Walk) -> None:
    gpu, kernel = one(walk), walk.stage.kernel
    if gpu.board.gpu.pci in kernel.bindings and kernel.loaded:
        kernel.unbind(gpu.board.gpu.pci, walk.random.choice(["", "vfio-pci"]))
        walk.truths[gpu.board.index].on_purpose = True


def rebind(walk: Walk, gpu: FakeGpu | None = None) -> None:
    gpu, kernel = gpu or one(walk), walk.stage.kernel
    pci = gpu.board.gpu.pci
    if pci not in kernel.bindings and kernel.loaded:
        walk.bound += 1
        kernel.bind(pci, f"anew-{walk.bound}")
        walk.truths[gpu.board.index].on_purpose = gpu.board.index in walk.released
        renew(walk, gpu)


def driver(walk: Walk) -> None:
    """Unloaded, or loaded again: every GPU then begins anew."""
    kernel, gpus = walk.stage.kernel, walk.stage.gpus
    if kernel.loaded:
        kernel.loaded, gpus.absent = None, DriverAbsent("the NVIDIA driver is not loaded")
        return
    kernel.loaded, gpus.absent = "580.159.04", None
    for gpu in walk.gpus:
        walk.bound += 1
        pci = gpu.board.gpu.pci
        if pci in kernel.bindings:
            kernel.bindings[pci] = f"anew-{walk.bound}"
            renew(walk, gpu)


def sleep(walk: Walk) -> None:
    sleeping, pci = walk.stage.kernel.sleeping, one(walk).board.gpu.pci
    sleeping.symmetric_difference_update({pci})


def load(walk: Walk) -> None:
    new = fleet_policies(walk.random, walk.uuids)
    walk.stage.text = new.text
    walk.stage.ask("reload")
    walk.in_force = new
    settle_after_command(walk)


def load_nonsense(walk: Walk) -> None:
    kept = walk.stage.text
    walk.stage.text = walk.random.choice(["nonsense", "[daemon]\npoll_interval_s = 0", None])
    walk.stage.ask("reload")
    walk.stage.text = kept
    settle_after_command(walk)


def kill(walk: Walk) -> None:
    """Killed, and started again on what is saved; the policy on the disk is the one in force."""
    for i in range(len(walk.gpus)):
        # Where none of our writes was ever taken, and what the run before could not save.
        never_ours = walk.refused[i] and not walk.ours[i]
        walk.truths[i].may_be_taken_anew |= never_ours or bool(walk.stage.this_boot.full)
    walk.released.clear()
    for i, gpu in enumerate(walk.gpus):
        walk.truths[i].on_purpose = gpu.board.gpu.pci not in walk.stage.kernel.bindings
    walk.stage.start()


def reboot(walk: Walk) -> None:
    kernel = walk.stage.kernel
    kernel.boot += "'"
    kernel.loaded, walk.stage.gpus.absent = "580.159.04", None
    for gpu in walk.gpus:
        gpu.lost, gpu.undescribed = False, None
        walk.bound += 1
        kernel.bind(gpu.board.gpu.pci, f"anew-{walk.bound}")
        renew(walk, gpu)
    kill(walk)


def disk(walk: Walk) -> None:
    full = None if walk.stage.this_boot.full else "no space left on device"
    walk.stage.this_boot.full = walk.stage.lasting.full = full


def apply(walk: Walk) -> None:
    walk.stage.ask("apply")
    settle_after_command(walk)


def restore(walk: Walk) -> None:
    walk.stage.ask("restore")
    settle_after_command(walk)


def release(walk: Walk) -> None:
    walk.stage.ask("release")
    walk.released = set(range(len(walk.gpus)))
    for truth in walk.truths:
        truth.on_purpose = True
    settle_after_command(walk)


def resume(walk: Walk) -> None:
    walk.stage.ask("resume")
    walk.released.clear()
    for truth, gpu in zip(walk.truths, walk.gpus, strict=True):
        truth.on_purpose = gpu.board.gpu.pci not in walk.stage.kernel.bindings
    settle_after_command(walk)


def plan(walk: Walk) -> None:
    walk.stage.plan()


def settle_after_command(walk: Walk) -> None:
    """A command is served by a turn of its own, in which originals may have been taken."""
    looked = walk.looked()
    for gpu, truth in zip(walk.gpus, walk.truths, strict=True):
        state = walk.stage.supervisor.inventory.states.get(gpu.uuid)
        known = state.original(POWER) if state else None
        if gpu.uuid in looked and known is not None and isinstance(known.value, PowerLimit):
            truth.readable = POWER not in gpu.unreadable
            truth.looked_at(known.value.limit_mw / 1000)


ACTIONS: tuple[Callable[[Walk], None], ...] = (
    *(
        nothing,
        nothing,
        stranger,
        stranger,
        strangers_mode,
        mig,
        lose,
        find,
        find,
        not_described,
        not_described,
        unreadable,
        refuse,
        deaf,
    ),
    *(counter, bind_anew, unbind, rebind, rebind, driver, driver, sleep, load, load, load_nonsense, kill, kill),
    *(reboot, disk, apply, restore, release, resume, resume, plan),
)


def walk_one(seed: int, steps: int = 25, verbose: bool = False) -> None:
    """Raises AssertionError with the seed."""
    try:
        walk = Walk(seed, verbose)
        for _ in range(steps):
            walk.step()
        walk.calm()
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walks", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1, help="of the first walk; the next have the next numbers")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    for seed in range(options.seed, options.seed + options.walks):
        walk_one(seed, options.steps, options.verbose)
    took_s = time.monotonic() - began
    print(f"{options.walks} walks of {options.steps} steps in {took_s:.0f} s, nothing untrue was said")
    return 0


if __name__ == "__main__":
    sys.exit(main())
