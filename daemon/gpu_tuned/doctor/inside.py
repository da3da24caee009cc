"""One container from within: did it get the GPUs that it was to have, and can it use them."""

from __future__ import annotations

from collections.abc import Callable

from gpu_tuned.core.container_view import ContainerView
from gpu_tuned.core.model import Unread
from gpu_tuned.core.verdict import Diagnosis, Finding
from gpu_tuned.core.words import counted, listed
from gpu_tuned.doctor.say import Check

DEVICES = Check("container-devices", "device files within")
DRIVER = Check("container-driver", "driver within")
CAPABILITIES = Check("container-capabilities", "driver capabilities")
VISIBLE = Check("container-visible", "visible GPUs")
SHARING = Check("container-mps", "MPS within")

DETACHED = "Unknown Error"
"""The end of nvidia-smi's words where the control group no longer lets the device files be opened."""
NOBODY = ("", "void", "none")
NEEDED = ("compute", "utility")


def devices(view: ContainerView) -> Finding:
    """Device files /dev/nvidia0 and on, which CUDA opens."""
    if isinstance(view.devices, Unread):
        return DEVICES.unknown(view.devices)
    boards = [name for name in view.devices if name.removeprefix("nvidia").isdigit()]
    asked = listed(view.asked) if view.asked else "no GPU"
    if boards and "nvidiactl" in view.devices:
        if "nvidia-uvm" not in view.devices:
            return DEVICES.trouble(
                f"{listed(boards)} without nvidia-uvm",
                "CUDA does not start without it (error 999, unknown).",
                "Load the module on the host and start the container anew.",
                ("modprobe nvidia-uvm", f"{view.engine} restart {view.name}"),
            )
        return DEVICES.ok(f"{listed(boards)}; asked for: {asked}")
    if not view.asked:
        return DEVICES.trouble(
            "none, and none was asked for",
            "The container has no GPU; a program falls back to the processor, or fails.",
            "Ask for one: --device nvidia.com/gpu=all (CDI), --gpus all, or devices in the Compose file.",
        )
    return DEVICES.trouble(
        f"none, although {asked} was asked for",
        "The runtime did not add them: it is not NVIDIA's, or a variable in the image took them away.",
        "See which runtime and mode the engine uses, and whether NVIDIA_VISIBLE_DEVICES is empty or void.",
        (f"{view.engine} inspect {view.name}", "gpu-tunedctl doctor"),
    )


def driver(view: ContainerView) -> Finding:
    """`nvidia-smi -L` within, as the container's programs would meet the driver."""
    if isinstance(view.gpus, Unread):
        if DETACHED in view.gpus.why:
            return DRIVER.trouble(
                view.gpus.why,
                "The container had its GPUs and lost them: a daemon-reload made systemd forget what the legacy hook "
                "had allowed (nvidia-container-toolkit#48). What is open goes on; nothing new starts.",
                "Make the container anew, and use CDI so that it does not come back.",
                (
                    f"{view.engine} restart {view.name}",
                    "nvidia-ctk config --in-place --set nvidia-container-runtime.mode=cdi",
                ),
            )
        if "mismatch" in view.gpus.why:
            return DRIVER.trouble(
                view.gpus.why,
                "The driver was upgraded on the host since this container was started; it still has the old library.",
                "Make the container anew; with CDI make its files anew first.",
                ("gpu-tunedctl doctor", f"{view.engine} restart {view.name}"),
            )
        return DRIVER.unknown(view.gpus)
    if not view.gpus:
        return DRIVER.trouble("it answers and lists no GPU", "No program here finds one.", "See the device files.")
    return DRIVER.ok(counted(len(view.gpus), "GPU"))


