"""`gpu-tunedctl init`: looks at the boards and the host once, proposes a policy, and puts it in place when asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gpu_tuned.core.advice import Around, advise_policy
from gpu_tuned.core.errors import DriverTrouble, GpuLost, GpuTunedError, PolicyError, UsageError
from gpu_tuned.core.model import Board, Reading, Setting
from gpu_tuned.core.policy import DaemonOptions, Policy
from gpu_tuned.init import document, policy_text
from gpu_tuned.init.carry_out import carry_out
from gpu_tuned.init.edit import changes
from gpu_tuned.init.profiles import PROFILES
from gpu_tuned.init.propose import decide
from gpu_tuned.init.rooted import Rooted
from gpu_tuned.init.scan import scan
from gpu_tuned.init.verdict import Host
from gpu_tuned.ports import Gpus, Kernel, Look

POLICY = "/etc/gpu-tuned/gpu-tuned.toml"
DROP_INS = "/etc/gpu-tuned/gpu-tuned.d"
EVERY_BOARD = '[[gpu]]\nmatch = {{ name = "*" }}\nprofile = "{}"\n'
OWN = "a policy of this host's own"
AS_SHIPPED = "it asks for persistence mode alone"

Parse = Callable[[str], Policy]


def make(  # noqa: PLR0913 - ports, and the options of the command
    root: str, gpus: Gpus, kernel: Kernel, parse: Parse, *, write: bool, replace: bool
) -> dict[str, Any]:
    """What `init` proposes for the host below `root`, as the document of `init --json`; with `write`, done.

    `parse` makes a policy of a text, shipped profiles included. Nothing is written to any GPU. Raises DriverError
    where no board can be looked at; UsageError where a policy is in place already and `replace` was not said;
    NotPermitted.
    """
    boards, readings = _look(gpus)
    silent = tuple(sorted(set(kernel.bound_gpus()) - {board.gpu.pci for board in boards}))
    shipped = {name: made for name in PROFILES.values() if (made := _profile(parse, name)) is not None}
    try:
        files = Rooted(root)
    except OSError as error:
        raise UsageError(f"--root {root}: {error.strerror or error}") from error
    with files:
        found = scan(files)
        host = Host(boards, readings, shipped, kernel.numa_balancing(), kernel.memory_nodes(), found.mps, silent)
        decision = decide(host, found.effects)
        policy = policy_text.write(host, decision)
        around = Around(laptop=kernel.on_battery_host(), mps=found.mps or None)
        advice = advise_policy(_checked(parse, policy), boards, readings, around)
        present = _present(files, parse)
        planned = changes(found, decision)
        drop_ins = [f"{DROP_INS}/{name}" for name in files.names(DROP_INS) if name.endswith(".toml")]
        written: tuple[str, str] | None = None
        if write:
            if present == OWN and not replace:
                raise UsageError(
                    f"{POLICY} is a policy of this host already, and nothing was changed; "
                    "`init --write --replace` moves it to the backup"
                )
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            written = carry_out(files, POLICY, policy, planned, stamp)
        target = document.Target(POLICY, policy, present or "", tuple(drop_ins), written)
        return document.document(host, found, decision, planned, target, advice)


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


def _checked(parse: Parse, policy: str) -> Policy:
    try:
        return parse(policy)
    except PolicyError as error:
        raise GpuTunedError(f"a mistake in `init`: what it proposes is no policy: {error}") from error


def _present(files: Rooted, parse: Parse) -> str | None:
    """What lies where the policy goes. What the package ships there is no work of anybody's."""
    text = files.text(POLICY)
    if text is None:
        return OWN if files.there(POLICY) else None
    try:
        policy = parse(text)
    except PolicyError:
        return OWN
    wishes = [wish for rule in policy.rules for wish in rule.wishes]
    alone = all(wish.setting is Setting.PERSISTENCE_MODE for wish in wishes)
    plain = policy.daemon == DaemonOptions() and policy.numa_balancing is None and policy.gpu_power_budget_mw is None
    return AS_SHIPPED if alone and plain else OWN
