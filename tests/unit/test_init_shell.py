"""Reading scripts: what they ask of a GPU, and what can be taken out of them without changing the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    ClockLock,
    ComputeMode,
    NumaBalancing,
    PowerLimit,
    Setting,
)
from gpu_tuned.core.wish import Symbol
from gpu_tuned.host import shell
from tests.init_host import ADHOC

P450 = (Setting.POWER_LIMIT, PowerLimit(450_000), ())
PM = (Setting.PERSISTENCE_MODE, True, ())
NUMA = (Setting.NUMA_BALANCING, NumaBalancing.OFF, ())

WHOLE = {
    "nvidia-smi -pl 450": [P450],
    "sudo nvidia-smi -pl 450": [P450],
    "/usr/bin/nvidia-smi --power-limit=450 > /dev/null 2>&1 || true": [P450],
    "sudo -n -u root /opt/bin/nvidia-smi --power-limit 450.0": [P450],
    "env LANG=C nvidia-smi -pl 450": [P450],
    "timeout 10 nvidia-smi -pl 450 &": [P450],
    "nvidia-smi -pl 450 # the circuit": [P450],
    "nvidia-smi -pl 450 | logger -t gpu": [P450],
    "sh -c 'nvidia-smi -pm 1; nvidia-smi -pl 450'": [PM, P450],
    "nvidia-smi -pm 1 && nvidia-smi -pl 450": [PM, P450],
    "nvidia-smi -pm ENABLED -pl 450": [PM, P450],
    "nvidia-smi -pm 0": [(Setting.PERSISTENCE_MODE, False, ())],
    "nvidia-smi -i 0,2 -pl 450": [(Setting.POWER_LIMIT, PowerLimit(450_000), ("0", "2"))],
    "nvidia-smi --id=01:00.0 --persistence-mode=1": [(Setting.PERSISTENCE_MODE, True, ("01:00.0",))],
    "nvidia-smi -i 0 -pl 450; nvidia-smi -i 1 -pm 1": [(*P450[:2], ("0",)), (*PM[:2], ("1",))],
    "nvidia-smi -lgc 2400,2550": [(Setting.GPU_CLOCK, ClockLock(2400, 2550), ())],
    "nvidia-smi --lock-gpu-clocks=1410 --mode=1": [(Setting.GPU_CLOCK, ClockLock(1410, 1410), ())],
    "nvidia-smi -rgc": [(Setting.GPU_CLOCK, UNLOCKED, ())],
    "nvidia-smi -lmc 3002": [(Setting.MEMORY_CLOCK, ClockLock(3002, 3002), ())],
    "nvidia-smi --lock-memory-clocks=810,14001": [(Setting.MEMORY_CLOCK, ClockLock(810, 14001), ())],
    "nvidia-smi -rmc": [(Setting.MEMORY_CLOCK, UNLOCKED, ())],
    "nvidia-smi -ac 3002,2550": [(Setting.APPLICATION_CLOCKS, ApplicationClocks(3002, 2550), ())],
    "nvidia-smi -rac": [(Setting.APPLICATION_CLOCKS, Symbol.DEFAULT, ())],
    "nvidia-smi -c EXCLUSIVE_PROCESS": [(Setting.COMPUTE_MODE, ComputeMode.EXCLUSIVE_PROCESS, ())],
    "nvidia-smi --compute-mode=3": [(Setting.COMPUTE_MODE, ComputeMode.EXCLUSIVE_PROCESS, ())],
    "nvidia-smi -c 0": [(Setting.COMPUTE_MODE, ComputeMode.DEFAULT, ())],
    "echo 0 | sudo tee /proc/sys/kernel/numa_balancing": [NUMA],
    "echo 0 > /proc/sys/kernel/numa_balancing": [NUMA],
    "sudo sysctl -w kernel.numa_balancing=0": [NUMA],
    'echo "kernel.numa_balancing = 0" | sudo tee -a /etc/sysctl.conf': [NUMA],
}


def said(line: shell.Line | None) -> list[tuple[object, ...]]:
    return [(s.setting, s.target, s.gpus) for s in line.said] if line else []


@pytest.mark.parametrize("command", WHOLE)
def test_a_line_that_only_sets_a_gpu_is_understood(command: str) -> None:
    line = shell.one(command)
    assert said(line) == WHOLE[command]
    assert line is not None and line.whole and not line.unclear


@pytest.mark.parametrize(
    "command",
    [
        'echo "nvidia-smi -pl 600"',
        "# nvidia-smi -pl 600",
        "ssh other nvidia-smi -pl 600",
        "nvidia-smi",
        "nvidia-smi -q | grep -E 'Power Limit'",
        "nvidia-smi --query-gpu=clocks.gr,clocks.mem --format=csv -l 1",
        "nvidia-smi -r -i 0",
        "grep -c nvidia-smi /var/log/syslog",
        "cat /proc/sys/kernel/numa_balancing",
    ],
)
def test_a_line_that_sets_nothing_here_is_not_mentioned(command: str) -> None:
    assert shell.one(command) is None
    assert shell.read(command) == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("nvidia-smi -pl $WATTS", "variable"),
        ("for i in 0 1; do nvidia-smi -i $i -pl 450; done", "variable"),
        ("nvidia-smi -pl `cat /etc/watts`", "variable"),
        ("nvidia-smi -L | xargs -I{} nvidia-smi -i {} -pl 450", "xargs runs it"),
        ("nvidia-smi -pl '450", "quotes"),
        ("nvidia-smi -pl 450; reboot", ""),
        ("if nvidia-smi -pm 1; then", ""),
        ("(nvidia-smi -pm 1)", ""),
        ("test -e /run/x || nvidia-smi -pm 1", ""),
        ("nvidia-smi -pm 1 -e 0", ""),
        ("nvidia-smi -pm 1 -r", ""),
    ],
)
def test_a_line_that_is_or_does_more_is_left_to_a_person(command: str, why: str) -> None:
    line = shell.one(command)
    assert line is not None and not line.whole
    assert why in line.unclear


def test_a_value_that_the_words_do_not_tell_is_no_value() -> None:
    for command in ("nvidia-smi -pl", "nvidia-smi -pl lots", "nvidia-smi -ac 3002", "nvidia-smi -c 9"):
        line = shell.one(command)
        assert line is not None
        assert [s.target for s in line.said] == [None]


def test_variables_loops_continued_lines_and_here_documents() -> None:
    text = """#!/bin/sh
