"""Units as systemd would run them: what it refuses, what a command leaves, and what may never come."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.init_host import limit_of, limit_of_unit, link, look, machine, pull, put

UNITS = "/etc/systemd/system"
CALL = "ExecStart=/usr/bin/nvidia-smi -pl 300"


AT_HOME = {"/root/gpu.sh": "#!/bin/sh\nnvidia-smi -pl 300\n"}
REFUSED: dict[str, tuple[str, ...]] = {
    "two commands without Type=oneshot": ("ExecStart=/usr/bin/nvidia-smi -pm 1", CALL),
    "two commands of Type=exec": ("Type=exec", "ExecStart=/usr/bin/nvidia-smi -pm 1", CALL),
    "a shell's operator": ("Type=oneshot", f"{CALL} || true"),
    "a shell's redirection": ("Type=oneshot", f"{CALL} > /dev/null"),
    "a comment behind the command": ("Type=oneshot", f"{CALL} # watts"),
    "an environment file that is not there": ("Type=oneshot", "EnvironmentFile=/etc/default/gpu", CALL),
    "a working directory that is not there": ("Type=oneshot", "WorkingDirectory=/opt/gpu", CALL),
    "a log in a folder that is not there": ("Type=oneshot", "StandardOutput=append:/var/log/gpu/log", CALL),
    "keys in another section": ("[Install]", "Type=oneshot", CALL),
    "a server that has to be ready first": (
        "Type=notify",
        "ExecStart=/opt/server",
        CALL.replace("Start", "StartPost"),
    ),
    "two that run beside each other": (CALL.replace("300", "200"), CALL.replace("Start", "StartPost")),
    "a program that may not be executed": ("Type=oneshot", "NoExecPaths=/", CALL),
    "a script in a home that is hidden": ("Type=oneshot", "ProtectHome=yes", "ExecStart=/root/gpu.sh"),
    "a sleep that is cut short": ("Type=oneshot", "TimeoutStartSec=10", "ExecStartPre=/bin/sleep 30", CALL),
    "sleeps that are cut short together": (
        "Type=oneshot",
        "TimeoutSec=1min",
        "ExecStart=/bin/sh -c 'sleep 30; sleep 0.5m; nvidia-smi -pl 300'",
    ),
    "a sleep longer than a start may last": ("ExecStartPre=/bin/sleep 120", CALL),
    "a run that is cut short": ("RuntimeMaxSec=5", "ExecStart=/bin/sh -c 'sleep 10; nvidia-smi -pl 300'"),
    "what systemd takes for its own variable": (
        "Type=oneshot",
        "ExecStart=/bin/bash -c 'L=(300 250); nvidia-smi -pl ${L[0]}'",
    ),
    "an end that systemd takes for a name": (
        "Type=oneshot",
        "ExecStart=/bin/bash -c 'W=300W; nvidia-smi -pl ${W%%W}'",
    ),
    "a quoted semicolon, which is an argument": (
        "Type=oneshot",
        "ExecStart=/usr/bin/nvidia-smi -pm 1 ';' /usr/bin/nvidia-smi -pl 300",
    ),
    "an escaped semicolon": ("Type=oneshot", r"ExecStart=/usr/bin/nvidia-smi -pm 1 \; /usr/bin/nvidia-smi -pl 300"),
    "a backslash that systemd keeps before a space": ("Type=oneshot", r"ExecStart=/usr/bin/nvidia-smi\ -pl 300"),
    "a backslash that systemd keeps in a word": ("Type=oneshot", r"ExecStart=/usr/bin/nvidia-smi -pl \300\q"),
    "a newline where a shell would see an n": (
        "Type=oneshot",
        r"ExecStart=/bin/sh -c 'exit 0\nnvidia-smi -pl 300'",
    ),
    "a variable of whose line systemd may drop the rest": (
        "Type=oneshot",
        r"Environment=ODD=\q WATTS=300",
        "ExecStart=/usr/bin/nvidia-smi -pl ${WATTS}",
    ),
    "a sign that stands alone": ("Type=oneshot", "ExecStart=- /usr/bin/nvidia-smi -pl 300"),
    "a byte that is none": ("Type=oneshot", r"ExecStart=/usr/bin/nvidia-smi -pl 300\x00"),
    "a command that fails before": ("Type=oneshot", "ExecStartPre=/bin/false", CALL),
}
STARTS: dict[str, tuple[str, ...]] = {
    "as it is": ("Type=oneshot", CALL),
    "an environment file that may be missing": ("Type=oneshot", "EnvironmentFile=-/etc/default/gpu", CALL),
    "a working directory that may be missing": ("Type=oneshot", "WorkingDirectory=-/opt/gpu", CALL),
    "a log in a folder that every host has": ("Type=oneshot", "StandardOutput=append:/var/log/gpu.log", CALL),
    "a script in a home that may be read": ("Type=oneshot", "ProtectHome=read-only", "ExecStart=/root/gpu.sh"),
    "hidden homes without a script in them": ("Type=oneshot", "ProtectHome=yes", CALL),
    "a sleep in good time": ("Type=oneshot", "TimeoutStartSec=2min 30s", "ExecStartPre=/bin/sleep 120", CALL),
    "a sleep of a start that may last": ("Type=oneshot", "ExecStartPre=/bin/sleep 120", CALL),
    "a start that may last for ever": ("TimeoutStartSec=infinity", "ExecStartPre=/bin/sleep 120", CALL),
    "a variable of the shell that systemd leaves alone": (
        "Type=oneshot",
        "ExecStart=:/bin/bash -c 'W=300W; nvidia-smi -pl ${W%%W}'",
    ),
    "a variable of the shell with two dollars": (
        "Type=oneshot",
        "ExecStart=/bin/bash -c 'W=300; nvidia-smi -pl $${W}'",
    ),
    "two commands in one line": (
        "Type=oneshot",
        "ExecStart=/usr/bin/nvidia-smi -pm 1 ; /usr/bin/nvidia-smi -pl 300",
    ),
    "spaces by number": ("Type=oneshot", r"ExecStart=/bin/sh -c nvidia-smi\x20-pl\040300"),
    "a space by its letter": ("Type=oneshot", r"ExecStart=/bin/sh -c nvidia-smi\s-pl\t300"),
    "lines in one argument": ("Type=oneshot", r"ExecStart=/bin/sh -c 'set -e\nnvidia-smi -pm 1\nnvidia-smi -pl 300'"),
    "quotes in quotes": ("Type=oneshot", r'ExecStart=/bin/sh -c "W=\"300\"; nvidia-smi -pl \"$$W\""'),
    "quotes in single quotes": ("Type=oneshot", r"ExecStart=/bin/sh -c 'W=\'300\'; nvidia-smi -pl \"$$W\"'"),
    "digits by their code points": ("Type=oneshot", r"ExecStart=/usr/bin/nvidia-smi -pl \u0033\U000000300"),
    "a variable with an escape": (
        "Type=oneshot",
        r"Environment=CALL=-pl\x20300",
        "ExecStart=/usr/bin/nvidia-smi $CALL",
    ),
    "a variable with quotes in it": (
        "Type=oneshot",
        """Environment="CALL=-c 'nvidia-smi -pl 300'\"""",
        "ExecStart=/bin/sh $CALL",
    ),
    "a sign before each of two commands": (
        "Type=oneshot",
        "ExecStart=-/usr/bin/nvidia-smi -pm 1 ; -/usr/bin/nvidia-smi -pl 300",
    ),
    "a shell that waits for ever": ('ExecStart=/bin/sh -c "nvidia-smi -pl 300; exec sleep infinity"',),
    "what follows a server that is not waited for": (
        "ExecStart=/usr/bin/python3 /opt/server.py",
        CALL.replace("Start", "StartPost"),
    ),
    "a loop for ever that is not taken back": (
        "ExecStart=/bin/bash -c 'while sleep 60; do nvidia-smi -pl 300; done'",
        "ExecStopPost=/usr/bin/nvidia-smi -pl 350",
    ),
    "what comes after for ever": ('ExecStart=/bin/sh -c "nvidia-smi -pl 300; sleep infinity; nvidia-smi -pl 350"',),
}
LOSES = [
    "rmmod nvidia_uvm nvidia",
    "modprobe -r nvidia",
    "systemctl restart nvidia-persistenced",
    "echo 1 > /sys/bus/pci/devices/0000:01:00.0/reset",
    "echo 0000:01:00.0 > /sys/bus/pci/drivers/nvidia/unbind",
    "/opt/llama-cpp; nvidia-smi -pl 350",
    "python3 /opt/serve.py; nvidia-smi -pl 350",
    "docker run --gpus all server; nvidia-smi -pl 350",
    "/opt/server & wait; nvidia-smi -pl 350",
]
"""What takes the limit back, or may never let the next one come."""


