"""Packages as packaging/build makes them, for the tests that look into them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
# The suite's own environment must not reach into a build, nor into programs of the package.
ENVIRONMENT = {
    key: value for key, value in os.environ.items() if not key.startswith(("GPU_TUNED", "LD_", "PYTHON", "NVSIM"))
}


def build(kind: str, *tools: str) -> Path:
    """The package of this kind, made where it is out of date. Skips where it cannot be made, and fails in CI then."""
    can_install = os.geteuid() == 0 and shutil.which("apt-get") is not None
    lacking = [tool for tool in tools if shutil.which(tool) is None]
    if lacking and not can_install:
        reason = f"{', '.join(lacking)} missing, and only root can install with apt-get"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    done = subprocess.run([TOP / "packaging/build", kind], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return TOP / "dist" / done.stderr.rpartition("dist/")[2].split()[0]


@contextmanager
def building() -> Iterator[None]:
    """The lock that packaging/build takes: another build must not replace a file while it is copied."""
    folder = os.open(TOP / "dist/.cache", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def call(*command: object, **more: object) -> str:
    """Run a command, give its output; its failure is the test's."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=ENVIRONMENT, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    out: str = done.stdout
    return out


def files_below(root: Path) -> set[str]:
    return {f"/{path.relative_to(root)}" for path in root.rglob("*") if path.is_file() or path.is_symlink()}
