"""The socket of a real daemon: its replies held against the interface file, and no client that can harm it."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from tests.contract.control_socket import Raw
from tests.contract.interface_file import held_to_the_file
from tests.contract.test_socket_bad_input import GARBAGE
from tests.daemon import Daemon

POLICY = """
[daemon]
poll_interval_s = 0.2

[[gpu]]
match = { name = "*" }
persistence_mode = true
power_limit_w = { max = 400 }
gpu_clock_mhz = { max = 1500 }
required = ["power_limit_w"]
watch = ["compute_mode"]
reason = "circuit 4B"

[[gpu]]
match = { name = "NVIDIA GeForce RTX 5090" }
power_limit_w = 9000
memory_clock_mhz = "unlocked"
"""


def held(client: Raw, method: str, **parameters: Any) -> dict[str, Any]:
    client.ask(method, parameters=parameters)
    return held_to_the_file(method, client.reply())


def test_every_reply_is_as_the_interface_file_says(nvsim: Any) -> None:
    host = nvsim("rtx-5090-575", "h200", "t4")
    with Daemon(host, POLICY) as daemon:
        daemon.until(daemon.listens, "the socket")
        with Raw(str(daemon.socket)) as client:
            held(client, "Status")  # whatever there is to say before the first pass
            daemon.ready()
            host.load(0, 100)
            host.set(1, power_limit_w=350)
            host.xid(1, 31)
            assert len(held(client, "Status")["gpus"]) == 3
            held(client, "Throttle")
            plan = held(client, "Plan")
            assert plan["refusals"]
            for method in ("Apply", "Reload", "Restore", "Release", "Resume", "Apply"):
                held(client, method)
                held(client, "Status")
                held(client, "Plan")


def test_every_event_is_as_the_interface_file_says(nvsim: Any) -> None:
    host = nvsim("h200")
    with Daemon(host, POLICY).ready() as daemon, Raw(str(daemon.socket)) as watcher:
        watcher.ask("Watch", more=True)
        held_to_the_file("Watch", watcher.reply())
        host.set(0, power_limit_w=600)
        kinds: list[str] = []
        while "put_back" not in kinds:
            reply = held_to_the_file("Watch", watcher.reply())
            assert reply["sequence"] > 0
            kinds.append(reply["event"]["kind"])


def test_garbage_and_a_crowd_write_nothing_and_the_daemon_goes_on_and_ends(nvsim: Any) -> None:
    host = nvsim("h200")
    with Daemon(host, POLICY).ready() as daemon:
        before = host.writes()
        path = str(daemon.socket)
        crowd = [Raw(path) for _ in range(200)]
        for number, client in enumerate(crowd):
            if number % 3 == 0:
                client.ask("Watch", more=True)
            elif number % 3 == 1:
                client.send(b'{"method":')
        for sent, _ in GARBAGE.values():
            with Raw(path) as client:
                client.send(sent)
                reply = client.reply()
                assert reply is not None and "error" in reply
        with Raw(path) as client:
            took = time.perf_counter()
            held(client, "Status")
            took = time.perf_counter() - took
        assert took < 0.1
        assert host.writes() == before
        daemon.stop()
        for client in crowd:
            client.sock.close()
        assert not daemon.socket.exists()


def test_while_the_driver_hangs_status_says_so_and_commands_are_refused(nvsim: Any) -> None:
    host = nvsim("h200")
    with Daemon(host, POLICY).ready() as daemon, Raw(str(daemon.socket)) as client:
        host.hang("all", 9)
        daemon.until(lambda: daemon.status()["driver"]["state"] == "not_answering", "told that it hangs")
        driver = held(client, "Status")["driver"]
        assert driver["not_answering_since"] is not None
        assert driver["answered_at"] is not None
        client.ask("Apply")
        reply = client.reply()
        assert reply is not None
        assert reply["error"] == "io.gputuned.Control.NotAnswering"
        assert reply["parameters"] == {"since": driver["not_answering_since"]}
        daemon.until(lambda: daemon.status()["driver"]["state"] == "ok", "told that it is over", 15)
        held(client, "Apply")


def test_a_stale_path_is_replaced_and_a_living_daemons_is_not(nvsim: Any) -> None:
    host = nvsim("h200")
    with Daemon(host, POLICY).ready() as daemon:
        daemon.kill()
        assert daemon.socket.exists()
        with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.socket))
        daemon.manager.told.clear()
        daemon.start()
        daemon.ready()
        daemon.ctl("status")