@pytest.mark.parametrize("case", REFUSED)
def test_a_unit_that_systemd_does_not_run_as_it_stands_sets_nothing(tmp_path: Path, case: str) -> None:
    assert limit_of_unit(tmp_path, *REFUSED[case], files=AT_HOME) is None


@pytest.mark.parametrize("case", STARTS)
def test_a_unit_that_runs(tmp_path: Path, case: str) -> None:
    assert limit_of_unit(tmp_path, *STARTS[case], files=AT_HOME) == 300


@pytest.mark.parametrize("text", LOSES)
def test_a_limit_that_does_not_stay(tmp_path: Path, text: str) -> None:
    assert limit_of_unit(tmp_path, f"ExecStart=/bin/bash -c 'nvidia-smi -pl 300; {text}'") is None


def test_a_value_that_comes_after_a_server_is_none(tmp_path: Path) -> None:
    assert limit_of_unit(tmp_path, "ExecStart=/bin/bash -c 'ollama serve; nvidia-smi -pl 300'") is None
    assert limit_of_unit(tmp_path, "ExecStart=/bin/bash -c 'nvidia-xconfig; nvidia-smi -pl 300'") == 300


def test_a_lock_that_a_server_s_end_lifts_is_not_unlocked(tmp_path: Path) -> None:
    limit_of_unit(tmp_path, "ExecStart=/bin/bash -c 'nvidia-smi -lgc 0,1500; /opt/server; nvidia-smi -rgc'")
    assert look(tmp_path, machine()).taken == {}


