"""`gpu-tunedctl show` on the simulated driver, and `--every`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gpu_tuned import looks
from gpu_tuned.adapters.nvml import detail
from gpu_tuned.composition import policy_files
from gpu_tuned.core.errors import DriverTrouble, NotReachable
from gpu_tuned.ctl.every import repeat
from gpu_tuned.ctl.options import Options
from tests.conftest import MakeHost
from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon
from tests.golden.fake_daemon import fake_daemon
from tests.golden.kept import document
from tests.init_host import put
from tests.nvsim import Nvsim

ENTRY = "from gpu_tuned.main import control; control()"


def show(host: Nvsim, tmp_path: Path, *argv: str, socket: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        **host.env,
        "GPU_TUNED_SYSROOT": str(host.root),
        "GPU_TUNED_SOCKET": socket or str(tmp_path / "none"),
    }
    return subprocess.run(
        [sys.executable, "-c", ENTRY, "show", *argv], capture_output=True, text=True, timeout=60, env=environment
    )


def test_a_board_without_a_daemon(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("rtx-5090-575")
    writes = host.writes(strangers=True)
    done = show(host, tmp_path)
    assert done.returncode == 0
    assert "no daemon answers" in done.stderr
    for words in ("400-575 W", "389 from 180 to 3090 MHz by 7.5", "BAR1", "generation 1 x16", "no getter"):
        assert words in done.stdout, done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert host.writes(strangers=True) == writes


def test_which_of_several(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("h100", "rtx-5090-575")
    done = show(host, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "which GPU?" in done.stderr
    shown = json.loads(show(host, tmp_path, "1", "--json").stdout)
    assert shown["index"] == 1
    assert show(host, tmp_path, "7").returncode == 2


def test_with_a_daemon_its_words_are_added(nvsim: MakeHost, tmp_path: Path) -> None:
    told = document("one")
    host = nvsim(f"rtx-5090-575,uuid={told['gpus'][0]['uuid']}")
    with fake_daemon(tmp_path, {"Status": told}) as daemon:
        done = show(host, tmp_path, "--json", socket=daemon.path)
    assert done.stderr == ""
    shown = json.loads(done.stdout)
    limit = next(s for s in shown["settings"] if s["setting"] == "power_limit_w")
    assert (shown["daemon"], limit["wished"], limit["original"], limit["found"]) == (True, 450, 575, 575)
    assert limit["allowed"] == {"min": 400, "max": 575}
    assert shown["put_back"]["count"] == 2


def test_own_processes_are_named_and_others_counted(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("rtx-5090-575")
    shown = json.loads(show(host, tmp_path, "--json").stdout)
    assert shown["processes"] == []
    assert shown["other_processes"] == 0


def test_advice_of_the_policy_is_shown(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("rtx-5090-575")
    put(host.root, "/etc/gpu-tuned/gpu-tuned.toml", '[[gpu]]\nmatch = { name = "*" }\npower_limit_w = 600\n')
    assert [a["id"] for a in json.loads(show(host, tmp_path, "--json").stdout)["advice"]] == [
        "limit-out-of-range",
        "settings-forgotten",
    ]


def test_a_sleeping_gpu_is_left_asleep(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("rtx-5090-laptop")
    put(host.root / "sys/bus/pci/devices/0000:01:00.0", "power/runtime_status", "suspended\n")
    before = host.calls()
    done = show(host, tmp_path)
    assert done.returncode == 5
    assert "would wake it up" in done.stderr
    assert host.calls() == before


def test_a_client_of_mps_is_a_process_like_any(nvsim: MakeHost, tmp_path: Path) -> None:
    """The driver has it in a list of its own; in that of compute processes is MPS's server."""
    host = nvsim("rtx-5090-575")
    host.run("load", 0, "open", "--pid", os.getpid(), "--mps-client", os.getppid())
    shown = json.loads(show(host, tmp_path, "--json").stdout)
    kinds = {(process["pid"], process["kind"]) for process in shown["processes"]}
    if os.geteuid() == 0:  # others are shown their own processes alone
        assert kinds == {(os.getpid(), "compute"), (os.getppid(), "mps")}
    assert len(shown["processes"]) + shown["other_processes"] == 2


