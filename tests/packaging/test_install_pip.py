"""The ways that packaging/README.md tells under "Without a package", typed as it tells them.

/srv stands for /opt, and /srv and /home are folders of the test's own: nothing of this machine is touched, and the
programs lie neither below /root nor below /tmp, where `install-units` would refuse them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_tuned import __version__
from gpu_tuned.ctl.install_units import HIDDEN
from tests.packaging.built import ENVIRONMENT, TOP, build, building, call

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="a /srv of its own takes root"),
]
OWN_FOLDERS = 'cd "$1" && mount --bind srv /srv && mount --bind home /home && . ./script'
# What the service sees of the places that it does not see.
HIDE = "\n".join(f"test ! -d {place} || mount -t tmpfs none {place}" for place in HIDDEN)
# What `python3` and `pipx` of a distribution need, and where Debian has it.
NEEDED = {
    "pipx": "pipx --version",
    "python3-venv": "python3 -c 'import ensurepip, venv'",
    "python3-dev": """test -f "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h\"""",
    "libsystemd-dev": "pkg-config --exists libsystemd",
}
Typed = Callable[[str], subprocess.CompletedProcess[str]]


def readme_block(begins: str) -> str:
    """The indented block of the section whose first line begins so."""
    section = (TOP / "packaging/README.md").read_text().split("\n## Without a package\n")[1].split("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    (block,) = (block for block in blocks if block.strip().startswith(begins))
    return block.replace("VERSION", __version__).replace("/usr/local/bin", "/srv/bin").replace("/opt", "/srv")


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """Run a script with bash, in a folder with the wheel and the sdist, the distribution's own tools in its PATH."""
    environment = {
        **{key: value for key, value in ENVIRONMENT.items() if not key.startswith(("VIRTUAL_ENV", "PIPX_"))},
        "PATH": "/srv/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
        # A copy, since the checkout may lie below /srv.
        **dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(tmp_path / "constraints.txt")),
    }
    shutil.copy(TOP / "packaging/constraints.txt", tmp_path)
    for folder in ("srv", "home"):
        (tmp_path / folder).mkdir()
    build("wheel")
    with building():
        for path in (TOP / "dist").glob(f"gpu_tuned-{__version__}*"):
            shutil.copy(path, tmp_path)

    def run(script: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "script").write_text(f"set -eu\n{script}\n")
        command = ["unshare", "--mount", "bash", "-euc", OWN_FOLDERS, "bash", str(tmp_path)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    lacking = [package for package, probe in NEEDED.items() if run(probe).returncode != 0]
    if lacking:
        install = "DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install --quiet --yes "
        install += "--no-install-recommends " + " ".join(lacking)
        done = run(f"{install} || {{ apt-get update --quiet && {install}; }}")
        if done.returncode != 0:
            pytest.skip(f"missing, and apt-get does not install: {' '.join(lacking)}: {done.stderr[-300:]}")
    return run


def installed_files(packages: Path) -> set[str]:
    found = (path for path in (packages / "gpu_tuned").rglob("*") if path.is_file())
    return {str(path.relative_to(packages)) for path in found if "__pycache__" not in path.parts}


def files_of_the_wheel(folder: Path) -> set[str]:
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.startswith("gpu_tuned/")}


def check(tmp_path: Path, typed: Typed, commands: str, programs: str) -> None:
    """The commands install, and the units they put in place name programs that a service can run."""
    done = typed(
        commands.replace("install-units", "install-units --root /srv/root")
        + f"{programs}/gpu-tuned --version\n{programs}/gpu-tunedctl --version\n{programs}/gpu-tunedctl --help\n"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"gpu-tuned {__version__}\ngpu-tunedctl {__version__}\n" in done.stdout
    assert "install-units" in done.stdout
    (package,) = (tmp_path / "srv").glob("**/site-packages/gpu_tuned")
    assert installed_files(package.parent) == files_of_the_wheel(tmp_path)

    units = tmp_path / "srv/root/usr/local/lib/systemd/system"
    assert {path.name for path in units.iterdir()} == {
        path.name for path in (TOP / "units").glob("*.*") if path.is_file()
    }
    text = "".join(path.read_text() for path in units.iterdir())
    named = set(re.findall(r"^Exec\w+=[-+!@:]*(\S+/gpu-tuned(?:ctl)?)(?= |$)", text, re.MULTILINE))
    assert named == {f"{programs}/gpu-tuned", f"{programs}/gpu-tunedctl"}
    for program in named:
        seen = typed(f"{HIDE}\n{program} --version")
        assert (seen.returncode, seen.stderr) == (0, ""), f"the service cannot start {program}"


def test_a_venv_from_the_sdist(tmp_path: Path, typed: Typed) -> None:
    commands = readme_block("python3 -m venv").replace("-py3-none-any.whl", ".tar.gz")
    assert ".tar.gz" in commands
    check(tmp_path, typed, commands, "/srv/gpu-tuned/bin")
    data = files_of_the_wheel(tmp_path)
    for name in ("ctl/status.schema.json", "control/io.gputuned.Control.varlink", "py.typed", "data/gpu-tuned.toml",
                 "data/units/catalog/gpu-tuned.catalog", "data/profiles/rtx-5090-inference.toml"):  # fmt: skip
        assert f"gpu_tuned/{name}" in data


@pytest.mark.skipif(not (TOP / ".git").exists(), reason="no checkout, so nobody knows what is tracked")
def test_the_sdist_has_what_the_checkout_has(tmp_path: Path) -> None:
    """Its own tests read docs/ and more."""
    build("wheel")
    with building():
        shutil.copy(TOP / f"dist/gpu_tuned-{__version__}.tar.gz", tmp_path)
    with tarfile.open(tmp_path / f"gpu_tuned-{__version__}.tar.gz") as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {path for path in call("git", "-C", TOP, "ls-files").splitlines() if not path.startswith(".")}
    assert tracked - held == set()


def test_pipx_from_the_wheel(tmp_path: Path, typed: Typed) -> None:
    check(tmp_path, typed, readme_block("export PIPX_HOME"), "/srv/bin")
    assert (tmp_path / "srv/bin/gpu-tuned").is_symlink(), "pipx's way: the unit names a link, which outlives upgrades"