WATTS=450        # the circuit
SMI=/usr/bin/nvidia-smi
sudo $SMI -i 0 \\
    -pl "${WATTS}"
for gpu in {0..3}
do
    nvidia-smi -i "$gpu" -lgc 1410
done
cat > /etc/systemd/system/x.service <<'EOF'
ExecStart=nvidia-smi -pm 1
nvidia-smi -pl 1
EOF
echo 0 |
    tee /proc/sys/kernel/numa_balancing
"""
    found = shell.read(text)
    assert [(line.first, line.last, *said(line)) for line in found] == [
        (4, 5, (Setting.POWER_LIMIT, PowerLimit(450_000), ("0",))),
        (8, 8, (Setting.GPU_CLOCK, ClockLock(1410, 1410), ("0", "1", "2", "3"))),
        (14, 15, NUMA),
    ]


def test_a_variable_with_two_values_tells_none() -> None:
    (line,) = shell.read("W=400\nif big; then\n W=600\nfi\nnvidia-smi -pl $W\n")
    assert not line.whole
    assert line.said[0].target is None


def test_the_script_of_the_guide_asks_for_six_things() -> None:
    found = shell.read((ADHOC / "setup-gpu.sh").read_text())
    assert [(line.first, line.said[0].words) for line in found] == [
        (7, "-pm 1"),
        (10, "-pl 600"),
        (13, "-lgc 2400,2550"),
        (14, "-lmc 3002"),
        (17, "-c EXCLUSIVE_PROCESS"),
        (20, "0 into /proc/sys/kernel/numa_balancing"),
    ]
    assert all(line.whole for line in found)


def test_what_is_left_of_a_script_runs_and_calls_nothing_that_went(tmp_path: Path) -> None:
    """Run for real, with an nvidia-smi and a sudo that leave a trace."""
    text = """set -e
f() {
    nvidia-smi -pm 1
}
f
for i in 0 1; do
    nvidia-smi -i 0 \\
        -pl 450
done
if true; then
    sudo nvidia-smi -lgc 1410 &&
        sudo nvidia-smi -rmc
fi
echo the rest ran
"""
    for name in ("nvidia-smi", "sudo"):
        stub = tmp_path / name
        stub.write_text(f"#!/bin/sh\necho called >> {tmp_path}/trace\n")
        stub.chmod(0o755)

    def run(script: str) -> tuple[int, str, str]:
        path = f"{tmp_path}:/usr/bin:/bin"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env={"PATH": path}, timeout=20)
        return done.returncode, done.stdout, done.stderr

    after = shell.commented(text, shell.read(text), "gone")
    assert run(after) == (0, "the rest ran\n", "")
    assert not (tmp_path / "trace").exists()
    assert len(after.splitlines()) == len(text.splitlines())
    assert "sudo nvidia-smi -lgc 1410" in after
    assert run(text)[0] == 0
    assert (tmp_path / "trace").exists()  # so the script as it was would have left one
