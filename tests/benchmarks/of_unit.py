"""How exposed the service is, by systemd's own reckoning of its unit file; nothing is started."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.measure import Peer, Report, Row

UNIT = Path(__file__).resolve().parents[2] / "units" / "gpu-tuned.service"
PEERS = {"tuned": "tuned.service", "nvidia-persistenced": "nvidia-persistenced.service"}
FOLDERS = ("/lib/systemd/system", "/usr/lib/systemd/system")


def exposure(unit: Path) -> float | None:
    """0 (nothing to be had) to 10; None where this systemd cannot judge a file."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    return float(found[1]) if found else None


def security() -> Report:
    level = exposure(UNIT) if shutil.which("systemd-analyze") and UNIT.exists() else None
    if level is None:
        return Report([], ["`systemd-analyze security` was not measured: it wants systemd 252 and the unit file."])
    beside = []
    for name, file in PEERS.items():
        unit = next((path for folder in FOLDERS if (path := Path(folder, file)).exists()), None)
        theirs = exposure(unit) if unit else None
        if theirs is not None:
            beside.append(Peer(name, [theirs]))
    return Report([Row("`systemd-analyze security` of the unit file", "of 10", [level], budget=1.5, peers=beside)])


ALL: dict[str, Callable[[bool], Report]] = {"security": lambda quick: security()}
