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
    from typing import Any

    from gpu_tuned.core.leftover import FirstPolicy
    from gpu_tuned.core.policy import Policy
    from gpu_tuned.loop.policy_keeper import PolicyFiles
    from gpu_tuned.loop.run import Loop
    from gpu_tuned.ports import Service

CONFIG = "/etc/gpu-tuned/gpu-tuned.toml"
STATE_DIR = "/var/lib/gpu-tuned"
SOCKET = "/run/gpu-tuned/io.gputuned.Control"
READY_AT_LATEST_S = 20.0
"""A driver that does not come must not hold up the boot for longer."""
LOOK_S = 2.0
"""How often a service that began without the driver asks whether its devices may be opened by now."""
STOP_AT_LATEST_S = 1.8
"""After this long a stop no longer waits for a driver call that hangs; the promise is 2 s."""


def control() -> None:
    """`gpu-tunedctl`: exits with the codes of its `--help`."""
    from gpu_tuned.ctl.main import run

    sys.exit(run(sys.argv[1:], offline_plan, policy_problems, first_policy))


def daemon() -> None:
    """`gpu-tuned`."""
    from gpu_tuned.core.errors import GpuTunedError

    options = _options(sys.argv[1:])
    try:
        sys.exit(_Life(options).run() if options.after_stop is None else after_stop(options))
    except GpuTunedError as error:
        print(f"gpu-tuned: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def after_stop(options: argparse.Namespace) -> int:
    """What gpu-tuned.service's ExecStopPost= does: a restart and a crash leave every setting as it is."""
    from gpu_tuned.adapters import systemd_job
    from gpu_tuned.adapters.journal import speaker
    from gpu_tuned.adapters.memory import NobodyAsks, NoService
    from gpu_tuned.adapters.state_file import StateFile, WriterLock
    from gpu_tuned.loop.after_stop import only_restores, put_back
    from gpu_tuned.loop.steward import Steward, World

    if systemd_job.job_of(options.after_stop) != "stop":
        return 0
    with WriterLock(os.path.join(_sysroot(), "run/gpu-tuned/writer.lock")):
        say = speaker(sys.stderr)
        files, store = _policy_files(options.config), StateFile(options.state_dir)
        world = _world(World, files, store, NoService(), NobodyAsks(), only_restores(say), observe=options.observe)
        put_back(Steward(world, world.say), world, say)
    return 0


def policy_problems(path: str) -> list[str]:
    """What is wrong with a policy file, a sentence each; [] for a good one."""
    from gpu_tuned.core.errors import PolicyError

    files = _policy_files(path)
    try:
        files.parse(files.read())
    except PolicyError as error:
        return list(error.problems)
    return []


def offline_plan(config: str | None) -> dict[str, Any]:
    """What the policy file would write now, without a daemon: looks at every board once and writes nothing.

    Raises PolicyError, and DriverError where no board can be looked at."""
    from gpu_tuned.adapters.memory import MemoryStore, NobodyAsks, NoService
    from gpu_tuned.core.errors import DriverAbsent
    from gpu_tuned.loop.run import Loop
    from gpu_tuned.loop.steward import World

    files = _policy_files(config or CONFIG)
    files.parse(files.read())
    loop = Loop(_world(World, files, MemoryStore(), NoService(), NobodyAsks(), lambda event: None, observe=True))
    document = loop.look_once()
    if document["driver"]["state"] != "ok":
        raise DriverAbsent(document["driver"]["message"] or "the driver does not answer")
    return {"format": document["format"], "mode": "offline", **document["plan"]}


def first_policy(root: str | None, write: bool, replace: bool) -> FirstPolicy:
    """`gpu-tunedctl init` for the host below `root`; None: this one, or the simulated one's folder."""
    from pathlib import Path

    from gpu_tuned.adapters import policy_file
    from gpu_tuned.adapters.kernel import SystemKernel
    from gpu_tuned.adapters.nvml import Nvml
    from gpu_tuned.host.first_policy import make

    where = root or _sysroot()

    def parse(text: str) -> Policy:
        return policy_file.load_text(text, Path(CONFIG))

    return make(where, Nvml(), SystemKernel(where), parse, write=write, replace=replace)


def _policy_files(config: str) -> PolicyFiles:
    from pathlib import Path

    from gpu_tuned.adapters import policy_file
    from gpu_tuned.loop.policy_keeper import PolicyFiles

    return PolicyFiles(
        lambda: policy_file.load_sources(Path(config)).to_json(),
        lambda sources: policy_file.parse_sources(policy_file.Sources.from_json(sources)),
        lambda: policy_file.stamp(Path(config)),
    )


def _sysroot() -> str:
    """Below which folder /proc and /sys are looked for: "/", or a simulated host's."""
    return os.environ.get("GPU_TUNED_SYSROOT", "/")


def _world(make: Any, files: PolicyFiles, store: Any, service: Any, desk: Any, say: Any, *, observe: bool) -> Any:
    from gpu_tuned.adapters.clock import SystemClock
    from gpu_tuned.adapters.kernel import SystemKernel
    from gpu_tuned.adapters.nvml import Nvml

    return make(
        gpus=Nvml(),
        kernel=SystemKernel(_sysroot()),
        clock=SystemClock(),
        store=store,
        service=service,
        desk=desk,
        say=say,
        policy_files=files,
        observe=observe,
    )


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
    parser.add_argument("--observe", action="store_true", help="watch, judge and report; never write to a GPU")
    parser.add_argument("--after-stop", metavar="UNIT", help="for ExecStopPost=: restore if UNIT was stopped")
    parser.add_argument("--version", action="version", version=f"gpu-tuned {__version__}")
    return parser.parse_args(argv)


class _Life:
    """One run of the daemon, from the socket to the last word. `run` belongs to the main thread, which never goes
    into the driver: Python runs no signal handler during a C call."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._news = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stopping = self._reloading = False
        self._failure: BaseException | None = None
        self._ended = False
        self._code = 0

    def run(self) -> int:
        self._listen_to_signals()  # before the imports: until then SIGHUP ends a process
        import threading

        from gpu_tuned.adapters import systemd
        from gpu_tuned.adapters.journal import speaker
        from gpu_tuned.adapters.state_file import StateFile, WriterLock
        from gpu_tuned.control.desk import Desk
        from gpu_tuned.control.server import Server

        options = self._options
        if not options.observe:
            WriterLock(os.path.join(_sysroot(), "run/gpu-tuned/writer.lock")).take()
        # The socket before the driver: a missing or hanging driver must not silence `gpu-tunedctl status`.
        woken: list[Loop] = []
        desk = Desk(on_command=lambda: woken[0].wake() if woken else None)
        server = Server(desk, options.socket, systemd.inherited_sockets())
        server.open()
        try:
            service = systemd.SystemdService()
            loop = self._loop(desk, service, speaker(sys.stderr), StateFile(options.state_dir))
            woken.append(loop)
            loop.prepare()
            threading.Thread(target=server.serve, name="gpu-tuned-control", daemon=True).start()
            threading.Thread(target=self._run_loop, args=(loop,), name="gpu-tuned-loop", daemon=True).start()
            self._wait(loop, service)
        finally:
            server.close()
        if not self._ended:
            print("gpu-tuned: the driver does not answer; ending all the same", file=sys.stderr, flush=True)
            # The loop thread sits in a C call that cannot be interrupted; a normal exit would wait for it.
            os._exit(self._code)
        if self._failure is not None:
            raise self._failure
        return self._code

    def _loop(self, desk: Any, service: Service, say: Any, store: Any) -> Loop:
        from gpu_tuned.loop.listener import Listener
        from gpu_tuned.loop.run import Loop
        from gpu_tuned.loop.steward import World

        files = _policy_files(self._options.config)
        world = _world(World, files, store, service, desk, say, observe=self._options.observe)
        loop = Loop(world, on_settled=self._wake)
        Listener(world.gpus, loop.heard).start()
        return loop

    def _run_loop(self, loop: Loop) -> None:
        try:
            loop.run()
        except BaseException as error:
            self._failure = error
        self._ended = True
        self._wake()

    def _listen_to_signals(self) -> None:
        import signal

        signal.signal(signal.SIGTERM, lambda *_: self._signalled("_stopping"))
        signal.signal(signal.SIGINT, lambda *_: self._signalled("_stopping"))
        signal.signal(signal.SIGHUP, lambda *_: self._signalled("_reloading"))

    def _signalled(self, flag: str) -> None:
        # Only a flag and a write: a handler may run while this thread holds any lock of its own.
        setattr(self, flag, True)
        self._wake()

    def _wake(self) -> None:
        os.eventfd_write(self._news, 1)

    def _wait(self, loop: Loop, service: Service) -> None:
        """Everything the main thread does: tell readiness, pass signals on, end in time."""
        import contextlib
        import select
        import time

        from gpu_tuned.adapters import late_driver, systemd
        from gpu_tuned.adapters.kernel import SystemKernel

        managed = systemd.is_main_process()
        late = late_driver.LateDriver(SystemKernel(_sysroot()), _sysroot())
        poll = select.poll()
        poll.register(self._news, select.POLLIN)
        ready_by_s = time.monotonic() + READY_AT_LATEST_S
        told = False
        stop_by_s: float | None = None
        while not self._ended:
            now_s = time.monotonic()
            if not told and (loop.settled or now_s >= ready_by_s):
                told = True
                service.ready(loop.steward.status if loop.settled else "the driver does not answer yet")
            if self._reloading:
                self._reloading = False
                loop.reload()
            if self._stopping and stop_by_s is None:
                stop_by_s = now_s + STOP_AT_LATEST_S
                # Under systemd a stop and a restart look the same here; its ExecStopPost helper knows which it is.
                loop.stop(restore=not managed)
            elif managed and stop_by_s is None and late.shut_out(now_s):
                print("gpu-tuned: the driver came after this service; starting again", file=sys.stderr, flush=True)
                self._code, self._stopping = late_driver.EXIT_STATUS, True
                continue
            if stop_by_s is not None and now_s >= stop_by_s:
                return
            due_s = stop_by_s if stop_by_s is not None else None if told else ready_by_s
            if managed and late.possible and stop_by_s is None:
                due_s = min(due_s or now_s + LOOK_S, now_s + LOOK_S)
            poll.poll(None if due_s is None else max(0.0, due_s - now_s) * 1000)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._news)
