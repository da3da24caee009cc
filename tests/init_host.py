"""A host as people set it up by hand before gpu-tuned, laid out below a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gpu_tuned.core.model import (
    NO_GETTER,
    Board,
    ComputeMode,
    Gpu,
    NumaBalancing,
    PowerLimit,
    PowerRange,
    Reading,
    Setting,
    wire,
)
from gpu_tuned.init.decision import Decision
from gpu_tuned.init.edit import Change, changes
from gpu_tuned.init.model import Scan
from gpu_tuned.init.propose import decide
from gpu_tuned.init.rooted import Rooted
from gpu_tuned.init.scan import scan
from gpu_tuned.init.verdict import Host

ADHOC = Path(__file__).parent / "unit" / "data" / "adhoc"
SCRIPT = "/scripts/optimizations/setup-gpu.sh"
UNIT = "/etc/systemd/system/nvidia-persistenced.service"
LINK = "/etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service"
SYSCTL = "/etc/sysctl.conf"
POLICY = "/etc/gpu-tuned/gpu-tuned.toml"


def put(root: Path, path: str, text: str, mode: int = 0o644) -> Path:
    """One file of the host."""
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def link(root: Path, path: str, target: str) -> None:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def set_up_by_hand(root: Path) -> None:
    """What the widely copied guide leaves behind: its script and its unit, verbatim, and its sysctl line."""
    put(root, SCRIPT, (ADHOC / "setup-gpu.sh").read_text(), 0o755)
    put(root, UNIT, (ADHOC / "nvidia-persistenced.service").read_text())
    link(root, LINK, UNIT)
    put(root, SYSCTL, "net.ipv4.ip_forward = 1\nkernel.numa_balancing = 0\n")


def snapshot(root: Path) -> dict[str, tuple[object, ...]]:
    """Every file and link below a folder: mode and content, or where it points."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        name = f"/{path.relative_to(root)}"
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_file():
            found[name] = (path.stat().st_mode, path.read_bytes())
    return found


RTX_3090 = Board(
    Gpu("GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11", "0000:01:00.0", "NVIDIA GeForce RTX 3090"),
    0,
    PowerRange(100_000, 350_000, 350_000),
    (9751, 5001, 810, 405),
    tuple(range(2100, 209, -15)),
    absent={Setting.APPLICATION_CLOCKS: "this GPU has no application clocks"},
)
RTX_5090 = replace(
    RTX_3090,
    gpu=replace(RTX_3090.gpu, name="NVIDIA GeForce RTX 5090"),
    power=PowerRange(400_000, 575_000, 575_000),
    memory_ladder_mhz=(14001, 13801, 7001, 810, 405),
    gpu_ladder_mhz=(3090, 2850, 2550, 2407, 2400, 180),
)
AT_REST: dict[Setting, Reading] = {
    Setting.PERSISTENCE_MODE: False,
    Setting.POWER_LIMIT: PowerLimit(350_000),
    Setting.GPU_CLOCK: NO_GETTER,
    Setting.MEMORY_CLOCK: NO_GETTER,
    Setting.COMPUTE_MODE: ComputeMode.DEFAULT,
}


def boards(*kinds: Board) -> tuple[Board, ...]:
    """Several boards of one host, numbered."""
    return tuple(
        replace(board, index=n, gpu=replace(board.gpu, uuid=f"{board.gpu.uuid[:-1]}{n}", pci=f"0000:0{n + 1}:00.0"))
        for n, board in enumerate(kinds)
    )


def machine(*kinds: Board, numa: NumaBalancing | None = NumaBalancing.ON, **found: Reading) -> Host:
    """A host with these boards, at rest but for `found`."""
    every = boards(*(kinds or (RTX_3090,)))
    readings = {Setting(key): value for key, value in found.items()}
    limits = {b.gpu.uuid: PowerLimit(b.power.default_mw if b.power else 0) for b in every}
    rest = {uuid: {**AT_REST, Setting.POWER_LIMIT: limit, **readings} for uuid, limit in limits.items()}
    return Host(every, rest, numa_now=numa)


@dataclass
class Looked:
    """What `init` makes of a root: decisions as plain values."""

    scan: Scan
    decision: Decision
    changes: dict[str, Change]

    @property
    def taken(self) -> dict[tuple[str, str], object]:
        """(last character of the GPU's UUID, key) -> value on the wire."""
        return {(t.gpu[-1:] if t.gpu else "host", t.setting.value): wire(t.value) for t in self.decision.taken}

    @property
    def left(self) -> dict[tuple[str, int], str]:
        return {(left.effect.file, left.effect.line): left.kind.value for left in self.decision.left}

    @property
    def actions(self) -> dict[str, str]:
        return {path: change.action.value for path, change in self.changes.items()}


def look(root: Path, host: Host | None = None) -> Looked:
    """Scan a root and decide."""
    with Rooted(str(root)) as files:
        found = scan(files)
        decision = decide(host or machine(), found.effects)
        return Looked(found, decision, {change.path: change for change in changes(found, decision)})


def enable(root: Path, name: str, target: str = "multi-user.target") -> None:
    link(root, f"/etc/systemd/system/{target}.wants/{name}", f"/etc/systemd/system/{name}")


def unit(root: Path, name: str, *lines: str, enabled: bool = True, kind: str = "oneshot") -> str:
    """A service below /etc; returns its path."""
    path = f"/etc/systemd/system/{name}"
    put(root, path, "\n".join(["[Service]", f"Type={kind}", *lines, ""]))
    if enabled:
        enable(root, name)
    return path


def pull(root: Path, name: str, folder: str = "multi-user.target.wants") -> None:
    """Let something pull a unit in, if it does not yet."""
    path = f"/etc/systemd/system/{folder}/{name}"
    if not (root / path.lstrip("/")).is_symlink():
        link(root, path, f"/etc/systemd/system/{name}")


def limit_of(root: Path, files: Mapping[str, str]) -> object:
    """The power limit that is taken over of these files; those that a shell may run are executable."""
    for path, content in files.items():
        table = "cron" in path or path.endswith((".service", ".timer", ".rules"))
        put(root, path, content, 0o644 if table else 0o755)
    return look(root, machine()).taken.get(("0", "power_limit_w"))


def limit_of_unit(root: Path, *lines: str, unit: str = "", files: Mapping[str, str] = {}) -> object:
    """The same of one enabled unit besides, with these lines in its section [Service] and one in [Unit]."""
    put(root, "/etc/systemd/system/gpu.service", "\n".join(["[Unit]", unit, "", "[Service]", *lines, ""]))
    pull(root, "gpu.service")
    return limit_of(root, files)
