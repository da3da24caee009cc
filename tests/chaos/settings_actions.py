"""What happens on a walk through all settings: strangers, faults of calls, GPUs, the kernel, the disk; commands."""

from __future__ import annotations

from collections.abc import Callable

from gpu_tuned.core.errors import DriverAbsent
from gpu_tuned.core.model import NumaBalancing, Setting
from tests.chaos.actions import ERRORS
from tests.chaos.settings_policies import PAIR, VALUES, settings_policy
from tests.chaos.settings_walk import SELDOM, SettingsWalk
from tests.fakes import FakeGpu


def one(walk: SettingsWalk) -> int:
    return walk.random.randrange(len(walk.gpus))


def some(walk: SettingsWalk) -> list[Setting]:
    return walk.random.sample(list(VALUES), walk.random.randint(1, len(VALUES)))


def nothing(walk: SettingsWalk) -> None: ...


def stranger(walk: SettingsWalk) -> None:
    i = one(walk)
    for setting in some(walk):
        walk.gpus[i].values[setting] = walk.random.choice(VALUES[setting])
        walk.known[i][setting].unseen = SELDOM if setting is PAIR else 0


def knob(walk: SettingsWalk) -> None:
    """Somebody turns the kernel's knob, or it cannot be read, or it takes nothing."""
    walk.stage.kernel.knob = walk.random.choice([NumaBalancing.ON, NumaBalancing.ON, NumaBalancing.OFF, None])
    walk.knob_refuses, walk.knob_deaf = walk.random.random() < 0.2, walk.random.random() < 0.2


def fault(walk: SettingsWalk) -> None:
    """Of a GPU: calls that fail, a driver that is deaf, one that is lost, mute or cannot be described; or its end."""
    gpu = walk.gpus[one(walk)]
    walk.random.choice((refuse, unreadable, deaf, lost, mute, undescribed, well))(walk, gpu)


def refuse(walk: SettingsWalk, gpu: FakeGpu) -> None:
    gpu.refuses = {setting: walk.random.choice(ERRORS)() for setting in [*some(walk), Setting.GPU_CLOCK]}


def unreadable(walk: SettingsWalk, gpu: FakeGpu) -> None:
    gpu.unreadable = dict.fromkeys(some(walk), "timed out")


def deaf(walk: SettingsWalk, gpu: FakeGpu) -> None:
    gpu.deaf = True


def lost(walk: SettingsWalk, gpu: FakeGpu) -> None:
    gpu.lost = True


def mute(walk: SettingsWalk, gpu: FakeGpu) -> None:
    gpu.mute = True


def undescribed(walk: SettingsWalk, gpu: FakeGpu) -> None:
    gpu.undescribed = "not ready"


def well(walk: SettingsWalk, gpu: FakeGpu) -> None:
    gpu.refuses, gpu.unreadable = {}, {}
    gpu.deaf = gpu.lost = gpu.mute = False
    gpu.undescribed = None


def all_well(walk: SettingsWalk) -> None:
    for gpu in walk.gpus:
        well(walk, gpu)


def bind_anew(walk: SettingsWalk) -> None:
    if walk.stage.kernel.loaded:
        walk.renew(one(walk))


def unbind(walk: SettingsWalk) -> None:
    i, kernel = one(walk), walk.stage.kernel
    if kernel.loaded and i not in walk.wanted_away:
        kernel.unbind(walk.gpus[i].board.gpu.pci, walk.random.choice(["", "vfio-pci"]))
        walk.wanted_away.add(i)


def driver(walk: SettingsWalk) -> None:
    """Unloaded, or loaded again: every GPU that is bound to it begins anew."""
    kernel = walk.stage.kernel
    if kernel.loaded:
        kernel.loaded, walk.stage.gpus.absent = None, DriverAbsent("the NVIDIA driver is not loaded")
        return
    kernel.loaded, walk.stage.gpus.absent = "580.159.04", None
    for i in set(range(len(walk.gpus))) - walk.wanted_away:
        walk.renew(i)


def sleep(walk: SettingsWalk) -> None:
    walk.stage.kernel.sleeping.symmetric_difference_update({walk.gpus[one(walk)].board.gpu.pci})


def load(walk: SettingsWalk) -> None:
    walk.policy = settings_policy(walk.random, walk.uuids)
    walk.stage.text = walk.policy.text
    walk.ask("reload")


def kill(walk: SettingsWalk) -> None:
    """Killed, and started again on what is saved. Where nothing of ours was ever taken, and what the run before could
    not save, may be found anew."""
    for known in walk.known:
        for one_ in known.values():
            one_.begins |= not one_.ours or bool(walk.stage.this_boot.full)
    walk.released.clear()
    walk.stage.start()


def reboot(walk: SettingsWalk) -> None:
    kernel = walk.stage.kernel
    kernel.boot += "'"
    kernel.loaded, walk.stage.gpus.absent = "580.159.04", None
    for i in range(len(walk.gpus)):
        walk.renew(i)
    kill(walk)


def disk(walk: SettingsWalk) -> None:
    for store in (walk.stage.this_boot, walk.stage.lasting):
        store.full = walk.random.choice([None, None, "no space left on device"])


def apply(walk: SettingsWalk) -> None:
    walk.ask("apply")


def restore(walk: SettingsWalk) -> None:
    """Of everything, or of one setting."""
    setting = walk.random.choice([None, *VALUES, Setting.NUMA_BALANCING])
    walk.ask("restore", setting=None if setting is None else setting.value)


def release(walk: SettingsWalk) -> None:
    """Of all, or of one that is known by its UUID."""
    i = walk.random.choice([None, one(walk)])
    if i is None or walk.uuids[i] in walk.stage.supervisor.inventory.states:
        walk.released |= set(range(len(walk.gpus))) if i is None else {i}
        walk.ask("release", gpu=None if i is None else walk.uuids[i])


def resume(walk: SettingsWalk) -> None:
    walk.released.clear()
    walk.ask("resume")


def plan(walk: SettingsWalk) -> None:
    walk.stage.plan()


ACTIONS: tuple[Callable[[SettingsWalk], None], ...] = (
    *(nothing, stranger, stranger, stranger, knob, knob, fault, fault, fault, all_well, all_well, bind_anew, unbind),
    *(driver, driver, sleep, load, load, kill, kill, reboot, disk, apply, restore, restore, release, resume, resume),
    plan,
)
