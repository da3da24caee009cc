"""The two commands, and what `gpu-tunedctl` may use beside its socket.

With the files that it imports (daemon, composition, looks) the only place that knows ports and adapters both. Most
imports stand inside the functions: `gpu-tunedctl status` starts through here and must not pay for a daemon.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` itself would be the dearest import of `gpu-tunedctl status`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from gpu_tuned.core.policy import Policy
    from gpu_tuned.core.verdict import Diagnosis
    from gpu_tuned.core.wire import Gpu as GpuRow
    from gpu_tuned.core.wire import PlanReply
    from gpu_tuned.ctl.protocols import Environment
    from gpu_tuned.loop.policy_in_force import PolicyFiles
    from gpu_tuned.ports import Document, Gpus, Kernel


def control() -> None:
    """`gpu-tunedctl`: exits with the codes of its `--help`.

    It leaves without the interpreter's clearing up, which is a fiftieth of what `status` takes: all that it has to
    say is written (run sees to it), and what it holds the kernel takes back.
    """
    from gpu_tuned.ctl.main import run

    os._exit(run(sys.argv[1:], _Looks()))


def daemon() -> None:
    """`gpu-tuned`."""
    from gpu_tuned.core.errors import GpuTunedError
    from gpu_tuned.daemon import after_stop, hold, options_of

    _keep_standard_descriptors()
    options = options_of(sys.argv[1:])
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


def _keep_standard_descriptors() -> None:
    """Closed by whoever started us, their numbers would be given to a socket or a file, and be written to by whatever
    complains on standard error."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def policy_problems(path: str) -> tuple[list[str], str | None]:
    """What is wrong with a policy file, a sentence each ([] for a good one), and why its power budget could not be
    held against the boards (None where it was, or it has none)."""
    from gpu_tuned.composition import policy_at
    from gpu_tuned.core.errors import DriverError, PolicyError
    from gpu_tuned.core.model import Setting

    files = policy_at(path)
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
    if policy.asks_for_original(Setting.POWER_LIMIT):
        return [], 'what "original" is, the daemon knows alone: gpu-tunedctl plan'
    away = [f"{gpu['name']} {gpu['pci']}: {gpu['message']}" for gpu in document["gpus"] if gpu["state"] != "ok"]
    return [], "; ".join(away) or document["driver"]["message"]


def offline_plan(config: str | None) -> PlanReply:
    """What the policy file would write now, without a daemon: looks at every board once and writes nothing.

    Raises PolicyError, and DriverError where no board can be looked at."""
    from gpu_tuned.composition import CONFIG

    document = _looked_once(CONFIG if config is None else config)
    return {**document["plan"](), "mode": "offline"}


def _looked_once(config: str) -> Document:
    """The status document after one look at every board; nothing is written. Raises as `offline_plan`."""
    from gpu_tuned.adapters.memory import MemoryStore, NobodyAsks, NoService
    from gpu_tuned.adapters.patience import LOOK_S, in_time
    from gpu_tuned.composition import policy_at, world_of
    from gpu_tuned.core.errors import DriverAbsent
    from gpu_tuned.loop.run import Loop

    files = policy_at(config)
    files.parse(files.read())
    stores = MemoryStore(), MemoryStore()
    loop = Loop(world_of(files, stores, NoService(), NobodyAsks(), lambda event: None, observe=True))
    document = in_time(LOOK_S, loop.look_once)
    if document["driver"]["state"] != "ok":
        raise DriverAbsent(document["driver"]["message"] or "the driver does not answer")
    return document


def first_policy(root: str | None) -> dict[str, Any]:
    """What `gpu-tunedctl init` proposes for the host below `root`; None: this one, or the simulated one's folder."""
    from gpu_tuned.init.first import propose

    return propose(*_ports_of_init(root))


def write_first_policy(root: str | None, *, replace: bool) -> dict[str, Any]:
    """The same, and put in place; see init.first.put_in_place."""
    from gpu_tuned.init.first import put_in_place

    return put_in_place(*_ports_of_init(root), replace=replace)


def _ports_of_init(root: str | None) -> tuple[str, Gpus, Kernel, Callable[[str], Policy]]:
    from pathlib import Path

    from gpu_tuned.adapters import policy_file
    from gpu_tuned.adapters.kernel import SystemKernel
    from gpu_tuned.adapters.nvml.in_time import NvmlInTime
    from gpu_tuned.composition import CONFIG, root_of

    where = root_of(root)
    return where, NvmlInTime(), SystemKernel(where), lambda text: policy_file.load_text(text, Path(CONFIG))


def probe(gpu: str | None) -> Iterator[str]:
    """What one GPU answers to every question that NVML has; see adapters.nvml.probe."""
    from gpu_tuned.adapters.nvml.probe import probe as dump
    from gpu_tuned.adapters.patience import LOOK_S, in_time

    yield from in_time(LOOK_S, lambda: list(dump(gpu)))


def environment() -> Environment:
    """What `gpu-tunedctl env` asks; nothing else pays for it."""
    from gpu_tuned.environment import verbs

    return verbs


def gpu_pids() -> tuple[int, ...]:
    """The processes that the driver lists on the GPUs, for `gpu-tunedctl env audit --gpu-processes`."""
    from gpu_tuned.adapters.nvml.processes import gpu_pids
    from gpu_tuned.adapters.patience import LOOK_S, in_time

    return in_time(LOOK_S, gpu_pids)


class _Looks:
    """`ctl.protocols.Looks`: what verbs look at beside the socket."""

    plan = staticmethod(offline_plan)
    problems = staticmethod(policy_problems)
    first_policy = staticmethod(first_policy)
    write_first_policy = staticmethod(write_first_policy)
    probe = staticmethod(probe)
    environment = staticmethod(environment)
    gpu_pids = staticmethod(gpu_pids)

    def examine(self, root: str | None, container: str | None) -> Diagnosis:
        from gpu_tuned import looks
        from gpu_tuned.composition import root_of

        where = root_of(root)
        if container is not None:
            return looks.inside(container)
        return looks.host(where, self._installed(where))

    def show(self, gpu: str | None, told: GpuRow | None) -> dict[str, Any]:
        from gpu_tuned import looks
        from gpu_tuned.composition import sysroot

        where = sysroot()
        return looks.show(where, self._installed(where), gpu, told)

    def advice(self, path: str) -> list[str]:
        from gpu_tuned.composition import policy_at
        from gpu_tuned.core.advice import advise_offline

        files = policy_at(path)
        return [str(advice) for advice in advise_offline(files.parse(files.read()))]

    def _installed(self, where: str) -> PolicyFiles:
        from gpu_tuned.composition import CONFIG, policy_at

        return policy_at(where.rstrip("/") + CONFIG)
