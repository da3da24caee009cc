"""`gpu-tunedctl init`: looks at the boards and the host once, proposes a policy, and puts it in place when asked."""

from __future__ import annotations

import time
from collections.abc import Callable

from gpu_tuned.core.errors import DriverTrouble, GpuLost, GpuTunedError, PolicyError, UsageError
from gpu_tuned.core.leftover import FirstPolicy, Host
from gpu_tuned.core.model import Board, Reading, Setting
from gpu_tuned.core.policy import DaemonOptions, Policy
from gpu_tuned.core.proposal import PROFILES, propose
from gpu_tuned.core.takeover import names
from gpu_tuned.host.leftovers import scan
from gpu_tuned.host.nvidia_smi import Said
from gpu_tuned.host.replace import carry_out
from gpu_tuned.host.tree import Tree
from gpu_tuned.ports import Gpus, Kernel, Look

POLICY = "/etc/gpu-tuned/gpu-tuned.toml"
DROP_INS = "/etc/gpu-tuned/gpu-tuned.d"
EVERY_BOARD = '[[gpu]]\nmatch = {{ name = "*" }}\nprofile = "{}"\n'

Parse = Callable[[str], Policy]


def make(root: str, gpus: Gpus, kernel: Kernel, parse: Parse, *, write: bool, replace: bool) -> FirstPolicy:
    """What `init` proposes for the host below `root`; with `write`, done.

    `parse` makes a policy of a text, shipped profiles included. Nothing is written to any GPU. Raises DriverError
    where no board can be looked at; UsageError where a policy is in place already and `replace` was not said;
    NotPermitted.
    """
    boards, readings = _look(gpus)
    numa = kernel.numa_balancing()

    def stays(said: Said) -> bool:
        if said.setting is Setting.NUMA_BALANCING:
            return numa is None
        return not any(names(said.gpus, board) for board in boards)

    found = scan(root, stays)
    profiles = {name: shipped for name in PROFILES.values() if (shipped := _profile(parse, name)) is not None}
    silent = tuple(sorted(set(kernel.bound_gpus()) - {board.gpu.pci for board in boards}))
    nodes = kernel.memory_nodes()
    policy = propose(Host(boards, readings, found.asks, profiles, numa, nodes, found.mps, silent))
    _checked(parse, policy)
    tree = Tree(root)
    present = _present(tree, parse)
    drop_ins = tuple(f"{DROP_INS}/{name}" for name in tree.names(DROP_INS) if name.endswith(".toml"))
    backup = undo = None
    if write:
        if present == OWN and not replace:
            raise UsageError(
                f"{POLICY} is a policy of this host already, and nothing was changed; "
                "`init --write --replace` moves it to the backup"
            )
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        backup, undo = carry_out(root, POLICY, policy, found.changes, stamp)
    return FirstPolicy(policy, POLICY, found.changes, dict(found.unread), present, drop_ins, backup, undo)


OWN = "a policy of this host's own"
AS_SHIPPED = "it asks for persistence mode alone"


def _look(gpus: Gpus) -> tuple[tuple[Board, ...], dict[str, dict[Setting, Reading]]]:
    readings: dict[str, dict[Setting, Reading]] = {}
    boards = gpus.attach()
    try:
        if not boards:
            raise DriverTrouble("the driver answers and names no GPU that can be read; there is nothing to propose")
        for board in boards:
            try:
                readings[board.gpu.uuid] = dict(gpus.see(board.gpu.uuid, Look(application_clocks=True)).readings)
            except GpuLost:
                readings[board.gpu.uuid] = {}
    finally:
        gpus.detach()
    return boards, readings


def _profile(parse: Parse, name: str) -> Policy | None:
    """A shipped profile as the policy it makes of every board; None where it is not installed."""
    try:
        return parse(EVERY_BOARD.format(name))
    except PolicyError:
        return None


def _checked(parse: Parse, policy: str) -> None:
    try:
        parse(policy)
    except PolicyError as error:
        raise GpuTunedError(f"a mistake in `init`: what it proposes is no policy: {error}") from error


def _present(tree: Tree, parse: Parse) -> str | None:
    """What lies where the policy goes. What the package ships there is no work of anybody's."""
    text = tree.text(POLICY)
    if text is None:
        return None if tree.resolve(POLICY) is None else OWN
    try:
        policy = parse(text)
    except PolicyError:
        return OWN
    wishes = [wish for rule in policy.rules for wish in rule.wishes]
    alone = all(wish.setting is Setting.PERSISTENCE_MODE for wish in wishes)
    plain = policy.daemon == DaemonOptions() and policy.numa_balancing is None and policy.gpu_power_budget_mw is None
    return AS_SHIPPED if alone and plain else OWN
