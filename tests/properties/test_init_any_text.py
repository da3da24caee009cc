"""Files with anything in them: reading ends, nothing crashes, and what is proposed is a policy."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_tuned.adapters.policy_file import load_text
from gpu_tuned.core.goal import Found, Refusal
from gpu_tuned.core.model import Setting
from gpu_tuned.core.settings import goal_of
from gpu_tuned.init.policy_text import write
from tests.init_host import RTX_3090, RTX_5090, enable, look, machine, put

SHELL = ["sudo ", "echo ", "sh -c ", '"', "'", ";", "&&", "||", "|", "(", ")", ">", "<<EOF\n", "EOF\n", "\\", "\n"]
SHELL += [" ", "#", "$", "${A}", "A=1\n", "for i in 0 1; do ", "done\n", "if ", "then ", "fi\n", "{ ", "}\n", "`"]
SHELL += ["while ", "case $1 in ", "esac\n", "f() {", "exit 0\n", "set -e\n", "trap ", "[[ ", " ]]", "$((", "))"]
SHELL += ["exec ", "\r", "\t", "tee "]
CALLS = ["nvidia-smi", " -pl", " 450", " -pm 1", " -lgc 1,2", " -i 0", " -q", " -r", "nvidia-persistenced"]
CALLS += ["sysctl -w "]
PLACES = ["kernel.numa_balancing=0", "/proc/sys/kernel/numa_balancing", "ExecStart=", "ExecStartPre=-", "[Service]\n"]
PLACES += ["@reboot ", "* * * * * ", "root "]
PIECES = st.sampled_from([*SHELL, *CALLS, "nvidia-smi -pl 300\n", "nvidia-smi -pm 1\n", *PLACES])
TEXTS = st.one_of(st.lists(PIECES, max_size=25).map("".join), st.text(max_size=80))
FILES = ("/etc/rc.local", "/etc/systemd/system/gpu.service", "/etc/cron.d/gpu", "/etc/sysctl.conf", "/opt/x.sh")


@settings(max_examples=150, deadline=None)
@given(file=st.sampled_from(FILES), text=TEXTS)
def test_whatever_stands_in_a_file(file: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if file == "/etc/rc.local":
            text = f"#!/bin/bash\n{text}"
        put(root, file, "", 0o755).write_bytes(text.encode("utf-8", "surrogatepass"))
        enable(root, "gpu.service")
        host = machine(RTX_3090, RTX_5090)
        looked = look(root, host)
        policy = load_text(write(host, looked.decision), Path("/etc/gpu-tuned/gpu-tuned.toml"))
        for board in host.boards:
            for setting, wish in policy.wishes_for(board.gpu).items():
                if setting is not Setting.PERSISTENCE_MODE:
                    assert not isinstance(goal_of(wish, board, Found()), Refusal)
        for change in looked.changes.values():
            if change.action.value == "edit":
                before, after = change.before.split("\n"), change.content.split("\n")
                assert len(before) == len(after)
                differing = {n for n, (row, now) in enumerate(zip(before, after, strict=True), 1) if row != now}
                assert differing <= set(change.lines)


@pytest.mark.parametrize(
    "text",
    [
        "for x in a" + " " * 60_000 + "y",
        "nvidia-smi -pl 1 " + "'" * 60_001,
        "nvidia-smi -pl $" + "A" * 60_000,
        "A=" + '"' * 60_000,
        "$(" * 20_000,
        "((" * 20_000,
        "x\\\n" * 20_000,
        "<<E\n" * 15_000,
        "{ " * 20_000,
        "f() { f; f; f; }\nf\n",
        "for a in {0..40}; do for b in {0..40}; do for c in {0..40}; do nvidia-smi -pl 3; done; done; done",
        "nvidia-smi -pl 300;" * 3000,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_long(tmp_path: Path, text: str) -> None:
    put(tmp_path, "/etc/rc.local", f"#!/bin/bash\n{text}\n", 0o755)
    started_s = time.process_time()
    look(tmp_path)
    assert time.process_time() - started_s < 4


def test_a_file_s_name_gets_into_no_policy(tmp_path: Path) -> None:
    put(tmp_path, "/etc/rc.d/rc.local", "#!/bin/sh\n'/opt/x\n[daemon]\nmode=\"observe\"\n.sh'\n", 0o755)
    put(tmp_path, '/opt/x\n[daemon]\nmode="observe"\n.sh', "#!/bin/sh\nnvidia-smi -pl 300\n", 0o755)
    text = write(machine(), look(tmp_path).decision)
    assert 'mode="observe"' not in text.splitlines()
    load_text(text, Path("/etc/gpu-tuned/gpu-tuned.toml"))
