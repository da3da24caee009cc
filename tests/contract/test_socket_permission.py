"""Everybody may read; root and the group may change something, as the kernel says who is calling."""

from __future__ import annotations

import grp
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.control.peers import Access, Peer, peer_of
from gpu_tuned.ports import Answer
from tests.contract.control_socket import Served
from tests.contract.sample_document import document

NOBODY = 65534
WRITING = ["Apply", "Reload", "Restore", "Release", "Resume"]
READING = ["Status", "Plan", "Throttle", "org.varlink.service.GetInfo"]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else to connect")

# Becomes somebody else only once it runs: that one may not be able to read the interpreter's folder.
CALL = """
import json, os, socket, sys
path, uid, gid, groups, *methods = sys.argv[1:]
os.setgroups([int(group) for group in groups.split(",") if group])
os.setgid(int(gid))
os.setuid(int(uid))
sock = socket.socket(socket.AF_UNIX)
sock.connect(path)
for name in methods:
    name, _, parameters = name.partition(" ")
    method = name if "." in name else "io.gputuned.Control." + name
    sock.sendall(json.dumps({"method": method, "parameters": json.loads(parameters or "{}")}).encode() + b"\\0")
    data = b""
    while not data.endswith(b"\\0"):
        data += sock.recv(65536)
    print(data[:-1].decode())
"""


def call_as(
    served: Served, methods: Sequence[str], uid: int, gid: int = NOBODY, groups: tuple[int, ...] = ()
) -> list[dict[str, Any]]:
    """Call from a process of that user and those groups."""
    os.chmod(Path(served.path).parent, 0o755)
    who = [str(uid), str(gid), ",".join(map(str, groups))]
    found = subprocess.run(
        [sys.executable, "-I", "-c", CALL, served.path, *who, *methods],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert found.returncode == 0, found.stderr
    return [json.loads(line) for line in found.stdout.splitlines()]


@as_root
def test_everybody_may_read() -> None:
    with Served() as served:
        for reply in call_as(served, READING, NOBODY):
            assert "error" not in reply


@as_root
def test_a_stranger_may_change_nothing_and_hears_what_it_takes() -> None:
    group = grp.getgrall()[-1].gr_name
    with Served(group=group) as served:
        replies = call_as(served, WRITING, NOBODY)
        assert [reply["error"] for reply in replies] == ["io.gputuned.Control.NotPermitted"] * len(WRITING)
        assert [reply["parameters"]["method"] for reply in replies] == WRITING
        assert {r["parameters"]["needed"] for r in replies} == {f"root or a member of the group {group}"}
        assert served.mailbox.take() is None


@as_root
def test_without_the_group_the_refusal_says_that_it_is_missing() -> None:
    with Served(group="gpu-tuned-no-such-group") as served:
        (reply,) = call_as(served, ["Apply"], NOBODY)
        assert "no group gpu-tuned-no-such-group" in reply["parameters"]["needed"]


@as_root
@pytest.mark.parametrize("primary", [True, False], ids=["primary group", "supplementary group"])
def test_a_member_of_the_group_may(primary: bool) -> None:
    member = next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY))
    with Served(group=member.gr_name) as served, served.answering(lambda name, _: Answer({"message": name})):
        found = document()
        found["policy"]["required"] = []
        for row in found["gpus"][0]["settings"]:
            row["required"] = False
        served.mailbox.publish(lambda: found)
        gid, groups = (member.gr_gid, ()) if primary else (NOBODY, (NOBODY, member.gr_gid))
        replies = call_as(served, WRITING, NOBODY, gid, groups)
        assert [r["parameters"]["message"] for r in replies] == [method.lower() for method in WRITING]


def release_or_restore(answer: dict[str, Any]) -> str:
    return str(answer["parameters"].get("needed") or answer["parameters"].get("message"))


@as_root
def test_what_is_required_is_let_go_of_by_root_alone() -> None:
    """A member of the group may put back and release anything else; the refusal names the setting and its rule."""
    member = next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY))
    calls = {
        'Restore {"gpu": "0", "setting": "persistence_mode"}': "restore",
        'Restore {"gpu": "0", "setting": "power_limit_w"}': "root",
        'Restore {"gpu": "01:00.0", "setting": "power limit"}': "root",
        'Restore {"gpu": "GPU-5b1c9f2e-0000-0000-0000-000000000000"}': "root",
        'Restore {"gpu": "1"}': "restore",  # the other one has no required setting
        'Restore {"gpu": "9"}': "restore",  # names none, which the loop says
        'Restore {"setting": "persistence_mode"}': "restore",
        "Restore": "root",
        'Release {"gpu": "1"}': "root",  # NVML lets go of all or none
        "Release": "root",
        "Resume": "resume",
        "Apply": "apply",
    }
    with Served(group=member.gr_name) as served, served.answering(lambda name, _: Answer({"message": name})):
        found = document(gpus=2)
        for row in found["gpus"][1]["settings"]:
            row["required"] = False
        served.mailbox.publish(lambda: found)
        told = [release_or_restore(reply) for reply in call_as(served, list(calls), NOBODY, member.gr_gid)]
        why = "root: the policy marks NVIDIA GeForce RTX 5090 0000:01:00.0 power limit (20-psu.toml "
        assert told == [why + "gpu[0].power_limit_w) as required" if w == "root" else w for w in calls.values()]
        assert [release_or_restore(r) for r in call_as(served, list(calls), 0)] == [
            call.partition(" ")[0].lower() for call in calls
        ]


@as_root
def test_what_is_required_is_not_released_either_while_no_gpu_can_be_seen() -> None:
    member = next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY))
    with Served(group=member.gr_name) as served, served.answering(lambda name, _: Answer({"message": name})):
        found = document(gpus=0)
        found["policy"]["required"] = ["20-psu.toml gpu[0].power_limit_w"]
        served.mailbox.publish(lambda: found)
        (reply,) = call_as(served, ["Release"], NOBODY, member.gr_gid)
        assert reply["parameters"]["needed"] == "root: the policy marks 20-psu.toml gpu[0].power_limit_w as required"


@as_root
def test_before_the_first_status_nobody_but_root_lets_go() -> None:
    member = next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY))
    with Served(group=member.gr_name, published=False) as served:
        replies = call_as(served, ["Release", "Restore"], NOBODY, member.gr_gid)
        assert [reply["error"] for reply in replies] == ["io.gputuned.Control.DriverTrouble"] * 2
        assert served.mailbox.take() is None


def test_who_runs_the_daemon_may() -> None:
    with Served() as served, served.answering(lambda name, _: Answer({"message": name})), served.connect() as us:
        us.ask("Apply")
        assert us.reply() == {"parameters": {"format": 1, "message": "apply"}}


def test_uid_and_groups_decide_and_the_process_id_does_not() -> None:
    member = next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY))
    access = Access(member.gr_name)
    stranger = NOBODY if os.geteuid() != NOBODY else NOBODY - 1
    assert access.admits(Peer(1, 0, frozenset()))
    assert access.admits(Peer(1, os.geteuid(), frozenset()))
    assert access.admits(Peer(1, stranger, frozenset({member.gr_gid})))
    assert not access.admits(Peer(0, stranger, frozenset({0, NOBODY})))
    assert not Access("gpu-tuned-no-such-group").admits(Peer(1, stranger, frozenset({member.gr_gid})))


def test_the_kernel_names_our_own_groups() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert peer.gids == {os.getegid(), *os.getgroups()}
