"""One booted machine a suite, with the package installed as README says; every test finds it in the same state."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpu_tuned import __version__
from tests.machine.base import CACHE, SUITES, alone, missing
from tests.machine.machine import DROP_IN, NVSIM_STATE, Machine

TOP = Path(__file__).parents[2]
HERE = Path(__file__).parent
# Mixed boards: what one has and the other lacks is told apart. The GeForce is GPU 0.
BOARDS = "--gpu rtx-5090-575 --gpu h200"
FIND = "find / -xdev"
# There was no release yet, so the version before is what was here before; at a release it becomes that one's tag.
PREVIOUS = "9e17fab0af81e3e7d7ed78d2624bb510d5ed9a68"
PREVIOUS_VERSION = "0.0.9"  # it called itself as we do
POLICY = """\
[daemon]
poll_interval_s = 0.5

[[gpu]]
match = { name = "*" }
persistence_mode = true

[[gpu]]
match = { name = "NVIDIA GeForce RTX 5090" }
power_limit_w = 450
gpu_clock_mhz = { max = 2400 }
required = ["power_limit_w"]
"""


pytest.register_assert_rewrite("tests.machine.watch")  # a failure there shows the values


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "machine: needs a booted machine (root, debootstrap, systemd-nspawn)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.machine)
            item.add_marker(pytest.mark.timeout(600))  # the first one may have to make the base


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as packaging/build makes it."""
    _or_skip(missing())
    return build_deb(tmp_path_factory.mktemp("deb"))


def build_deb(into: Path, *arguments: str) -> Path:
    """Build the package and keep a copy that no other build touches."""
    command = [str(TOP / "packaging" / "build"), "deb", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    version = arguments[-1] if arguments else __version__
    with _lock():
        return Path(shutil.copy(TOP / "dist" / f"gpu-tuned_{version}_all.deb", into))


def build_previous(into: Path) -> Path:
    """The package of PREVIOUS, made from this repository's history by its own packaging/build, and kept."""
    kept = CACHE / f"gpu-tuned_{PREVIOUS}.deb"
    with alone("previous"):
        if not kept.exists():
            archive = subprocess.run(["git", "-C", str(TOP), "archive", PREVIOUS], capture_output=True, check=False)
            if archive.returncode != 0:
                pytest.skip(f"this checkout's history does not go back to {PREVIOUS}: {archive.stderr.decode()}")
            tree = into / "tree"
            tree.mkdir()
            subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
            command = [str(tree / "packaging" / "build"), "deb", "--version", PREVIOUS_VERSION]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
            assert done.returncode == 0, (
                f"{command}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
            shutil.copy(tree / "dist" / f"gpu-tuned_{PREVIOUS_VERSION}_all.deb", kept.with_suffix(".new"))
            kept.with_suffix(".new").rename(kept)
    return kept


@contextmanager
def _lock() -> Iterator[None]:
    """The lock that packaging/build takes: another build must not replace the file while it is copied."""
    folder = os.open(TOP / "dist" / ".cache", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def readme_commands() -> list[str]:
    """What README's install section says to type, without its comments; the first line builds the package."""
    section = (TOP / "README.md").read_text().split("\n## Install\n")[1]
    block = section.split("```")[1]
    return [line.partition(" #")[0].strip() for line in block.splitlines() if line.strip()]


def _or_skip(reason: str | None) -> None:
    if reason is None:
        return
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"CI must boot machines, and cannot: {reason}", pytrace=False)
    pytest.skip(reason)


# The suite's name must come first in a test's id: together.py reads it there.
@pytest.fixture(scope="session", params=SUITES)
def booted(request: pytest.FixtureRequest, deb: Path) -> Iterator[Machine]:
    """The machine with the package installed, and what was true just after."""
    made = Machine(request.param)
    try:
        made.boot()
        made.nvsim(f"create {BOARDS}")
        build, made.install_command, *_ = readme_commands()
        assert build == "packaging/build deb"  # done by the fixture deb
        (made.root / "root/dist").mkdir()
        shutil.copy(deb, made.root / "root/dist")
        files = made.out(FIND)
        made.install()
        made.after_install = {
            "files": files,
            "enabled": made.sh("systemctl is-enabled gpu-tuned", check=False).stdout.strip(),
            "active": made.sh("systemctl is-active gpu-tuned", check=False).stdout.strip(),
            "calls": made.nvsim("calls"),
        }
        yield made
    finally:
        made.remove()


@pytest.fixture
def machine(booted: Machine) -> Machine:
    """The machine with nothing running, a new simulated host, and POLICY in place; the journal begins here."""
    booted.sh(
        f"""
        nvsim hang all 0 || true
        systemctl stop inference.service gpu-tuned.target gpu-tuned-wait.service gpu-tuned.service gpu-tuned.socket \
            gpu-tuned-mps.service gpu-tuned-persistenced.service 2>/dev/null || true
        systemctl disable -q gpu-tuned.service gpu-tuned.socket inference.service 2>/dev/null || true
        rm -rf /var/lib/gpu-tuned /run/gpu-tuned {NVSIM_STATE}/* /etc/systemd/system/inference.service
        systemctl stop 'test-*' 2>/dev/null || true
        find /etc/systemd/system -name 'test-*' -delete
        rm -f /usr/bin/nvidia-* /etc/systemd/system/nvidia-persistenced.service
        mkdir -p /etc/gpu-tuned/gpu-tuned.d
        systemctl daemon-reload
        systemctl reset-failed
        nvsim create {BOARDS}
        """,
        timeout_s=120,
    )
    booted.write("/etc/gpu-tuned/gpu-tuned.toml", POLICY)
    for unit in ("gpu-tuned.service", "gpu-tuned-persistenced.service"):
        assert booted.read(f"/etc/systemd/system/{unit}.d/simulator.conf") == DROP_IN
    booted.mark_journal()
    return booted


@pytest.fixture
def running(machine: Machine) -> Machine:
    """The machine with the service started, and every setting in force."""
    machine.sh("systemctl start gpu-tuned || { journalctl -b -n 60 --no-pager; exit 1; }")
    machine.until(lambda: machine.setting("power_limit_w").get("in_order"), "settings in force")
    return machine
