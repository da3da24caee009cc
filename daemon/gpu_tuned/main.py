"""Where the parts are put together: the daemon's life, and what `gpu-tunedctl` may use beside its socket.

The only place that knows ports and adapters both. Most imports stand inside the functions: `gpu-tunedctl status`
starts through here and must not pay for a daemon.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` itself would be the dearest import of `gpu-tunedctl status`
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from gpu_tuned.core.policy import Policy
    from gpu_tuned.core.verdict import Diagnosis
    from gpu_tuned.core.wire import Gpu as GpuRow
    from gpu_tuned.core.wire import PlanReply
    from gpu_tuned.ctl.protocols import Environment
    from gpu_tuned.loop.policy_in_force import PolicyFiles
    from gpu_tuned.loop.world import World
    from gpu_tuned.ports import Document, Mailbox, Say, Service, Store

CONFIG = "/etc/gpu-tuned/gpu-tuned.toml"
STATE_DIR = "/var/lib/gpu-tuned"
RUN_DIR = "/run/gpu-tuned/state"
SOCKET = "/run/gpu-tuned/io.gputuned.Control"


def control() -> None:
    """`gpu-tunedctl`: exits with the codes of its `--help`."""
    from gpu_tuned.ctl.main import run

    sys.exit(run(sys.argv[1:], _Looks()))


def daemon() -> None:
    """`gpu-tuned`."""
    from gpu_tuned.core.errors import GpuTunedError

    options = _options(sys.argv[1:])
    try:
        sys.exit(hold(options) if options.after_stop is None else after_stop(options))
    except GpuTunedError as error:
        from gpu_tuned.adapters.stream import put_now

        put_now(f"gpu-tuned: {error}", sys.stderr)
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001
        # As the interpreter would have it, which waits for whoever reads standard error.
        from traceback import format_exc

        from gpu_tuned.adapters.stream import put_now

        put_now(format_exc(), sys.stderr)
        sys.exit(1)


def hold(options: argparse.Namespace) -> int:
    """The daemon itself, from its first signal handler to its exit status."""
    from gpu_tuned.loop.main_thread import Life

    life = Life()
    life.listen_to_signals()  # before the other imports: until then SIGHUP ends a process
    import threading
    import time

    from gpu_tuned.adapters import systemd
    from gpu_tuned.adapters.background import BackgroundStore
    from gpu_tuned.adapters.kernel import SystemKernel
    from gpu_tuned.adapters.late_driver import LateDriver
    from gpu_tuned.adapters.process import was_killed
    from gpu_tuned.adapters.speaker import speaker
    from gpu_tuned.adapters.state_file import WriterLock
    from gpu_tuned.adapters.stream import put_now
    from gpu_tuned.control.mailbox import Mailbox
    from gpu_tuned.control.server import Server
    from gpu_tuned.core.errors import AlreadyRunning, NotPermitted, StillInDriver
    from gpu_tuned.core.events import Event, EventKind
    from gpu_tuned.loop.driver_events import DriverEvents
    from gpu_tuned.loop.run import Loop

    lock, ghost = WriterLock(os.path.join(_sysroot(), "run/gpu-tuned/writer.lock")), None
    try:
        if not options.observe:
            lock.take()
    except StillInDriver as error:
        ghost = str(error)
    except (AlreadyRunning, NotPermitted) as error:
        if os.geteuid() == 0:
            raise type(error)(f"{error}; stop it, or start this one with --observe") from None
        # Whoever is not root could not write anyhow, and means to look.
        put_now(f"gpu-tuned: observing, as with --observe, and writing nothing: {error}", sys.stderr)
        options.observe = True

    def gone(pid: int | None) -> bool:
        return ghost is not None if pid is None else was_killed(pid)

    say = speaker(sys.stderr)
    this_boot, on_disk = _stores(options)
    lasting = BackgroundStore(on_disk)

    def say_trouble(text: str) -> None:
        say(Event(EventKind.SOCKET_TROUBLE, time.time(), cause=text))

    # The socket before the driver: a missing or hanging driver must not silence `gpu-tunedctl status`.
    woken: list[Loop] = []
    mailbox = Mailbox(
        on_command=lambda: woken[0].wake() if woken else None,
        stalls=lambda: [stall for stall in (say.stall(), lasting.stall()) if stall is not None],
    )
    server = Server(mailbox, options.socket, systemd.inherited_sockets(), was_killed=gone, say_trouble=say_trouble)
    server.open()
    try:
        service = systemd.SystemdService()
        files = _policy_files(options.config, _owners())
        world = _world(files, (this_boot, lasting), service, mailbox, say, observe=options.observe)
        loop = Loop(world, on_settled=life.wake)
        DriverEvents(world.gpus, loop.heard).start()
        woken.append(loop)
        loop.prepare()
        if ghost is not None:
            loop.wait_first(lock.wait, ghost)
        threading.Thread(target=server.serve, name="gpu-tuned-control", daemon=True).start()
        late = LateDriver(SystemKernel(_sysroot()), _sysroot())
        life.run(loop, service, late, managed=systemd.is_main_process())
    finally:
        server.close()
        lasting.close()
        say.close()
    return life.leave()


def after_stop(options: argparse.Namespace) -> int:
    """What gpu-tuned.service's ExecStopPost= does, and a package's removal once the service is down: a restart and a
    crash leave every setting as it is."""
    from gpu_tuned.adapters import systemd_job
    from gpu_tuned.adapters.memory import NobodyAsks, NoService
    from gpu_tuned.adapters.speaker import speaker
    from gpu_tuned.adapters.state_file import WriterLock
    from gpu_tuned.loop.after_stop import only_restores, put_back
    from gpu_tuned.loop.supervisor import Supervisor

    if not systemd_job.stopped(options.after_stop):
        return 0
    with WriterLock(os.path.join(_sysroot(), "run/gpu-tuned/writer.lock")):
        say = speaker(sys.stderr)
        files, stores = _policy_files(options.config, _owners()), _stores(options)
        world = _world(files, stores, NoService(), NobodyAsks(), only_restores(say), observe=options.observe)
        try:
            put_back(Supervisor(world, world.say), world, say)
        finally:
            say.close()
    return 0


def policy_problems(path: str) -> tuple[list[str], str | None]:
    """What is wrong with a policy file, a sentence each ([] for a good one), and why its power budget could not be
    held against the boards (None where it was, or it has none)."""
    from gpu_tuned.core.errors import DriverError, PolicyError

    files = _policy_files(path, _owners_of_installed(path))
    try:
        policy = files.parse(files.read())
        if policy.gpu_power_budget_mw is None:
            return [], None
        document = _looked_once(path)
        document["plan"]()
    except PolicyError as error:
        return list(error.problems), None
    except DriverError as error:
        return [], str(error)
    return [], document["driver"]["message"]


def offline_plan(config: str | None) -> PlanReply:
    """What the policy file would write now, without a daemon: looks at every board once and writes nothing.

    Raises PolicyError, and DriverError where no board can be looked at."""
    document = _looked_once(config or CONFIG)
    return {**document["plan"](), "mode": "offline"}


def _looked_once(config: str) -> Document:
    """The status document after one look at every board; nothing is written. Raises as `offline_plan`."""
    from gpu_tuned.adapters.memory import MemoryStore, NobodyAsks, NoService
    from gpu_tuned.core.errors import DriverAbsent
    from gpu_tuned.loop.run import Loop

    files = _policy_files(config, _owners_of_installed(config))
    files.parse(files.read())
    stores = MemoryStore(), MemoryStore()
    loop = Loop(_world(files, stores, NoService(), NobodyAsks(), lambda event: None, observe=True))
    document = loop.look_once()
    if document["driver"]["state"] != "ok":
        raise DriverAbsent(document["driver"]["message"] or "the driver does not answer")
    return document


def first_policy(root: str | None, *, write: bool, replace: bool) -> dict[str, Any]:
    """`gpu-tunedctl init` for the host below `root`; None: this one, or the simulated one's folder."""
    from pathlib import Path

    from gpu_tuned.adapters import policy_file
    from gpu_tuned.adapters.kernel import SystemKernel
    from gpu_tuned.adapters.nvml import Nvml
    from gpu_tuned.init.first import make

    where = root or _sysroot()

    def parse(text: str) -> Policy:
        return policy_file.load_text(text, Path(CONFIG))

    return make(where, Nvml(), SystemKernel(where), parse, write=write, replace=replace)


