"""Every format: its name, who reads it, and what writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpu_tuned.environment.formats import lines, units, yaml
from gpu_tuned.environment.profiles import Profile


@dataclass(frozen=True, slots=True)
class Format:
    """`write(profile, label)` gives the file's text; `label` is the component's name for people."""

    name: str
    reader: str
    write: Callable[[Profile, str], str]


FORMATS = {
    format.name: format
    for format in (
        Format("env", "Compose's env_file, python-dotenv, a shell", lines.env),
        Format("docker-env", "docker run --env-file, podman run --env-file", lines.docker_env),
        Format("dockerfile", "a Dockerfile", lines.dockerfile),
        Format("compose", "docker compose, as an override", yaml.compose),
        Format("systemd", "systemd, as a service's drop-in", units.systemd),
        Format("quadlet", "podman's quadlets, as a drop-in", units.quadlet),
        Format("shell", "a POSIX shell", lines.shell),
        Format("kubernetes", "Kubernetes, as a ConfigMap", yaml.kubernetes),
        Format("cdi", "container engines with CDI", yaml.cdi),
    )
}
