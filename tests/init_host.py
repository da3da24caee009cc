"""A host as people set it up by hand before gpu-tuned, laid out below a folder."""

from __future__ import annotations

from pathlib import Path

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
