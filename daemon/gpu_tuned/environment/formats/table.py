"""Every format by its name, and what writes it."""

from __future__ import annotations

from collections.abc import Callable

from gpu_tuned.environment.formats import lines, units, yaml
from gpu_tuned.environment.profiles import Profile

FORMATS: dict[str, Callable[[Profile, str], str]] = {
    "env": lines.env,  # Compose's env_file, python-dotenv, a shell
    "docker-env": lines.docker_env,  # docker run --env-file, podman run --env-file
    "dockerfile": lines.dockerfile,
    "compose": yaml.compose,  # as an override
    "systemd": units.systemd,  # as a service's drop-in
    "quadlet": units.quadlet,  # the same for podman's
    "shell": lines.shell,  # POSIX
    "kubernetes": yaml.kubernetes,  # as a ConfigMap
    "cdi": yaml.cdi,  # container engines with CDI
}
"""Each takes a profile and the component's name for people, and gives the text of a file."""