def probe(gpu: str | None) -> Iterator[str]:
    """What one GPU answers to every question that NVML has; see adapters.nvml.probe."""
    from gpu_tuned.adapters.nvml.probe import probe as dump

    return dump(gpu)


def environment() -> Environment:
    """What `gpu-tunedctl env` asks; nothing else pays for it."""
    from gpu_tuned.environment import verbs

    verbs.gpu_pids = gpu_pids
    return verbs


def gpu_pids() -> tuple[int, ...]:
    """The processes that the driver lists on the GPUs, for `gpu-tunedctl env audit --gpu-processes`."""
    from gpu_tuned.adapters.nvml.processes import gpu_pids

    return gpu_pids()


class _Looks:
    """`ctl.protocols.Looks`: what verbs look at beside the socket."""

    plan = staticmethod(offline_plan)
    problems = staticmethod(policy_problems)
    first_policy = staticmethod(first_policy)
    probe = staticmethod(probe)
    environment = staticmethod(environment)

    def examine(self, root: str | None, container: str | None) -> Diagnosis:
        from gpu_tuned import looks

        where = root or _sysroot()
        if container is not None:
            return looks.inside(container)
        return looks.host(where, self._policy(where.rstrip("/") + CONFIG))

    def show(self, gpu: str | None, told: GpuRow | None) -> dict[str, Any]:
        from gpu_tuned import looks

        where = _sysroot()
        return looks.show(where, self._policy(where.rstrip("/") + CONFIG), gpu, told)

    def advice(self, path: str) -> list[str]:
        from gpu_tuned.core.advice import advise_offline

        files = self._policy(path)
        return [str(advice) for advice in advise_offline(files.parse(files.read()))]

    def _policy(self, path: str) -> PolicyFiles:
        return _policy_files(path, _owners_of_installed(path))


