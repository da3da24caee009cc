"""What `gpu-tunedctl env` may ask of this part; main hands it over (main.environment)."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from gpu_tuned.core.errors import UsageError
from gpu_tuned.environment import explain as explaining
from gpu_tuned.environment.running import running
from gpu_tuned.environment.shipped import shipped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gpu_tuned.core.audit_request import AuditRequest


def explain(name: str, components: Sequence[str]) -> dict[str, Any]:
    """See environment/explain.py. `components` are words as "vllm=0.33.0"; raises UsageError for an unknown one."""
    catalogue = shipped()
    return explaining.explain(catalogue, name, tuple(running(catalogue, word) for word in components))


def show(profile: str, format: str, *, bare: bool = False) -> str:
    """The text of a file in `format`; `bare`: without its comments. Raises UsageError for a profile that is not there
    or has something wrong, and for a value that the format cannot say."""
    from gpu_tuned.environment.formats.table import FORMATS
    from gpu_tuned.environment.profile_folders import ProfileFolders

    if format not in FORMATS:
        raise UsageError(f"--format: there is no {format!r}; there are {', '.join(FORMATS)}")
    found = ProfileFolders().profile(profile)
    component = shipped().components.get(found.component)
    text = FORMATS[format](found, component.label if component else found.component)
    return _without_comments(text) if bare else text


def write_cdi(profile: str, folder: str) -> dict[str, str]:
    """Put the profile's CDI specification into `folder`, whole or not at all: its path, and the device to ask for.

    Raises what `show` does, NotPermitted where `folder` cannot be written, UsageError where it cannot be otherwise.
    """
    from gpu_tuned.environment.cdi_file import write
    from gpu_tuned.environment.formats.yaml import CDI_KIND

    path = write(folder, profile, show(profile, "cdi"))
    return {"path": path, "device": f"{CDI_KIND}={profile}"}


def listing(pattern: str | None) -> dict[str, Any]:
    """Without a pattern the profiles, the components with what was looked at, and how many names they read; with one
    ("VLLM_*") the names that match it, in their exact case, each with who reads it or did."""
    catalogue = shipped()
    if pattern is not None:
        names = [name for name in catalogue.names if fnmatchcase(name, pattern)]
        return {"names": [_row(name) for name in names]}
    return {
        "profiles": _profiles(),
        "components": explaining.components(catalogue),
        "names_read": catalogue.names_read,
    }


def audit(request: AuditRequest) -> dict[str, Any]:
    """See environment/audit/answer.py."""
    from gpu_tuned.environment.audit import answer

    return answer.audit(request)


def _row(name: str) -> dict[str, Any]:
    catalogue = shipped()
    facts = catalogue.facts(name)
    verdict = catalogue.judge(name)
    by = dict.fromkeys(explaining.label(catalogue, row.component) for row in facts.readers)
    return {
        "name": name,
        "standing": verdict.standing.value,
        "readers": [*by],
        "component": explaining.label(catalogue, verdict.component),
        "last": verdict.last,
        "replacement": verdict.replacement,
    }


def _profiles() -> list[dict[str, Any]]:
    from gpu_tuned.environment.profile_folders import ProfileFolders

    folders, catalogue, rows = ProfileFolders(), shipped(), []
    for name in folders.names():
        found = folders.profile(name)
        rows.append(
            {
                "name": name,
                "title": found.title,
                "component": explaining.label(catalogue, found.component) or found.component,
                "checked": found.checked,
                "set": [line.name for line in found.variables],
                "offered": [line.name or line.value for line in found.lines if not line.active],
                "options": [line.value for line in found.lines if not line.name and line.active],
            }
        )
    return rows


def _without_comments(text: str) -> str:
    kept = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    # A unit's sections are kept apart.
    spaced = [f"\n{line}" if line.startswith("[") and place else line for place, line in enumerate(kept)]
    return "\n".join(spaced) + "\n"
