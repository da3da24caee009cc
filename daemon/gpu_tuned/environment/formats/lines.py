"""Formats of lines: .env files, docker's --env-file, Dockerfiles, the shell."""

from __future__ import annotations

import re
import shlex

from gpu_tuned.environment.formats.common import (
    CONTAINER,
    assignments,
    comment,
    filled,
    head,
    left,
    mounts,
    options,
    reason,
    refuse,
    run_flags,
    variables,
)
from gpu_tuned.environment.profiles import Profile

_BARE = re.compile(r"[\w./:,+@%=-]*", re.ASCII)


def env(profile: Profile, label: str) -> str:
    """A .env file, as Compose's env_file, python-dotenv and `set -a; . FILE` read it: quotes belong to the file."""

    def write(name: str, value: str) -> str:
        if _BARE.fullmatch(value):
            return f"{name}={value}"
        refuse("'\\$", name, value, "a .env file")  # each of its readers has its own way to escape
        return f"{name}='{value}'"

    use = [f"env_file: {profile.name}.env    (in Compose)", "for docker run there is --format docker-env"]
    lines = [*head(profile, label, *use), *_needs(profile), *assignments(profile, CONTAINER, write)]
    return _text([*lines, *options(profile), *left(profile)])


def docker_env(profile: Profile, label: str) -> str:
    """For docker run --env-file and podman's: a value is everything behind "=", quotes and # included."""
    use = [f"docker run --env-file {profile.name}.env --gpus device=GPU-... \\"]
    use += [*(f"  {flag} \\" for flag in run_flags(profile)), "  IMAGE"]
    lines = [*head(profile, label, *use), *assignments(profile, CONTAINER, lambda name, value: f"{name}={value}")]
    return _text([*lines, *options(profile), *left(profile)])


def dockerfile(profile: Profile, label: str) -> str:
    """Instructions to paste into a Dockerfile; each comment has a line of its own, since behind ENV it is none."""

    def write(name: str, value: str) -> str:
        if not _BARE.fullmatch(value):
            value = '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'
        return f"ENV {name}={value}"

    stage = "building stage" if profile.stage == "build" else "last stage"
    use = f"For the {stage} of a Dockerfile, behind its FROM."
    lines = [*head(profile, label, use), *_needs(profile), *assignments(profile, CONTAINER, write)]
    return _text([*lines, *options(profile), *left(profile)])


def shell(profile: Profile, label: str) -> str:
    """For a POSIX shell, on a host: `eval "$(gpu-tunedctl env show PROFILE --format shell)"`."""
    kept = [line.name for line in profile.variables if line.places]
    use = f'eval "$(gpu-tunedctl env show {profile.name} --format shell)"'
    lines = head(profile, label, use)
    if kept:
        names = f"{', '.join(kept)}: their defaults below the home folder outlive the process anyway."
        lines += ["#", *comment(f"Without {names}")]
    for line in variables(profile, {}, container=False):
        written = f"export {line.name}={shlex.quote(filled(line, {}))}"
        lines += ["", *reason(line), written if line.active else f"#{written}"]
    return _text([*lines, *options(profile), *left(profile)])


def _needs(profile: Profile) -> list[str]:
    """What a container needs besides, which this format cannot say."""
    needs = [f"{volume} mounted at {path}" for volume, path in mounts(profile)]
    needs += ["ipc: host (--ipc=host)"] if profile.ipc else []
    return ["#", *comment(f"The container needs besides: {'; '.join(needs)}.")] if needs else []


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
