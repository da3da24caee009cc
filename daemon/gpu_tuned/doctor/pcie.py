"""PCIe: is the link as wide and as fast as board and slot allow, does it repeat itself, are the BARs where they
belong."""

from __future__ import annotations

from gpu_tuned.core.host_view import GpuView, HostView, LinkSample, PciGpu, Place
from gpu_tuned.core.model import Unread
from gpu_tuned.core.verdict import Finding, Verdict
from gpu_tuned.doctor.say import Check, One, first_unread, together

WIDTH = Check("pcie-width", "PCIe width")
GENERATION = Check("pcie-generation", "PCIe generation")
ERRORS = Check("pcie-errors", "PCIe link errors")
BAR = Check("resizable-bar", "Resizable BAR")
ABOVE_4G = Check("above-4g", "Above 4G decoding")

BUSY_SAMPLES = 3
"""So many samples under load, at least, before a generation is judged: one may have been taken at the change."""
TURING, UNKNOWN_ARCHITECTURE = 6, 0xFFFFFFFF
FOUR_GIB = 1 << 32
CORRECTED_AN_HOUR = 60.0
"""Corrected link errors an hour. The specification allows some (a bit error rate of 1e-12); one a minute is no longer
chance. Inference, not measured."""
REPLAYS_IN_A_LOOK = 2


def width(host: HostView) -> Finding:
    """Lanes in use against those that board, slot and policy call for. Width does not idle down."""
    if isinstance(host.gpus, Unread):
        return WIDTH.unknown(host.gpus)
    by_pci = {} if isinstance(host.pci, Unread) else {device.pci: device for device in host.pci}
    return together(
        WIDTH,
        [_width(host, gpu, by_pci.get(gpu.gpu.pci)) for gpu in host.gpus],
        "Half the lanes are half the rate between host and GPU: models load slower, and several GPUs exchange "
        "slower. Computing on the card itself is not touched.",
        "Reseat the card and look at the slot: the manual says which slots share lanes (bifurcation, an M.2 slot). "
        "If it is meant to be so, say it in the policy: [host] pcie_width = N.",
        ("lspci -vv -s ADDRESS | grep -E 'LnkCap|LnkSta'",),
    )


def _width(host: HostView, gpu: GpuView, device: PciGpu | None) -> One:
    pci = gpu.gpu.pci
    if isinstance(gpu.links, Unread) or not gpu.links:
        why = gpu.links.why if isinstance(gpu.links, Unread) else "no sample"
        return One(pci, Verdict.UNKNOWN, f"the driver does not tell the width ({why})")
    now = min(sample.width for sample in gpu.links)
    expected = host.expected.pcie_width
    if expected is not None:
        if now >= expected:
            return One(pci, Verdict.OK, f"x{now}, expected x{expected}")
        return One(pci, Verdict.WARNING, f"x{now}, where the policy expects x{expected}")
    most = gpu.max_width
    board = device.board_width if device is not None else None
    # A laptop's board is wired narrower than its chip could be, and a virtual machine's root port says anything.
    if isinstance(board, int) and host.place is Place.METAL and not host.laptop:
        most = max(board, most) if isinstance(most, int) else board
    if isinstance(most, Unread):
        return One(pci, Verdict.UNKNOWN, f"x{now}; what it could be is not told ({most.why})")
    if now < most:
        return One(pci, Verdict.WARNING, f"x{now} of x{most}")
    return One(pci, Verdict.OK, f"x{now}")


def generation(host: HostView) -> Finding:
    """The generation under load against what board and slot can do. Idle links drop by design and say nothing."""
    if isinstance(host.gpus, Unread):
        return GENERATION.unknown(host.gpus)
    return together(
        GENERATION,
        [_generation(gpu) for gpu in host.gpus],
        "Each generation less halves the rate between host and GPU.",
        "Set the slot's PCIe speed in the firmware setup to Auto or to the board's generation; try without a riser "
        "cable; then look at the link errors.",
        ("lspci -vv -s ADDRESS | grep -E 'LnkCap|LnkSta'",),
    )


