"""What happens to the host, the driver and the daemon on a walk with a real process."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from gpu_tuned.adapters.nvml.errors import MEANINGS
from tests.chaos.model import must
from tests.chaos.process_walk import BOARDS, Walk
from tests.nvsim import NvsimError, handed_out, number

GETTERS = (
    *("nvmlDeviceGetPowerManagementLimit", "nvmlDeviceGetFieldValues", "nvmlDeviceGetPersistenceMode"),
    *("nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetHandleByIndex_v2"),
    *("nvmlDeviceGetPowerManagementLimitConstraints", "nvmlDeviceGetTemperature", "nvmlDeviceGetUtilizationRates"),
    *("nvmlDeviceGetCount_v2", "nvmlDeviceGetComputeMode", "nvmlEventSetWait_v2"),
)
SETTERS = ("nvmlDeviceSetPowerManagementLimit", "nvmlDeviceSetPersistenceMode", "nvmlDeviceSetGpuLockedClocks")
GARBAGE = (
    b"\0",
    b"{}\0",
    b"nonsense\0",
    b'{"method":"io.gputuned.Control.Status"',
    b"\xff" * 4000,
    b'{"method":5}\0',
)
STATUS = b'{"method":"io.gputuned.Control.Status"}\0'


def one(walk: Walk) -> int:
    return walk.random.randrange(len(walk.boards))


def stranger(walk: Walk) -> None:
    index = one(walk)
    least, most = BOARDS[walk.names[index]]
    watts = walk.random.randint(least, most)
    try:
        walk.host.set(index, power_limit_w=watts)
    except NvsimError:
        return  # no driver, or the board is lost
    walk.boards[index].had(watts)


def lose(walk: Walk) -> None:
    walk.host.lose(one(walk))


def find(walk: Walk) -> None:
    walk.back(one(walk))


def answer(walk: Walk) -> None:
    call = walk.random.choice((*GETTERS, *SETTERS, *SETTERS))
    times = walk.random.choice([1, 3, None])
    walk.fault("answer", call, walk.random.choice(sorted(MEANINGS)), *(() if times is None else ("--times", times)))


def faults_end(walk: Walk) -> None:
    walk.faults_end()


def deaf(walk: Walk) -> None:
    walk.host.run("deaf", one(walk), walk.random.choice(["on", "off"]))


def mismatch(walk: Walk) -> None:
    walk.host.run("mismatch", walk.random.choice(["on", "off"]))


def unload(walk: Walk) -> None:
    if walk.host.show()["driver"]["loaded"]:
        walk.host.run("unload", "--force")
        walk.everybody_anew()


def load_driver(walk: Walk) -> None:
    walk.load_driver()


def reload_driver(walk: Walk) -> None:
    if walk.host.show()["driver"]["loaded"]:
        walk.host.reload(force=True)
        walk.everybody_anew()


def reset(walk: Walk) -> None:
    index = one(walk)
    if walk.host.show()["driver"]["loaded"]:
        walk.host.reset(index, force=True)


def reinit(walk: Walk) -> None:
    """Settings and counters begin anew; the daemon may notice that later, or never."""
    if walk.host.show()["driver"]["loaded"]:
        walk.host.run("reinit", one(walk))


def suspend(walk: Walk) -> None:
    walk.host.suspend(walk.random.choice([1, 30]), settle_s=0.2)


def hang(walk: Walk) -> None:
    walk.fault("hang", walk.random.choice(["all", *GETTERS]), walk.random.choice([0.3, 1]))


def slow(walk: Walk) -> None:
    walk.fault("slow", walk.random.choice(GETTERS), 30)


def xid(walk: Walk) -> None:
    walk.host.xid(one(walk), walk.random.choice([13, 48, 79]))


def storm(walk: Walk) -> None:
    walk.host.run("storm", one(walk), 500)


def runtime(walk: Walk) -> None:
    walk.host.run("runtime", one(walk), walk.random.choice(["suspended", "active", "auto"]))


def mig(walk: Walk) -> None:
    h200 = [index for index, name in enumerate(walk.names) if name == "h200"]
    if h200:
        walk.host.run("mig", walk.random.choice(h200), walk.random.choice(["on", "off"]))


def nonsense(walk: Walk) -> None:
    """A call hands out what makes no sense, or a field does."""
    index = one(walk)
    kind = walk.random.randrange(4)
    if kind == 0:
        walk.host.field(
            index, walk.random.choice(["all", "185", "186", "74"]), walk.random.choice(["uint=0", "error=999"])
        )
    elif kind == 1:
        walk.host.field(index, "all", "none")
    elif kind == 2:
        walk.host.override(index, "nvmlDeviceGetName", 0, handed_out(b"\xff\xfe"))
        walk.host.override(index, "nvmlDeviceGetPowerManagementLimit", 0, number(0xFFFFFFFF))
    else:
        walk.host.run("override", index, "none")


def load_policy(walk: Walk) -> None:
    new = walk.wanted()
    walk.daemon.config.write_text(new[0])
    reply = walk.daemon.call("Reload")
    must("error" not in reply, "a good policy is taken", reply)
    walk.in_force = new
    walk.looks(1)
    walk.host.clear_writes()


def load_nonsense(walk: Walk) -> None:
    walk.daemon.config.write_text(walk.random.choice(["nonsense", "[daemon]\npoll_interval_s = 0", ""]))
    reply = walk.daemon.call("Reload")
    must(reply.get("error", "").endswith("PolicyRefused"), "a bad policy is refused", reply)
    walk.looks(1)
    must(walk.code(walk.daemon.status()) != 0, "a refused policy is not in order", reply)
    walk.daemon.config.write_text(walk.in_force[0])
    walk.daemon.call("Reload")


def kill(walk: Walk) -> None:
    number = walk.random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])

    def end() -> None:
        for passed_over in (signal.SIGUSR1, signal.SIGUSR2):
            walk.daemon.signal(passed_over)
        walk.daemon.signal(number)
        code = walk.daemon.wait()
        if number in (signal.SIGTERM, signal.SIGINT):
            must(code == 0, "it ends by itself when it is asked to", walk.daemon.said[-500:])

    ended(walk, end)


def ended(walk: Walk, end: Callable[[], object]) -> None:
    """The daemon ends, somebody may set a limit meanwhile, and it is started again."""
    for index, board in enumerate(walk.boards):
        board.known &= not walk.refused[index] and not walk.was_full
    walk.refused = [False] * len(walk.boards)
    walk.was_full = walk.full.exists()
    end()
    if walk.random.random() < 0.5:
        stranger(walk)
    walk.begins_again()


def command(walk: Walk) -> None:
    name = walk.random.choice(["Apply", "Plan", "Restore", "Release", "Resume", "Resume"])
    must("not_json" not in walk.daemon.call(name), "a command is answered", name)
    if name == "Restore":
        walk.host.clear_writes()
    for board in walk.boards:
        board.on_purpose = name == "Release" or (board.on_purpose and name != "Resume")


def garbage(walk: Walk) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(walk.daemon.socket))
        connection.sendall(walk.random.choice(GARBAGE))


def unheard(walk: Walk) -> None:
    """Nobody reads what it says for a while, and the pipe or journald's queue is full: then somebody reads again."""
    if walk.daemon.heard.is_set():
        walk.daemon.deafen()
    else:
        walk.daemon.heard.set()


