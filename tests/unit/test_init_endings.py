"""What ends a script before its last line, what comes behind a loop without an end, and names and words that are not
what the line before says: a limit is taken over only where the shell comes to it every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.init_host import look, machine, put

LOOP = "while true; do nvidia-smi -pl 200; sleep 5; done"
BEHIND = {
    "nothing leaves the loop": (f"{LOOP}\nnvidia-smi -pl 300", 200),
    "a call that reads fails in a script of its own": (
        "bash -ec 'while sleep 5; do nvidia-smi -L; nvidia-smi -pl 200; done'\nnvidia-smi -pl 300",
        None,
    ),
    "another setting is refused in a script of its own": (
        "bash -ec 'while sleep 5; do nvidia-smi -pl 200; nvidia-smi -lgc 1500; done'\nnvidia-smi -pl 300",
        None,
    ),
    "the script of the loop may have ended before": (
        "bash -c 'pgrep x && exit 1; while sleep 5; do nvidia-smi -pl 200; done'\nnvidia-smi -pl 300",
        None,
    ),
    "a subshell ends": (f"( set -e; pgrep x; {LOOP} )\nnvidia-smi -pl 300", None),
    "the condition may fail": ("while nvidia-smi -L; do nvidia-smi -pl 200; done\nnvidia-smi -pl 300", None),
    "the condition is a wait of no length": (
        "while sleep $PAUSE; do nvidia-smi -pl 200; done\nnvidia-smi -pl 300",
        None,
    ),
    "a function returns": (
        f"f() {{ pgrep x && return; {LOOP}; }}\nf\nnvidia-smi -pl 300",
        None,
    ),
    "a loop is left before it ends the script": (
        "nvidia-smi -pl 200\nfor i in 0 1; do pgrep x && break; exit; done\nnvidia-smi -pl 300",
        None,
    ),
    "a function returns before it ends the script": (
        "nvidia-smi -pl 200\nf() { pgrep x && return; exit; }\nf\nnvidia-smi -pl 300",
        None,
    ),
    "a script of its own may end before its loop is left": (
        "bash -c 'while nvidia-smi -pl 200; do pgrep x && exit 1; sleep 5; done' || nvidia-smi -pl 300",
        None,
    ),
    "... and so may one that another command follows": (
        "bash -c 'while nvidia-smi -pl 200; do pgrep x && exit 1; sleep 5; done'\nnvidia-smi -pl 300",
        None,
    ),
    "a function may return before its loop is left": (
        "f() { while nvidia-smi -pl 200; do pgrep x && return; sleep 5; done; }\nf\nnvidia-smi -pl 300",
        None,
    ),
    "an error leaves everything that the shell is in": (
        "f() { while true; do nvidia-smi -pl 200; readonly X=1; sleep 5; done; }\nf\nnvidia-smi -pl 300",
        None,
    ),
    "a word that is no number does so too": (
        "while true; do nvidia-smi -pl 200; X=$((MODE + 1)); sleep 5; done\nnvidia-smi -pl 300",
        None,
    ),
    "it is tried until it succeeds": (
        "while true; do nvidia-smi -pm 1 && break; sleep 1; done\nnvidia-smi -pl 300",
        300,
    ),
    "a reader may end it": ("while true; do nvidia-smi -pl 200; sleep 5; done | head\nnvidia-smi -pl 300", None),
    "timeout ends it": (f"timeout 60 bash -c '{LOOP}'\nnvidia-smi -pl 300", None),
    "it waits for ever": ("nvidia-smi -pl 200\nsleep infinity\nnvidia-smi -pl 300", 200),
    "it follows a file": ("nvidia-smi -pl 200\ntail -n0 -f /var/log/syslog\nnvidia-smi -pl 300", 200),
    "it watches": ("nvidia-smi -pl 200\nnvidia-smi dmon -s p > /var/log/dmon\nnvidia-smi -pl 300", 200),
    "it looks five times": ("nvidia-smi -pl 200\nnvidia-smi dmon -c 5\nnvidia-smi -pl 300", 300),
}
ENDS = [
    ': "${MODE:?}"',
    ': "${MODE?not set}"',
    "set -u\nX=$MODE",
    'set -u\n[ -n "${MODE%x}" ]',
    "set -u\n[[ $MODE ]]",
    "set -u\n(( MODE ))",
    "set -u\ncat <<E\n$MODE\nE",
    "X=$((MODE * 2))",
    "X=$((10 * $(cat /x)))",
    "H=$(date +%H)\nX=$((H + 1))",
    "kill $$",
    "kill -9 0",
    "trap 'exit 1' ERR\npgrep x",
    "set -e\ntrue && false",
    "set -e\npgrep x && false",
    "set -e\n{ true; } > /run/nothing/log",
    "set -e\nfor x in 1; do :; done < /etc/nothing",
    "set -e\nlocal x=1",
    "set -e\nexport -f missing",
    "set -e\ndeclare -F missing",
    "set -e\ndeclare -p MISSING",
    "set -e\nexport foo-bar=1",
    "set -e\nexport $PAIR",
    "set -e\npgrep x && f() { :; }\nexport -f f",
    "set -e\npgrep x || false",
    "set -u\nX=1\nunset X\necho $X",
    "set -u\npgrep x && X=1\necho $X",
    "/opt/none.sh || exit 1",
    "set -e\n(false; true)",
    "set -e\nf() { false && true; }\nf",
    "set -e\npgrep x & wait $!",
    "set -e\ntput clear",
    "set -e\nmodprobe vfio-pci",
    "command exit 0",
    '"exit"',
    "set -n",
    "set -t",
    "exec > /run/nothing/log",
    "export BASH_ENV=/x\nset -e\nfalse",
    "readonly X=1\nX=2",
    "pkill -f rc.local",
]
SH_ENDS = [
    "shift 2",
    'shift "$N"',
    "set -Z",
    "set -o pipefail",
    "local x=1",
    "export -f x",
    '[ "$EUID" -eq 0 ] || exit 1',
    "trap : ERR",
    "return",
    "X=$((MODE + 1))",
]
GOES_ON = [
    "set -e\nf() { :; }\nexport -f f",
    'set -e\nexport A=1 B C="$D"',
    "set -e\ndeclare -A W=([0]=1)\ndeclare -a L\ndeclare -i N=1\nreadonly X=1",
    "set -e\nf() { local a b=$1; declare -r c=2; }\nf",
    "return 0",
    "shift 3",
    "X=0\nX=$((X + 1))\nX=$((X * 2))",
    "N=$(nvidia-smi -L | wc -l)\nX=$((N - 1))",
    "set -e\nfalse && true",
    "set -e\n{ false && true; }",
    "set -e\n! true",
    "set -e\n(false; true) || true",
    'set -u\necho "${MODE:-none}" "$HOSTNAME" $?',
    "f() { exit; }",
    "trap 'echo bye' EXIT",
    "kill -0 1",
    "trap cleanup TERM\ncleanup() { nvidia-smi -pl 200; }",
    "while read -r x; do :; done < /etc/none",
    "set -e\ntimeout 5 nvidia-smi -L\nsleep 3\nmodprobe nvidia-uvm",
]
OTHER_VALUES = [
    "readonly W=300\nW=200",
    "declare -r W=300\nW=200",
    "W=300\nf() { pgrep x && return; W=200; }\nf",
    "W=300\nfor i in 0 1; do pgrep x && break; W=200; done",
    "W=300\nf() { W=250; }\nW=200 f",
    "declare -n R=W\nW=300\nR=200",
    "W=300\n: $((W=200))",
    "W=300\n[ $((W -= 100)) -gt 0 ]",
    "IFS=0\nW=300",
    "W=300\n. /etc/none",
    "W=300\nwhile pgrep x; do W=200; done",
    "declare -u W=300",
]
NOT_RUN = [
    "nvidia-smi -pl 300 > /run/nothing/log",
    "nvidia-smi -pl 300 >> $LOG",
    'nvidia-smi -pl 300 >> "$FOLDER/log"',
    "nvidia-smi -pl 300 > /var/log/gpu-$(date).log",
    "nvidia-smi -pl 300 < /etc/nothing",
    "{ nvidia-smi -pl 300; } 2> /run/nothing/log",
    "if nvidia-smi -pl 300; then :; fi > /run/nothing/log",
    "f() { nvidia-smi -pl 300; } > /run/nothing/log\nf",
    "bash -n -c 'nvidia-smi -pl 300'",
    'set -- -pl 300\nnvidia-smi "$*"',
    "case 5 in [^0-9]) nvidia-smi -pl 300 ;; esac",
    "shopt -s nocasematch\ncase a in A) : ;; *) nvidia-smi -pl 300 ;; esac",
    "X='*'\ncase a in $X) : ;; *) nvidia-smi -pl 300 ;; esac",
    "(sleep 30; nvidia-smi -pl 300) & kill $!",
    "(sleep 30; nvidia-smi -pl 300) & pkill sleep",
]
RUN = [
    "{ nvidia-smi -pl 300; } > /dev/null 2>&1",
    "f() { nvidia-smi -pl 300; } >> /var/log/gpu.log 2>&1\nf",
    "for g in 0 1; do nvidia-smi -i $g -pl 300; done > /dev/null 2>&1 < /dev/null",
    "W=300\nsh -c 'case'\nnvidia-smi -pl $W",
    'nvidia-smi -pl 300 >> "/var/log/gpu-$(date +%F).log" 2>&1',
    "mkdir -p /var/log/gpu\nnvidia-smi -pl 300 > /var/log/gpu/log",
    'set -- -pl 300\nnvidia-smi "$@"',
    "systemd-cat -t gpu nvidia-smi -pl 300",
    "case a in [b]) : ;; esac\nX='*'\ncase a in \"$X\") : ;; *) nvidia-smi -pl 300 ;; esac",
    "export A=300\nexport B=$A\nnvidia-smi -pl $B",
    "W=300\nexport W=200 V=$W\nnvidia-smi -pl $V",
    "A=300 B=$A\nnvidia-smi -pl $B",
]
MAY_STAY = [
    "set -e\npgrep x && false\nnvidia-smi -pl 300",
    "nvidia-smi -lgc 0,1500 && exit 0\nnvidia-smi -pl 300",
    "set -e\nnvidia-smi -lgc 0,1500\nnvidia-smi -pl 300",
]
"""Behind a limit of 200 W, and perhaps not come to."""
SETS_AS_WELL = [
    '. "$LIB/gpu.sh"',
    'eval "$SETUP"',
    "trap cleanup EXIT\ncleanup() { nvidia-smi -pl 200; }",
    "trap 'nvidia-smi -pl 200' ERR",
    "trap 'nvidia-smi -pl 200' DEBUG",
    "trap 'nvidia-smi -pl 200' USR1\nkill -USR1 $$",
    "trap 'nvidia-smi -pl 200' TERM\nkill -TERM $$",
    "python3 -c \"import os; os.system('nvidia-smi -pl 200')\"",
    "python3 - <<E\nnvmlDeviceSetPowerManagementLimit(h, 200000)\nE",
    "awk 'BEGIN { system(\"nvidia-smi -pl 200\") }'",
    "shopt -s expand_aliases\nalias low='nvidia-smi -pl 200'\nlow",
]
"""They set something after the limit, or may do so."""


def limit(root: Path, text: str, shell: str = "/bin/bash") -> object:
    """What is taken over of a script that runs at boot, while the board's default says nothing of it."""
    put(root, "/etc/rc.local", f"#!{shell}\n{text}\n", 0o755)
    return look(root, machine()).taken.get(("0", "power_limit_w"))


