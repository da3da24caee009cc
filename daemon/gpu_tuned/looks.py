"""Where the looks of `gpu-tunedctl doctor` and `show` are put together: adapters and checks, without a daemon.

Like main, this knows adapters and parts both; only main imports it, when one of these verbs is asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpu_tuned.adapters.host_files import look
from gpu_tuned.adapters.kernel import SystemKernel
from gpu_tuned.adapters.patience import within
from gpu_tuned.core.errors import DriverTrouble, PolicyError
from gpu_tuned.core.host_view import HostView, Place
from gpu_tuned.core.model import Unread
from gpu_tuned.core.policy import Expected, Policy
from gpu_tuned.core.verdict import Diagnosis
from gpu_tuned.core.words import listed

if TYPE_CHECKING:
    from gpu_tuned.adapters.nvml.inspect import Inspection
    from gpu_tuned.core.advice import Advice
    from gpu_tuned.core.wire import Gpu as GpuRow
    from gpu_tuned.loop.policy_in_force import PolicyFiles

PATIENCE_S = 1.5
"""Seconds for the driver and for the search of old scripts, side by side; the doctor may take two in all."""
SHOW_S = 10.0
"""Seconds for the driver in `show`: a first attach without persistence mode takes some."""


def host(where: str, files: PolicyFiles) -> Diagnosis:
    """What the doctor finds on the host below `where`, whose policy is `files`. Writes nothing."""
    from gpu_tuned.doctor.examine import examine

    began = time.monotonic()
    view = view_of(where, files)
    return examine(view, time.monotonic() - began)


def inside(container: str) -> Diagnosis:
    """What the doctor finds in one container. Raises UsageError where there is none of that name, DriverTrouble."""
    from gpu_tuned.adapters.container_engine import look_inside
    from gpu_tuned.doctor.inside import examine_inside

    began = time.monotonic()
    view = look_inside(container)
    return examine_inside(view, time.monotonic() - began)


def view_of(where: str, files: PolicyFiles) -> HostView:
    """One look at everything. The driver and the old scripts wait for others most of the time: both go beside."""
    answered = _driver(where)
    slow = f"the search for old scripts took longer than {PATIENCE_S:g} s"
    scanned = within(PATIENCE_S, lambda: _old_settings(where), slow)
    view = replace(look(where), expected=_expected(files))
    if view.place is not Place.CONTAINER:
        view = replace(view, services=replace(view.services, leftovers=scanned()))
    seen = answered()
    if isinstance(seen, Unread):
        return replace(view, gpus=seen, driver=replace(view.driver, answered=seen))
    driver = replace(view.driver, answered=seen.version)
    return replace(view, gpus=seen.gpus, left_out=seen.left_out, driver=driver)


def _driver(where: str) -> Callable[[], Inspection | Unread]:
    """Asks the driver, unless that would wake a sleeping GPU."""
    asleep = _asleep(where)
    if asleep is not None:
        return lambda: asleep

    def ask() -> Inspection:
        from gpu_tuned.adapters.nvml.inspect import inspect

        return inspect()

    return within(PATIENCE_S, ask, f"the driver has not answered within {PATIENCE_S:g} s")


def _old_settings(where: str) -> tuple[str, ...] | Unread:
    """Files that set a GPU at boot, as `init` would read them."""
    from gpu_tuned.init.rooted import Rooted
    from gpu_tuned.init.scan import scan, sets_at_boot

    if not os.path.isdir(os.path.join(where, "etc")):
        return Unread("there is no /etc here to look into")
    with Rooted(where) as files:
        found = scan(files)
    at_boot = sets_at_boot(found)
    if found.unread and not at_boot:
        paths = ", ".join(path for path, _ in found.unread[:3])
        return Unread(f"{paths} could not be read, and nothing was found elsewhere")
    return at_boot


def show(where: str, files: PolicyFiles, gpu: str | None, told: GpuRow | None) -> dict[str, Any]:
    """One GPU from close by. `told`: the same in the daemon's status document. Raises UsageError where `gpu` names
    none, or more than one; DriverError, also where looking would wake a sleeping GPU."""
    from gpu_tuned.adapters.host_files import around
    from gpu_tuned.adapters.nvml.detail import look_at
    from gpu_tuned.core.advice import Case, advise
    from gpu_tuned.core.show import document_of

    asleep = _asleep(where)
    if asleep is not None:
        raise DriverTrouble(asleep.why)
    view = within(SHOW_S, lambda: look_at(gpu), f"the driver has not answered within {SHOW_S:g} s")()
    if isinstance(view, Unread):
        raise DriverTrouble(view.why)
    board = view.board
    told_of: tuple[Advice, ...] = ()
    try:
        policy: Policy = files.parse(files.read())
    except PolicyError:
        pass
    else:
        case = Case(board, policy.wishes_for(board.gpu), view.seen.readings, around(where, view.driver))
        told_of = advise(case, policy.accepted_for(board.gpu))
    return document_of(view, told, told_of)


def _asleep(where: str) -> Unread | None:
    """Why the driver is not to be asked; None where every GPU is awake."""
    kernel = SystemKernel(where)
    asleep = [pci for pci in kernel.bound_gpus() if kernel.asleep(pci)]
    if not asleep:
        return None
    return Unread(f"asleep, and any question to the driver would wake it up: {listed(asleep)}")


def _expected(files: PolicyFiles) -> Expected:
    """What the policy says of the host; one that cannot be used expects nothing."""
    try:
        policy: Policy = files.parse(files.read())
    except PolicyError as error:
        return Expected(problem=error.problems[0])
    return policy.expected()
