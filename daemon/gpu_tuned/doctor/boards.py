"""The GPUs themselves: all there, kept ready, cool, and not held down from outside."""

from __future__ import annotations

from gpu_tuned.core.host_view import GpuView, HostView, Late, Place
from gpu_tuned.core.model import Unread, watts
from gpu_tuned.core.throttle import Reason
from gpu_tuned.core.verdict import Finding, Verdict
from gpu_tuned.core.words import listed
from gpu_tuned.doctor.reference import reference_for
from gpu_tuned.doctor.say import Check, One, together

SEEN = Check("gpus-seen", "GPUs expected and seen")
PERSISTENCE = Check("persistence", "persistence mode")
HEAT = Check("temperature", "temperature headroom")
HELD = Check("held-down", "held down from outside")
RECOVERY = Check("recovery", "recovery asked for")

NEAR_LIMIT_C = 5
"""So few degrees below the highest operating temperature, a warning: the next warm day throttles."""
BUSY_PERCENT = 90
HELD_SHARE = 0.75
"""Under load and with no reason given, a clock below this share of the board's highest is somebody's lock. Boost
alone stays above it: a 5090 boosts to 92 % of its highest."""
ACTIONS = {1: "a GPU reset", 2: "a reboot of the node", 3: "that peer-to-peer traffic be drained",
           4: "that the node be drained, and a GPU reset"}  # fmt: skip
"""Field 230 (nvmlDeviceGpuRecoveryAction_t), as far as releases of the binding agree on the numbers."""


def seen(host: HostView) -> Finding:
    """GPUs on the bus, GPUs of the driver, GPUs that the policy expects: one number."""
    problems: list[str] = []
    if isinstance(host.gpus, Unread):
        asleep = isinstance(host.pci, tuple) and any(device.asleep for device in host.pci)
        if isinstance(host.gpus, Late):
            return SEEN.warning(
                host.gpus.why,
                "It hangs, or it is starting GPUs that nothing keeps ready (without persistence mode that takes a "
                "second or two for each).",
                "Ask again: a driver that hangs will not answer then either, and the kernel's log says why.",
                ("gpu-tunedctl doctor", "journalctl -k -b -g NVRM"),
            )
        outside = host.place is Place.CONTAINER  # which sees the host's bus, and may have been given no GPU
        if isinstance(host.pci, tuple) and host.pci and host.driver.loaded and not asleep and not outside:
            return SEEN.trouble(
                f"{len(host.pci)} on the PCI bus, and the driver does not answer: {host.gpus.why}",
                "What the driver does not give, nobody can use.",
                "Read what the kernel says of it.", ("journalctl -k -b -g NVRM",),
            )  # fmt: skip
        return SEEN.unknown(host.gpus)
    by_driver = {gpu.gpu.pci for gpu in host.gpus}
    problems += [f"GPU {index} of the driver cannot be used: {why}" for index, why in host.left_out.items()]
    missing = sorted(_due(host) - by_driver)
    if missing and not host.left_out and host.root:
        problems.append(f"on the bus, and not named by the driver: {listed(missing)}")
    if host.expected.gpus is not None and len(by_driver) < host.expected.gpus:
        problems.append(f"{len(by_driver)} answer where the policy expects {host.expected.gpus}")
    names = {text.lower() for gpu in host.gpus for text in (gpu.gpu.uuid, gpu.gpu.pci)}
    absent = [name for name in host.expected.named if name.lower() not in names]
    if absent:
        problems.append(f"named by the policy, and not here: {listed(absent)}")
    if problems:
        return SEEN.trouble(
            "; ".join(problems),
            "A GPU that fell off the bus, lost its power, or has its slot in another place now does no work.",
            "Look for Xid 79 in the kernel's log; a full power-off often brings it back. Where the hardware was "
            "changed, change the policy.",
            ("lspci -d 10de: -nn", "journalctl -k -b -g 'NVRM|AER'"),
        )
    if not by_driver:
        return SEEN.unknown("the driver answers and names no GPU")
    if missing:
        return SEEN.unknown(
            f"on the bus, and not named by the driver: {listed(missing)}; root may be allowed to open what this user "
            "is not"
        )
    if isinstance(host.pci, Unread) and host.expected.gpus is None:
        return SEEN.ok(f"{len(by_driver)} by the driver; the PCI bus cannot be seen from here, to compare")
    return SEEN.ok(f"{len(by_driver)}")


