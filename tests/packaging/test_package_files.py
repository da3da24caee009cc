"""What lies in the packages, without installing them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.packaging.built import ENVIRONMENT, TOP, call, files_below
from tests.packaging.conftest import Package

pytestmark = pytest.mark.timeout(900)  # a machine without the tools installs them first
CARRIED = {"nvidia-ml-py", "sdnotify", "structlog", "tomli", "typing-extensions", "varlink"}
PYTHON = "usr/lib/gpu-tuned/python"


def fields(deb: Package) -> dict[str, str]:
    control = (deb.scripts / "control").read_text()
    return dict(re.findall(r"^(\S+): (.*)$", control, re.MULTILINE))


def test_deb_is_for_every_architecture_and_needs_little(deb: Package) -> None:
    found = fields(deb)
    assert found["Architecture"] == "all"
    needs = set(found["Depends"].split(", "))
    assert needs == {"python3-systemd", "python3-yaml", "python3:any (>= 3.10)", "systemd (>= 249)"}


def test_what_the_owner_edits_is_kept_and_nothing_else(deb: Package, rpm: Package) -> None:
    kept = set((deb.scripts / "conffiles").read_text().split())
    assert kept == {"/etc/gpu-tuned/gpu-tuned.toml", "/etc/needrestart/conf.d/gpu-tuned.conf"}
    assert {file for file in files_below(deb.root) if file.startswith("/etc/")} == kept
    assert set(call("rpm", "-qcp", rpm.path).split()) == kept


def test_no_compiled_code_of_any_kind(deb: Package) -> None:
    files = [path for path in deb.root.rglob("*") if path.is_file()]
    assert files
    compiled = [p for p in files if p.suffix in (".so", ".pyc") or p.read_bytes()[:4] == b"\x7fELF"]
    assert compiled == []


def test_every_file_of_ours_is_in_it(deb: Package) -> None:
    ours = {
        f"/{PYTHON}/gpu_tuned/{p.relative_to(TOP / 'daemon/gpu_tuned')}" for p in sources(TOP / "daemon/gpu_tuned")
    }
    units = {p.name for p in sources(TOP / "units")}
    files = files_below(deb.root)
    assert ours <= files
    assert units <= {Path(file).name for file in files if file.startswith("/usr/lib/")}


def test_a_page_that_a_message_names_is_in_it(deb: Package, rpm: Package) -> None:
    pages = {f"/usr/share/doc/gpu-tuned/docs/{path.relative_to(TOP / 'docs')}" for path in sources(TOP / "docs")}
    assert pages <= files_below(deb.root) & files_below(rpm.root)


def sources(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_both_packages_lay_files_out_alike(deb: Package, rpm: Package) -> None:
    of_the_distribution = ("/usr/share/doc/", "/usr/share/licenses/", "/usr/share/lintian/", "/usr/share/python3/")

    def plain(root: Path) -> set[str]:
        return {
            file.replace("/zsh/site-functions/", "/zsh/vendor-completions/")
            for file in files_below(root)
            # Newer helpers of Debian's (13) note in each carried distribution who installed it.
            if not file.startswith(of_the_distribution) and not file.endswith(".dist-info/INSTALLER")
        }

    assert plain(deb.root) == plain(rpm.root)


def test_rpm_needs_and_tells_what_it_carries(rpm: Package) -> None:
    needs = call("rpm", "-qp", "--requires", rpm.path).splitlines()
    assert {need for need in needs if not need.startswith(("rpmlib", "/bin/sh"))} == {
        "python3 >= 3.10",
        "python3-pyyaml",
        "python3-systemd",
        "systemd >= 249",
    }
    bundled = dict(re.findall(r"bundled\(python3dist\((.*)\)\) = (\S+)", call("rpm", "-qp", "--provides", rpm.path)))
    assert bundled == pins(TOP / "packaging/carried.txt")


def pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", path.read_text(), re.MULTILINE)
    return {name.replace("_", "-").lower(): version for name, version in found}


def test_what_is_carried_is_what_the_suite_runs_with() -> None:
    carried, constraints = pins(TOP / "packaging/carried.txt"), pins(TOP / "packaging/constraints.txt")
    assert set(carried) == CARRIED
    assert carried == {name: constraints[name] for name in CARRIED}


@pytest.mark.parametrize("name", ["carried.txt", "tools.txt"])
def test_pins_have_hashes_and_no_host(name: str) -> None:
    text = (TOP / "packaging" / name).read_text()
    assert len(re.findall(r"^\S+==", text, re.MULTILINE)) == len(
        re.findall(r"--hash=sha256:[0-9a-f]{64}$", text, re.M)
    )
    assert "://" not in text and "--index" not in text


def test_every_carried_licence_is_told(deb: Package, rpm: Package) -> None:
    copyright = (deb.root / "usr/share/doc/gpu-tuned/copyright").read_text()
    told = re.findall(r"^Files: (.*)$", copyright, re.MULTILINE)
    for module in ("pynvml", "sdnotify", "structlog", "tomli", "typing_extensions", "varlink"):
        assert any(f"carried/python/{module}" in line for line in told), module
    for text in ("Redistributions in binary form", "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2", "Apache License"):
        assert text in copyright
    named, texts = set(re.findall(r"^License: (.*)$", copyright, re.M)), {"Expat", "Apache-2.0", "PSF-2.0"}
    assert texts < named
    assert files_below(rpm.root / "usr/share/licenses/gpu-tuned") >= {"/LICENSE", "/carried", "/varlink/LICENSE.txt"}


def test_carrying_refuses_compiled_code(tmp_path: Path) -> None:
    import zipfile

    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "fast-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("fast/__init__.py", "")
        wheel.writestr("fast/data", b"\x7fELF\x02")
    command = ["python3", str(TOP / "packaging/carry.py"), str(wheels), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode != 0
    assert "fast/data is compiled code" in done.stderr
    assert not (tmp_path / "out").exists()


IMPORT_ALL = """
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, {python!r})
import pynvml, sdnotify, structlog, tomli, varlink, gpu_tuned.main
for module in (pynvml, sdnotify, structlog, tomli, varlink, gpu_tuned.main):
    assert module.__file__.startswith({python!r}), module.__file__
