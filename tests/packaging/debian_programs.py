"""Programs of Debian 13 that read what we print, without installing them: unpacked into the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.machine.base import CACHE, _mirror, alone

FOLDER = CACHE / "trixie-programs"
PACKAGES = {
    "docker-compose": "usr/libexec/docker/cli-plugins/docker-compose",
    "podman": "usr/libexec/podman/quadlet",
}
KEYS = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")
# Everything that apt keeps lies in a folder of our own: this host's sources, lists and packages are left alone.
APT = """\
Dir::State "{0}/state"; Dir::State::lists "{0}/lists"; Dir::State::status "{0}/status"; Dir::Cache "{0}/cache";
Dir::Etc::sourcelist "{0}/sources.list"; Dir::Etc::sourceparts "-"; Dir::Etc::preferencesparts "-";
APT::Architecture "amd64"; Acquire::Languages "none"; APT::Sandbox::User "root"; Acquire::http::Timeout "20";
"""


def program(package: str) -> Path:
    """The program of one of PACKAGES. Skips where it cannot be had, and fails in CI then."""
    found = FOLDER / package / PACKAGES[package]
    with alone("trixie-programs"):
        reason = None if found.exists() else _fetch(package)
    if reason is None:
        return found
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _fetch(package: str) -> str | None:
    """Why it cannot be had, or None."""
    mirror = _mirror()
    if not mirror or not shutil.which("apt-get") or os.uname().machine != "x86_64":
        return f"{package} of Debian 13 takes a Debian host with an x86-64 processor"
    making = FOLDER.with_name(f"trixie-programs-{os.getpid()}")
    for name in ("state", "lists/partial", "cache/archives/partial", "debs"):
        (making / name).mkdir(parents=True, exist_ok=True)
    (making / "status").touch()
    (making / "apt.conf").write_text(APT.format(making))
    signed = next((f"[signed-by={path}] " for path in KEYS if Path(path).exists()), "")
    (making / "sources.list").write_text(f"deb {signed}{mirror[0]} trixie main\n")
    try:
        for command in (["apt-get", "update", "-qq"], ["apt-get", "download", "-qq", package]):
            done = subprocess.run(
                command,
                cwd=making / "debs",
                env={**os.environ, "APT_CONFIG": str(making / "apt.conf")},
                capture_output=True,
                text=True,
                timeout=90,
            )
            if done.returncode:
                return f"{' '.join(command)} for Debian 13: {done.stderr.strip()[-300:]}"
        (deb,) = (making / "debs").glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", deb, making / package], check=True)
        FOLDER.mkdir(exist_ok=True)
        shutil.rmtree(FOLDER / package, ignore_errors=True)
        (making / package).rename(FOLDER / package)
    except subprocess.TimeoutExpired:
        return f"{package} of Debian 13 did not come within 90 s"
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return None
