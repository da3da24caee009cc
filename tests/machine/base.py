"""The root folder of a machine: a release as debootstrap makes it, kept as a tar, and fresh copies of it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

SUITES = ("bookworm", "trixie")  # systemd 252 and 257
INCLUDE = ("systemd", "systemd-sysv", "dbus", "python3", "python3-systemd", "python3-yaml")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpu-tuned-machine"


TOOLS = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux"}


def missing() -> str | None:
    """Why no machine can be booted here, None where one can. Installs the tools that are missing, where it may."""
    if os.geteuid() != 0:
        return "booting a machine takes root"
    if _container() == "systemd-nspawn":
        return "systemd-nspawn inside of systemd-nspawn may not make device nodes, which debootstrap does"
    if _lacking() and shutil.which("apt-get"):
        with alone("apt"):
            _install(_lacking())
    lacking = _lacking()
    return f"missing: apt-get install {' '.join(lacking)}" if lacking else None


def _container() -> str:
    """The kind of container that this is, "" for none or unknown."""
    for path in ("/run/host/container-manager", "/run/systemd/container"):
        with contextlib.suppress(OSError):
            return Path(path).read_text().strip()
    return os.environ.get("container", "")  # noqa: SIM112  that is how it is spelt


def _lacking() -> list[str]:
    return sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})


def _install(packages: list[str]) -> None:
    install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *packages]
    for command in (install, ["apt-get", "update", "--quiet"], install) if packages else ():
        done = subprocess.run(
            command, capture_output=True, check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        )
        if command is install and done.returncode == 0:
            return


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Workers and other checkouts wait here for each other."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def base(suite: str) -> Path:
    """The tar of a freshly debootstrapped release; made when missing (about 100 s)."""
    key = hashlib.sha256(" ".join(INCLUDE).encode()).hexdigest()[:8]
    tar = CACHE / f"{suite}-{key}.tar"
    with alone(suite):
        if tar.exists():
            return tar
        making = Path(tempfile.mkdtemp(prefix=f"making-{suite}-", dir=CACHE))
        try:
            command = ["debootstrap", "--variant=minbase", f"--include={','.join(INCLUDE)}", suite, str(making)]
            done = subprocess.run([*command, *_mirror()], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr}")
            shutil.rmtree(making / "var/cache/apt/archives", ignore_errors=True)
            new = tar.with_suffix(".new")
            subprocess.run(["tar", "-C", str(making), "-cf", str(new), "."], check=True)
            new.rename(tar)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return tar


def _mirror() -> list[str]:
    """The host's own Debian mirror; debootstrap's default where it names none."""
    for path in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"):
        with contextlib.suppress(OSError):
            found = re.search(r"https?://\S+/debian/?(?=\s|$)", Path(path).read_text(), re.MULTILINE)
            if found:
                return [found[0]]
    return []


def new_root(suite: str) -> Path:
    tar = base(suite)
    _remove_leftovers()
    root = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-{suite}-", dir=CACHE))
    subprocess.run(["tar", "-C", str(root), "-xf", str(tar)], check=True)
    root.chmod(0o755)  # mkdtemp's 0700 would hide everything below from apt's own user
    return root


def _remove_leftovers() -> None:
    """What runs left behind that were killed."""
    for path in CACHE.glob("run-*"):
        owner = path.name.split("-")[1]
        if not Path(f"/proc/{owner}").exists():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