def test_a_hanging_driver_is_told(nvsim: MakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = nvsim("rtx-5090-575")
    for name, text in {**host.simulator_env, "GPU_TUNED_SYSROOT": str(host.root)}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(looks, "SHOW_S", 0.1)
    monkeypatch.setattr(detail, "look_at", lambda gpu: threading.Event().wait(30))
    with pytest.raises(DriverTrouble, match="has not answered within"):
        looks.show(str(host.root), policy_files(str(tmp_path / "none.toml"), None), None, None)


def test_every_repeats_until_it_is_interrupted(tmp_path: Path) -> None:
    with fake_daemon(tmp_path, {"Status": document("one")}) as daemon:
        process = subprocess.Popen(
            [sys.executable, "-c", ENTRY, "status", "--every", "0.01s", "--socket", daemon.path],
            stdout=subprocess.PIPE, text=True,
            # As a terminal starts it: `nohup packaging/test &` hands an ignored SIGINT down to every child.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        assert process.stdout is not None
        pages = 0
        for line in process.stdout:
            pages += line.startswith("IN ORDER")
            if pages == 3:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_every_goes_on_while_the_daemon_restarts() -> None:
    options, turns = Options(), iter((0, 3, 0))
    slept: list[float] = []
    options.json = False

    def run(_: Options) -> int:
        code = next(turns, None)
        if code is None:
            raise KeyboardInterrupt
        if code:
            raise NotReachable("nobody listens")
        return code

    assert repeat(run, options, 2.0, slept.append, lambda: sum(slept)) == 0
    assert slept == [2.0, 2.0, 2.0]


def test_every_never_waits_for_less_than_nothing() -> None:
    """A verb that takes longer than its interval, under a clock that goes on between two looks at it."""
    options, slept, now = Options(), [0.0], iter(range(0, 900, 3))
    options.json = True

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 5:
            raise KeyboardInterrupt

    assert repeat(lambda _: 0, options, 1.0, sleep, lambda: float(next(now))) == 0
    assert min(slept) >= 0


def test_every_wants_a_unit(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, "status", "--every", "5"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "90s" in done.stderr


def test_a_gpu_that_is_away_is_told_as_away_and_the_one_that_is_left_with_its_wishes(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h200")
    with Daemon(host, FAST + rule("power_limit_w = 450")).ready() as daemon:
        daemon.turns(1)
        host.run("lose", "0")
        daemon.until(lambda: daemon.status()["gpus"][0]["state"] == "lost", "lost")
        done = daemon.ctl("show", "0")
        assert done.returncode == 5
        assert "NVIDIA H200 0000:01:00.0 is lost: the GPU is lost" in done.stderr
        done = daemon.ctl("show")
        assert "NVIDIA H200 0000:01:00.0 is lost" in done.stderr
        assert "held; from gpu-tuned.toml gpu[0]" in done.stdout


def test_of_several_a_lost_one_is_listed_as_lost(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h200", "h200")
    with Daemon(host, FAST + rule("power_limit_w = 450")).ready() as daemon:
        daemon.turns(1)
        host.run("lose", "0")
        daemon.until(lambda: daemon.status()["gpus"][0]["state"] == "lost", "lost")
        done = daemon.ctl("show", check=False)
        assert done.returncode == 2
        listed = [line.split()[2:] for line in done.stderr.partition("There are:\n")[2].splitlines()]
        assert [(words[0], words[2:]) for words in listed] == [
            ("01:00.0", ["lost"]),
            ("02:00.0", []),
            ("03:00.0", []),
        ]


def test_without_a_daemon_a_gpu_that_cannot_be_described_is_not_left_out(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("h200", "h200", "h200")
    host.run("lose", "0")
    done = show(host, tmp_path)
    assert done.returncode == 2
    assert "the GPU is lost" in done.stderr
    done = show(host, tmp_path, "0")
    assert done.returncode == 5
    assert "GPU 0 cannot be looked at: the GPU is lost" in done.stderr
    host.run("lose", "1")
    done = show(host, tmp_path)
    assert done.returncode == 0
    assert done.stderr.count("cannot be looked at: the GPU is lost") == 2
    assert "03:00.0" in done.stdout


def test_what_a_board_does_not_have_has_no_default(nvsim: MakeHost, tmp_path: Path) -> None:
    """Persistence mode on a Jetson, for one."""
    settings = json.loads(show(nvsim("jetson-orin"), tmp_path, "--json").stdout)["settings"]
    absent = [setting for setting in settings if setting["absent"] is not None]
    assert "persistence_mode" in [setting["setting"] for setting in absent]
    assert all(setting["default"] is setting["allowed"] is None for setting in absent)
