"""A policy that others could change is refused, with what to type; judged as sshd judges its keys."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gpu_tuned.adapters.policy_file import load_sources
from gpu_tuned.adapters.safe_path import unsafe
from gpu_tuned.core.errors import PolicyError

US = frozenset({0, os.geteuid()})
SOMEBODY = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for folder in (tmp_path, tmp_path / "etc", tmp_path / "etc/gpu-tuned.d", tmp_path / "etc/profiles"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    for name in ("gpu-tuned.toml", "gpu-tuned.d/10-a.toml", "profiles/mine.toml"):
        path = tmp_path / "etc" / name
        path.write_text("gpu = []\n" if name == "gpu-tuned.toml" else "")
        path.chmod(0o644)
    return tmp_path / "etc/gpu-tuned.toml"


def problems(config: Path) -> list[str]:
    try:
        load_sources(config, US)
    except PolicyError as error:
        return list(error.problems)
    return []


def test_what_an_installation_has_is_safe(config: Path) -> None:
    assert problems(config) == []
    assert unsafe(config, US) == []


@pytest.mark.parametrize("name", ["gpu-tuned.toml", "gpu-tuned.d/10-a.toml", "profiles/mine.toml"])
def test_a_file_that_everybody_may_write_to(config: Path, name: str) -> None:
    path = config.parent / name
    path.chmod(0o666)
    (problem,) = problems(config)
    assert problem == (
        f"{path}: can be written to by everybody (mode 0666); only root may say what is enforced; chmod o-w {path}"
    )
    os.system(problem.rpartition("; ")[2])  # what it says to type
    assert problems(config) == []


@pytest.mark.parametrize("name", [".", "gpu-tuned.d", "profiles", ".."])
def test_a_folder_that_everybody_may_write_to(config: Path, name: str) -> None:
    folder = (config.parent / name).resolve()
    folder.chmod(0o777)
    (problem,) = problems(config)
    assert problem.startswith(f"{folder}: this folder can be written to by everybody (mode 0777); ")
    folder.chmod(0o1777)  # nobody can replace there what is somebody else's
    assert problems(config) == []


@as_root
def test_a_group_may_write_where_it_is_roots_or_the_owners_own(config: Path) -> None:
    os.chown(config, 0, SOMEBODY)
    config.chmod(0o664)
    (problem,) = problems(config)
    assert f"by the group with id {SOMEBODY} (mode 0664)" in problem
    assert problem.endswith(f"; chmod g-w {config}")
    os.chown(config, 0, 0)
    assert problems(config) == []
    os.chown(config, SOMEBODY, SOMEBODY)
    assert unsafe(config, US | {SOMEBODY}) == []


@as_root
@pytest.mark.parametrize("name", ["gpu-tuned.toml", "gpu-tuned.d/10-a.toml", "gpu-tuned.d"])
def test_what_is_somebody_elses(config: Path, name: str) -> None:
    path = config.parent / name
    os.chown(path, SOMEBODY, 0)
    (problem,) = problems(config)
    assert f"belongs to the user with id {SOMEBODY}; " in problem
    assert problem.endswith(f" chown root {path}")
    assert ("; keep the file below a folder of root's, or " in problem) == path.is_dir()


@as_root
def test_links_are_followed_and_every_place_on_the_way_counts(config: Path, tmp_path: Path) -> None:
    real, between = tmp_path / "real", tmp_path / "between"
    for folder in (real, between):
        folder.mkdir()
        folder.chmod(0o755)
    config.rename(real / "policy.toml")
    (between / "link").symlink_to("../real/policy.toml")
    config.symlink_to(between / "link")
    assert problems(config) == []
    for place in (real, between, real / "policy.toml"):
        mode = stat.S_IMODE(place.stat().st_mode)
        place.chmod(mode | 0o002)
        (problem,) = problems(config)
        assert problem.startswith(f"{place}: ")
        place.chmod(mode)
    os.lchown(between / "link", SOMEBODY, 0)
    (problem,) = problems(config)
    assert problem.endswith(f"; chown -h root {between / 'link'}")


def test_a_link_to_itself_ends(config: Path) -> None:
    config.unlink()
    config.symlink_to(config.name)
    assert unsafe(config, US) == []
    assert "cannot be read: Too many levels of symbolic links" in problems(config)[0]


def test_a_draft_is_judged_by_its_text_alone(config: Path) -> None:
    config.chmod(0o666)
    load_sources(config)
