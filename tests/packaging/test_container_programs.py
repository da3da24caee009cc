"""What `gpu-tunedctl env show` prints and docs/containers holds, read by Debian 13's docker-compose and by podman 5's
quadlet generator. Neither starts a container."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.core.errors import UsageError
from gpu_tuned.environment.formats.common import CONTAINER, filled
from gpu_tuned.environment.formats.table import FORMATS
from gpu_tuned.environment.profiles import Profile
from tests.packaging.debian_programs import program
from tests.unit.test_docs_containers import unit, yaml
from tests.unit.test_environment_formats import HOSTILE, PROFILES, with_value

EXAMPLES = Path(__file__).parents[2] / "docs/containers"
EVERY = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
GPUS = {"LLAMA_GPU": "GPU-1", "VLLM_GPU": "GPU-2", "PATH": "/usr/bin:/bin"}


def compose(*files: Path) -> dict[str, Any]:
    """The whole configuration as docker compose understands it."""
    arguments = [argument for file in files for argument in ("--file", str(file))]
    done = subprocess.run(
        [program("docker-compose"), *arguments, "config", "--format", "json"],
        env=GPUS,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def quadlet(folder: Path) -> str:
    """The services that podman makes of the quadlets of a folder."""
    done = subprocess.run(
        [program("podman"), "-dryrun"],
        env={"QUADLET_UNIT_DIRS": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment_of(service: str) -> dict[str, str]:
    """What `podman run --env` sets, after systemd has taken its quotes and percent signs away."""
    (start,) = (line for line in service.splitlines() if line.startswith("ExecStart="))
    words = _words(start.partition("=")[2])
    pairs = [word for flag, word in pairwise(words) if flag == "--env"]
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _words(line: str) -> list[str]:
    """systemd.service(5), "COMMAND LINES", as far as a quadlet needs it."""
    words, word, quoted, escaped, begun = [], "", False, False, False
    for letter in line:
        if escaped:
            word, escaped = word + letter, False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            quoted, begun = not quoted, True
        elif letter == " " and not quoted:
            if word or begun:
                words.append(word.replace("%%", "%"))
            word, begun = "", False
        else:
            word += letter
    return [*words, word.replace("%%", "%")]


def wanted(profile: Profile) -> dict[str, str]:
    return {line.name: filled(line, CONTAINER) for line in profile.variables}


@EVERY
def test_compose_takes_an_override(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(f"services:\n  {profile.name}:\n    image: x\n")
    (tmp_path / "override.yaml").write_text(FORMATS["compose"](profile, "X"))
    service = compose(tmp_path / "compose.yaml", tmp_path / "override.yaml")["services"][profile.name]
    assert service["environment"] == wanted(profile)
    assert service.get("ipc", "") == profile.ipc
    assert {volume["target"] for volume in service.get("volumes", [])} >= {
        CONTAINER[place] for place in profile.places
    }


@EVERY
def test_compose_takes_an_env_file(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "x.env").write_text(FORMATS["env"](profile, "X"))
    (tmp_path / "compose.yaml").write_text("services:\n  x:\n    image: x\n    env_file: x.env\n")
    assert compose(tmp_path / "compose.yaml")["services"]["x"]["environment"] == wanted(profile)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_compose_gets_any_value(value: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  mine:\n    image: x\n")
    (tmp_path / "override.yaml").write_text(FORMATS["compose"](with_value(value), "X"))
    service = compose(tmp_path / "compose.yaml", tmp_path / "override.yaml")["services"]["mine"]
    assert service["environment"]["X_VALUE"].replace("$$", "$") == value


@EVERY
def test_podman_takes_a_drop_in(profile: Profile, tmp_path: Path) -> None:
    service = drop_in(tmp_path, profile)
    assert environment_of(service) == wanted(profile)
    assert ("--ipc=host" in service) is (profile.ipc == "host")
    assert "After=gpu-tuned.target" in service


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_podman_gets_any_value_or_none(value: str, tmp_path: Path) -> None:
    try:
        service = drop_in(tmp_path, with_value(value))
    except UsageError:
        assert "$" in value
        return
    assert environment_of(service) == {"X_VALUE": value, "X_AFTER": "1"}


def drop_in(folder: Path, profile: Profile) -> str:
    (folder / "x.container").write_text("[Container]\nImage=localhost/x\n")
    (folder / "x.container.d").mkdir()
    (folder / "x.container.d" / "10-gpu-tuned.conf").write_text(FORMATS["quadlet"](profile, "X"))
    return quadlet(folder)


def test_the_example_is_what_it_says() -> None:
    services = compose(EXAMPLES / "compose.yaml")["services"]
    for name, service in yaml("compose.yaml")["services"].items():
        said = {variable: value for variable, value in service["environment"].items() if "$" not in (value or "$")}
        assert said.items() <= services[name]["environment"].items()
    assert services["llama-gpu"]["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] == ["GPU-1"]
    assert services["vllm-gpu"]["ipc"] == "host"


def test_the_example_with_cdi_has_no_reservation_left() -> None:
    for service in compose(EXAMPLES / "compose.yaml", EXAMPLES / "compose.cdi.yaml")["services"].values():
        assert "deploy" not in service
        assert service["devices"][0]["source"].startswith("nvidia.com/gpu=GPU-")


@pytest.mark.parametrize("name", ["llama", "vllm"])
def test_podman_takes_the_examples(name: str, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / f"{name}.container", tmp_path)
    service = quadlet(tmp_path)
    pairs = [value.partition("=") for _, key, value in unit(f"{name}.container") if key == "Environment"]
    assert environment_of(service) == {variable: value for variable, _, value in pairs}
    assert f"localhost/{name}-gpu" in service
    assert "--device nvidia.com/gpu=all" in service
    assert "WantedBy=multi-user.target" in service


def test_a_wrong_quadlet_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "x.container").write_text("[Container]\nImage=localhost/x\nEnvironmentt=X=1\n")
    with pytest.raises(AssertionError):
        quadlet(tmp_path)
