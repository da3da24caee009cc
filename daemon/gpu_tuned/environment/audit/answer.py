"""What `gpu-tunedctl env audit` is given: findings as plain data, in the words of the schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpu_tuned.core.errors import UsageError
from gpu_tuned.environment.audit import run
from gpu_tuned.environment.audit.model import Environment, Reader, Unreadable
from gpu_tuned.environment.audit.readers import process
from gpu_tuned.environment.running import running
from gpu_tuned.environment.shipped import shipped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def audit(  # noqa: PLR0913 - the options of the command, each by its name
    paths: Sequence[str],
    *,
    reader: str | None,
    components: Sequence[str],
    pids: Sequence[int],
    everything: bool,
    standard_input: Callable[[], str],
) -> dict[str, Any]:
    """Findings as the schema has them, each with `where` (the service, container or process) besides; what could not
    be read; how many files and processes were looked at, and how many findings `everything` would show more.

    Raises UsageError for a component or a reader that there is not.
    """
    catalogue = shipped()
    told = [running(catalogue, word) for word in components]
    versions = {one.component: one.version for one in told}
    who = _reader(reader)
    found = run.of_files(catalogue, list(paths), who, versions, standard_input if "-" in paths else None)
    files, processes = found.audited, 0
    if pids:
        environments, unreadable = _processes(pids)
        live = run.of_environments(catalogue, environments, versions, unreadable)
        processes = live.audited
        findings, unreadable = (*found.findings, *live.findings), [*found.unreadable, *live.unreadable]
        found = run.Result(findings, tuple(unreadable), files + processes)
    shown = run.visible(found.findings, everything=everything)
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
