"""How ports are made: the policy's files, what is saved, the world that the loop runs in, and where all that lies.

For the daemon (daemon.py) and for what `gpu-tunedctl` looks at without it (main.py). Imports stand inside the
functions: a verb that reads a policy must not pay for the driver.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # see main.py
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.adapters.awaited import AwaitedFiles
    from gpu_tuned.loop.policy_in_force import PolicyFiles
    from gpu_tuned.loop.world import World
    from gpu_tuned.ports import Mailbox, Say, Service, Store

CONFIG = "/etc/gpu-tuned/gpu-tuned.toml"
STATE_DIR = "/var/lib/gpu-tuned"
RUN_DIR = "/run/gpu-tuned/state"
SOCKET = "/run/gpu-tuned/io.gputuned.Control"


def owners() -> frozenset[int]:
    """Who may be able to change the policy: root, and the user that the daemon runs as."""
    return frozenset({0, os.geteuid()})


def policy_at(path: str) -> PolicyFiles:
    """A policy that somebody asks about: judged as the daemon does where it is the installed one; of a draft
    elsewhere only the text counts."""
    folder = os.path.dirname(CONFIG)
    return policy_files(path, frozenset({0}) if os.path.abspath(path).startswith(f"{folder}/") else None)


def policy_files(config: str, owners: frozenset[int] | None) -> PolicyFiles:
    """The policy in `config`; `owners`: who alone may be able to change it, None: whoever can."""
    from pathlib import Path

    from gpu_tuned.adapters import policy_file
    from gpu_tuned.loop.policy_in_force import PolicyFiles

    return PolicyFiles(
        lambda: policy_file.load_sources(Path(config), owners).to_json(),
        lambda sources: policy_file.parse_sources(policy_file.Sources.from_json(sources)),
        lambda: policy_file.stamp(config),
    )


def awaited_files(config: str) -> tuple[PolicyFiles, AwaitedFiles]:
    """The daemon's own policy, whose files are not waited for for ever."""
    from gpu_tuned.adapters.awaited import AwaitedFiles

    files = policy_files(config, owners())
    awaited = AwaitedFiles(config, files.read, files.stamp)
    return files._replace(read=awaited.read, stamp=awaited.stamp), awaited


def sysroot() -> str:
    """Below which folder /proc and /sys are looked for: "/", or a simulated host's."""
    return os.environ.get("GPU_TUNED_SYSROOT", "/")


def root_of(asked: str | None) -> str:
    """Below which folder a host's files lie: `--root` of a verb, or None for this host's. Raises UsageError."""
    if asked is None:
        return sysroot()
    if not os.path.isdir(asked):
        from gpu_tuned.core.errors import UsageError

        raise UsageError(f"--root {asked or repr(asked)}: there is no such folder")
    return asked


def writer_lock() -> str:
    """What the one process holds that writes to this driver."""
    return os.path.join(sysroot(), "run/gpu-tuned/writer.lock")


def world_of(  # noqa: PLR0913 - the world's ports that somebody else has made
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
        kernel=SystemKernel(sysroot()),
        clock=SystemClock(),
        this_boot=this_boot,
        lasting=lasting,
        service=service,
        mailbox=mailbox,
        say=say,
        policy_files=files,
        observe=observe,
    )


def stores_of(options: argparse.Namespace) -> tuple[Store, Store]:
    """Where this boot's state lies, and where the last good policy does. An observer keeps nothing: what it would
    write is the writer's."""
    from gpu_tuned.adapters.memory import MemoryStore
    from gpu_tuned.adapters.state_file import POLICY_FILE, StateFile, volatile

    if options.observe:
        return MemoryStore(), MemoryStore()
    if options.state_dir != STATE_DIR:
        return volatile(options.state_dir), StateFile(options.state_dir, POLICY_FILE)
    return volatile(RUN_DIR), StateFile(STATE_DIR)