def _due(host: HostView) -> set[str]:
    """Addresses that the driver has to name: those it has, but for those that sleep or that it was told to leave
    alone. A container sees the bus of its host, and has the GPUs that it was given."""
    if isinstance(host.pci, Unread) or host.place is Place.CONTAINER:
        return set()
    return {device.pci for device in host.pci if device.driver == "nvidia" and not (device.excluded or device.asleep)}


def persistence(host: HostView) -> Finding:
    """Persistence by the driver's word. A display keeps a GPU ready as well, and a laptop's may sleep."""
    if isinstance(host.gpus, Unread):
        return PERSISTENCE.unknown(host.gpus)
    return together(
        PERSISTENCE,
        [_persistence(host, gpu) for gpu in host.gpus],
        "Without it the driver shuts the GPU down when the last program leaves: the next one waits for the start, "
        "and power limit, clock locks and compute mode are back at the defaults.",
        "Have gpu-tuned hold it: persistence_mode = true in a [[gpu]] rule (what the first policy does).",
        ("gpu-tunedctl init --write", "systemctl enable --now gpu-tuned"),
    )


def _persistence(host: HostView, gpu: GpuView) -> One:
    pci, mode = gpu.gpu.pci, gpu.persistence
    if isinstance(mode, Unread):
        return One(pci, Verdict.UNKNOWN, f"the driver does not tell it ({mode.why})")
    if mode:
        return One(pci, Verdict.OK, "on")
    if host.laptop:
        return One(pci, Verdict.OK, "off, so that a laptop's GPU can sleep")
    if host.place is Place.WSL:
        return One(pci, Verdict.OK, "off; under WSL it is Windows that keeps the driver loaded")
    if gpu.display is True:
        return One(pci, Verdict.OK, "off; a display keeps the GPU ready")
    return One(pci, Verdict.WARNING, "off")


def temperature(host: HostView) -> Finding:
    """Degrees left, and whether the driver holds clocks down for heat or supply right now."""
    if isinstance(host.gpus, Unread):
        return HEAT.unknown(host.gpus)
    return together(
        HEAT,
        [_temperature(gpu) for gpu in host.gpus],
        "From its limit on, the board lowers its clocks by itself; at the next one it shuts down.",
        "Look at fans, filters, and what the neighbour blows at it; a power limit (power_limit_w) takes heat out "
        "for certain. `gpu-tunedctl throttle` says for how long it has been so.",
        ("gpu-tunedctl throttle",),
    )


def _temperature(gpu: GpuView) -> One:
    pci = gpu.gpu.pci
    now, limit, slowdown = gpu.temperature_c, gpu.max_operating_c, gpu.slowdown_c
    if isinstance(gpu.reasons, int):
        faults = [reason.label for reason in (Reason.HW_THERMAL, Reason.HW_POWER_BRAKE, Reason.SW_THERMAL)
                  if gpu.reasons & reason.bit]  # fmt: skip
        if faults:
            at = f" at {now} C" if isinstance(now, int) else ""
            return One(pci, Verdict.TROUBLE, f"slowed down now: {listed(faults)}{at}")
    if isinstance(now, Unread):
        return One(pci, Verdict.UNKNOWN, f"the driver does not tell it ({now.why})")
    top = limit if isinstance(limit, int) and limit > 0 else slowdown
    if not isinstance(top, int) or top <= 0:
        return One(pci, Verdict.UNKNOWN, f"{now} C; the board's limit is not told")
    if now > top - NEAR_LIMIT_C:
        return One(pci, Verdict.WARNING, f"{now} C of {top} C")
    return One(pci, Verdict.OK, f"{now} C of {top} C")


