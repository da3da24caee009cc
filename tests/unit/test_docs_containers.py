"""The examples of docs/containers: their readers' parsers take them, and nothing in them is made up."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dockerfile
import pytest
import tomli
from ruamel.yaml import YAML

from gpu_tuned.environment.formats.common import CONTAINER, filled
from gpu_tuned.environment.judge import Running, Standing
from gpu_tuned.environment.profile_folders import ProfileFolders
from gpu_tuned.environment.profiles import profile
from gpu_tuned.environment.shipped import shipped

TOP = Path(__file__).parents[2]
EXAMPLES = TOP / "docs/containers"
RUNNING = {"llama": Running("llama.cpp", "ggml 0.25.3"), "vllm": Running("vllm", "0.33.0")}
PROFILE = {"llama": "llama-cpp", "vllm": "vllm"}
HARMLESS = {"LD_LIBRARY_PATH"}


def yaml(name: str) -> dict[str, Any]:
    loader = YAML(typ="safe", pure=True)
    loader.constructor.add_constructor("!reset", lambda *_: None)  # Compose's own tag
    loaded: dict[str, Any] = loader.load((EXAMPLES / name).read_text())
    return loaded


def unit(name: str) -> list[tuple[str, str, str]]:
    """(section, key, value) of a unit file, in order, repeated keys included."""
    rows, section = [], ""
    for line in (EXAMPLES / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            rows.append((section, key, value))
    return rows


def environments() -> Iterator[tuple[str, str, dict[str, str]]]:
    """(file, kind of program, environment) of every example."""
    for service, found in yaml("compose.yaml")["services"].items():
        yield "compose.yaml", service.removesuffix("-gpu"), found["environment"]
    for kind in ("llama", "vllm"):
        pairs = [value.split("=", 1) for _, key, value in unit(f"{kind}.container") if key == "Environment"]
        yield f"{kind}.container", kind, dict(pairs)  # type: ignore[arg-type]
        commands = dockerfile.parse_file(str(EXAMPLES / f"Dockerfile.{kind}-gpu"))
        yield f"Dockerfile.{kind}-gpu", kind, {c.value[0]: c.value[1] for c in commands if c.cmd.lower() == "env"}


@pytest.mark.parametrize(("file", "kind", "environment"), [*environments()], ids=lambda given: str(given)[:24])
def test_every_variable_is_read(file: str, kind: str, environment: dict[str, str]) -> None:
    for name in environment.keys() - HARMLESS:
        verdict = shipped().judge(name, (RUNNING[kind],))
        assert verdict.standing is Standing.READ, (file, name)


@pytest.mark.parametrize(("file", "kind", "environment"), [*environments()], ids=lambda given: str(given)[:24])
def test_an_image_and_a_service_have_what_the_profile_sets(file: str, kind: str, environment: dict[str, str]) -> None:
    wanted = {line.name: filled(line, CONTAINER) for line in ProfileFolders().profile(PROFILE[kind]).variables}
    if file.endswith(".container"):  # their images have it
        wanted = {}
    assert wanted.items() <= environment.items()


def test_services_have_gpus_by_uuid_and_caches_on_volumes() -> None:
    found = yaml("compose.yaml")
    for service in found["services"].values():
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert set(device) == {"driver", "device_ids", "capabilities"}
        assert "tmpfs" not in service
        volumes = dict(volume.split(":") for volume in service["volumes"])
        assert set(volumes) <= set(found["volumes"])
        mounted = tuple(volumes.values())
        for value in service["environment"].values():
            assert not value.startswith("/") or value.startswith(mounted)
    assert found["services"]["vllm-gpu"]["ipc"] == "host"


def test_cdi_takes_the_place_of_the_reservation() -> None:
    services = yaml("compose.cdi.yaml")["services"]
    assert set(services) == set(yaml("compose.yaml")["services"])
    for service in services.values():
        assert service["deploy"] is None
        assert service["devices"][0].startswith("nvidia.com/gpu=")


@pytest.mark.parametrize("name", ["inference.service", "llama.container", "vllm.container"])
def test_they_start_after_the_target(name: str) -> None:
    rows = unit(name)
    assert any("gpu-tuned.target" in value for section, key, value in rows if (section, key) == ("Unit", "After"))
    assert any(
        "gpu-tuned.target" in value
        for section, key, value in rows
        if section == "Unit" and key in ("Wants", "Requires")
    )


@pytest.mark.parametrize("name", ["llama", "vllm"])
def test_a_comment_in_a_dockerfile_is_one(name: str) -> None:
    for command in dockerfile.parse_file(str(EXAMPLES / f"Dockerfile.{name}-gpu")):
        assert not (command.cmd.lower() in ("env", "arg") and "#" in command.original)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_service(tmp_path: Path) -> None:
    for path in (TOP / "units").glob("gpu-tuned*.*"):
        (tmp_path / path.name).write_text(
            re.sub(r"/usr/bin/(gpu-tuned|nvidia-)[a-z-]*", "/bin/true", path.read_text())
        )
    (tmp_path / "docker.service").write_text("[Service]\nExecStart=/bin/true\n")
    text = (EXAMPLES / "inference.service").read_text()
    (tmp_path / "inference.service").write_text(text.replace("/usr/bin/docker", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "inference.service")],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_profile_of_the_page_is_one() -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", (EXAMPLES / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    folders = ProfileFolders()

    def read(name: str) -> dict[str, Any]:
        return (
            tomli.loads(text) if name == "ours" else tomli.loads((TOP / f"etc/environment/{name}.toml").read_text())
        )

    made = profile("ours", read, {"ours": "ours.toml", **{name: f"{name}.toml" for name in folders.names()}})
    assert made.variables[-1].name == "VLLM_LOGGING_LEVEL"


def test_every_file_is_in_the_page() -> None:
    page = (EXAMPLES / "README.md").read_text()
    assert [
        path.name for path in EXAMPLES.iterdir() if f"({path.name})" not in page and path.name != "README.md"
    ] == []


def test_units_are_readable_as_such() -> None:
    """Sections and keys stand where systemd looks for them."""
    for path in EXAMPLES.glob("*.container"):
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read(path)
        assert {"Unit", "Container", "Service", "Install"} == set(parser.sections())
