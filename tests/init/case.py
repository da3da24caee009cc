"""The layouts of tests/init/cases: hosts as people set them up, and what init is to make of each.

A file's [expected] says: `taken` for each GPU, all of it; `may`: what it may take besides; `changed`: the files and
links that go or change, all of them, and `may_change` those that may; `stays`: what must still be there; `left`: file
-> kinds, one of which its reason is; `writers`: what is named as one that goes on setting GPUs ("A|B": either);
`silent`: files of which nothing is said; `not_held`: keys that the policy has for no GPU; `told` and `next`: words
that stand somewhere in the document, or among the commands to type; `instead`: words of the lines that a person could
write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

CASES = Path(__file__).parent / "cases"
LOWEST_MHZ = {"gpu_clock_mhz": 15, "memory_clock_mhz": 1}
Key = tuple[int, str]


@dataclass(frozen=True)
class Case:
    name: str
    boards: tuple[str, ...]
    before: tuple[str, ...]
    files: Mapping[str, str]
    links: Mapping[str, str]
    modes: Mapping[str, int]
    owners: Mapping[str, int]
    expected: Mapping[str, Any]

    def lay_out(self, root: Path) -> None:
        for path, text in self.files.items():
            file = below(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, newline="")
            file.chmod(self.modes.get(path, 0o644))
        for path, target in self.links.items():
            link = below(root, path)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        for path, owner in self.owners.items():
            os.chown(below(root, path), owner, owner)

    def values(self, what: str) -> dict[Key, object]:
        """`taken` or `may`, flat."""
        table = self.expected.get(what, {})
        return {(int(gpu), setting): value for gpu, row in table.items() for setting, value in row.items()}


def below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def every() -> list[Case]:
    return [_read(file) for file in sorted(CASES.glob("*.toml"))]


def _read(file: Path) -> Case:
    found = tomli.loads(file.read_text())
    return Case(
        file.stem,
        tuple(found["boards"]),
        tuple(found.get("before", ())),
        found.get("files", {}),
        found.get("links", {}),
        found.get("modes", {}),
        found.get("owners", {}),
        found["expected"],
    )


def problems(case: Case, document: Mapping[str, Any]) -> Iterator[str]:
    """What the document has otherwise than the case expects."""
    numbers = {gpu["uuid"]: gpu["index"] for gpu in document["gpus"]}
    taken = {(numbers[r["gpu"]], r["setting"]): r["value"] for r in document["taken"] if r["gpu"]}
    wanted, may = case.values("taken"), case.values("may")
    for key, value in wanted.items():
        if key not in taken:
            yield f"not taken over: GPU {key[0]} {key[1]} = {value}; {_why(document, key[1])}"
    for key, value in taken.items():
        if not same(key[1], value, {**may, **wanted}.get(key)):
            yield f"taken over: GPU {key[0]} {key[1]} = {value}, where {({**may, **wanted}).get(key)} is expected"
    for path, kinds in case.expected.get("left", {}).items():
        found = {row["kind"] for row in document["left"] if row["file"] == path}
        if not found & set(kinds) and not _all_taken(case, taken, may):
            yield f"{path}: left as {sorted(found)}, where one of {kinds} is expected"
    named = {writer["file"] for writer in document["writers"]}
    for path in case.expected.get("writers", ()):
        if not named & set(path.split("|")):
            yield f"{path} is not named among the writers: {sorted(named)}"
    said = named | {row["file"] for row in document["left"]}
    yield from (f"{path} is spoken of" for path in case.expected.get("silent", ()) if path in said)
    for row in (row for row in document["left"] if not row["reason"]):
        yield f"left without a reason: {row}"
    everything = str(document)
    yield from (f"not told: {word}" for word in case.expected.get("told", ()) if word not in everything)
    commands = "\n".join(document["next"])
    instead = "\n".join(row["instead"] or "" for row in document["left"])
    if not _all_taken(case, taken, may):
        yield from (f"no line to write: {word}" for word in case.expected.get("instead", ()) if word not in instead)
    if document["written"]:
        yield from (f"not under next: {word}" for word in case.expected.get("next", ()) if word not in commands)


def _all_taken(case: Case, taken: Mapping[Key, object], may: Mapping[Key, object]) -> bool:
    return bool(may) and set(may) <= set(taken)


def _why(document: Mapping[str, Any], setting: str) -> str:
    rows = [row for row in document["left"] if row["setting"] in (setting, None)]
    return "; ".join(f"{row['file']}:{row['line']} {row['kind']}: {row['reason']}" for row in rows) or "not seen"


def same(setting: str, value: object, wanted: object) -> bool:
    """Whether a value is the expected one: a lock from 0 begins at the lowest rung, and the end of a range that is no
    rung is the nearest one."""
    if isinstance(value, dict) and isinstance(wanted, dict) and setting in LOWEST_MHZ:
        low = wanted["min"] == 0 and value["min"] <= 405
        within = LOWEST_MHZ[setting]
        return (low or abs(value["min"] - wanted["min"]) <= within) and abs(value["max"] - wanted["max"]) <= within
    if isinstance(value, (int, float)) and isinstance(wanted, (int, float)):
        return value == wanted
    return value == wanted and wanted is not None


OWN = ("/var/backups", "/etc/gpu-tuned")


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """Paths that differ, but for what init itself makes."""
    paths = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    made = {path for path in paths if path not in before and any(own.startswith(path) for own in OWN)}
    return {path for path in paths - made if not path.startswith(OWN)}


def picture(root: Path) -> dict[str, object]:
    """Every file and link below a folder: content, mode, owner and extended attributes, or where it points. Folders
    that are of the host's kernel are left out."""
    found: dict[str, object] = {}
    for folder, names, files in os.walk(root):
        if folder == str(root):
            names[:] = [name for name in names if name not in ("proc", "sys", "dev")]
        for name in [*files, *names]:
            path = Path(folder) / name
            status = path.lstat()
            owner = (status.st_mode, status.st_uid, status.st_gid)
            inside = f"/{path.relative_to(root)}"
            if path.is_symlink():
                found[inside] = ("link", os.readlink(path))
            elif path.is_dir():
                found[inside] = owner
            else:
                found[inside] = (*owner, path.read_bytes(), _attributes(path))
    return found


def _attributes(path: Path) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(path, name) for name in os.listxattr(path)}
    except OSError:
        return {}