def held_down(host: HostView) -> Finding:
    """Limits and clocks that somebody outside of this host holds down: a rented board's owner, a BMC, a rack's
    manager."""
    if isinstance(host.gpus, Unread):
        return HELD.unknown(host.gpus)
    return together(
        HELD,
        [_held(host, gpu) for gpu in host.gpus],
        "No setting here can raise what is held down from outside: the board does less than its model's name says.",
        "Ask whoever runs the machine below (the provider, the BMC's power cap, the rack's power manager). Writers "
        'on this host are named by the check "other writers".',
        ("nvidia-smi -q -d POWER,CLOCK,PERFORMANCE",),
    )


def _held(host: HostView, gpu: GpuView) -> One:
    pci, found = gpu.gpu.pci, []
    reference = reference_for(gpu.gpu.name)
    if reference is not None and gpu.power is not None and gpu.power.default_mw < reference.default_w * 1000:
        found.append(f"default limit {watts(gpu.power.default_mw)} W, where the model has {reference.default_w} W")
    shared = host.laptop or "Laptop" in gpu.gpu.name  # its firmware shares the watts out between the chips
    asked, in_force = gpu.requested_mw, gpu.enforced_mw
    if isinstance(asked, int) and isinstance(in_force, int) and in_force < asked and not shared:
        found.append(f"limit {watts(asked)} W asked for, {watts(in_force)} W in force")
    top = gpu.max_gpu_mhz
    if reference is not None and isinstance(top, int) and 0 < top < reference.max_gpu_mhz * 0.95:
        found.append(f"highest clock {top} MHz, where the model has {reference.max_gpu_mhz} MHz")
    locked = _flat_under_load(gpu)
    if locked and not host.expected.locks_clocks:
        found.append(f"{gpu.gpu_clock_mhz} of {top} MHz under load, and the driver names no reason: a clock lock")
    if found:
        return One(pci, Verdict.WARNING, "; ".join(found))
    if gpu.power is None or isinstance(asked, Unread) or isinstance(in_force, Unread):
        return One(pci, Verdict.UNKNOWN, "the driver does not tell limits of this board")
    known = reference is not None
    model = "default limit and highest clock are the model's" if known else "what the model has is not known here"
    if in_force < asked:
        return One(pci, Verdict.OK, f"limit {watts(in_force)} W now, as the laptop's firmware shares the watts out")
    return One(pci, Verdict.OK, f"limit {watts(in_force)} W, as asked for; {model}")


def _flat_under_load(gpu: GpuView) -> bool:
    facts = (gpu.utilization_percent, gpu.reasons, gpu.gpu_clock_mhz, gpu.max_gpu_mhz)
    busy, reasons, clock, top = (fact if isinstance(fact, int) else None for fact in facts)
    if busy is None or reasons is None or clock is None or not top:
        return False
    return busy >= BUSY_PERCENT and reasons == 0 and clock < HELD_SHARE * top


def recovery(host: HostView) -> Finding:
    """What the driver itself asks for (R570 and later)."""
    if isinstance(host.gpus, Unread):
        return RECOVERY.unknown(host.gpus)
    ones = []
    for gpu in host.gpus:
        action = gpu.recovery_action
        if isinstance(action, Unread):
            ones.append(One(gpu.gpu.pci, Verdict.UNKNOWN, f"the driver does not tell it ({action.why})"))
        elif action:
            wanted = ACTIONS.get(action, f"recovery action {action}, which is new here")
            ones.append(One(gpu.gpu.pci, Verdict.TROUBLE, f"the driver asks for {wanted}"))
        else:
            ones.append(One(gpu.gpu.pci, Verdict.OK, "nothing"))
    return together(
        RECOVERY, ones,
        "An error has left the GPU in a state that new work should not meet.",
        "Let the work end, then do what the driver asks for.",
        ("gpu-tunedctl release --all", "nvidia-smi --gpu-reset -i GPU", "gpu-tunedctl resume"),
    )  # fmt: skip


CHECKS = (seen, recovery, persistence, temperature, held_down)
