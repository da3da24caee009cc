"""The packages' scripts, run with every command that they call replaced by one that writes down how it was called.

/run is an empty folder of the test's own, so that systemd seems to run; nothing of this machine is touched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.built import ENVIRONMENT
from tests.packaging.conftest import Package

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="a /run of its own takes root"),
]
RECORDED = ("systemctl", "deb-systemd-invoke", "deb-systemd-helper", "systemd-sysusers", "systemd-tmpfiles",
            "journalctl", "timeout", "py3compile", "py3clean", "python3", "dpkg-query", "rm", "find")  # fmt: skip
RECORDER = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$(basename "$0") $*" in
  systemctl\\ show*) echo "LoadState=$LOAD_STATE"; echo "NeedDaemonReload=$NEEDS_RELOAD" ;;
  dpkg-query*) echo 2.0 ;;
  timeout*|systemctl*|deb-systemd-invoke*|python3*) [ -z "$FAILS" ] || exit 1 ;;
  deb-systemd-helper*was-enabled*|deb-systemd-helper\\ debian-installed*) exit 1 ;;
esac
"""
# A mount of its own: what the script sees as /run is empty but for the sign that systemd runs.
ISOLATED = 'mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec sh "$@"'
PUT_BACK = "timeout --kill-after=5 20 gpu-tuned --after-stop gpu-tuned.service"
Run = Callable[..., list[str]]


