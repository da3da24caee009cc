"""The profiles: what is in them is real, and a mistake in one of your own is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.core.errors import NotPermitted, UsageError
from gpu_tuned.ctl import env_show
from gpu_tuned.environment import cdi_file, legal
from gpu_tuned.environment.formats.table import FORMATS
from gpu_tuned.environment.judge import Running, Standing
from gpu_tuned.environment.profile_folders import ProfileFolders
from gpu_tuned.environment.profiles import Line, Profile
from gpu_tuned.environment.shipped import shipped

TOP = Path(__file__).parents[2]
WANTED = {"base", "pytorch", "vllm", "sglang", "llama-cpp", "ollama", "build-sm120", "mps-client"}
SHIPPED = ProfileFolders()
PROFILES = [SHIPPED.profile(name) for name in SHIPPED.names()]
LINES: list[Any] = [
    pytest.param(profile, line, id=f"{profile.name}-{line.name or line.value}")
    for profile in PROFILES
    for line in profile.lines
]
VARIABLES = [param for param in LINES if param.values[1].name]


def test_the_profiles_are_there() -> None:
    assert (
        {profile.name for profile in PROFILES} == WANTED == {path.stem for path in TOP.glob("etc/environment/*.toml")}
    )


@pytest.mark.parametrize(("profile", "line"), VARIABLES)
def test_a_variable_is_read_and_its_value_is_legal(profile: Profile, line: Line) -> None:
    catalogue = shipped()
    running = Running(profile.component, profile.checked)
    verdict = catalogue.judge(line.name, (running,))
    assert verdict.standing is Standing.READ, verdict
    for value in catalogue.facts(line.name).values:
        assert legal.is_legal(value, line.value) is not False


@pytest.mark.parametrize(("profile", "line"), LINES)
def test_a_line_says_why_and_from_where(profile: Profile, line: Line) -> None:
    assert line.why and line.source
    assert not line.why.endswith("."), "the formats put it there"


@pytest.mark.parametrize(("profile", "line"), VARIABLES)
def test_since_is_what_the_catalogue_has(profile: Profile, line: Line) -> None:
    """Where one component reads a name and the catalogue knows since when, the line says so."""
    readers = shipped().facts(line.name).readers
    known = {reader.since for reader in readers}
    if len({reader.component for reader in readers}) == 1 and known != {""}:
        assert any(since in line.since for since in known if since), (line.name, known)


def test_nothing_that_was_removed_or_invented_is_set() -> None:
    for profile in PROFILES:
        for line in profile.variables:
            for row in shipped().facts(line.name).prescribed:
                assert row.verdict not in ("removed", "invented", "renamed")


def test_every_line_of_the_guide_that_does_not_help_is_answered() -> None:
    """Whoever comes from such a guide finds each variable that is invented, gone or wrong in a profile: with what
    does it really, or with the word that nothing is needed."""
    answered = {name.split("=")[0] for profile in PROFILES for line in profile.lines for name in line.instead_of}
    answered |= {name for profile in PROFILES for left in profile.left for name in left.names}
    answered |= {line.name for profile in PROFILES for line in profile.lines}
    asked = {
        row.name
        for rows in shipped().prescribed.values()
        for row in rows
        if row.kind in ("env", "key") and row.verdict != "real"
    }
    # Read by the container toolkit before anything of ours runs: docs/containers.
    assert asked - answered == {"NVIDIA_REQUIRE_CUDA"}


def test_the_help_names_every_format() -> None:
    assert tuple(FORMATS) == env_show.FORMATS


def folders(folder: Path, **texts: str) -> ProfileFolders:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    return ProfileFolders((folder, TOP / "etc/environment"))


ONE = 'title = "t"\ncomponent = "cuda"\nchecked = "1"\n'
BAD = [
    ('titel = "t"', "titel: is no key; did you mean 'title'?"),
    ("title = 1", "title: must be a text, found 1"),
    ('ipc = "container"', "ipc: must be 'host', found 'container'"),
    ('include = "base"', "include: must be a list of texts, found 'base'"),
    ('include = ["bse"]', "there is no profile 'bse'; did you mean 'base'?"),
    ('include = ["mine"]', "mine includes mine; a profile cannot include itself"),
    ('without = ["A_B"]', "without: 'A_B' is in no profile that it includes"),
    ('set = [{ name = "A-B", value = "1", why = "w" }]', "set[0].name: must be a variable's name"),
    ('set = [{ name = "A", value = "1" }]', "set[0].why: is missing"),
    ('set = [{ value = "1", why = "w" }]', "set[0]: must have name and value"),
    ('set = [{ name = "A", value = 1, why = "w" }]', "set[0].value: must be a text, found 1"),
    ('set = [{ name = "A", value = "{home}/x", why = "w" }]', "set[0].value: may hold {cache} and {models}"),
    ('set = [{ name = "A", value = "1\\n2", why = "w" }]', "set[0]: must be on one line"),
    ('set = [{ name = "A", valeu = "1", why = "w" }]', "set[0].valeu: is no key; did you mean 'value'?"),
    ("set = 3", "set: must be tables, [[set]], found 3"),
    ("set = [", "cannot be read"),
    ('set = [{ name = "A", value = "1", why = "w" }, { name = "A", value = "2", why = "w" }]', "set: says A twice"),
    ('title = ""', "title: is missing: what it is for"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_mistake_in_a_profile_is_named(tmp_path: Path, text: str, said: str) -> None:
    head = ONE.replace('title = "t"\n', "") if "title" in text else ONE
    with pytest.raises(UsageError) as refused:
        folders(tmp_path, mine=head + text).profile("mine")
    assert said in str(refused.value)
    assert "mine" in str(refused.value)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        folders(tmp_path, mine='titel = "t"\nipc = "x"\nset = [{ name = "A-B", value = "1" }]').profile("mine")
    lines = str(refused.value).splitlines()
    assert [line.partition(".toml: ")[2].split(":")[0] for line in lines] == [
        *("titel", "ipc", "set[0].name", "set[0].why", "title", "component", "checked")
    ]


@pytest.mark.parametrize("name", ["My Server", "vllm_2", "-x"])
def test_a_name_that_no_reader_takes_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="lower-case letters, digits and -, found"):
        folders(tmp_path, **{name: ONE}).profile(name)


def test_a_profile_of_your_own_includes_ours_and_wins(tmp_path: Path) -> None:
    mine = ONE + 'include = ["base"]\nset = [{ name = "CUDA_DEVICE_ORDER", value = "FASTEST_FIRST", why = "w" }]\n'
    found = folders(tmp_path, mine=mine, vllm=ONE)
    assert {line.name: line.value for line in found.profile("mine").variables} == {
        "CUDA_CACHE_PATH": "{cache}/ComputeCache",
        "CUDA_CACHE_MAXSIZE": "4294967296",
        "CUDA_DEVICE_ORDER": "FASTEST_FIRST",
    }
    assert found.profile("vllm").title == "t"


def test_a_cdi_file_is_put_in_place_whole(tmp_path: Path) -> None:
    folder = tmp_path / "cdi"
    path = Path(cdi_file.write(str(folder), "vllm", "old"))
    assert cdi_file.write(str(folder), "vllm", "new") == str(path)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in folder.iterdir()] == ["gpu-tuned-vllm.yaml"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cdi_folder_that_is_not_ours_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(NotPermitted, match="only root"):
        cdi_file.write(str(tmp_path), "vllm", "text")


def test_a_cdi_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "gpu-tuned-vllm.yaml").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        cdi_file.write(str(tmp_path), "vllm", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["gpu-tuned-vllm.yaml"]
