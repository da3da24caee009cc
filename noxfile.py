"""The suite on every Python that is supported and present: `nox`. One of them: `nox -s suite-3.12`.

packaging/test is the command for every day; this one is for before a release. It expects the system packages
that packaging/test installs.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

TOP = Path(__file__).parent
CONSTRAINTS = str(TOP / "packaging" / "constraints.txt")
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]

nox.options.error_on_missing_interpreters = False
nox.needs_version = ">=2024.4"


@nox.session(python=PYTHONS)
def suite(session: nox.Session) -> None:
    """The whole suite from a wheel, as users have it."""
    pinned = {"PIP_CONSTRAINT": CONSTRAINTS, "PIP_BUILD_CONSTRAINT": CONSTRAINTS}
    session.install(".[test]", env=pinned)
    session.run("make", "-C", "tests/simulator", external=True, silent=True)
    build = str(TOP / "tests" / "simulator" / "build")
    found = os.environ.get("LD_LIBRARY_PATH")
    library_path = {"LD_LIBRARY_PATH": f"{build}:{found}" if found else build}
    session.run("python", "tests/marker.py", env=library_path)
    session.run("python", "-m", "pytest", "-n", "auto", *session.posargs, env=library_path)