@pytest.fixture
def calls(tmp_path: Path) -> Run:
    """calls(script, argument...) -> what the script ran, a line each. `reload`, `load`: what systemd says of each
    unit. `fails`: whatever asks systemd, the daemon or the driver does."""
    for name in RECORDED:
        (tmp_path / name).write_text(RECORDER)
        (tmp_path / name).chmod(0o755)

    def run(
        script: Path, *arguments: str, reload: bool = False, load: str = "loaded", fails: bool = False
    ) -> list[str]:
        told = tmp_path / "calls"
        told.write_text("")
        more = {
            "CALLS": str(told),
            "PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}",
            "NEEDS_RELOAD": "yes" if reload else "no",
            "LOAD_STATE": load,
            "FAILS": "yes" if fails else "",
        }
        command = ["unshare", "--mount", "sh", "-c", ISOLATED, "sh", str(script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT | more, check=False)
        assert done.returncode == 0, done.stderr
        return told.read_text().splitlines()

    return run


def touching_systemd(calls: list[str]) -> list[str]:
    """What changes anything about units: not the questions, nor the records for a later purge."""
    asked = r"systemctl show|deb-systemd-helper (debian-installed|--quiet was-enabled|update-state)"
    return [call for call in calls if re.match("systemctl|deb-systemd", call) and not re.match(asked, call)]


def test_deb_install_starts_enables_and_reloads_nothing(deb: Package, calls: Run) -> None:
    done = calls(deb.scripts / "postinst", "configure", "")
    assert touching_systemd(done) == []
    assert "systemd-sysusers gpu-tuned.conf" in done
    assert any(call.startswith("py3compile") for call in done)


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_upgrade_restarts_what_runs_and_reloads_only_for_changed_units(
    kind: str, calls: Run, request: pytest.FixtureRequest
) -> None:
    package: Package = request.getfixturevalue(kind)
    script, arguments, restart = {
        "deb": (
            package.scripts / "postinst",
            ("configure", "1.0"),
            "deb-systemd-invoke try-restart gpu-tuned.service",
        ),
        "rpm": (package.scripts / "POSTIN", ("2",), "systemctl try-restart gpu-tuned.service"),
    }[kind]
    # The scripts look for the units on disk; this machine has none, so they are brought.
    text = script.read_text().replace(
        "/usr/lib/systemd/system/gpu-tuned*", f"{package.root}/usr/lib/systemd/system/*"
    )
    moved = package.scripts / "moved"
    moved.write_text(text)
    assert touching_systemd(calls(moved, *arguments)) == [restart]
    reloaded = touching_systemd(calls(moved, *arguments, reload=True))
    assert [re.sub(" --system", "", call) for call in reloaded] == ["systemctl daemon-reload", restart]


def test_deb_downgrade_reloads(deb: Package, calls: Run) -> None:
    done = touching_systemd(calls(deb.scripts / "postinst", "configure", "3.0"))
    assert done == ["systemctl --system daemon-reload", "deb-systemd-invoke try-restart gpu-tuned.service"]


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_installed_again_while_units_of_before_are_up_it_reloads(
    kind: str, calls: Run, request: pytest.FixtureRequest
) -> None:
    package: Package = request.getfixturevalue(kind)
    script, arguments = {"deb": ("postinst", ("configure", "")), "rpm": ("POSTIN", ("1",))}[kind]
    done = touching_systemd(calls(package.scripts / script, *arguments, load="error"))
    assert [re.sub(" --system", "", call) for call in done] == ["systemctl daemon-reload"]


def test_rpm_install_starts_enables_and_reloads_nothing(rpm: Package, calls: Run) -> None:
    assert touching_systemd(calls(rpm.scripts / "POSTIN", "1")) == []


def test_deb_removal_tells_what_stays_and_then_stops(deb: Package, calls: Run) -> None:
    done = calls(deb.scripts / "prerm", "remove")
    tells = next(i for i, call in enumerate(done) if "what-stays" in call)
    stops = next(i for i, call in enumerate(done) if call.startswith("deb-systemd-invoke stop"))
    assert tells < stops
    assert "gpu-tuned.service" in done[stops]
    # Stopping the target would stop every service that requires it.
    assert "gpu-tuned.target" not in done[stops]
    # For one that had failed, whose stop runs nothing. While it runs it is not asked, so after the stop.
    assert stops < done.index(PUT_BACK)
    assert not any(PUT_BACK in calls(deb.scripts / "prerm", word, "2.0") for word in ("upgrade", "failed-upgrade"))


def test_deb_upgrade_stops_nothing_and_removes_nothing(deb: Package, calls: Run) -> None:
    assert touching_systemd(calls(deb.scripts / "prerm", "upgrade", "2.0")) == []
    assert [call for call in calls(deb.scripts / "postrm", "upgrade", "2.0") if call.startswith(("rm", "sys"))] == []
    assert not (deb.scripts / "preinst").exists()


def test_deb_removal_keeps_the_owners_files_and_purge_takes_them(deb: Package, calls: Run) -> None:
    removed = " ".join(call for call in calls(deb.scripts / "postrm", "remove") if call.startswith("rm "))
    purged = " ".join(call for call in calls(deb.scripts / "postrm", "purge") if call.startswith("rm "))
    for folder in ("/etc/gpu-tuned", "/var/lib/gpu-tuned", "/var/log/nvidia-mps"):
        assert folder not in removed
        assert folder in purged
    assert "/var/backups" not in purged


def test_rpm_erase_tells_stops_and_forgets(rpm: Package, calls: Run) -> None:
    done = calls(rpm.scripts / "PREUN", "0")
    assert any("what-stays" in call for call in done)
    stops = next(
        i
        for i, call in enumerate(done)
        if re.match(r"systemctl disable --now --no-reload .*gpu-tuned\.service", call)
    )
    assert stops < done.index(PUT_BACK)
    assert touching_systemd(calls(rpm.scripts / "POSTUN", "0")) == ["systemctl daemon-reload"]


def test_rpm_upgrade_of_the_old_package_does_nothing(rpm: Package, calls: Run) -> None:
    assert calls(rpm.scripts / "PREUN", "1") == []
    assert calls(rpm.scripts / "POSTUN", "1") == []


def test_rpm_compiles_anew_when_python_is_upgraded(rpm: Package, calls: Run) -> None:
    assert any("compileall" in call for call in calls(rpm.scripts / "TRIGGERSCRIPTS", "1", "1"))


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_a_removal_goes_on_whatever_fails(kind: str, calls: Run, request: pytest.FixtureRequest) -> None:
    package: Package = request.getfixturevalue(kind)
    name, word = {"deb": ("prerm", "remove"), "rpm": ("PREUN", "0")}[kind]
    assert PUT_BACK in calls(package.scripts / name, word, fails=True)