def _owners() -> frozenset[int]:
    """Who may be able to change the policy: root, and the user that the daemon runs as."""
    return frozenset({0, os.geteuid()})


def _owners_of_installed(path: str) -> frozenset[int] | None:
    """As the daemon judges it, for the policy in its place; of a draft elsewhere, only the text counts."""
    folder = os.path.dirname(CONFIG)
    return frozenset({0}) if os.path.abspath(path).startswith(f"{folder}/") else None


def _policy_files(config: str, owners: frozenset[int] | None) -> PolicyFiles:
    from pathlib import Path

    from gpu_tuned.adapters import policy_file
    from gpu_tuned.loop.policy_in_force import PolicyFiles

    return PolicyFiles(
        lambda: policy_file.load_sources(Path(config), owners).to_json(),
        lambda sources: policy_file.parse_sources(policy_file.Sources.from_json(sources)),
        lambda: policy_file.stamp(Path(config)),
    )


def _sysroot() -> str:
    """Below which folder /proc and /sys are looked for: "/", or a simulated host's."""
    return os.environ.get("GPU_TUNED_SYSROOT", "/")


def _world(  # noqa: PLR0913 - the world's ports that somebody else has made
    files: PolicyFiles, stores: tuple[Store, Store], service: Service, mailbox: Mailbox, say: Say, *, observe: bool
) -> World:
    """`stores`: for this boot, and for what outlives it."""
    from gpu_tuned.adapters.clock import SystemClock
    from gpu_tuned.adapters.kernel import SystemKernel
    from gpu_tuned.adapters.nvml import Nvml
    from gpu_tuned.loop.world import World

    this_boot, lasting = stores
    return World(
        gpus=Nvml(),
        kernel=SystemKernel(_sysroot()),
        clock=SystemClock(),
        this_boot=this_boot,
        lasting=lasting,
        service=service,
        mailbox=mailbox,
        say=say,
        policy_files=files,
        observe=observe,
    )


def _stores(options: argparse.Namespace) -> tuple[Store, Store]:
    """Where this boot's state lies, and where the last good policy does. An observer keeps nothing: what it would
    write is the writer's."""
    from gpu_tuned.adapters.memory import MemoryStore
    from gpu_tuned.adapters.state_file import POLICY_FILE, StateFile, volatile

    if options.observe:
        return MemoryStore(), MemoryStore()
    if options.state_dir != STATE_DIR:
        return volatile(options.state_dir), StateFile(options.state_dir, POLICY_FILE)
    return volatile(RUN_DIR), StateFile(STATE_DIR)


def _options(argv: list[str]) -> argparse.Namespace:
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
        help="watch, judge and report; never write to a GPU (without root, where another daemon runs: so anyhow)",
    )
    parser.add_argument("--after-stop", metavar="UNIT", help="restore if UNIT was stopped, or had failed")
    parser.add_argument("--version", action="version", version=f"gpu-tuned {__version__}")
    return parser.parse_args(argv)
