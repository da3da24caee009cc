"""Every package that the suite runs with is pinned; where it comes from is the machine's own setting."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "packaging" / "constraints.txt"
# What makes a virtual environment brings these, in its own versions; and the project is what is tested.
NOT_PINNED = {"pip", "setuptools", "gpu-tuned"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_installed_package_is_pinned() -> None:
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+?)(?:;.*)?$", CONSTRAINTS.read_text().replace(" ;", ";"), re.M)
    pinned = {(plain(name), version.rstrip(";")) for name, version in pins}
    installed = {(plain(d.metadata["Name"]), d.version) for d in distributions()}
    assert {(name, version) for name, version in installed if name not in NOT_PINNED} <= pinned


def test_no_host_is_named() -> None:
    assert "://" not in CONSTRAINTS.read_text()
