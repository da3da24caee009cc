"""What happens to the host, the driver and the daemon on a walk in one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverPermission, DriverRefused, DriverTrouble, GpuLost
from gpu_tuned.core.model import ApplicationClocks, ComputeMode, PowerLimit, Setting
from tests.chaos.model import must
from tests.chaos.policies import BOARDS, fleet_policies
from tests.chaos.walk import POWER, Walk
from tests.fakes import FakeGpu

ERRORS: tuple[Callable[[], DriverError], ...] = (
    lambda: DriverRefused("the driver refuses this value"),
    lambda: DriverPermission("not permitted"),
    lambda: DriverTrouble("an unknown error"),
    lambda: GpuLost("the GPU is lost"),
    lambda: DriverAbsent("the NVIDIA driver is not loaded"),
)


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


def mute(walk: Walk) -> None:
    """It is described, and does not answer; perhaps bound anew at the same time."""
    gpu = one(walk)
    gpu.mute = not gpu.mute
    if walk.random.random() < 0.5:
        bind_anew(walk)


def still(walk: Walk) -> None:
    """Nothing happens for a while: whatever is wrong then costs the other GPUs a few attaches, and not one a turn."""
    gpus = walk.stage.gpus
    attaches = gpus.attaches
    walk.stage.turn(8)
    must(gpus.attaches - attaches <= 4, "a host that does not change is attached now and then", attaches)
    walk.settle_after_command()


def clock_set(walk: Walk) -> None:
    """Somebody sets the wall clock."""
    walk.stage.clock.set_by_s += walk.random.choice([-86400.0, -5.0, 3600.0])


def counter(walk: Walk) -> None:
    """One alone runs backwards, which tells nothing."""
    one(walk).counters_ns[74] = 0


def bind_anew(walk: Walk) -> None:
    gpu = one(walk)
    if gpu.board.gpu.pci in walk.stage.kernel.bindings and walk.stage.kernel.loaded:
        walk.bound += 1
        walk.stage.kernel.bindings[gpu.board.gpu.pci] = f"anew-{walk.bound}"
        walk.renew(gpu)


def unbind(walk: Walk) -> None:
    gpu, kernel = one(walk), walk.stage.kernel
    if gpu.board.gpu.pci in kernel.bindings and kernel.loaded:
        kernel.unbind(gpu.board.gpu.pci, walk.random.choice(["", "vfio-pci"]))
        walk.truths[gpu.board.index].on_purpose = True


def rebind(walk: Walk) -> None:
    walk.rebind(one(walk))


def driver(walk: Walk) -> None:
    """Unloaded, or loaded again."""
    kernel = walk.stage.kernel
    if not kernel.loaded:
        walk.load_driver()
        return
    kernel.loaded, walk.stage.gpus.absent = None, DriverAbsent("the NVIDIA driver is not loaded")


def sleep(walk: Walk) -> None:
    sleeping, pci = walk.stage.kernel.sleeping, one(walk).board.gpu.pci
    sleeping.symmetric_difference_update({pci})


def load(walk: Walk) -> None:
    new = fleet_policies(walk.random, walk.uuids)
    walk.stage.text = new.text
    walk.stage.ask("reload")
    walk.in_force = new
    walk.settle_after_command()


def hangups(walk: Walk) -> None:
    """SIGHUP, some of them before the loop comes to it: of a file that is as it was, or a new one."""
    if walk.random.random() < 0.5:
        walk.in_force = fleet_policies(walk.random, walk.uuids)
        walk.stage.text = walk.in_force.text
    for _ in range(walk.random.choice([1, 2, 20])):
        walk.stage.supervisor.reload_policy()


def load_nonsense(walk: Walk) -> None:
    kept = walk.stage.text
    walk.stage.text = walk.random.choice(["nonsense", "[daemon]\npoll_interval_s = 0", None])
    walk.stage.ask("reload")
    walk.stage.text = kept
    walk.settle_after_command()


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
        walk.renew(gpu)
    kill(walk)


def disk(walk: Walk) -> None:
    """/run and /var are full, or one of them, or neither."""
    for store in (walk.stage.this_boot, walk.stage.lasting):
        store.full = walk.random.choice([None, "no space left on device", "a read-only file system"])


def apply(walk: Walk) -> None:
    walk.stage.ask("apply")
    walk.settle_after_command()


def restore(walk: Walk) -> None:
    walk.stage.ask("restore")
    walk.settle_after_command()
    walk.left_by_restore()


def release(walk: Walk) -> None:
    """Of all, or of one beside those of before."""
    index = walk.random.choice([None, walk.random.randrange(len(walk.gpus))])
    answer = walk.stage.ask("release", gpu=None if index is None else walk.uuids[index])
    if answer.error is not None:
        return  # it is known by its UUID once it was seen
    walk.released |= set(range(len(walk.gpus))) if index is None else {index}
    for i in walk.released:
        walk.truths[i].on_purpose = True
    walk.settle_after_command()


def resume(walk: Walk) -> None:
    walk.resume()


def plan(walk: Walk) -> None:
    walk.stage.plan()


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
        mute,
        still,
        clock_set,
    ),
    *(counter, bind_anew, unbind, rebind, rebind, driver, driver, sleep, load, load, load_nonsense, kill, kill),
    *(reboot, disk, hangups, apply, restore, release, resume, resume, plan),
)
