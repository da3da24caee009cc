"""The daemon's life, put together: from its first signal handler to its exit status, and what follows a stop."""

from __future__ import annotations

import gc
import os
import sys

from gpu_tuned.composition import (
    CONFIG,
    SOCKET,
    STATE_DIR,
    awaited_files,
    stores_of,
    sysroot,
    world_of,
    writer_lock,
)

TYPE_CHECKING = False  # see main.py
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.adapters.state_file import WriterLock


def hold(options: argparse.Namespace) -> int:
    """The daemon itself, from its first signal handler to its exit status."""
    gc.disable()  # until it is ready: each collection would look through all that was imported
    from gpu_tuned.loop.main_thread import Life

    life = Life()
    life.listen_to_signals()  # before the other imports: until then SIGHUP ends a process
    import threading
    import time

    from gpu_tuned.adapters import systemd
    from gpu_tuned.adapters.awaited import AwaitedStore
    from gpu_tuned.adapters.background import BackgroundStore
    from gpu_tuned.adapters.clock import SystemClock
    from gpu_tuned.adapters.kernel import SystemKernel
    from gpu_tuned.adapters.late_driver import LateDriver
    from gpu_tuned.adapters.process import was_killed
    from gpu_tuned.adapters.speaker import speaker
    from gpu_tuned.adapters.state_file import WriterLock
    from gpu_tuned.control.mailbox import Mailbox
    from gpu_tuned.control.memory import one_heap
    from gpu_tuned.control.server import Server
    from gpu_tuned.core.events import Event, EventKind
    from gpu_tuned.loop.driver_events import DriverEvents
    from gpu_tuned.loop.run import Loop

    one_heap()
    lock = WriterLock(writer_lock())
    ghost = None if options.observe else _claim(lock, options)

    def gone(pid: int | None) -> bool:
        return ghost is not None if pid is None else was_killed(pid)

    say = speaker(sys.stderr)
    waited_for, on_disk = stores_of(options)
    this_boot, lasting = AwaitedStore(waited_for), BackgroundStore(AwaitedStore(on_disk, save_s=None))
    files, policy = awaited_files(options.config)

    def say_trouble(text: str) -> None:
        say(Event(EventKind.SOCKET_TROUBLE, time.time(), cause=text))

    # The socket before the driver: a missing or hanging driver must not silence `gpu-tunedctl status`.
    woken: list[Loop] = []
    mailbox = Mailbox(
        on_command=lambda: woken[0].wake() if woken else None,
        stalls=lambda: [
            stall
            for stall in (say.stall(), policy.stall(), this_boot.stall() or lasting.stall())
            if stall is not None
        ],
        boottime=SystemClock().boottime,
    )
    server = Server(mailbox, options.socket, systemd.inherited_sockets(), was_killed=gone, say_trouble=say_trouble)
    server.open()
    try:
        service = systemd.SystemdService()
        world = world_of(files, (this_boot, lasting), service, mailbox, say, observe=options.observe)
        loop = Loop(world, on_settled=life.wake)
        DriverEvents(world.gpus, loop.heard).start()
        woken.append(loop)
        loop.prepare()
        if ghost is not None:
            loop.wait_first(lock.wait, ghost)
        threading.Thread(target=server.serve, name="gpu-tuned-control", daemon=True).start()
        late = LateDriver(SystemKernel(sysroot()), sysroot())
        life.run(loop, service, late, managed=systemd.is_main_process(), once_ready=_collect_garbage)
    finally:
        server.close()
        lasting.close()
        say.close()
    return life.leave(loop)


def _collect_garbage() -> None:
    """What the start left behind goes; what there is now stays, and is looked through no more."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _claim(lock: WriterLock, options: argparse.Namespace) -> str | None:
    """Become the driver's one writer. Returns who is in the way for a while: a writer that was killed and cannot
    leave its driver call. Raises AlreadyRunning and NotPermitted to root; anybody else observes from here on."""
    from gpu_tuned.adapters.stream import put_now
    from gpu_tuned.core.errors import AlreadyRunning, NotPermitted, StillInDriver

    try:
        lock.take()
    except StillInDriver as error:
        return str(error)
    except (AlreadyRunning, NotPermitted) as error:
        if os.geteuid() == 0:
            other = "stop it, or start" if isinstance(error, AlreadyRunning) else "start"
            raise type(error)(f"{error}; {other} this one with --observe") from None
        # Whoever is not root could not write anyhow, and means to look.
        put_now(f"gpu-tuned: observing, as with --observe, and writing nothing: {error}", sys.stderr)
        options.observe = True
    return None


def after_stop(options: argparse.Namespace) -> int:
    """What gpu-tuned.service's ExecStopPost= does, and a package's removal once the service is down: a restart and a
    crash leave every setting as it is."""
    from gpu_tuned.adapters import systemd_job
    from gpu_tuned.adapters.awaited import AwaitedStore
    from gpu_tuned.adapters.memory import NobodyAsks, NoService
    from gpu_tuned.adapters.speaker import speaker
    from gpu_tuned.adapters.state_file import WriterLock
    from gpu_tuned.loop.after_stop import only_restores, put_back
    from gpu_tuned.loop.supervisor import Supervisor

    if not systemd_job.stopped(options.after_stop):
        return 0
    with WriterLock(writer_lock()):
        say = speaker(sys.stderr)
        files, _ = awaited_files(options.config)
        this_boot, lasting = map(AwaitedStore, stores_of(options))
        stores = this_boot, lasting
        world = world_of(files, stores, NoService(), NobodyAsks(), only_restores(say), observe=options.observe)
        try:
            put_back(Supervisor(world, world.say), world, say)
        finally:
            say.close()
    return 0


def options_of(argv: list[str]) -> argparse.Namespace:
    import argparse

    from gpu_tuned import __version__

    parser = argparse.ArgumentParser(
        prog="gpu-tuned",
        description="Holds GPUs at the settings that a policy file declares, and says what it saw.",
        epilog="It is normally started by systemd. On a terminal it tells its events there; Ctrl-C stops it, and the "
        'settings stay on the GPUs unless the policy says on_stop = "restore".',
    )
    parser.add_argument("--config", metavar="FILE", default=CONFIG, help=f"the policy file (default: {CONFIG})")
    parser.add_argument("--state-dir", metavar="DIR", default=STATE_DIR, help=f"saved state (default: {STATE_DIR})")
    parser.add_argument("--socket", metavar="PATH", default=SOCKET, help=f"control socket (default: {SOCKET})")
    parser.add_argument(
        "--observe",
        action="store_true",
        help="watch, judge and report; never write to a GPU (what one without root does anyway beside another)",
    )
    parser.add_argument("--after-stop", metavar="UNIT", help="restore if UNIT was stopped, or had failed")
    parser.add_argument("--version", action="version", version=f"gpu-tuned {__version__}")
    return parser.parse_args(argv)
