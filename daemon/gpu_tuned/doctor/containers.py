"""Containers: does a daemon-reload take their GPUs away, is the toolkit a sound one, do CDI files fit the driver."""

from __future__ import annotations

from gpu_tuned.core.host_view import HostView, Place
from gpu_tuned.core.model import Unread
from gpu_tuned.core.verdict import Finding
from gpu_tuned.core.words import listed
from gpu_tuned.doctor.say import Check, first_unread

MODE = Check("container-runtime", "container runtime")
TOOLKIT = Check("container-toolkit", "container toolkit")
SPECS = Check("cdi", "CDI files")

CDI_BY_DEFAULT = (1, 18)
"""From this release of the toolkit on, mode "auto" makes CDI specifications instead of calling the legacy hook."""
SOUND = (1, 17, 8)
"""The release that mended CVE-2025-23266: code of a container's image ran on the host."""
OUTSIDE = "the container engine is the host's, and this is a container"


def runtime(host: HostView) -> Finding:
    """The legacy hook gives GPUs behind the runtime's back: with systemd's control groups a daemon-reload takes them.

    Docker's `--gpus` with its usual runtime calls that hook whatever the mode; the mode is of NVIDIA's runtime."""
    view = host.containers
    if isinstance(view.engines, Unread):
        return MODE.unknown(OUTSIDE if host.place is Place.CONTAINER else view.engines)
    if not view.engines:
        return MODE.ok("no container engine is installed")
    if isinstance(view.toolkit, Unread):
        return MODE.unknown(view.toolkit)
    engines = listed(sorted(view.engines))
    if view.toolkit is None:
        return MODE.ok(f"{engines} without NVIDIA's toolkit: containers get no GPU by it")
    if "docker" not in view.engines:
        return MODE.unknown(f"{engines}: only Docker's configuration is looked at")
    if view.systemd_cgroups is False:
        return MODE.ok("Docker manages its control groups itself, so a daemon-reload is harmless")
    if view.char_links is True:
        return MODE.ok("/dev/char has links to the device files, so a daemon-reload is harmless")
    unread = first_unread(view.mode, view.nvidia_runtime, view.systemd_cgroups, view.char_links)
    if unread is not None:
        return MODE.unknown(unread)
    if view.nvidia_runtime is False:
        return MODE.unknown("Docker knows no nvidia runtime: --gpus uses the legacy hook, devices by CDI do not")
    if view.mode not in ("legacy", "auto"):
        return MODE.ok(f'mode "{view.mode}"')
    if view.mode == "auto" and _numbers(view.toolkit) >= CDI_BY_DEFAULT:
        return MODE.ok(f'mode "auto" of toolkit {view.toolkit}, which is CDI')
    return MODE.warning(
        f'mode "{view.mode}" of toolkit {view.toolkit}: the legacy hook adds the GPUs, control groups are systemd\'s',
        "Any `systemctl daemon-reload`, a package upgrade's too, can take the GPUs away from running containers "
        '("Failed to initialize NVML: Unknown Error"; nvidia-container-toolkit#48).',
        "Use CDI (toolkit 1.18 does by default). Running containers keep what they have until they are made anew.",
        ("nvidia-ctk config --in-place --set nvidia-container-runtime.mode=cdi",
         "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
         "# or, for what runs now: nvidia-ctk system create-dev-char-symlinks --create-all"),
    )  # fmt: skip


def toolkit(host: HostView) -> Finding:
    """The toolkit's release, where there is one."""
    view = host.containers
    if isinstance(view.engines, Unread) or isinstance(view.toolkit, Unread):
        unread = first_unread(view.engines, view.toolkit)
        return TOOLKIT.unknown(OUTSIDE if host.place is Place.CONTAINER else unread or "")
    if view.toolkit is None:
        return TOOLKIT.ok("not installed" + ("" if view.engines else ", and neither is a container engine"))
    if _numbers(view.toolkit) < SOUND:
        return TOOLKIT.warning(
            f"{view.toolkit}",
            "Releases before 1.17.8 let an image run code as root on the host when a container with GPUs starts "
            "(CVE-2025-23266).",
            "Upgrade it.",
            ("apt-get install --only-upgrade nvidia-container-toolkit || dnf upgrade nvidia-container-toolkit",),
        )
    return TOOLKIT.ok(view.toolkit)


def specs(host: HostView) -> Finding:
    """CDI files name the driver's libraries with their version: one of another version breaks every container."""
    view = host.containers
    if isinstance(view.engines, Unread) or isinstance(view.cdi, Unread):
        unread = first_unread(view.engines, view.cdi)
        return SPECS.unknown(OUTSIDE if host.place is Place.CONTAINER else unread or "")
    if not view.cdi:
        if view.mode == "cdi":
            return SPECS.trouble(
                'mode "cdi", and no CDI file of NVIDIA\'s in /etc/cdi or /var/run/cdi',
                "Containers that ask for a GPU do not start (unresolvable CDI devices).",
                "Make it.", ("nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",),
            )  # fmt: skip
        return SPECS.ok("none, and none is needed" if not view.engines else "none")
    loaded = host.driver.loaded
    if not isinstance(loaded, str):
        return SPECS.unknown("the loaded driver's version cannot be seen, to compare them with")
    stale = [spec for spec in view.cdi if spec.versions and loaded not in spec.versions]
    if stale:
        other = listed(sorted({version for spec in stale for version in spec.versions}))
        return SPECS.trouble(
            f"{listed(spec.path for spec in stale)} was made for driver {other}, and {loaded} is loaded",
            "It mounts libraries that are no more: containers with GPUs do not start, or start without CUDA.",
            "Make it anew; from toolkit 1.18 on nvidia-cdi-refresh.service does so after each upgrade.",
            tuple(f"nvidia-ctk cdi generate --output={spec.path}" for spec in stale),
        )
    kinds = [spec.kind for spec in view.cdi]
    doubled = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    if doubled:
        paths = listed(spec.path for spec in view.cdi if spec.kind in doubled)
        return SPECS.warning(
            f"{listed(doubled)} is described by {paths}",
            "The one in /var/run/cdi wins over /etc/cdi; two that differ, or two of one folder, end in a conflict "
            "at the next upgrade.",
            "Keep the one that is refreshed.",
            tuple(f"rm {spec.path}" for spec in view.cdi if spec.kind in doubled and spec.path.startswith("/etc/")),
        )
    versioned = all(spec.versions for spec in view.cdi)
    if not versioned:
        return SPECS.unknown(f"{listed(spec.path for spec in view.cdi)} names no library with a version, to compare")
    return SPECS.ok(f"{listed(spec.path for spec in view.cdi)} for driver {loaded}")


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("~")[0].split("-")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())


CHECKS = (runtime, toolkit, specs)