def _generation(gpu: GpuView) -> One:
    pci = gpu.gpu.pci
    unread = first_unread(gpu.links, gpu.max_generation)
    if unread is not None or isinstance(gpu.links, Unread) or isinstance(gpu.max_generation, Unread):
        return One(pci, Verdict.UNKNOWN, f"the driver does not tell it ({unread.why if unread else ''})")
    most = gpu.max_generation
    highest = max(sample.generation for sample in gpu.links)
    busy = [sample for sample in gpu.links if sample.busy]
    board = gpu.board_generation
    slot = f"; the board could do {board}, the slot cannot" if isinstance(board, int) and board > most else ""
    if highest >= most:  # seen at its best, and be it for a moment: it can
        return One(pci, Verdict.OK, f"generation {highest}{slot}")
    if len(busy) < BUSY_SAMPLES:
        return One(
            pci,
            Verdict.UNKNOWN,
            f"generation {highest} of {most} while idle, which is normal; judged under load only",
        )
    return One(pci, Verdict.WARNING, f"generation {_best(busy)} of {most} under load, in {len(busy)} samples")


def _best(samples: list[LinkSample]) -> int:
    return max(sample.generation for sample in samples)


def errors(host: HostView) -> Finding:
    """Link errors by their rate: replays within this look, and the kernel's AER totals over the time since boot."""
    by_pci = {} if isinstance(host.pci, Unread) else {device.pci: device for device in host.pci}
    gpus = {} if isinstance(host.gpus, Unread) else {gpu.gpu.pci: gpu for gpu in host.gpus}
    everyone = sorted({*by_pci, *gpus})
    if not everyone:
        return ERRORS.unknown(host.gpus if isinstance(host.gpus, Unread) else "no GPU can be looked at")
    return together(
        ERRORS,
        [_errors(host, pci, gpus.get(pci), by_pci.get(pci)) for pci in everyone],
        "A link that repeats its packets is slow, and one that loses them takes the GPU off the bus (Xid 79).",
        "Reseat the card and its power plugs, try without a riser cable, update the board's firmware; if it stays, "
        "set the slot one generation lower.",
        ("journalctl -k -b -g 'AER|PCIe Bus Error'",),
    )


def _errors(host: HostView, pci: str, gpu: GpuView | None, device: PciGpu | None) -> One:
    seen: list[str] = []
    verdict: Verdict | None = None
    if gpu is not None and not isinstance(gpu.replays, Unread):
        first, last = gpu.replays
        fresh = last - first
        seen.append(f"{fresh} replays in {gpu.looked_s:.1f} s" if fresh else "no replay while looking")
        verdict = Verdict.WARNING if fresh >= REPLAYS_IN_A_LOOK else Verdict.OK
    if device is not None and not isinstance(device.errors, Unread):
        totals = device.errors
        fatal, lost, corrected = (totals.get(kind, 0) for kind in ("fatal", "nonfatal", "correctable"))
        if fatal or lost:
            return One(pci, Verdict.TROUBLE, f"{fatal} fatal and {lost} other uncorrected errors since boot")
        if corrected and isinstance(host.uptime_s, Unread):
            seen.append(f"{corrected} corrected errors, over an unknown time")
        elif not isinstance(host.uptime_s, Unread):
            rate = corrected / max(host.uptime_s / 3600, 1 / 60)
            seen.append(f"{corrected} corrected errors since boot" + (f", {rate:.0f} an hour" if corrected else ""))
            if rate > CORRECTED_AN_HOUR and corrected > REPLAYS_IN_A_LOOK:
                return One(pci, Verdict.WARNING, ", ".join(seen))
            verdict = verdict or Verdict.OK
    if verdict is None:
        return One(pci, Verdict.UNKNOWN, ", ".join(seen) or "neither the driver nor the kernel counts errors here")
    return One(pci, verdict, ", ".join(seen))