def disk(walk: Walk) -> None:
    """It does not come back from fsync, or does again."""
    if walk.stall.exists():
        walk.stall.unlink()
    else:
        walk.stall.touch()


def full(walk: Walk) -> None:
    """There is no room for a new state, or there is again."""
    if walk.full.exists():
        walk.full.unlink()
    else:
        walk.full.touch()
        walk.was_full = True


def reloads(walk: Walk) -> None:
    """SIGHUP, some of them at once; the file is the one in force."""
    for _ in range(walk.random.choice([1, 2, 20])):
        walk.daemon.signal(signal.SIGHUP)


def reload_and_stop(walk: Walk) -> None:
    """A SIGTERM right behind a SIGHUP is not lost, and the process ends in time, whatever stands still."""

    def end() -> None:
        walk.daemon.signal(signal.SIGHUP)
        must(walk.daemon.stop() == 0, "it ends by itself when it is asked to", walk.daemon.said[-500:])

    ended(walk, end)


def frozen(walk: Walk) -> None:
    """It gets no processor for a while."""
    walk.daemon.signal(signal.SIGSTOP)
    if walk.random.random() < 0.5:
        stranger(walk)
    time.sleep(walk.random.choice([0.1, 0.5]))
    walk.daemon.signal(signal.SIGCONT)


def deaf_client(walk: Walk) -> None:
    """A client asks again and again, and reads no answer; it stays to the end."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(1)
    client.connect(str(walk.daemon.socket))
    walk.deaf_clients.append(client)
    with suppress(OSError):
        for _ in range(50):
            client.sendall(STATUS)


ACTIONS: tuple[Callable[[Walk], None], ...] = (
    *(stranger, stranger, stranger, lose, find, find, answer, answer, answer, faults_end, deaf, mismatch, unload),
    *(
        load_driver,
        load_driver,
        reload_driver,
        reset,
        reinit,
        suspend,
        hang,
        slow,
        xid,
        storm,
        runtime,
        mig,
        nonsense,
    ),
    *(load_policy, load_policy, load_nonsense, kill, kill, command, command, garbage),
    *(unheard, unheard, disk, disk, full, reloads, reload_and_stop, frozen, deaf_client),
)
