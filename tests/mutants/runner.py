"""Breaks a copy of the package in one known way and expects the tests named for it to fail.

The list is mutants.toml. A mutant that no test notices is reported as survived; one whose text is no longer
found, or whose tests cannot be run, as out of date: both fail, so that the list stays true.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomli

TOP = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("mutants.toml")
PACKAGE = "gpu_tuned"
PYTEST_PASSED, PYTEST_FAILED = 0, 1


class OutOfDate(Exception):
    """The list does not fit the code or the tests any more."""


class Survived(Exception):
    """The tests passed although the code was broken."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In `file` (relative to the package) `find`, which occurs exactly once, becomes `replace`."""

    file: str
    find: str
    replace: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to break the package. `breaks` says what is no longer true; one of `tests` (pytest selectors) fails."""

    name: str
    breaks: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def read_list(path: Path = LIST) -> tuple[Mutant, ...]:
    return tuple(
        Mutant(row["name"], row["breaks"], tuple(Edit(**edit) for edit in row["edit"]), tuple(row["tests"]))
        for row in tomli.loads(path.read_text())["mutant"]
    )


def installed_package() -> Path:
    """Where the package under test lies; not imported, so that its copy can be."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.origin:
        raise OutOfDate(f"{PACKAGE} is not installed; packaging/test installs it")
    return Path(spec.origin).parent


@contextmanager
def copy_of(package: Path, mutant: Mutant | None = None) -> Iterator[Path]:
    """A folder that holds a copy of `package`, broken as `mutant` says; for PYTHONPATH."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / package.name
        shutil.copytree(package, copy, copy_function=_linked)
        if mutant:
            try:
                for edit in mutant.edits:
                    _apply(edit, copy)
            except OutOfDate as problem:
                raise OutOfDate(f"{mutant.name}: {problem}") from None
        yield Path(folder)


def _linked(source: str, target: str) -> None:
    """Of some six hundred files one or two are broken for each mutant: the others need no room of their own."""
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copy2(source, target)


def _apply(edit: Edit, package: Path) -> None:
    file = package / edit.file
    if not file.is_file():
        raise OutOfDate(f"there is no {edit.file} in the package")
    text = file.read_text()
    if text.count(edit.find) != 1:
        raise OutOfDate(f"{edit.file} has {text.count(edit.find)} times {edit.find!r}")
    broken = text.replace(edit.find, edit.replace)
    try:
        compile(broken, edit.file, "exec")
    except SyntaxError as error:
        raise OutOfDate(f"{edit.file} does not compile: {error}") from None
    file.unlink()  # it is a link: what lies behind it is the package under test
    file.write_text(broken)
    for sound in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):  # which the broken module must not meet
        sound.unlink()


def run_tests(tests: Sequence[str], python_path: Path, root: Path = TOP) -> subprocess.CompletedProcess[str]:
    # This may itself run under pytest and its plug-ins, which must not speak to the inner run.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
    environment["PYTHONPATH"] = str(python_path)
    # Hypothesis' own plug-in alone would take longer to be imported than most of these tests take to run.
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    plugins = ("pytest_timeout", "xdist.plugin", "no:cacheprovider")
    named = [word for plugin in plugins for word in ("-p", plugin)]
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", *named, *tests]
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def expect_noticed(mutant: Mutant, package: Path, root: Path = TOP) -> str:
    """Returns what pytest said when it noticed. Raises Survived or OutOfDate."""
    with copy_of(package, mutant) as folder:
        done = run_tests(mutant.tests, folder, root)
    if done.returncode == PYTEST_PASSED:
        raise Survived(f"{mutant.name}: {mutant.breaks}, and no test noticed:\n{done.stdout}")
    if done.returncode != PYTEST_FAILED:
        raise OutOfDate(f"{mutant.name}: its tests did not run (exit {done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


def expect_sound(tests: Sequence[str], package: Path, root: Path = TOP) -> None:
    """The same tests pass on a copy that nobody broke: it is the mutant that makes them fail."""
    with copy_of(package) as folder:
        done = run_tests(tests, folder, root)
    if done.returncode != PYTEST_PASSED:
        raise OutOfDate(f"tests fail without any mutant (exit {done.returncode}):\n{done.stdout}{done.stderr}")


def all_tests(mutants: Sequence[Mutant]) -> list[str]:
    return sorted({test for mutant in mutants for test in mutant.tests})


def main() -> int:
    mutants = {mutant.name: mutant for mutant in read_list()}
    parser = argparse.ArgumentParser(prog="tests/mutants/run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="these mutants only")
    parser.add_argument("--list", action="store_true", help="name the mutants and end")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(mutants)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(mutants)}")
    if asked.list:
        for mutant in mutants.values():
            print(f"{mutant.name}: {mutant.breaks} ({', '.join(edit.file for edit in mutant.edits)})")
        return 0
    chosen = [mutants[name] for name in asked.names or mutants]
    bad = 0
    try:
        package = installed_package()
        expect_sound(all_tests(chosen), package)
        print("unbroken: passes")
    except OutOfDate as problem:
        print(problem)
        return 2
    for mutant in chosen:
        began = time.monotonic()
        try:
            said = expect_noticed(mutant, package)
            failed = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
            print(f"{mutant.name}: noticed in {time.monotonic() - began:.1f} s; {' '.join(failed)[:120]}")
        except (Survived, OutOfDate) as problem:
            bad += 1
            print(problem)
    print(f"{len(chosen) - bad} of {len(chosen)} mutants noticed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
