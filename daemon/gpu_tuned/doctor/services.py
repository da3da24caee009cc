"""Services: who else sets GPUs, who keeps them ready, who starts before the settings are in force."""

from __future__ import annotations

from gpu_tuned.core.host_view import GpuView, HostView, Place
from gpu_tuned.core.model import ComputeMode, Unread
from gpu_tuned.core.rivals import RIVALS
from gpu_tuned.core.verdict import Finding
from gpu_tuned.core.words import counted, listed
from gpu_tuned.doctor.say import Check

KEEPERS = Check("persistence-services", "persistence services")
OTHERS = Check("rivals", "other writers")
ORDER = Check("start-order", "start order")
FILES = Check("open-files", "limit of open files")
REST = Check("leftovers", "settings from before")
SHARING = Check("mps", "MPS")

TARGET = "gpu-tuned.target"
SETTLED = frozenset({TARGET, "gpu-tuned-wait.service", "gpu-tuned.service"})
"""What a service may be ordered after: the daemon too says ready only after its first pass."""
ENGINES = frozenset({"docker.service", "containerd.service"})
"""Start containers; a matter of GPUs only where NVIDIA's toolkit is installed."""
PERSISTENCED = ("nvidia-persistenced.service", "gpu-tuned-persistenced.service")
MOST_FILES = 1 << 20
"""Open files up to which the persistence daemon's client library stays quick. Docker's old LimitNOFILE=infinity is a
thousand times that."""
OUTSIDE = "services are the host's, and this is a container"


def keepers(host: HostView) -> Finding:
    """One persistence daemon at most, and none of the guide's own make."""
    services = host.services
    if isinstance(services.running, Unread):
        return KEEPERS.unknown(OUTSIDE if host.place is Place.CONTAINER else services.running)
    if isinstance(services.units, Unread):
        return KEEPERS.unknown(services.units)
    running = [unit for unit in PERSISTENCED if unit in services.running]
    own = next((u for u in services.units if u.name == PERSISTENCED[0] and u.path.startswith("/etc/")), None)
    why = "Each makes the socket of the other its own, and a stop of one lets go of what the other was to keep."
    if len(running) > 1:
        return KEEPERS.warning(
            f"{listed(running)} both run", why, "Keep the distribution's, or ours; not both.",
            ("systemctl disable --now gpu-tuned-persistenced",),
        )  # fmt: skip
    if own is not None:
        return KEEPERS.warning(
            f"{own.path} takes the place of the distribution's own unit",
            "Written by hand after a guide, it starts late (after multi-user.target) and, with persistence held by "
            "gpu-tuned, does nothing more. It also hides what the package brings with an upgrade.",
            "Let gpu-tuned hold persistence mode, and move the file away; init does both and can be undone.",
            ("gpu-tunedctl init --write",),
        )
    return KEEPERS.ok(f"{running[0]} runs" if running else "none runs; persistence mode is a setting of gpu-tuned")


def others(host: HostView) -> Finding:
    """Services known to set what gpu-tuned sets."""
    running = host.services.running
    if isinstance(running, Unread):
        return OTHERS.unknown(OUTSIDE if host.place is Place.CONTAINER else running)
    here = [rival for rival in RIVALS if rival.unit in running]
    writers = [rival for rival in here if rival.by_itself]
    if writers:
        return OTHERS.warning(
            "; ".join(f"{rival} runs and writes by itself: {rival.by_itself}" for rival in writers),
            "Of two writers the later one wins, and the limit in force is a matter of luck.",
            "Leave settings to one of them: `watch` in the policy, or end the other.",
            tuple(f"systemctl disable --now {rival.unit}" for rival in writers),
        )
    if here:
        return OTHERS.ok("; ".join(f"{rival} runs, and writes only when asked to" for rival in here))
    return OTHERS.ok("none that is known runs")


def order(host: HostView) -> Finding:
    """Services that use GPUs start after gpu-tuned.target, so that the first program finds the settings in force."""
    services = host.services
    if isinstance(services.units, Unread):
        return ORDER.unknown(OUTSIDE if host.place is Place.CONTAINER else services.units)
    if not any(unit.name == "gpu-tuned.service" and unit.enabled for unit in services.units):
        return ORDER.ok("gpu-tuned is not enabled here, so there is nothing to wait for")
    with_toolkit = isinstance(host.containers.toolkit, str)
    users = [u for u in services.units if u.gpu_user and u.enabled and (with_toolkit or u.name not in ENGINES)]
    ahead = frozenset(name for unit in services.units if unit.name in SETTLED for name in unit.before)
    early = [unit for unit in users if not unit.after & SETTLED and unit.name not in ahead]
    hidden = [unit.name for unit in services.units if unit.unread and unit.enabled and unit.name not in SETTLED]
    if hidden and not early:
        return ORDER.unknown(f"units whose files cannot be read may use the GPUs: {listed(hidden)}")
    if not users:
        return ORDER.ok("no enabled service is known to use the GPUs")
    if not early:
        return ORDER.ok(f"{listed(unit.name for unit in users)} after {TARGET}")
    commands: list[str] = []
    for unit in early:
        folder = f"/etc/systemd/system/{unit.name}.d"
        if unit.path.endswith(".container"):
            folder = f"{unit.path}.d"
        commands.append(
            f"mkdir -p {folder} && printf '[Unit]\\nWants={TARGET}\\nAfter={TARGET}\\n' > {folder}/gpu-tuned.conf"
        )
    return ORDER.warning(
        f"{listed(f'{unit.name} ({unit.gpu_user})' for unit in early)} may start before {TARGET}",
        "Its first program may run before power limits and clocks are in force; a limit that is to save a fuse "
        "comes too late.",
        f"Say Wants={TARGET} and After={TARGET} in the unit. A daemon-reload makes systemd see it; where containers "
        "have GPUs in legacy mode (see there) let the next boot do that.",
        (*commands, "systemctl daemon-reload"),
    )


