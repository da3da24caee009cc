"""`gpu-tunedctl install-units`: the units of an install with pip, named after where it lies."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from gpu_tuned.core.errors import NotPermitted, UsageError
from gpu_tuned.ctl import install_units
from gpu_tuned.ctl.options import Options
from tests.packaging.built import TOP


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the two programs in it, the second of which runs. The suite may lie below /tmp or /root."""
    folder = tmp_path / "opt/gpu-tuned/bin"
    folder.mkdir(parents=True)
    (folder / "gpu-tuned").touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(folder / "gpu-tunedctl"), "install-units"])
    monkeypatch.setattr(install_units, "HIDDEN", ())
    return folder


def install(root: Path) -> int:
    options = Options()
    options.root = str(root)
    return install_units.run(options)


def test_every_unit_starts_the_program_that_was_installed(installed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert install(root) == 0
    units = {path.name: path for path in (root / "usr/local/lib/systemd/system").iterdir()}
    assert set(units) == {path.name for path in (TOP / "units").glob("*.*") if path.is_file()}
    text = units["gpu-tuned.service"].read_text()
    assert f"\nExecStart={installed}/gpu-tuned\n" in text
    assert not re.search(r"/usr/bin/gpu-tuned", "".join(path.read_text() for path in units.values()))
    # Only our own programs are elsewhere.
    assert "/usr/bin/nvidia-cuda-mps-control" in units["gpu-tuned-mps.service"].read_text()


def test_the_rest_lies_where_systemd_looks_for_an_administrators(installed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    install(root)
    below = {str(path.parent.relative_to(root)) for path in root.rglob("*.*") if path.is_file()}
    assert below == {
        "etc/gpu-tuned",
        "usr/local/lib/systemd/catalog",
        "usr/local/lib/systemd/system",
        "usr/local/lib/systemd/system-preset",
        "usr/local/lib/sysusers.d",
        "usr/local/lib/tmpfiles.d",
    }


def test_below_another_root_nothing_is_said_to_be_started(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    install(root)
    told = capsys.readouterr().out
    assert f"wrote {root}/etc/gpu-tuned/gpu-tuned.toml\n" in told
    assert "systemctl" not in told
    install(root)
    assert "gpu-tuned.toml" not in capsys.readouterr().out, "it was there"


def test_a_policy_that_is_there_is_left_alone(installed: Path, tmp_path: Path) -> None:
    policy = tmp_path / "root/etc/gpu-tuned/gpu-tuned.toml"
    policy.parent.mkdir(parents=True)
    policy.write_text("gpu = []\n")
    install(tmp_path / "root")
    assert policy.read_text() == "gpu = []\n"


def test_twice_is_once(installed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    install(root)
    before = {path: path.read_text() for path in root.rglob("*.*") if path.is_file()}
    install(root)
    assert {path: path.read_text() for path in root.rglob("*.*") if path.is_file()} == before


def test_says_what_it_wrote_and_how_to_undo_it(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    install(root)
    out = capsys.readouterr().out
    undo = next(line for line in out.splitlines() if line.startswith("  rm "))
    written = {str(path) for path in root.rglob("*.*") if path.is_file() and "etc" not in path.parts}
    assert set(undo.split()[1:]) == written
    here = install_units.further(Path("/"), [Path("/usr/local/lib/x")], "is a first one")
    assert "  systemctl enable --now gpu-tuned" in here
    assert here[-1] == "  rm /usr/local/lib/x"


@pytest.mark.parametrize("place", ["/home/ann/.local/bin", "/root/.local/bin", "/tmp/venv/bin", "/run/user/1000/bin"])
def test_refused_where_the_service_could_not_see_it(place: str) -> None:
    with pytest.raises(UsageError, match=f"^{place}/gpu-tuned is under .* does not see"):
        install_units.refuse_hidden([Path(place) / "gpu-tuned"])


def test_refused_in_a_home_wherever_the_links_to_it_lie(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pipx makes them: the program in a home, its link in a folder that the service does see."""
    links = tmp_path / "usr/local/bin"
    links.mkdir(parents=True)
    for name in ("gpu-tuned", "gpu-tunedctl"):
        (installed / name).touch(0o755)
        (links / name).symlink_to(installed / name)
    monkeypatch.setattr(sys, "argv", [str(links / "gpu-tunedctl"), "install-units"])
    assert install(tmp_path / "root") == 0, "allowed, as long as it lies where the service sees it"
    monkeypatch.setattr(install_units, "HIDDEN", (str(tmp_path / "opt"),))
    with pytest.raises(UsageError, match=f"^{installed}/gpu-tuned is under .* does not see"):
        install(tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("place", ["/opt/gpu-tuned/bin", "/usr/local/bin", "/homework/bin", "/srv/root/bin"])
def test_allowed_elsewhere(place: str) -> None:
    install_units.refuse_hidden([Path(place) / "gpu-tuned"])


def test_refused_where_a_unit_would_have_to_quote_it() -> None:
    with pytest.raises(UsageError, match="quote"):
        install_units.refuse_hidden([Path("/opt/my tools/bin/gpu-tuned")])


def test_refused_beside_the_package(installed: Path, tmp_path: Path) -> None:
    packaged = tmp_path / "root/usr/lib/systemd/system/gpu-tuned.service"
    packaged.parent.mkdir(parents=True)
    packaged.touch()
    with pytest.raises(UsageError, match="the package brought the units along"):
        install(tmp_path / "root")
    assert not (tmp_path / "root/usr/local").exists()


def test_refused_without_the_program(installed: Path, tmp_path: Path) -> None:
    (installed / "gpu-tuned").unlink()
    with pytest.raises(UsageError, match=f"there is no {installed}/gpu-tuned"):
        install(tmp_path / "root")


def test_who_may_not_write_is_told_so(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)  # root, as which the suite may run, may write anywhere
    with pytest.raises(NotPermitted, match="only root may write there"):
        install(tmp_path / "root")