@pytest.mark.parametrize("key", ["Requires", "BindsTo", "Requisite"])
def test_a_unit_that_needs_a_masked_one_does_not_start(tmp_path: Path, key: str) -> None:
    link(tmp_path, f"{UNITS}/nvidia-persistenced.service", "/dev/null")
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, unit=f"{key}=nvidia-persistenced.service") is None


def test_a_unit_that_only_wants_a_masked_one_starts(tmp_path: Path) -> None:
    link(tmp_path, f"{UNITS}/nvidia-persistenced.service", "/dev/null")
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, unit="Wants=nvidia-persistenced.service") == 300


SSH = {
    f"/usr/lib/systemd/system/{name}.service": f"[Service]\nExecStart=/usr/sbin/{name}\n"
    for name in ("ssh", "systemd-journald")
}


@pytest.mark.parametrize(("key", "watts"), [("Requires", None), ("BindsTo", None), ("Wants", 300)])
def test_a_unit_that_needs_one_that_is_not_there_does_not_start(tmp_path: Path, key: str, watts: int | None) -> None:
    needs = f"{key}=nvidia-fabricmanager.service"
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, unit=needs) == 300  # whose packages' units are not known
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, unit=needs, files=SSH) == watts
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, unit="Requires=ssh.service", files=SSH) == 300
    old = {"/etc/init.d/old": "#!/bin/sh\n"}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, unit="Requires=old.service", files={**SSH, **old}) == 300


CONFLICTS = {
    "which it names": ("Conflicts=other.service", "", True, None),
    "which names it": ("", "Conflicts=gpu.service", True, None),
    "of which neither names the other": ("Conflicts=shutdown.target", "Conflicts=ssh.service", True, 300),
    "which does not start": ("Conflicts=other.service", "Conflicts=gpu.service", False, 300),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_of_two_units_that_exclude_each_other_either_may_start(tmp_path: Path, case: str) -> None:
    own, others, starts, watts = CONFLICTS[case]
    put(tmp_path, f"{UNITS}/other.service", f"[Unit]\n{others}\n[Service]\nExecStart=/usr/bin/true\n")
    if starts:
        pull(tmp_path, "other.service")
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, unit=own) == watts


@pytest.mark.parametrize(
    ("condition", "watts"),
    [
        ("ConditionPathExists=/root/gpu.sh", 300),
        ("ConditionFileIsExecutable=/root/gpu.sh", 300),
        ("ConditionPathExists=!/root/gpu.sh", None),
        ("ConditionPathExists=/root/other.sh", None),
        ("ConditionPathExistsGlob=/dev/nvidia[0-9]*", 300),
        ("ConditionPathExistsGlob=/etc/gpu*", None),
        ("ConditionFileNotEmpty=/etc/gpu", None),
    ],
)
def test_that_what_a_unit_runs_is_there_is_no_condition(tmp_path: Path, condition: str, watts: int | None) -> None:
    run = "ExecStart=-/root/gpu.sh start"
    assert limit_of_unit(tmp_path, "Type=oneshot", run, unit=condition, files=AT_HOME) == watts


def test_a_unit_s_file_where_links_belong_is_told_and_starts_nothing(tmp_path: Path) -> None:
    path = f"{UNITS}/multi-user.target.wants/gpu.service"
    put(tmp_path, path, f"[Service]\nType=oneshot\n{CALL}\n")
    found = look(tmp_path)
    assert (found.taken, found.left) == ({}, {(path, 3): "not-started"})


def test_a_script_without_a_first_line_is_run_by_shells_alone(tmp_path: Path) -> None:
    script = {"/opt/limit": "nvidia-smi -pl 300\n"}
    assert limit_of_unit(tmp_path, "Type=oneshot", "ExecStart=/opt/limit", files=script) is None
    assert limit_of_unit(tmp_path, "Type=oneshot", "ExecStart=/bin/sh /opt/limit", files=script) == 300
    assert limit_of_unit(tmp_path, "Type=oneshot", "ExecStart=/bin/sh -c /opt/limit", files=script) == 300


def test_rc_local_needs_a_first_line(tmp_path: Path) -> None:
    assert limit_of(tmp_path, {"/etc/rc.local": "nvidia-smi -pl 300\n"}) is None
    assert limit_of(tmp_path, {"/etc/rc.local": "#!/bin/sh\nnvidia-smi -pl 300\n"}) == 300
