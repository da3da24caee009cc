"""What `gpu-tunedctl init` prints on hosts of several kinds, as it was when somebody last read it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.conftest import MakeHost
from tests.golden.kept import compare
from tests.init_host import POLICY, SCRIPT, link, put, set_up_by_hand
from tests.nvsim import Nvsim

ENTRY = "from gpu_tuned.main import control; control()"


def init(host: Nvsim, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, "init", *arguments],
        env={**host.env, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def hold(name: str, lines: list[str]) -> None:
    compare(name, lines)
    assert [line for line in lines if len(line) > 80] == []


def start(host: Nvsim) -> None:
    """A unit that runs the guide's script at boot."""
    put(host.root, "/etc/systemd/system/setup-gpu.service", f"[Service]\nType=oneshot\nExecStart={SCRIPT}\n")
    link(host.root, "/etc/systemd/system/multi-user.target.wants/setup-gpu.service", "../setup-gpu.service")


def test_the_guide_on_the_reference_board(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    set_up_by_hand(host.root)
    start(host)
    hold("init_guide_575", init(host))


def test_the_guide_on_a_600_watt_board_that_somebody_limited(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-600")
    set_up_by_hand(host.root)
    start(host)
    host.set(0, persistence_mode=True, power_limit_w=500)
    hold("init_guide_600_limited", init(host))


def test_the_guide_on_an_h200(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    set_up_by_hand(host.root)
    hold("init_guide_h200", init(host))


@pytest.mark.parametrize("board", ["rtx-5090-575", "h200"])
def test_a_host_with_nothing(nvsim: MakeHost, board: str) -> None:
    hold(f"init_nothing_{board.partition('-')[0]}", init(nvsim(board)))


def test_eight_of_which_two_are_limited(nvsim: MakeHost) -> None:
    host = nvsim(*["h200"] * 8)
    put(host.root, "/etc/rc.local", "#!/bin/sh -e\nnvidia-smi -pm 1\nnvidia-smi -i 2,5 -pl 500\nexit 0\n", 0o755)
    put(host.root, "/etc/cron.d/gpu", "@reboot root nvidia-smi -i 9 -pl 300\n")
    hold("init_eight", init(host))


def test_what_is_left_to_a_person(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    put(host.root, "/root/gpu.sh", "#!/bin/bash\nnvidia-smi -pl $1\nnvidia-smi -pl 450; reboot\n")
    put(
        host.root,
        "/etc/rc.local",
        "#!/bin/sh\nnvidia-smi -lgc 2000\n[ -e /etc/quiet ] && nvidia-smi -pl 400\n",
        0o755,
    )
    put(host.root, "/etc/crontab", "0 22 * * * root nvidia-smi -pl 575\n0 6 * * * root nvidia-smi -pl 450\n")
    put(host.root, "/etc/lact/config.yaml", "gpus:\n  x:\n    power_cap: 500.0\n")
    put(host.root, "/root/log.sh", "#!/bin/sh\n" + "#" * 300_000)
    put(host.root, "/etc/udev/rules.d/70-gpu.rules", 'ACTION=="add", RUN+="/usr/bin/nvidia-smi -pm 1"\n')
    put(host.root, "/etc/gpu-tuned/gpu-tuned.d/20-psu.toml", '[[gpu]]\nmatch = { name = "*" }\npower_limit_w = 450\n')
    put(host.root, POLICY, '[[gpu]]\nmatch = { name = "*" }\npersistence_mode = "auto"\n')
    hold("init_left", init(host))


def test_what_write_says(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-600")
    set_up_by_hand(host.root)
    link(
        host.root,
        "/etc/systemd/system/graphical.target.wants/nvidia-persistenced.service",
        "../nvidia-persistenced.service",
    )
    host.set(0, persistence_mode=True, power_limit_w=500)
    lines = [re.sub(r"\d{8}T\d{6}Z", "STAMP", line.replace(str(host.root), "")) for line in init(host, "--write")]
    hold("init_written", lines)