"""
FORCED = """
class Version(tuple):
    major, minor, micro, releaselevel, serial = 3, 10, 0, "final", 0
import sys
sys.version_info = Version((3, 10, 0, "final", 0))
"""


def test_carried_modules_are_found_and_enough(deb: Package) -> None:
    call("python3", "-I", "-c", IMPORT_ALL.format(python=str(deb.root / PYTHON)))


def test_on_python_3_10_the_carried_typing_extensions_is_used(deb: Package) -> None:
    python = str(deb.root / PYTHON)
    more = f"import typing_extensions\nassert typing_extensions.__file__.startswith({python!r})\n"
    only = "assert 'typing_extensions' in sys.modules\n"
    call("python3", "-I", "-c", FORCED + IMPORT_ALL.format(python=python) + only + more)


def test_programs_start_from_the_package_alone(deb: Package, tmp_path: Path) -> None:
    """The launchers name /usr/lib/gpu-tuned; here they are pointed at where the package was unpacked."""
    for name in ("gpu-tuned", "gpu-tunedctl"):
        launcher = (deb.root / "usr/bin" / name).read_text()
        assert launcher.startswith("#!/usr/bin/python3 -I\n")
        moved = tmp_path / name
        moved.write_text(launcher.replace("/usr/lib/gpu-tuned", str(deb.root / "usr/lib/gpu-tuned")))
        assert call("python3", "-I", moved, "--version") == f"{name} {fields(deb)['Version']}\n"
    # With the catalogue and the profiles that came along.
    assert "VLLM_CACHE_ROOT=/var/cache/gpu/vllm" in call("python3", "-I", moved, "env", "show", "vllm", "--bare")
    assert "vLLM reads it." in call("python3", "-I", moved, "env", "explain", "VLLM_CACHE_ROOT")
    assert not list(deb.root.rglob("__pycache__"))


def test_needrestart_leaves_our_services_alone(deb: Package) -> None:
    conf = deb.root / "etc/needrestart/conf.d/gpu-tuned.conf"
    units = [path.name for path in (deb.root / "usr/lib/systemd/system").glob("*.service")]
    script = """
        our %nrconf; my $file = shift; eval do { local (@ARGV, $/) = $file; <> }; die $@ if $@;
        for my $unit (@ARGV) {
            my @hit = grep { $unit =~ /$_/ } keys %{$nrconf{override_rc}};
            print "$unit ", (@hit ? $nrconf{override_rc}{$hit[0]} : "restarts"), "\\n";
        }"""
    told = call("perl", "-e", script, conf, *units, "nginx.service").splitlines()
    assert units
    assert told == [*(f"{unit} 0" for unit in units), "nginx.service restarts"]
