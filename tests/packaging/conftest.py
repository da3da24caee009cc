from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.packaging.built import build, call


@dataclass(frozen=True, slots=True)
class Package:
    """A package and what is in it. `scripts` holds the maintainer's scripts, unpacked."""

    path: Path
    root: Path
    scripts: Path


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Package:
    path = build("deb", "dpkg-buildpackage", "dh", "dh_python3", "lintian")
    root = tmp_path_factory.mktemp("deb")
    call("dpkg-deb", "-R", path, root)
    scripts = root.with_name(f"{root.name}-scripts")
    (root / "DEBIAN").rename(scripts)
    return Package(path, root, scripts)


@pytest.fixture(scope="session")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Package:
    path = build("rpm", "rpmbuild", "rpmlint")
    root, scripts = tmp_path_factory.mktemp("rpm"), tmp_path_factory.mktemp("rpm-scripts")
    call("sh", "-c", 'rpm2archive -n - <"$1" | tar -x -C "$2"', "sh", path, root)
    for tag in ("PREIN", "POSTIN", "PREUN", "POSTUN", "TRIGGERSCRIPTS"):
        (scripts / tag).write_text(call("rpm", "-qp", "--queryformat", f"%{{{tag}}}", path))
    return Package(path, root, scripts)
