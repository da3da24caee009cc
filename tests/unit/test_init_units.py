"""Units, crontabs and sysctl files as text."""

from __future__ import annotations

import pytest

from gpu_tuned.core.model import NumaBalancing, PowerLimit, Setting
from gpu_tuned.host import tables, units
from tests.init_host import ADHOC

ONESHOT = """[Unit]
Description=GPU limits
[Service]
Type=oneshot
ExecStartPre=/bin/sleep 5
ExecStart=/usr/bin/nvidia-smi -pm 1
ExecStart=-/bin/bash -c "nvidia-smi -pl 450 && \\
    nvidia-smi -lgc 1410"
[Install]
WantedBy=multi-user.target
"""


def test_a_oneshot_that_only_sets_gpus_can_go_whole() -> None:
    unit = units.read(ONESHOT)
    assert unit.only
    assert [(line.first, line.last, [s.words for s in line.said]) for line in unit.lines] == [
        (6, 6, ["-pm 1"]),
        (7, 8, ["-pl 450", "-lgc 1410"]),
    ]


def test_the_unit_of_the_guide_is_a_wish_for_persistence_mode() -> None:
    unit = units.read((ADHOC / "nvidia-persistenced.service").read_text())
    assert unit.only
    assert [(line.first, line.said[0].setting, line.said[0].target) for line in unit.lines] == [
        (7, Setting.PERSISTENCE_MODE, True)
    ]


def test_persistenced_that_leaves_the_mode_alone_is_no_wish() -> None:
    assert not units.read("[Service]\nExecStart=/usr/bin/nvidia-persistenced --no-persistence-mode\n").lines


def test_of_a_server_that_also_sets_its_gpu_only_that_line_goes() -> None:
    text = "[Service]\nExecStartPre=+/usr/bin/nvidia-smi -i 0 -pl 450\nExecStart=/usr/bin/vllm serve model\n"
    unit = units.read(text)
    assert not unit.only
    assert [line.whole for line in unit.lines] == [True]
    after = units.commented(text, list(unit.lines), "gone")
    assert after == text.replace("ExecStartPre", "# gone: ExecStartPre")
    assert not units.read(after).lines


def test_a_unit_that_would_have_nothing_left_to_start_is_left_to_a_person() -> None:
    unit = units.read("[Service]\nExecStartPre=/usr/bin/make-cache\nExecStart=/usr/bin/nvidia-smi -pl 450\n")
    assert not unit.only
    assert [(line.whole, "nothing to start" in line.unclear) for line in unit.lines] == [(False, True)]


def test_the_programs_of_a_unit_are_named_so_that_scripts_are_found() -> None:
    unit = units.read("[Service]\nExecStart=/bin/bash /root/gpu/setup.sh --fast\nExecStart=@/opt/a.sh x\n")
    assert unit.programs == ("/bin/bash", "/root/gpu/setup.sh", "/opt/a.sh")


def test_mps_is_noticed() -> None:
    assert units.read("[Service]\nExecStart=/usr/bin/nvidia-cuda-mps-control -f\n").mps


@pytest.mark.parametrize(
    ("row", "with_user"),
    [
        ("@reboot root nvidia-smi -pl 450", True),
        ("@reboot\troot\t/usr/bin/nvidia-smi -pl 450", True),
        ("@reboot nvidia-smi -pl 450", False),
        ("*/5 * * * * nvidia-smi -pl 450 >/dev/null 2>&1", False),
        ("0 4 1-7 * mon root sudo nvidia-smi -pl 450", True),
    ],
)
def test_cron_jobs(row: str, with_user: bool) -> None:
    text = f"# nvidia-smi -pl 1\nMAILTO=root\nSHELL=/bin/sh\n{row}\n"
    (line,) = tables.cron(text, with_user)
    assert (line.first, line.whole, line.said[0].target) == (4, True, PowerLimit(450_000))
    after = tables.commented(text, [line], "gone")
    assert tables.cron(after, with_user) == []
    assert after.splitlines()[:3] == text.splitlines()[:3]


@pytest.mark.parametrize("row", ["kernel.numa_balancing = 0", "kernel/numa_balancing=0", "-kernel.numa_balancing=0"])
def test_sysctl_lines(row: str) -> None:
    (line,) = tables.sysctl(f"# kernel.numa_balancing = 1\n;x\nvm.swappiness=1\n{row}\n")
    assert (line.first, line.said[0].target) == (4, NumaBalancing.OFF)
