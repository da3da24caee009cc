"""Formats in YAML: an override for Compose, a ConfigMap for Kubernetes, a CDI specification.

Written by hand, for the comments; every text is in double quotes as JSON has them, which YAML takes as they are.
"""

from __future__ import annotations

import json

from gpu_tuned.environment.formats.common import (
    CONTAINER,
    VOLUMES,
    comment,
    filled,
    head,
    left,
    mounts,
    options,
    reason,
    variables,
)
from gpu_tuned.environment.profiles import Profile

CDI_KIND = "gputuned.io/environment"
"""Ours, and never NVIDIA's: a second specification of its kind would replace devices of the toolkit."""
CDI_VERSION = "0.3.0"
"""The oldest that has everything used here, so that every container engine with CDI takes it."""


def compose(profile: Profile, label: str) -> str:
    """An override: docker compose -f compose.yaml -f FILE. "$" is doubled, which Compose would replace."""
    use = ["docker compose -f compose.yaml -f FILE up    (rename the service to yours)"]
    lines = [*head(profile, label, *use), "services:", f"  {_text(profile.name)}:"]
    lines += ['    ipc: "host"'] if profile.ipc else []
    lines += ["    environment:"]
    for line in variables(profile, CONTAINER):
        written = f"{line.name}: {_text(filled(line, CONTAINER).replace('$', '$$'))}"
        lines += [*reason(line, "      # "), f"      {written}" if line.active else f"      # {written}"]
    found = mounts(profile)
    lines += ["    volumes:", *(f"      - {_text(f'{volume}:{path}')}" for volume, path in found)] if found else []
    lines += [*options(profile, "    # "), *left(profile, "    # ")]
    named = [VOLUMES[place] for place in profile.places]
    lines += ["volumes:", *(f"  {volume}: {{}}" for volume in named)] if named else []
    return "\n".join(lines) + "\n"


def kubernetes(profile: Profile, label: str) -> str:
    """A ConfigMap, for envFrom."""
    name = f"gpu-{profile.name}"
    paths = ", ".join(path for _, path in mounts(profile))
    use = [f"envFrom: [{{configMapRef: {{name: {name}}}}}] in the container"]
    use += [f"volumeMounts: {paths}" for paths in [paths] if paths]
    use += ["hostIPC: true in the pod, or an emptyDir (medium: Memory) at /dev/shm"] if profile.ipc else []
    lines = [*head(profile, label, *use), 'apiVersion: "v1"', 'kind: "ConfigMap"']
    lines += ["metadata:", f"  name: {_text(name)}", "data:"]
    for line in variables(profile, CONTAINER):
        written = f"{line.name}: {_text(filled(line, CONTAINER))}"
        lines += [*reason(line, "  # "), f"  {written}" if line.active else f"  # {written}"]
    return "\n".join([*lines, *options(profile), *left(profile)]) + "\n"


def cdi(profile: Profile, label: str) -> str:
    """A CDI specification with one device, whose name is the profile's. It brings no volume, so that variables for
    folders are left out."""
    use = ["docker run --device nvidia.com/gpu=GPU-... \\", f"  --device {CDI_KIND}={profile.name} IMAGE"]
    lines = head(profile, label, *use)
    lines += ["#", *comment("What a device sets wins over the image's ENV and over -e: remove the device to set it.")]
    kept = [line.name for line in profile.variables if line.places]
    lines += comment(f"Without {', '.join(kept)}: a device brings no volume along.") if kept else []
    lines += [f"cdiVersion: {_text(CDI_VERSION)}", f"kind: {_text(CDI_KIND)}", "devices:"]
    lines += [f"  - name: {_text(profile.name)}", "    containerEdits:"]
    lines += ["      env:"]
    for line in variables(profile, {}):
        written = f"- {_text(f'{line.name}={line.value}')}"
        lines += [*reason(line, "        # "), f"        {written}" if line.active else f"        # {written}"]
    if profile.mount:
        place = _text(profile.mount)
        lines += ["      mounts:", f"        - hostPath: {place}", f"          containerPath: {place}"]
        lines += ['          options: ["rbind", "rw"]']
    if profile.ipc:
        lines += comment("The container needs --ipc=host besides, which a device cannot say.")
    return "\n".join([*lines, *options(profile), *left(profile)]) + "\n"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
