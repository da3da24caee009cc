"""Formats of units: a drop-in for a systemd service, and one for a podman quadlet."""

from __future__ import annotations

from gpu_tuned.environment.formats.common import (
    CONTAINER,
    assignments,
    head,
    left,
    mounts,
    options,
    reason,
    refuse,
    variables,
)
from gpu_tuned.environment.profiles import PLACES, Profile

SERVICE = {"cache": "%C/%p", "models": "%S/%p"}
"""Folders of the unit's own, by its name: /var/cache/NAME and /var/lib/NAME. systemd makes them and gives them to the
unit's user."""
_DIRECTIVE = {"cache": "CacheDirectory=%p", "models": "StateDirectory=%p"}
_AFTER = ["[Unit]", "# GPUs first: their limits and clocks are in force before the program starts."]
_TARGET = ["Wants=gpu-tuned.target", "After=gpu-tuned.target"]


def systemd(profile: Profile, label: str) -> str:
    """A drop-in: /etc/systemd/system/NAME.service.d/10-gpu-tuned.conf."""
    use = ["/etc/systemd/system/NAME.service.d/10-gpu-tuned.conf"]
    use += ["systemctl daemon-reload && systemctl restart NAME"]
    lines = [*head(profile, label, *use), "", *_AFTER, *_TARGET, "", "[Service]"]
    lines += [_DIRECTIVE[place] for place in PLACES if place in profile.places]
    for line in variables(profile, SERVICE, container=False):
        value = line.value.replace("%", "%%")
        for place, path in SERVICE.items():
            value = value.replace(f"{{{place}}}", path)
        written = f'Environment="{line.name}={_quoted(value)}"'
        lines += ["", *reason(line), written if line.active else f"#{written}"]
    return "\n".join([*lines, *options(profile), *left(profile)]) + "\n"


def quadlet(profile: Profile, label: str) -> str:
    """A drop-in for a podman quadlet: /etc/containers/systemd/NAME.container.d/10-gpu-tuned.conf."""

    def write(name: str, value: str) -> str:
        refuse("$", name, value, "a quadlet")  # it ends in ExecStart=, where systemd replaces it
        return f'Environment="{name}={_quoted(value.replace("%", "%%"))}"'

    use = ["/etc/containers/systemd/NAME.container.d/10-gpu-tuned.conf", "podman 5 or newer reads drop-ins"]
    use += ["systemctl daemon-reload && systemctl restart NAME", "NAME.container itself has the image and AddDevice="]
    lines = [*head(profile, label, *use), "", *_AFTER, *_TARGET, "", "[Container]"]
    lines += [f"Volume={volume}:{path}" for volume, path in mounts(profile)]
    lines += ["# Shares memory between processes.", "PodmanArgs=--ipc=host"] if profile.ipc else []
    lines += assignments(profile, CONTAINER, write)
    return "\n".join([*lines, *options(profile), *left(profile)]) + "\n"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
