"""`gpu-tunedctl init`: looks at the boards and the host once, proposes a policy, and puts it in place when asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_tuned.core.advice import Advice, Around, advise_policy
from gpu_tuned.core.errors import DriverTrouble, GpuLost, GpuTunedError, PolicyError, UsageError
from gpu_tuned.core.model import Board, Reading, Setting
from gpu_tuned.core.policy import DaemonOptions, Policy
from gpu_tuned.init import document, policy_text
from gpu_tuned.init.carry_out import carry_out
from gpu_tuned.init.decision import Decision
from gpu_tuned.init.edit import Change, changes
from gpu_tuned.init.model import Scan
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


def propose(root: str, gpus: Gpus, kernel: Kernel, parse: Parse) -> dict[str, Any]:
    """What `init` proposes for the host below `root`, as the document of `init --json`; nothing is changed.

    `parse` makes a policy of a text, shipped profiles included. Raises DriverError where no board can be looked at;
    UsageError for a `root` that is no folder.
    """
    with _below(root) as files:
        return _document(_proposal(files, gpus, kernel, parse), None)


def put_in_place(root: str, gpus: Gpus, kernel: Kernel, parse: Parse, *, replace: bool) -> dict[str, Any]:
    """As `propose`, and done; nothing is written to any GPU. Raises what that raises; UsageError where a policy is in
    place already, and `replace` was not said; NotPermitted."""
    with _below(root) as files:
        proposal = _proposal(files, gpus, kernel, parse)
        if proposal.present == OWN and not replace:
            raise UsageError(
                f"{POLICY} is a policy of this host already, and nothing was changed; "
                "`init --write --replace` moves it to the backup"
            )
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return _document(proposal, carry_out(files, POLICY, proposal.policy, proposal.planned, stamp))


@dataclass(frozen=True, slots=True)
class _Proposal:
    """`present`: what lies where the policy goes, None for nothing."""

    host: Host
    found: Scan
    decision: Decision
    policy: str
    advice: Sequence[Advice]
    present: str | None
    planned: Sequence[Change]
    drop_ins: tuple[str, ...]


def _below(root: str) -> Rooted:
    try:
        return Rooted(root)
    except OSError as error:
        raise UsageError(f"--root {root}: {error.strerror or error}") from error


def _proposal(files: Rooted, gpus: Gpus, kernel: Kernel, parse: Parse) -> _Proposal:
    boards, readings = _look(gpus)
    silent = tuple(sorted(set(kernel.bound_gpus()) - {board.gpu.pci for board in boards}))
    shipped = {name: made for name in PROFILES.values() if (made := _profile(parse, name)) is not None}
    found = scan(files)
    host = Host(boards, readings, shipped, kernel.numa_balancing(), kernel.memory_nodes(), found.mps, silent)
    decision = decide(host, found.effects)
    policy = policy_text.write(host, decision)
    around = Around(laptop=kernel.on_battery_host(), mps=found.mps or None)
    advice = advise_policy(_checked(parse, policy), boards, readings, around)
    drop_ins = tuple(f"{DROP_INS}/{name}" for name in files.names(DROP_INS) if name.endswith(".toml"))
    present, planned = _present(files, parse), changes(found, decision)
    return _Proposal(host, found, decision, policy, advice, present, planned, drop_ins)


def _document(proposal: _Proposal, written: tuple[str, str] | None) -> dict[str, Any]:
    """`written`: the backup and the script that undoes it, where it was done."""
    made = proposal
    target = document.Target(POLICY, made.policy, made.present or "", made.drop_ins, written)
    return document.document(made.host, made.found, made.decision, made.planned, target, made.advice)


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
