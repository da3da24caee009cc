"""Edits: the lines that go, and that what is left of a script still runs and does the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.init_host import look, put, unit

MARK = "# gpu-tuned holds this now: "


def after(root: Path, text: str) -> str | None:
    """The script once what it sets is taken over; None where it is left."""
    put(root, "/etc/rc.local", text, 0o755)
    change = look(root).changes["/etc/rc.local"]
    return change.content if change.action.value == "edit" else None


def test_a_line_becomes_a_comment_and_a_colon_keeps_its_place(tmp_path: Path) -> None:
    assert after(tmp_path, "#!/bin/sh\nif true; then\n  nvidia-smi -pl 300\nfi\n") == (
        f"#!/bin/sh\nif true; then\n  : {MARK}nvidia-smi -pl 300\nfi\n"
    )


def test_bytes_and_line_ends_survive(tmp_path: Path) -> None:
    put(tmp_path, "/etc/rc.local", "", 0o755).write_bytes(
        b"#!/bin/sh\r\n# caf\xe9\r\nnvidia-smi -pl 300\r\necho x\r\n"
    )
    change = look(tmp_path).changes["/etc/rc.local"]
    assert change.content.encode("utf-8", "surrogateescape") == (
        b"#!/bin/sh\r\n# caf\xe9\r\n: # gpu-tuned holds this now: nvidia-smi -pl 300\r\necho x\r\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "f() { nvidia-smi -pl 300; }\nset -e\nf\necho done",  # what calls it would find no such command
        "nvidia-smi -pl 300; reboot",
        "! nvidia-smi -pl 300",
        "nvidia-smi -pl 300 && exit 0\n/opt/notify",
        "exec nvidia-smi -pl 300\n/opt/notify",
        "echo x && /opt/notify && nvidia-smi -pl 300",
        "nvidia-smi -pl 300 | /opt/notify",
        "for i in 0; do nvidia-smi -i $i -pl 300; /opt/notify $i; done",
        "while true; do nvidia-smi -pl 300; sleep 60; done",
        "{ nvidia-smi -pl 300; /opt/notify; }",
        "f() { nvidia-smi -pl 300; /opt/notify; }; f",
        "nvidia-smi -pl 300\nf() { nvidia-smi -pl 350; }",
        "nvidia-smi -pl 300\nnvidia-smi -gtt 80",
        "nvidia-smi -pl 300\nif cold; then nvidia-smi -lgc 0,1500; fi",
        "nvidia-smi -pl 300\nexit 0\nnvidia-smi -pl 350",
    ],
)
def test_a_file_stays_where_not_all_of_it_can_go(tmp_path: Path, text: str) -> None:
    assert after(tmp_path, f"#!/bin/bash\n{text}\n") is None


def test_what_is_left_of_a_script_runs_and_calls_nothing_that_went(tmp_path: Path) -> None:
    """Run for real, with an nvidia-smi and a sudo that leave a trace."""
    text = """#!/bin/bash
set -e
f() {
    nvidia-smi -pm 1
}
f
for i in 0 1; do
    nvidia-smi -i 0 \\
        -pl 300
done
for i in 0; do nvidia-smi -i $i -lgc 0,1410; done
if true; then
    sudo nvidia-smi -lgc 0,1410 &&
        sudo nvidia-smi -rmc
fi
case x in
    x)
        nvidia-smi -pl 300
        ;;
esac
nvidia-smi -pl 300 || true
echo the rest ran
"""
    for name in ("nvidia-smi", "sudo"):
        stub = put(tmp_path, f"/stubs/{name}", f"#!/bin/sh\necho called >> {tmp_path}/trace\n", 0o755)

    def run(script: str) -> tuple[int, str, str]:
        path = f"{stub.parent}:/usr/bin:/bin"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env={"PATH": path}, timeout=20)
        return done.returncode, done.stdout, done.stderr

    edited = after(tmp_path, text)
    assert edited is not None
    assert run(edited) == (0, "the rest ran\n", "")
    assert not (tmp_path / "trace").exists()
    assert run(text)[0] == 0
    assert (tmp_path / "trace").exists()  # so the script as it was would have left one
    put(tmp_path, "/etc/rc.local", edited, 0o755)
    assert look(tmp_path).decision.taken == []


def test_a_unit_that_does_more_keeps_what_it_needs(tmp_path: Path) -> None:
    path = unit(tmp_path, "a.service", "ExecStartPre=/usr/bin/nvidia-smi -pl 300", "ExecStart=/opt/serve")
    change = look(tmp_path).changes[path]
    assert (change.action.value, change.lines) == ("edit", (3,))
    lines = ("ExecStart=/usr/bin/nvidia-smi -pl 300", "ExecStartPost=/opt/notify")
    path = unit(tmp_path, "a.service", *lines, enabled=False)
    change = look(tmp_path).changes[path]
    assert change.action.value == "leave"
    assert "nothing to start" in change.why


def test_a_continued_line_of_a_unit_goes_whole(tmp_path: Path) -> None:
    path = unit(tmp_path, "a.service", "ExecStartPre=/usr/bin/nvidia-smi \\", "    -pl 300", "ExecStart=/opt/serve")
    change = look(tmp_path).changes[path]
    assert change.lines == (3, 4)
    assert change.content.split("\n")[2:4] == [f"{MARK}ExecStartPre=/usr/bin/nvidia-smi \\", f"{MARK}-pl 300"]


LIBRARY = "#!/bin/sh\n\n\nset_limit() {\n  nvidia-smi -pl 300\n}\n"


@pytest.mark.parametrize("call", ["set_limit\n\n\n", "f() { set_limit; }\nf\n", "trap set_limit EXIT\n\n"])
def test_a_line_of_a_function_is_one_of_the_file_that_it_stands_in(tmp_path: Path, call: str) -> None:
    put(tmp_path, "/etc/rc.local", f"#!/bin/sh\n. /opt/gpu/lib.sh\n{call}echo done\nexit 0\n", 0o755)
    put(tmp_path, "/opt/gpu/lib.sh", LIBRARY, 0o755)
    found = look(tmp_path)
    assert {(effect.file, effect.line) for effect in found.scan.effects} == {("/opt/gpu/lib.sh", 5)}
    assert found.actions.get("/etc/rc.local", "leave") == "leave"
