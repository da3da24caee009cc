"""Unpacks the carried wheels into one folder and refuses whatever is not pure Python.

    carry.py WHEELS DESTINATION
    carry.py --check WHEEL

DESTINATION/python gets the modules, DESTINATION/licences a folder for each distribution's licence files.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path, PurePosixPath

LEFT_OUT = ("example.py", "varlink/tests/")
"""Not used by the daemon, and not to be found in a search path of it."""

COMPILED = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


def main(wheels: Path, destination: Path) -> None:
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise SystemExit(f"carry: no wheel in {wheels}")
    for wheel in found:
        unpack(wheel, destination)


def check(wheel: Path) -> None:
    """Raises SystemExit for a wheel with compiled code in it, whatever its name says."""
    if not wheel.name.endswith("-none-any.whl"):
        raise SystemExit(f"carry: {wheel.name} is not for every platform")
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            suffix = PurePosixPath(entry).suffix
            if suffix in (".so", ".pyd", ".dll", ".dylib", ".a", ".o") or archive.read(entry).startswith(COMPILED):
                raise SystemExit(f"carry: {wheel.name}: {entry} is compiled code")


def unpack(wheel: Path, destination: Path) -> None:
    """Raises SystemExit for a wheel that is not pure Python, or would write over another's files."""
    check(wheel)
    name = wheel.name.split("-")[0]
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            target = _target(entry, name)
            if target is None or entry.endswith("/"):
                continue
            path = destination / target
            if path.exists():
                raise SystemExit(f"carry: {wheel.name}: another wheel has {entry} too")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(entry))


def _target(entry: str, name: str) -> PurePosixPath | None:
    """Where a wheel's file goes below the destination; None for one that is left out."""
    path = PurePosixPath(entry)
    if ".data/" in entry or path.is_absolute() or ".." in path.parts:
        raise SystemExit(f"carry: {name}: {entry}: only modules are carried")
    if path.parts[0].endswith(".dist-info"):
        if path.name == "METADATA":  # what scanners for known vulnerabilities read
            return PurePosixPath("python") / path
        is_licence = path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))
        return PurePosixPath("licences") / name / path.name if is_licence else None
    return None if entry.startswith(LEFT_OUT) else PurePosixPath("python") / path


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