@pytest.mark.parametrize("case", BEHIND)
def test_what_stands_behind_a_loop_counts_where_something_may_leave_it(tmp_path: Path, case: str) -> None:
    text, watts = BEHIND[case]
    assert limit(tmp_path, text) == watts


@pytest.mark.parametrize("text", ENDS)
def test_what_may_end_a_script_leaves_the_rest_uncertain(tmp_path: Path, text: str) -> None:
    assert limit(tmp_path, f"{text}\nnvidia-smi -pl 300") is None


@pytest.mark.parametrize("text", SH_ENDS)
def test_what_ends_the_plain_shell_alone(tmp_path: Path, text: str) -> None:
    assert limit(tmp_path, f"{text}\nnvidia-smi -pl 300", "/bin/sh") is None


@pytest.mark.parametrize("text", GOES_ON)
def test_what_ends_nothing(tmp_path: Path, text: str) -> None:
    assert limit(tmp_path, f"{text}\nnvidia-smi -pl 300") == 300


@pytest.mark.parametrize("text", OTHER_VALUES)
def test_a_variable_may_have_another_value_than_the_last_line_gave_it(tmp_path: Path, text: str) -> None:
    assert limit(tmp_path, f"{text}\nnvidia-smi -pl $W") is None


@pytest.mark.parametrize("text", NOT_RUN)
def test_a_call_that_the_shell_may_not_run_sets_nothing_for_certain(tmp_path: Path, text: str) -> None:
    assert limit(tmp_path, text) is None


