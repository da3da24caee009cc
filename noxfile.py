"""The suite on every Python that is supported and present: `nox`. One of them: `nox -s suite-3.12`.

packaging/test is the command for every day; this one is for before a release. It expects the system packages
that packaging/test installs. `nox -s coverage` prints which lines the suite runs.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

TOP = Path(__file__).parent
CONSTRAINTS = str(TOP / "packaging" / "constraints.txt")
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]

nox.options.sessions = ["suite"]
nox.options.error_on_missing_interpreters = False
nox.needs_version = ">=2024.4"


@nox.session(python=PYTHONS)
def suite(session: nox.Session) -> None:
    """The whole suite from a wheel, as users have it."""
    library_path = _prepared(session)
    session.run("python", "-m", "pytest", "-n", "auto", *session.posargs, env=library_path)


@nox.session
def coverage(session: nox.Session) -> None:
    """Which lines the suite runs, those of daemons and commands that it starts among them; no threshold. A part:
    `nox -s coverage -- tests/unit`. Benchmarks and mutants are left out: tracing costs time, and a mutant is another
    package."""
    library_path = _prepared(session, "coverage")
    folder = Path(session.create_tmp())
    env = {**library_path, "COVERAGE_FILE": str(folder / "data")}
    session.run("coverage", "erase", env=env)
    command = ["coverage", "run", "-m", "pytest", "-n", "auto", "-p", "no:cacheprovider"]
    left_out = ["--ignore=tests/benchmarks", "--ignore=tests/mutants", "--ignore=tests/machine"]
    # What fails is told, and what ran is reported all the same.
    session.run(*command, *left_out, *session.posargs, env=env, success_codes=[0, 1])
    session.run("coverage", "combine", "--quiet", env=env)
    session.run("coverage", "report", "--skip-covered", env=env)


def _prepared(session: nox.Session, *more: str) -> dict[str, str]:
    """The project, its tests' packages and the simulated driver; returns what finds the latter."""
    pinned = {"PIP_CONSTRAINT": CONSTRAINTS, "PIP_BUILD_CONSTRAINT": CONSTRAINTS}
    session.install(".[test]", *more, env=pinned)
    session.run("make", "-C", "tests/simulator", external=True, silent=True)
    build = str(TOP / "tests" / "simulator" / "build")
    found = os.environ.get("LD_LIBRARY_PATH")
    library_path = {"LD_LIBRARY_PATH": f"{build}:{found}" if found else build}
    session.run("python", "tests/marker.py", env=library_path)
    return library_path