def files(host: HostView) -> Finding:
    """A huge limit of open files makes the persistence daemon's client allocate for every one of them."""
    services = host.services
    if isinstance(services.nofile, Unread):
        return FILES.unknown(OUTSIDE if host.place is Place.CONTAINER else services.nofile)
    if isinstance(services.persistenced_socket, Unread):
        return FILES.unknown(services.persistenced_socket)
    huge = {name: limit for name, limit in services.nofile.items() if limit > MOST_FILES}
    if not huge:
        return FILES.ok(f"{max(services.nofile.values(), default=0)} at most")
    told = listed(f"{name} {limit}" for name, limit in huge.items())
    if not services.persistenced_socket:
        return FILES.ok(f"{told}: harmless without nvidia-persistenced's socket")
    commands = tuple(
        f"mkdir -p /etc/systemd/system/{unit}.d && printf '[Service]\\nLimitNOFILE=1048576\\n' > "
        f"/etc/systemd/system/{unit}.d/nofile.conf"
        for name, unit in (("dockerd", "docker.service"), ("containerd", "containerd.service"),
                           ("gpu-tuned", "gpu-tuned.service"))
        if name in huge
    )  # fmt: skip
    return FILES.warning(
        f"soft limit of open files: {told}; nvidia-persistenced's socket is there",
        "The driver's client of that socket reserves memory by this limit: gigabytes, and half a minute, at the "
        "start of each program.",
        "Lower the limit in the service's unit (LimitNOFILE=1048576).",
        commands,
    )


def leftovers(host: HostView) -> Finding:
    """Scripts, units and cron jobs that set GPUs from before gpu-tuned; `init` reads them and takes them over."""
    found = host.services.leftovers
    if isinstance(found, Unread):
        return REST.unknown(OUTSIDE if host.place is Place.CONTAINER else found)
    if not found:
        return REST.ok("no unit, cron job or boot script that sets a GPU was found")
    return REST.warning(
        f"set GPUs at boot: {listed(found)}",
        "They write at boot what the policy may say otherwise; which one is last is chance.",
        "Let init read them and make a policy of them; it moves them to a backup, and can be undone.",
        ("gpu-tunedctl init", "gpu-tunedctl init --write"),
    )


def mps(host: HostView) -> Finding:
    """Exclusive process mode and MPS belong together; a pipe without a daemon refuses its clients."""
    services = host.services
    if isinstance(host.gpus, Unread):
        return SHARING.unknown(host.gpus)
    if isinstance(services.mps_runs, Unread):
        return SHARING.unknown(OUTSIDE if host.place is Place.CONTAINER else services.mps_runs)
    told = [gpu for gpu in host.gpus if not isinstance(gpu.compute_mode, Unread)]
    exclusive = [gpu.gpu.pci for gpu in told if gpu.compute_mode is ComputeMode.EXCLUSIVE_PROCESS]
    if services.mps_runs:
        return SHARING.ok("its control daemon runs" + ("" if exclusive else "; compute mode is default"))
    if exclusive:
        taken = sum(gpu.gpu.pci in exclusive and bool(_processes(gpu)) for gpu in told)
        return SHARING.warning(
            f"{counted(len(exclusive), 'GPU')} in exclusive process mode, {taken} of them taken, and no MPS control "
            "daemon is seen",
            "The GPU takes one process and refuses the next (error 46, devices unavailable): the second container "
            "does not start.",
            'Start MPS, or set compute_mode = "default".',
            ("systemctl enable --now gpu-tuned-mps", '# or, in the policy: compute_mode = "default"'),
            exclusive,
        )
    if isinstance(services.mps_pipe, str):
        return SHARING.warning(
            f"{services.mps_pipe} is there, and no control daemon runs",
            "A CUDA program that finds the pipe's folder by CUDA_MPS_PIPE_DIRECTORY fails or waits instead of using "
            "the GPU directly.",
            "Remove what a killed daemon left, or start it again.",
            (f"rm -r {services.mps_pipe.rpartition('/')[0]}", "# or: systemctl start gpu-tuned-mps"),
        )
    if len(told) < len(host.gpus):
        return SHARING.unknown("the driver does not tell every GPU's compute mode")
    shared = [gpu.gpu.pci for gpu in told if _processes(gpu) > 1]
    slices = f"; {len(shared)} with several processes, which take turns" if shared else ""
    return SHARING.ok(f"not in use, and no GPU is exclusive{slices}")


def _processes(gpu: GpuView) -> int:
    """Compute processes on a GPU; 0 where the driver does not tell them."""
    return 0 if isinstance(gpu.compute_processes, Unread) else gpu.compute_processes


CHECKS = (keepers, others, order, files, leftovers, mps)