def resizable_bar(host: HostView) -> Finding:
    """BAR1 against the memory behind it. Boards before Ampere have no Resizable BAR, and lack nothing."""
    if isinstance(host.gpus, Unread):
        return BAR.unknown(host.gpus)
    by_pci = {} if isinstance(host.pci, Unread) else {device.pci: device for device in host.pci}
    return together(
        BAR,
        [_bar(host, gpu, by_pci.get(gpu.gpu.pci)) for gpu in host.gpus],
        "Without it the host reaches 256 MiB of the GPU's memory at a time. Peer-to-peer between GPUs needs it; "
        "what it gives to inference on one GPU is little, and not measured here.",
        'In the firmware setup turn on "Above 4G Decoding" and "Resizable BAR" (CSM off); a virtual machine needs a '
        "large enough 64-bit window.",
    )


def _bar(host: HostView, gpu: GpuView, device: PciGpu | None) -> One:
    pci = gpu.gpu.pci
    if isinstance(gpu.bar1_mib, Unread):
        return One(pci, Verdict.UNKNOWN, f"the driver does not tell the size of BAR1 ({gpu.bar1_mib.why})")
    if isinstance(gpu.memory_mib, Unread):
        return One(pci, Verdict.UNKNOWN, f"the memory's size is not told ({gpu.memory_mib.why})")
    if gpu.bar1_mib >= gpu.memory_mib:
        return One(pci, Verdict.OK, f"on: BAR1 {_size(gpu.bar1_mib)} for {_size(gpu.memory_mib)}")
    small = f"BAR1 {_size(gpu.bar1_mib)} for {_size(gpu.memory_mib)} of memory"
    can = device.resize_mib if device is not None else Unread("")
    if isinstance(can, tuple):
        if not can or max(can) <= gpu.bar1_mib:
            return One(pci, Verdict.OK, f"{small}: this board's largest")
        return One(pci, Verdict.WARNING, f"off: {small}; the board can do {_size(max(can))}")
    if host.place is Place.VM:
        return One(pci, Verdict.UNKNOWN, f"{small}; how much more the virtual machine could be given is not told")
    if gpu.architecture is None or gpu.architecture == UNKNOWN_ARCHITECTURE:
        return One(pci, Verdict.UNKNOWN, f"{small}; whether this board can do more is not told")
    if gpu.architecture <= TURING:
        return One(pci, Verdict.OK, f"{small}: boards before Ampere have no Resizable BAR")
    return One(pci, Verdict.WARNING, f"off: {small}")


def above_4g(host: HostView) -> Finding:
    """Whether every BAR got an address, and large ones one above 4 GiB."""
    if isinstance(host.pci, Unread):
        return ABOVE_4G.unknown(host.pci)
    return together(
        ABOVE_4G,
        [_above(device) for device in host.pci],
        "Below 4 GiB there is room for one small window alone; a BAR without an address means a GPU that the driver "
        "cannot use.",
        'Turn on "Above 4G Decoding" in the firmware setup; where it is on, the kernel parameter pci=realloc may '
        "help.",
        ('journalctl -k -b -g "BAR .*(no space|failed to assign|can\'t assign)"',),
    )


def _above(device: PciGpu) -> One:
    if isinstance(device.bars, Unread):
        return One(device.pci, Verdict.UNKNOWN, f"the BARs cannot be read ({device.bars.why})")
    if not device.bars:
        return One(device.pci, Verdict.UNKNOWN, "no BAR is shown (asleep, or gone from the bus)")
    lacking = [bar.number for bar in device.bars if bar.start == 0]
    if lacking:
        return One(device.pci, Verdict.TROUBLE, f"BAR {', '.join(map(str, lacking))} got no address")
    large = max(device.bars, key=lambda bar: bar.size)
    if large.start >= FOUR_GIB:
        return One(device.pci, Verdict.OK, f"on: BAR {large.number} ({_size(large.size >> 20)}) lies above 4 GiB")
    can = device.resize_mib
    if isinstance(can, tuple) and can and max(can) > large.size >> 20:
        return One(device.pci, Verdict.WARNING, f"BAR {large.number} ({_size(large.size >> 20)}) lies below 4 GiB")
    return One(device.pci, Verdict.OK, f"not needed: BAR {large.number} ({_size(large.size >> 20)}) lies below 4 GiB")


def _size(mib: int) -> str:
    return f"{mib / 1024:.0f} GiB" if mib >= 1024 else f"{mib} MiB"


CHECKS = (width, generation, errors, resizable_bar, above_4g)
