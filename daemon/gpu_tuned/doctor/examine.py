"""All checks over one view of the host, in the order in which a person would ask."""

from __future__ import annotations

from collections.abc import Callable

from gpu_tuned.core.host_view import HostView
from gpu_tuned.core.verdict import Diagnosis, Finding
from gpu_tuned.doctor import boards, containers, driver, events, memory, pcie, services

Check = Callable[[HostView], Finding]

CHECKS: tuple[Check, ...] = (
    *driver.CHECKS,
    *boards.CHECKS,
    *events.CHECKS,
    *pcie.CHECKS,
    *memory.CHECKS,
    *services.CHECKS,
    *containers.CHECKS,
)


def examine(host: HostView, took_s: float = 0.0) -> Diagnosis:
    """Every check's finding. One that the policy accepts (`accept`) is left out."""
    findings = (check(host) for check in CHECKS)
    return Diagnosis(tuple(f for f in findings if f.check not in host.expected.accepted), took_s)
