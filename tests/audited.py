"""Files as a test writes them, and what `env audit` finds in them."""

from __future__ import annotations

from pathlib import Path

from gpu_tuned.environment.audit import run
from gpu_tuned.environment.audit.model import Finding
from gpu_tuned.environment.shipped import shipped


def findings(
    folder: Path, *, everything: bool = False, told: dict[str, str] | None = None, **files: str
) -> list[Finding]:
    """Of files by their names, with "__" for "/" and "_" for "."; all of them are named on the command line."""
    paths = []
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        paths.append(str(path))
    result = run.of_files(shipped(), paths, told=told)
    assert result.unreadable == ()
    return list(run.visible(result.findings, everything=everything))


def service(image: str, *lines: str, rest: str = "") -> str:
    environment = "".join(f"      - {line}\n" for line in lines)
    return f"services:\n  a:\n    image: {image}\n    environment:\n{environment}{rest}"


def told(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.name, one.certainty.value) for one in found]
