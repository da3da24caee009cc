"""`check`, `plan` and `status --advice` tell advice, and `accept` silences it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import MakeHost
from tests.golden.fake_daemon import fake_daemon
from tests.golden.kept import document, reply
from tests.nvsim import Nvsim

ENTRY = "from gpu_tuned.main import control; control()"
POLICY = """
[[gpu]]
match = { name = "NVIDIA GeForce RTX 5090" }
memory_clock_mhz = 14001
"""


def check(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text)
    return subprocess.run(
        [sys.executable, "-c", ENTRY, "check", str(path)], capture_output=True, text=True, timeout=60, check=False
    )


def test_advice_is_told_and_is_no_fault(tmp_path: Path) -> None:
    done = check(tmp_path / "p.toml", POLICY)
    assert (done.returncode, done.stderr) == (0, "")
    good, *advice = done.stdout.splitlines()
    assert good == f"{tmp_path}/p.toml: good"
    assert advice[0].startswith("  harm: p.toml gpu[0].memory_clock_mhz: a memory clock maximum")
    assert advice[-1].endswith("[memory-lock]")
    assert max(map(len, advice)) <= 80


def test_it_can_be_accepted(tmp_path: Path) -> None:
    done = check(tmp_path / "p.toml", f'{POLICY}accept = ["memory-lock"]\n')
    assert done.stdout == f"{tmp_path}/p.toml: good\n"
    done = check(tmp_path / "p.toml", f'{POLICY}accept = ["memory-lok"]\n')
    assert done.returncode == 2
    assert 'nearest: "memory-lock"' in done.stderr


SEED = """
[[gpu]]
match = { name = "*" }
persistence_mode = true
power_limit_w = 600
gpu_clock_mhz = { min = 2400, max = 2550 }
"""


def ask(host: Nvsim, *argv: str, socket: str = "/nowhere") -> subprocess.CompletedProcess[str]:
    environment = {**host.env, "GPU_TUNED_SYSROOT": str(host.root), "GPU_TUNED_SOCKET": socket}
    return subprocess.run(
        [sys.executable, "-c", ENTRY, *argv], capture_output=True, text=True, timeout=60, env=environment
    )


def test_plan_tells_what_is_known_of_what_is_planned(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("rtx-5090-575", "rtx-5090-575")
    (tmp_path / "p.toml").write_text(SEED)
    done = ask(host, "plan", "--config", str(tmp_path / "p.toml"))
    text = " ".join(done.stdout.split())
    assert "caution: 2 GPUs power limit: 600 W is outside of 400 to 575 W" in text
    for id in ("limit-out-of-range", "lock-below-boost", "idle-power", "minimum-no-promise"):
        assert text.count(f"[{id}]") == 1
    assert max(map(len, done.stdout.splitlines())) <= 80
    (tmp_path / "p.toml").write_text(f'{SEED}accept = ["idle-power"]\n')
    assert "[idle-power]" not in ask(host, "plan", "--config", str(tmp_path / "p.toml")).stdout


def test_status_tells_it_when_asked(nvsim: MakeHost, tmp_path: Path) -> None:
    told = document("one")
    gpu = {key: told["gpus"][0]["uuid" if key == "gpu" else key] for key in ("gpu", "pci", "name")}
    row = {**gpu, "id": "idle-power", "severity": "note", "setting": "gpu_clock_mhz", "message": "it draws more"}
    away = {**row, "gpu": "GPU-of-nobody", "id": "memory-lock"}
    host = nvsim("rtx-5090-575")
    with fake_daemon(tmp_path, {"Status": told, "Plan": {**reply("plan_nothing"), "advice": [row, away]}}) as daemon:
        plain, advised = ask(host, "status", socket=daemon.path), ask(host, "status", "--advice", socket=daemon.path)
    assert advised.stdout.startswith(plain.stdout)
    assert "[idle-power]" not in plain.stdout
    assert "[idle-power]" in advised.stdout
    assert "[memory-lock]" not in advised.stdout


def test_an_empty_name_is_not_the_installed_policy(nvsim):
    """A shell variable that is empty must not have another file planned than was meant."""
    done = ask(nvsim("rtx-5090-575"), "plan", "--config", "")
    assert done.returncode == 2
    assert "is a directory" in done.stderr
