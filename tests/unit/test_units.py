"""The units as systemd itself reads them, and what must agree between them and the daemon; nothing is booted."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gpu_tuned.core.events import EventKind
from gpu_tuned.loop.main_thread import LATE_DRIVER_STATUS

UNITS = Path(__file__).parents[2] / "units"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
# Exposure by `systemd-analyze security`, 0 to 10. 1.5 is the budget of the daemon; MPS starts servers as other users.
EXPOSURE = {
    "gpu-tuned.service": 1.5,
    "gpu-tuned-wait.service": 0.5,
    "gpu-tuned-persistenced.service": 1.0,
    "gpu-tuned-mps.service": 5.0,
}
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ANALYZE or "", *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def runnable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units with programs that are here, since verify wants every program to exist."""
    folder = tmp_path_factory.mktemp("units")
    for path in UNITS.glob("gpu-tuned*.*"):
        text = re.sub(r"/usr/bin/(gpu-tuned(ctl)?|nvidia-[a-z-]+)(?=[ '\n])", "/bin/true", path.read_text())
        (folder / path.name).write_text(text)
    return folder


@needs_systemd
def test_verify_has_nothing_to_say(runnable: Path) -> None:
    done = _run("verify", "--man=no", *map(str, sorted(runnable.iterdir())))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_verify_sees_mistakes(runnable: Path, tmp_path: Path) -> None:
    unit = tmp_path / "gpu-tuned.service"
    unit.write_text((runnable / unit.name).read_text().replace("RestartSec=", "RestartSecs="))
    done = _run("verify", "--man=no", str(unit))
    assert "RestartSecs" in done.stderr


@needs_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_exposure_stays_within_its_budget(service: str) -> None:
    done = _run("security", "--offline=yes", "--no-pager", str(UNITS / service))
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE[service]


def test_memory_is_bounded_far_above_the_budget_and_nothing_slows_the_loop() -> None:
    """The out-of-memory killer spares it, so it has a bound of its own; its budget is 32 MB (docs/benchmarks.md)."""
    unit = (UNITS / "gpu-tuned.service").read_text()
    bound = re.search(r"^MemoryMax=(\d+)M$", unit, re.MULTILINE)
    assert bound is not None
    assert int(bound[1]) >= 10 * 32
    assert not re.search(r"^(CPUQuota|MemoryHigh|CPUWeight|IOWeight)=", unit, re.MULTILINE)


def test_the_start_limit_ends_a_storm_and_lets_people_restart() -> None:
    """systemd counts every start, also those that succeed: at one restart in ten seconds nobody may end up without a
    daemon, and starts that fail at once must."""
    unit = (UNITS / "gpu-tuned.service").read_text()
    found = re.search(r"^StartLimitIntervalSec=(\d+)min\nStartLimitBurst=(\d+)$", unit, re.MULTILINE)
    restart = re.search(r"^RestartSec=(\d+)s$", unit, re.MULTILINE)
    assert found is not None and restart is not None
    interval_s, starts = int(found[1]) * 60, int(found[2])
    assert interval_s / starts < 10
    assert starts * (int(restart[1]) + 1) < interval_s  # a start that fails takes less than a second


def test_the_status_for_a_late_driver_restarts_the_service() -> None:
    unit = (UNITS / "gpu-tuned.service").read_text()
    assert f"\nRestartForceExitStatus={LATE_DRIVER_STATUS}\n" in unit
    assert f"\nSuccessExitStatus={LATE_DRIVER_STATUS}\n" in unit


def test_nothing_is_enabled_by_a_preset() -> None:
    preset = (UNITS / "system-preset" / "90-gpu-tuned.preset").read_text()
    disabled = set(re.findall(r"^disable (\S+)$", preset, re.MULTILINE))
    installable = {path.name for path in UNITS.glob("gpu-tuned*") if "[Install]" in path.read_text()}
    assert disabled == installable
    assert not re.search(r"^enable", preset, re.MULTILINE)


CATALOG = (UNITS / "catalog" / "gpu-tuned.catalog").read_text()


@pytest.mark.parametrize("kind", EventKind, ids=lambda kind: kind.word)
def test_the_catalogue_explains_every_message(kind: EventKind) -> None:
    entry = re.search(rf"^-- {kind.message_id}\nSubject: .+\n((?!-- ).*\n)+", CATALOG, re.MULTILINE)
    assert entry, f"no entry for {kind.word} ({kind.message_id})"
    # What happened and what it means, then what to do: two paragraphs at least, after the head.
    head, *paragraphs = entry[0].strip().split("\n\n")
    assert "Defined-By: gpu-tuned" in head
    assert len(paragraphs) >= 2


def test_the_catalogue_has_no_other_messages() -> None:
    ids = re.findall(r"^-- ([0-9a-f]{32})$", CATALOG, re.MULTILINE)
    assert sorted(ids) == sorted(kind.message_id for kind in EventKind)


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="journalctl is not installed")
def test_journalctl_takes_the_catalogue(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (folder / "gpu-tuned.catalog").write_text(CATALOG)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    done = subprocess.run(
        ["journalctl", f"--root={tmp_path}", "--update-catalog"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "var/lib/systemd/catalog/database").stat().st_size > len(CATALOG) / 2
