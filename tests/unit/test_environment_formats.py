"""What `gpu-tunedctl env show` prints, read by those who are to read it: python-dotenv, sh, BuildKit's parser,
systemd, a YAML parser, JSON schemas. Docker Compose and podman themselves: tests/packaging."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dockerfile
import dotenv
import jsonschema
import pytest
from ruamel.yaml import YAML

from gpu_tuned.core.errors import UsageError
from gpu_tuned.environment import verbs
from gpu_tuned.environment.formats.common import CONTAINER, filled
from gpu_tuned.environment.formats.table import FORMATS
from gpu_tuned.environment.profile_folders import ProfileFolders
from gpu_tuned.environment.profiles import Line, Profile

TOP = Path(__file__).parents[2]
SHIPPED = ProfileFolders()
PROFILES = {name: SHIPPED.profile(name) for name in SHIPPED.names()}
EVERY = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
Environment = dict[str, str]


def line(name: str, value: str, **more: Any) -> Line:
    return Line(name, value, "because", "X 1.0", "somewhere", (), True, **more)


HOSTILE = {
    "plain": "a-b.c_d:e/f,g",
    "empty": "",
    "spaces": "-O3  -arch=sm_120a ",
    "hash": "a #b",
    "double": 'a "b" c',
    "single": "it's",
    "dollar": "a$HOME${HOME}b",
    "percent": "100%h",
    "backslash": r"a\nb\\",
    "equals": "0=8G,1=4G",
    "yaml": "yes: {a: [1]} # no",
    "unicode": "µs",
    "backtick": "`id` $(id) & | ; < >",
}


def with_value(value: str) -> Profile:
    return Profile("mine", "mine", "cuda", "1", (line("X_VALUE", value), line("X_AFTER", "1")))


# --- readers: the text of a file -> what a process gets ------------------------------------------------------------


def as_dotenv(text: str) -> Environment:
    return {name: value or "" for name, value in dotenv.dotenv_values(stream=io.StringIO(text)).items()}


def as_sourced(text: str) -> Environment:
    return _shell(f"set -a\n{text}\nset +a\n")


def as_shell(text: str) -> Environment:
    return _shell(text)


def _shell(script: str) -> Environment:
    done = subprocess.run(
        ["sh", "-euc", script + "\nexec env -0"], env={"PATH": os.environ["PATH"]}, capture_output=True, check=True
    )
    pairs = (pair.partition("=") for pair in done.stdout.decode().split("\0") if pair)
    return {name: value for name, _, value in pairs if name not in ("PATH", "PWD", "OLDPWD", "SHLVL", "_")}


def as_docker_env(text: str) -> Environment:
    """Docker's rule (docker/cli, opts/file.go): a line that begins with # is left out, the rest is NAME=value as it
    stands, without a look at quotes."""
    rows = (row.lstrip() for row in text.splitlines())
    return dict(row.split("=", 1) for row in rows if row and not row.startswith("#"))  # type: ignore[misc]


def as_dockerfile(text: str) -> Environment:
    found: Environment = {}
    for command in dockerfile.parse_string(f"FROM scratch\n{text}"):
        if command.cmd.lower() == "env":
            words = list(command.value)
            found.update((name, _dockerfile_word(word)) for name, word in zip(words[::2], words[1::2], strict=True))
    return found


def _dockerfile_word(word: str) -> str:
    """BuildKit takes the quotes and backslashes away when it runs the instruction, not when it parses it."""
    if not word.startswith('"'):
        return word
    return re.sub(r'\\(["\\$])', r"\1", word[1:-1])


def as_compose(text: str) -> Environment:
    (service,) = YAML(typ="safe", pure=True).load(text)["services"].values()
    # A lone "$" begins a name that Compose replaces.
    assert all("$" not in value.replace("$$", "") for value in service["environment"].values())
    return {name: value.replace("$$", "$") for name, value in service["environment"].items()}


def as_kubernetes(text: str) -> Environment:
    data: Environment = YAML(typ="safe", pure=True).load(text)["data"]
    return data


def as_cdi(text: str) -> Environment:
    (device,) = YAML(typ="safe", pure=True).load(text)["devices"]
    return dict(entry.split("=", 1) for entry in device["containerEdits"]["env"])


READERS: dict[str, Callable[[str], Environment]] = {
    "env": as_dotenv,
    "docker-env": as_docker_env,
    "dockerfile": as_dockerfile,
    "compose": as_compose,
    "kubernetes": as_kubernetes,
    "shell": as_shell,
    "cdi": as_cdi,
}
NO_FOLDERS = ("shell", "cdi")


@EVERY
@pytest.mark.parametrize("format", [*READERS, "sourced"])
def test_the_reader_gets_what_the_profile_says(format: str, profile: Profile) -> None:
    wanted = {
        line.name: filled(line, CONTAINER)
        for line in profile.variables
        if not (line.places and format in NO_FOLDERS) and not (line.container and format == "shell")
    }
    read = as_sourced if format == "sourced" else READERS[format]
    text = FORMATS["env" if format == "sourced" else format](profile, "X")
    assert read(text) == wanted
    assert read(verbs._without_comments(text)) == wanted


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("format", [*READERS, "sourced"])
def test_any_value_arrives_or_is_refused(format: str, value: str) -> None:
    try:
        text = FORMATS["env" if format == "sourced" else format](with_value(value), "X")
    except UsageError as refused:
        assert "X_VALUE" in str(refused)
        assert format in ("env", "sourced") and set("'\\$") & set(value)
        return
    read = as_sourced if format == "sourced" else READERS[format]
    assert read(text) == {"X_VALUE": value, "X_AFTER": "1"}


@EVERY
@pytest.mark.parametrize("format", FORMATS)
def test_no_line_is_wider_than_a_terminal_but_where_it_must(format: str, profile: Profile) -> None:
    for row in FORMATS[format](profile, "X").splitlines():
        assert len(row) <= 80 or not row.lstrip().startswith("#") or len(max(row.split(), key=len)) > 40, row


def test_every_format_has_a_reader_here() -> None:
    assert set(READERS) | {"systemd", "quadlet"} == set(FORMATS)


@EVERY
def test_offers_and_options_are_comments(profile: Profile) -> None:
    text = FORMATS["env"](profile, "X")
    for line in profile.lines:
        assert (f"\n{line.name}=" in text) is (bool(line.name) and line.active)
        assert (line.value if not line.name else line.name) in text


# --- Dockerfiles --------------------------------------------------------------------------------------------------


@EVERY
def test_a_comment_in_a_dockerfile_stands_on_its_own_line(profile: Profile) -> None:
    for row in FORMATS["dockerfile"](profile, "X").splitlines():
        assert not row or row.startswith(("#", "ENV "))
        assert not (row.startswith("ENV ") and "#" in row)


def test_a_comment_behind_env_would_be_seen() -> None:
    with pytest.raises(dockerfile.GoParseError):
        as_dockerfile("ENV X=1  # text\n")


# --- units --------------------------------------------------------------------------------------------------------

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
STUB = "[Unit]\nDescription=x\n\n[Service]\nExecStart=/bin/true\n"


def verify(folder: Path, drop_in: str, unit: str = "snippet.service") -> str:
    for path in (TOP / "units").glob("gpu-tuned*.*"):
        (folder / path.name).write_text(re.sub(r"/usr/bin/(gpu-tuned|nvidia-)[a-z-]*", "/bin/true", path.read_text()))
    (folder / unit).write_text(STUB)
    (folder / f"{unit}.d").mkdir()
    (folder / f"{unit}.d" / "10-gpu-tuned.conf").write_text(drop_in)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(folder / unit)],
        env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout + done.stderr + (f"exit {done.returncode}" if done.returncode else "")


@needs_systemd
@EVERY
def test_systemd_takes_a_drop_in(profile: Profile, tmp_path: Path) -> None:
    assert verify(tmp_path, FORMATS["systemd"](profile, "X")) == ""


@needs_systemd
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_systemd_takes_any_value(value: str, tmp_path: Path) -> None:
    assert verify(tmp_path, FORMATS["systemd"](with_value(value), "X")) == ""


@needs_systemd
def test_a_wrong_assignment_would_be_seen(tmp_path: Path) -> None:
    assert verify(tmp_path, '[Service]\nEnvironment="X-Y=1"\n') != ""


@pytest.mark.parametrize("format", ["systemd", "quadlet"])
def test_what_systemd_would_replace_is_doubled(format: str) -> None:
    assert 'Environment="X_VALUE=100%%h"' in FORMATS[format](with_value("100%h"), "X")


def test_a_service_has_folders_of_its_own_and_no_address_of_a_container() -> None:
    text = FORMATS["systemd"](PROFILES["ollama"], "X")
    assert 'Environment="OLLAMA_MODELS=%S/%p/ollama"' in text
    assert "CacheDirectory=%p\nStateDirectory=%p\n" in text
    assert "OLLAMA_HOST" not in text
    assert "After=gpu-tuned.target" in text


@EVERY
def test_a_quadlet_names_its_folders(profile: Profile) -> None:
    text = FORMATS["quadlet"](profile, "X")
    assert ("PodmanArgs=--ipc=host" in text) is (profile.ipc == "host")
    for place in profile.places:
        assert f":{CONTAINER[place]}\n" in text


def test_a_value_that_systemd_would_replace_is_refused_in_a_quadlet() -> None:
    with pytest.raises(UsageError, match=r"X_VALUE: a quadlet cannot say a value with \$"):
        FORMATS["quadlet"](with_value("a$b"), "X")


# --- YAML ---------------------------------------------------------------------------------------------------------

CDI = {
    "type": "object",
    "required": ["cdiVersion", "kind", "devices"],
    "additionalProperties": False,
    "properties": {
        "cdiVersion": {"enum": ["0.3.0"]},
        "kind": {
            "pattern": r"^[A-Za-z][A-Za-z0-9.-]*\.[A-Za-z]+/[A-Za-z][A-Za-z0-9_-]*$",
            "not": {"pattern": "nvidia"},
        },
        "devices": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "containerEdits"],
                "additionalProperties": False,
                "properties": {
                    "name": {"pattern": r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$"},
                    "containerEdits": {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": False,
                        "properties": {
                            "env": {"type": "array", "minItems": 1, "items": {"pattern": "^[^=]+="}},
                            "mounts": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["hostPath", "containerPath"],
                                    "additionalProperties": False,
                                    "properties": {
                                        "hostPath": {"pattern": "^/"},
                                        "containerPath": {"pattern": "^/"},
                                        "options": {"type": "array", "items": {"type": "string"}},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What a specification of version 0.3.0 must have and may have: engines refuse unknown fields, a device without
edits, and an entry of env without a name."""


