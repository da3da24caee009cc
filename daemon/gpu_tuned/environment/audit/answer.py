"""What `gpu-tunedctl env audit` is given: findings as plain data, in the words of the schema."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_tuned.core.errors import UsageError
from gpu_tuned.environment.audit import run
from gpu_tuned.environment.audit.model import Environment, Reader, Unreadable
from gpu_tuned.environment.audit.readers import process
from gpu_tuned.environment.running import running
from gpu_tuned.environment.shipped import shipped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gpu_tuned.core.audit_request import AuditRequest


def audit(request: AuditRequest) -> dict[str, Any]:
    """Findings as the schema has them, each with `where` (the service, container or process) besides; what could not
    be read; how many files and processes were looked at, and how many more findings `everything` would show.

    Raises UsageError for a component or a reader that there is not.
    """
    catalogue = shipped()
    told = [running(catalogue, word) for word in request.components]
    versions = {one.component: one.version for one in told}
    who = _reader(request.reader)
    found = run.of_files(catalogue, list(request.paths), who, versions, request.standard_input)
    files, processes = found.audited, 0
    if request.pids:
        environments, unreadable = _processes(request.pids)
        live = run.of_environments(catalogue, environments, versions, unreadable)
        processes = live.audited
        findings, unreadable = (*found.findings, *live.findings), [*found.unreadable, *live.unreadable]
        found = run.Result(findings, tuple(unreadable), files + processes)
    shown = run.visible(found.findings, everything=request.everything)
    return {
        "findings": [one.as_json() for one in shown],
        "where": [one.where for one in shown],
        "unreadable": list(found.unreadable),
        "files": files,
        "processes": processes,
        "hidden": len(found.findings) - len(shown),
    }


def _reader(word: str | None) -> Reader | None:
    try:
        return Reader(word) if word else None
    except ValueError:
        raise UsageError(f"--reader: there is no {word!r}; there are {', '.join(Reader)}") from None


def _processes(pids: Sequence[int]) -> tuple[list[Environment], list[str]]:
    environments, unreadable = [], []
    for pid in dict.fromkeys(pids):
        try:
            environments.append(process.read(pid))
        except Unreadable as error:
            unreadable.append(str(error))
    return environments, unreadable