@pytest.mark.parametrize("text", RUN)
def test_a_call_that_the_shell_runs_every_time(tmp_path: Path, text: str) -> None:
    assert limit(tmp_path, text) == 300


@pytest.mark.parametrize("text", MAY_STAY)
def test_a_limit_that_may_stay_is_no_less_likely_than_the_one_that_follows(tmp_path: Path, text: str) -> None:
    assert limit(tmp_path, f"nvidia-smi -pl 200\n{text}") is None


def test_what_runs_beside_the_script_may_come_last(tmp_path: Path) -> None:
    assert limit(tmp_path, "(sleep 9; pgrep x && nvidia-smi -pl 200) &\nnvidia-smi -pl 300") is None


def test_a_script_that_may_not_be_executed_fails_whatever_its_last_command(tmp_path: Path) -> None:
    put(tmp_path, "/opt/part.sh", "#!/bin/sh\ntrue\n", 0o644)
    assert limit(tmp_path, "/opt/part.sh && nvidia-smi -pl 300") is None
    put(tmp_path, "/opt/part.sh", "#!/bin/sh\ntrue\n", 0o755)
    assert limit(tmp_path, "/opt/part.sh && nvidia-smi -pl 300") == 300


@pytest.mark.parametrize("text", SETS_AS_WELL)
def test_what_may_set_it_afterwards_is_seen(tmp_path: Path, text: str) -> None:
    assert limit(tmp_path, f"nvidia-smi -pl 300\n{text}") is None


def test_a_loop_for_ever_in_a_script_that_another_one_calls(tmp_path: Path) -> None:
    put(
        tmp_path,
        "/opt/watch",
        "#!/bin/bash -e\nwhile sleep 5; do nvidia-smi -gtt 80; nvidia-smi -pl 200; done\n",
        0o755,
    )
    assert limit(tmp_path, "/opt/watch\nnvidia-smi -pl 300") is None
    assert limit(tmp_path, "/opt/watch || nvidia-smi -pl 300") is None
    put(
        tmp_path, "/opt/watch", "#!/bin/bash\nwhile sleep 5; do nvidia-smi -gtt 80; nvidia-smi -pl 200; done\n", 0o755
    )
    assert limit(tmp_path, "/opt/watch\nnvidia-smi -pl 300") == 200


def test_a_file_that_is_taken_in_may_return_early(tmp_path: Path) -> None:
    put(tmp_path, "/etc/limits", 'W=300\n[ -n "$QUIET" ] && return\nW=200\n')
    assert limit(tmp_path, ". /etc/limits\nnvidia-smi -pl $W") is None
    assert limit(tmp_path, ". /etc/limits\nnvidia-smi -pl 300") == 300