@EVERY
def test_a_cdi_specification_is_one(profile: Profile) -> None:
    jsonschema.validate(YAML(typ="safe", pure=True).load(FORMATS["cdi"](profile, "X")), CDI)


def test_a_cdi_device_brings_the_folder_of_mps() -> None:
    spec = YAML(typ="safe", pure=True).load(FORMATS["cdi"](PROFILES["mps-client"], "X"))
    (mount,) = spec["devices"][0]["containerEdits"]["mounts"]
    assert (mount["hostPath"], mount["containerPath"]) == ("/run/nvidia-mps", "/run/nvidia-mps")


@EVERY
def test_a_config_map_is_one(profile: Profile) -> None:
    found = YAML(typ="safe", pure=True).load(FORMATS["kubernetes"](profile, "X"))
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", found["metadata"]["name"])
    assert all(isinstance(value, str) and re.fullmatch(r"[\w.-]+", name) for name, value in found["data"].items())


@EVERY
def test_a_compose_override_declares_its_volumes(profile: Profile) -> None:
    found = YAML(typ="safe", pure=True).load(FORMATS["compose"](profile, "X"))
    (service,) = found["services"].values()
    used = {volume.split(":")[0] for volume in service.get("volumes", [])}
    assert {name for name in used if not name.startswith("/")} == set(found.get("volumes", {}))
    assert all(isinstance(value, str) for value in service["environment"].values())