def capabilities(view: ContainerView) -> Finding:
    """NVIDIA_DRIVER_CAPABILITIES: which parts of the driver the legacy runtime adds. CDI adds all."""
    if view.cdi:
        return CAPABILITIES.ok("all, by CDI")
    told = view.environment.get("NVIDIA_DRIVER_CAPABILITIES")
    if told is None:
        return CAPABILITIES.ok("not set: compute and utility are the default")
    words = {word.strip() for word in told.split(",")}
    lacking = [] if "all" in words else [word for word in NEEDED if word not in words]
    if lacking:
        return CAPABILITIES.warning(
            f"{told!r} lacks {listed(lacking)}",
            "Without compute there is no libcuda.so within; without utility no nvidia-smi, so nothing can be "
            "checked.",
            "Set NVIDIA_DRIVER_CAPABILITIES=compute,utility in the Compose file or command.",
        )
    return CAPABILITIES.ok(told)


def visible(view: ContainerView) -> Finding:
    """CUDA_VISIBLE_DEVICES counts the GPUs within the container, from 0, whatever they are on the host."""
    cuda = view.environment.get("CUDA_VISIBLE_DEVICES")
    nvidia = view.environment.get("NVIDIA_VISIBLE_DEVICES")
    if nvidia is not None and nvidia in NOBODY and not view.cdi and not view.asked:
        return VISIBLE.trouble(
            f"NVIDIA_VISIBLE_DEVICES is {nvidia!r}", "That means: no GPU.", "Set it to all, or to ids.",
        )  # fmt: skip
    if cuda is None:
        return VISIBLE.ok("CUDA_VISIBLE_DEVICES is not set: all that is there")
    if isinstance(view.gpus, Unread):
        return VISIBLE.unknown(f"CUDA_VISIBLE_DEVICES is {cuda!r}; how many GPUs there are is not known")
    words = [word.strip() for word in cuda.split(",")]
    wrong = [word for word in words if not _names(word, view.gpus)]
    if wrong:
        return VISIBLE.trouble(
            f"CUDA_VISIBLE_DEVICES={cuda} with {len(view.gpus)} GPUs within: {listed(repr(word) for word in wrong)} "
            "is none",
            "CUDA stops counting at the first that does not exist: the GPUs after it are not there either.",
            "Within a container GPUs are counted from 0 again; leave the variable out, or count so.",
        )
    return VISIBLE.ok(f"CUDA_VISIBLE_DEVICES={cuda} of {len(view.gpus)}")


def _names(word: str, gpus: tuple[str, ...]) -> bool:
    if word.isdigit():
        return int(word) < len(gpus)
    return word.startswith(("GPU-", "MIG-")) and any(word in line for line in gpus)


def mps(view: ContainerView) -> Finding:
    """A client of MPS needs the pipes' folder from the host and shared memory with the server."""
    folder = view.environment.get("CUDA_MPS_PIPE_DIRECTORY")
    if folder is None:
        return SHARING.ok("not asked for")
    lacking = (
        [] if any(_below(folder, mount) for mount in view.mounts) else [f"{folder} is not mounted from the host"]
    )
    if not view.shares_ipc:
        lacking.append("memory is not shared with the host (ipc)")
    if lacking:
        return SHARING.warning(
            f"CUDA_MPS_PIPE_DIRECTORY={folder}, but {listed(lacking)}",
            "The program does not reach the MPS server: with an exclusive GPU it fails, else it waits or runs "
            "beside it.",
            "Mount the folder and say ipc: host.",
        )
    return SHARING.ok(f"{folder} and shared memory are the host's")


def _below(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount.rstrip("/") + "/")


CHECKS: tuple[Callable[[ContainerView], Finding], ...] = (devices, driver, capabilities, visible, mps)


def examine_inside(view: ContainerView, took_s: float = 0.0) -> Diagnosis:
    """Every check's finding; of a container that does not run only that."""
    if not view.running:
        return Diagnosis((DEVICES.unknown(f"{view.name} does not run"),), took_s)
    return Diagnosis(tuple(check(view) for check in CHECKS), took_s)
