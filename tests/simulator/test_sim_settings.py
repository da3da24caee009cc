"""What each board makes of what is written to it, and how it moves then."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.nvsim import SIMULATOR, Nvsim, NvsimError

MakeHost = Callable[..., Nvsim]

OK, INVALID_ARGUMENT, NOT_SUPPORTED, DEPRECATED = 0, 2, 3, 26


@pytest.mark.parametrize(
    ("board", "driver", "answer"),
    [
        ("rtx-5090-575", "580.159.04", NOT_SUPPORTED),
        ("rtx-5090-575", "595.91.07", DEPRECATED),
        ("l40s", "595.91.07", DEPRECATED),
        ("t4", "595.91.07", DEPRECATED),
        ("h200", "580.159.04", OK),
        ("a100", "570.148.08", OK),
    ],
)
def test_application_clocks_as_recorded(nvsim: MakeHost, board: str, driver: str, answer: int) -> None:
    host = nvsim(board, driver=driver)
    get = "code(n.nvmlDeviceGetApplicationsClock, h, 0)"
    assert host.ask(f"[{get}, code(n.nvmlDeviceResetApplicationsClocks, h)]") == [answer, answer]


def test_application_clocks_are_set_memory_first_and_from_the_ladder_only(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    call = "code(n.nvmlDeviceSetApplicationsClocks, h, {}, {})"
    with host.client():
        assert host.ask(f"[{call.format(1500, 3201)}, {call.format(3201, 1501)}]") == [INVALID_ARGUMENT] * 2
        assert host.ask(call.format(3201, 1500)) == OK
        assert host.ask("[n.nvmlDeviceGetApplicationsClock(h, t) for t in (0, 2)]") == [1500, 3201]
        host.load(0, 20)
        host.advance(2)
        assert host.gpu()["sm_clock_mhz"] == 1500


def test_a_laptop_tells_its_constraints_but_takes_no_limit(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-laptop")
    assert host.ask("n.nvmlDeviceGetPowerManagementLimitConstraints(h)")[1] > 0
    assert host.ask("code(n.nvmlDeviceSetPowerManagementLimit, h, 100000)") == NOT_SUPPORTED
    fields = host.ask("[v.nvmlReturn for v in n.nvmlDeviceGetFieldValues(h, [74, 83, 271, 192])]")
    assert fields == [NOT_SUPPORTED, NOT_SUPPORTED, NOT_SUPPORTED, OK]


def test_memory_locks_snap_up_and_turing_has_none(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575", "t4")
    lock = "code(n.nvmlDeviceSetMemoryLockedClocks, {}, {}, {})"
    with host.client():
        assert host.ask(lock.format("h", 3002, 3002)) == OK
        assert host.gpu()["memory_clock_mhz"] == {"min": 7001, "max": 7001}
        assert host.ask(lock.format("h", 14001, 16000)) == OK
        assert host.gpu()["memory_clock_mhz"] == {"min": 14001, "max": 14001}
        assert host.ask(lock.format("h", 5000, 400)) == INVALID_ARGUMENT
        assert host.ask(lock.format("handles[1]", 405, 405)) == NOT_SUPPORTED


def test_gpu_locks_snap_to_the_ladder_and_impossible_ones_are_refused(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    lock = "code(n.nvmlDeviceSetGpuLockedClocks, h, {}, {})"
    tdp, unlimited = 0xFFFFFF01, 0xFFFFFF02
    with host.client():
        for low, high in ((1600, 1500), (2100, 2200), (1500, tdp)):
            assert host.ask(lock.format(low, high)) == INVALID_ARGUMENT
        assert host.gpu()["gpu_clock_mhz"] is None
        assert host.ask(lock.format(1004, 1507)) == OK
        assert host.gpu()["gpu_clock_mhz"] == {"min": 1005, "max": 1500}
        assert host.ask(lock.format(tdp, unlimited)) == OK
        assert host.gpu()["gpu_clock_mhz"] == {"min": 1500, "max": 1980}


def test_a_lock_holds_the_clock_down_and_a_limit_the_power(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    with host.client():
        host.load(0, 100)
        host.set(0, gpu_clock_mhz="345-1200")
        host.advance(10)
        locked = host.gpu()
        assert locked["sm_clock_mhz"] == 1200 and locked["reasons"] == 0 and locked["power_w"] < 690
        host.set(0, gpu_clock_mhz="unlocked", power_limit_w=400)
        host.advance(10)
        capped = host.gpu()
        assert capped["reasons"] == 0x4 and capped["power_w"] == pytest.approx(395, abs=8)
        assert capped["sm_clock_mhz"] < 1400 and capped["temperature_c"] < 55


def test_a_locked_minimum_costs_watts_at_idle(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    with host.client():
        host.advance(5)
        idle = host.gpu()
        assert (idle["sm_clock_mhz"], idle["reasons"]) == (22, 0x4)
        host.set(0, gpu_clock_mhz="2400-2550")
        host.advance(5)
        assert host.gpu()["power_w"] > idle["power_w"] + 10


def test_temperature_follows_power_with_a_time_constant(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    host.run("speed", 0)
    seen = [host.gpu()["temperature_c"]]
    host.load(0, 100)
    for _ in range(4):
        host.advance(20)
        seen.append(host.gpu()["temperature_c"])
    steps = [b - a for a, b in pairwise(seen)]
    assert all(a > b > 0 for a, b in pairwise(steps))
    assert 60 < seen[-1] < 90


def test_speed_changes_the_pace_without_a_jump(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    before = host.show()["simulated_s"]
    host.speed(0)
    stopped = host.show()["simulated_s"]
    assert 0 <= stopped - before < 5 and host.show()["simulated_s"] == stopped
    host.speed(1000)
    time.sleep(0.05)
    host.speed(1)
    assert host.show()["simulated_s"] - stopped > 50


def test_a_wish_of_a_stranger_that_nobody_holds_is_gone_and_said_so(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    done = subprocess.run(
        [SIMULATOR / "nvsim", "--state", host.directory, "set", "0", "power_limit_w=500"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "persistence is off" in done.stderr
    assert host.gpu()["power_limit_w"] == 700


def test_a_strangers_write_is_refused_like_anybodys(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    with pytest.raises(NvsimError, match="INVALID_ARGUMENT"):
        host.set(0, power_limit_w=600)
    with pytest.raises(NvsimError, match="no key"):
        host.set(0, powerlimit=600)


def test_many_processes_write_at_once_and_none_gets_lost(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    code = (
        "import pynvml as n\nn.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0)\n"
        "for i in range(200): n.nvmlDeviceSetPowerManagementLimit(h, 200000 + 1000 * i)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], env=host.env) for _ in range(4)]
    running[0].kill()  # perhaps while it holds the lock
    assert [p.wait(60) for p in running[1:]] == [0, 0, 0]
    running[0].wait()
    by_pid = {p.pid: sum(w["pid"] == p.pid for w in host.writes()) for p in running[1:]}
    assert set(by_pid.values()) == {200}
    assert host.clients() == []


def test_recorded_costs_can_be_switched_on(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    once = (
        "(lambda t: (n.nvmlDeviceGetFieldValues(h, [74, 75, 76, 77, 78, 79, 80, 81, 269, 270, 271]),"
        " time.monotonic() - t)[1])(time.monotonic())"
    )
    quickest = f"min({once} for _ in range(10))"  # the machine may be busy: only the quickest tells
    assert host.ask(quickest) < 0.001
    host.run("costs", "on")
    assert 0.0019 <= host.ask(quickest) < 0.004


def test_an_advance_of_hours_takes_no_time(nvsim: MakeHost) -> None:
    host = nvsim(*["h200"] * 8)
    for i in range(8):
        host.load(i, 100)
    started = time.monotonic()
    host.advance(6 * 3600)
    assert time.monotonic() - started < 2
    assert host.gpu(7)["counters_ns"]["74"] == pytest.approx(6 * 3600e9, rel=0.01)


def test_env_prints_lines_for_a_shell(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    script = f'eval "$({SIMULATOR / "nvsim"} env --state {host.directory})" && {sys.executable} -c "{PRINT}"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == "NVIDIA H200"


PRINT = (
    "import json, pynvml as n; n.nvmlInit(); print(json.dumps(n.nvmlDeviceGetName(n.nvmlDeviceGetHandleByIndex(0))))"
)
