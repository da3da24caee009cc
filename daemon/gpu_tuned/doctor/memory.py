"""Memory and the way to it: which memory node a GPU hangs on, and what translates or redirects its traffic."""

from __future__ import annotations

from gpu_tuned.core.host_view import HostView, PciGpu, Place
from gpu_tuned.core.model import Unread
from gpu_tuned.core.verdict import Finding, Verdict
from gpu_tuned.doctor.say import Check, One, together

NODES = Check("memory-nodes", "memory nodes")
TRANSLATION = Check("iommu", "IOMMU")
REDIRECT = Check("acs", "ACS")

TRANSLATING = ("DMA", "DMA-FQ")
HANDED_ON = "every GPU is kept for virtual machines, which need it"


def nodes(host: HostView) -> Finding:
    """On a host with several memory nodes the firmware says on which a GPU hangs."""
    if isinstance(host.memory_nodes, Unread):
        return NODES.unknown(host.memory_nodes)
    if host.memory_nodes == 1:
        return NODES.ok("one, so every GPU is near to all memory")
    if isinstance(host.pci, Unread):
        return NODES.unknown(host.pci)
    ones = []
    for device in host.pci:
        node = device.numa_node
        if isinstance(node, Unread):
            ones.append(One(device.pci, Verdict.UNKNOWN, f"the node cannot be read ({node.why})"))
        elif node < 0 and host.place is Place.VM:
            ones.append(One(device.pci, Verdict.UNKNOWN, "a virtual machine does not tell the node"))
        elif node < 0:
            ones.append(One(device.pci, Verdict.WARNING, f"no node told, of {host.memory_nodes}"))
        else:
            ones.append(One(device.pci, Verdict.OK, f"node {node} of {host.memory_nodes}"))
    return together(
        NODES, ones,
        "Programs cannot be placed near their GPU; copies cross between sockets.",
        "Turn on NUMA (NPS, SRAT) in the firmware setup, or update the firmware; until then place programs by hand.",
        ("nvidia-smi topo -m", "numactl --cpunodebind=N --membind=N PROGRAM"),
    )  # fmt: skip


def iommu(host: HostView) -> Finding:
    """Translated DMA makes traffic between GPUs on one host slow or wrong; one GPU alone loses little."""
    if host.place in (Place.VM, Place.WSL, Place.CONTAINER):
        return TRANSLATION.unknown("DMA is translated by the host below, which does not show it here")
    if isinstance(host.pci, Unread):
        return TRANSLATION.unknown(host.pci)
    ours = _of_this_host(host.pci)
    if not ours and host.pci:
        return TRANSLATION.ok(HANDED_ON)
    several = len(ours) > 1
    ones = []
    for device in ours:
        kind = device.iommu
        if isinstance(kind, Unread):
            ones.append(One(device.pci, Verdict.UNKNOWN, f"cannot be read ({kind.why})"))
        elif kind is None:
            ones.append(One(device.pci, Verdict.OK, "off"))
        elif kind in TRANSLATING and several:
            ones.append(_between_gpus(host, device, f"translates ({kind})"))
        elif kind in TRANSLATING:
            ones.append(One(device.pci, Verdict.OK, f"translates ({kind}), which one GPU alone does not mind"))
        else:
            ones.append(One(device.pci, Verdict.OK, f"passes through ({kind})"))
    return together(
        TRANSLATION, ones,
        "Peer-to-peer copies between GPUs over PCIe go through the root and its tables: slow, and with NCCL seen to "
        "hang. GPUs joined by NVLink do not use this way for each other.",
        "Boot with iommu=pt (pass through), unless devices are handed to virtual machines. No use where NVLink "
        "joins them.",
        ("sed -i 's/^GRUB_CMDLINE_LINUX=\"/&iommu=pt /' /etc/default/grub",
         "update-grub || grub2-mkconfig -o /boot/grub2/grub.cfg", "reboot"),
    )  # fmt: skip


def _of_this_host(devices: tuple[PciGpu, ...]) -> list[PciGpu]:
    """Without those that are kept for virtual machines: no program here copies between them."""
    return [device for device in devices if device.driver != "vfio-pci"]


def _between_gpus(host: HostView, device: PciGpu, seen: str) -> One:
    """What hampers traffic between GPUs over PCIe does not touch GPUs that NVLink joins."""
    gpus = () if isinstance(host.gpus, Unread) else host.gpus
    links = next((gpu.nvlinks for gpu in gpus if gpu.gpu.pci == device.pci), Unread("the driver does not answer"))
    if isinstance(links, Unread):
        return One(device.pci, Verdict.UNKNOWN, f"{seen}; whether NVLink joins the GPUs is not told ({links.why})")
    if links:
        return One(device.pci, Verdict.OK, f"{seen}; NVLink joins the GPUs")
    return One(device.pci, Verdict.WARNING, seen)


def acs(host: HostView) -> Finding:
    """Whether a port above a GPU sends traffic between GPUs up to the root (Access Control Services)."""
    if host.place in (Place.VM, Place.WSL, Place.CONTAINER):
        return REDIRECT.unknown("the ports above the GPUs are those of the host below, which does not show them here")
    if isinstance(host.pci, Unread):
        return REDIRECT.unknown(host.pci)
    ours = _of_this_host(host.pci)
    if not ours and host.pci:
        return REDIRECT.ok(HANDED_ON)
    if len(ours) == 1:
        return REDIRECT.ok("one GPU, so there is no traffic between GPUs")
    return together(
        REDIRECT,
        [_acs(host, device) for device in ours],
        "Copies between GPUs below one switch take the way through the root complex instead of the short one: "
        "slower, and with NCCL seen to hang. GPUs joined by NVLink do not use this way for each other.",
        "Turn ACS off in the firmware setup, or for these ports at boot; not where devices are handed to virtual "
        "machines.",
        ("for port in $(lspci -D | cut -d' ' -f1); do setpci -s $port ECAP_ACS+0x6.w=0000; done 2>/dev/null",),
    )


def _acs(host: HostView, device: PciGpu) -> One:
    if isinstance(device.redirected, Unread):
        return One(device.pci, Verdict.UNKNOWN, f"cannot be read ({device.redirected.why})")
    if device.redirected:
        return _between_gpus(host, device, "a port above it redirects traffic between GPUs")
    return One(device.pci, Verdict.OK, "no port redirects")


CHECKS = (nodes, iommu, acs)
