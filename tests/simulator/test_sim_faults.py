"""The simulated driver fails on command, and comes back, as hardware does."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.nvsim import Nvsim, NvsimError, wait_for

MakeHost = Callable[..., Nvsim]

INVALID_ARGUMENT, NOT_SUPPORTED, TIMEOUT, NOT_FOUND_FUNCTION, LOST = 2, 3, 10, 13, 15


def test_a_lost_gpu_answers_lost_while_the_others_go_on(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575", "h200")
    config = host.root / "sys/bus/pci/devices/0000:01:00.0/config"
    read = "[code(n.nvmlDeviceGetPowerUsage, x) for x in handles]"
    then = f"print({read}, code(n.nvmlDeviceGetHandleByIndex, 0), n.nvmlDeviceGetCount())"
    with host.client(then=then) as client:
        host.lose(0)
        assert config.read_bytes()[:4] == b"\xff" * 4
        client.go()
        assert client.line() == f"[{LOST}, 0] {LOST} 2"
    host.restore(0)
    assert config.read_bytes()[:2] == b"\xde\x10"
    assert host.ask(read) == [0, 0]


def test_a_restored_gpu_is_seen_after_shutdown_and_init_only(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    read = "code(n.nvmlDeviceGetPowerUsage, h)"
    again = "n.nvmlShutdown(); n.nvmlInit(); old = h; h = n.nvmlDeviceGetHandleByIndex(0)"
    # A handle kept over a shutdown is refused, so that nobody relies on it.
    then = f"print({read}); {again}; print({read}); h = old; print({read})"
    with host.client(then=then) as client:
        host.set(0, power_limit_w=500)
        host.lose(0)
        host.restore(0)
        client.go()
        assert [client.line() for _ in range(3)] == [str(LOST), "0", str(INVALID_ARGUMENT)]
        assert host.gpu()["power_limit_w"] == 700


def test_xid_and_loss_come_through_the_event_set(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    code = "events = n.nvmlEventSetCreate(); n.nvmlDeviceRegisterEvents(h, 8, events)"
    then = """
for _ in range(4):
    try:
        e = n.nvmlEventSetWait_v2(events, 10000)
        print(e.eventType, e.eventData)
    except n.NVMLError as error:
        print('error', error.value)
"""
    with host.client(code, then) as client:
        client.go()
        host.xid(0, 43)
        assert client.line() == "8 43"
        host.lose(0)
        assert [client.line() for _ in range(3)] == ["8 79", f"error {LOST}", f"error {LOST}"]


def test_only_events_that_the_board_has_can_be_asked_for(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    register = "code(n.nvmlDeviceRegisterEvents, h, {}, n.nvmlEventSetCreate())"
    assert host.ask(f"[{register.format(0x1C)}, {register.format(0x1)}]") == [0, NOT_SUPPORTED]


def test_waiting_for_an_event_that_does_not_come_times_out(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    took = host.python(
        "import pynvml as n, time\n"
        "n.nvmlInit(); s = n.nvmlEventSetCreate()\n"
        "n.nvmlDeviceRegisterEvents(n.nvmlDeviceGetHandleByIndex(0), 8, s); t = time.monotonic()\n"
        "try: n.nvmlEventSetWait_v2(s, 100)\n"
        "except n.NVMLError as e: print(e.value, time.monotonic() - t)"
    ).split()
    assert took[0] == str(TIMEOUT) and 0.09 < float(took[1]) < 2


def test_an_event_storm_is_delivered(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    code = "events = n.nvmlEventSetCreate(); n.nvmlDeviceRegisterEvents(h, 0x10, events)"
    then = "print(sum(n.nvmlEventSetWait_v2(events, 5000).eventType for _ in range(1000)))"
    with host.client(code, then) as client:
        host.run("storm", 0, 1000)
        client.go()
        assert client.line() == "16000"


def test_a_call_hangs_until_it_is_let_go_and_other_processes_go_on(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    code = "import signal; signal.signal(signal.SIGTERM, lambda *a: print('told to end'))"
    then = "print('began'); n.nvmlDeviceGetPowerUsage(h); print('ended')"
    host.hang("nvmlDeviceGetPowerUsage", 60)
    with host.client(code, then) as client:
        client.go()
        assert client.line() == "began"
        client.process.terminate()
        assert host.ask("n.nvmlDeviceGetTemperature(h, 0)") > 0
        assert host.calls().get("nvmlDeviceGetPowerUsage", 0) == 0, "it came back from a signal"
        host.hang("nvmlDeviceGetPowerUsage", 0)
        assert [client.line(), client.line()] == ["told to end", "ended"]


def test_a_slow_call_takes_as_long_as_told(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.slow("nvmlDeviceGetPowerUsage", 150)
    span = "(lambda t: (n.nvmlDeviceGetPowerUsage(h), time.monotonic() - t)[1])(time.monotonic())"
    assert 0.15 <= host.ask(span) < 2
    host.slow("nvmlDeviceGetPowerUsage", 0)
    assert host.ask(span) < 0.1


def test_a_missing_symbol_is_a_function_not_found(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    call = "code(n.nvmlDeviceGetTemperatureV, h, 0)"
    host.run("missing", "nvmlDeviceGetTemperatureV")
    assert host.ask(f"[{call}, code(n.nvmlDeviceGetTemperature, h, 0)]") == [NOT_FOUND_FUNCTION, 0]
    host.run("missing", "none")
    assert host.ask(call) == 0


def test_resume_forgets_locks_and_limits_and_boot_time_runs_ahead(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    ahead = "time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()"
    before = host.ask(ahead)
    with host.client():
        host.set(0, persistence_mode=True, power_limit_w=500, gpu_clock_mhz="1005-1500")
        host.suspend(3600, settle_s=0.2)
        gpu = host.gpu()
        assert (gpu["power_limit_w"], gpu["gpu_clock_mhz"], gpu["persistence_mode"]) == (700, None, True)
        host.set(0, power_limit_w=510)
        wait_for(lambda: host.gpu()["power_limit_w"] == 700, what="a write too early after resume is lost")
        host.set(0, power_limit_w=520)
        time.sleep(0.3)
        assert host.gpu()["power_limit_w"] == 520
    assert host.ask(ahead) - before == pytest.approx(3600, abs=1)


def test_gpus_come_and_go_and_change_places(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h100")
    names = "[n.nvmlDeviceGetName(x) for x in handles]"
    first = host.gpu(0)["uuid"]
    host.run("order")
    assert host.ask(names) == ["NVIDIA H100 80GB HBM3", "NVIDIA H200"]
    host.run("add", "t4")
    assert host.ask(names)[2] == "Tesla T4"
    host.run("remove", first)
    assert host.ask(names) == ["NVIDIA H100 80GB HBM3", "Tesla T4"]
    assert not (host.root / "sys/bus/pci/devices/0000:01:00.0").exists()
    host.restore(first)
    assert host.ask(names) == ["NVIDIA H100 80GB HBM3", "Tesla T4", "NVIDIA H200"]
    assert (host.root / "sys/bus/pci/devices/0000:01:00.0/driver").resolve().name == "nvidia"


def test_another_gpu_may_come_to_the_address_of_one_that_is_gone(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h100")
    link = host.root / "sys/bus/pci/drivers/nvidia/0000:01:00.0"
    host.run("remove", "0")
    assert not link.is_symlink()
    host.run("add", "t4,pci=0000:01:00.0")
    bound = link.lstat().st_ino
    host.run("set", "0", "persistence_mode=true")
    host.run("xid", "0", "31")
    assert link.lstat().st_ino == bound, "and it stays bound"
    assert "Tesla T4" in (host.root / "proc/driver/nvidia/gpus/0000:01:00.0/information").read_text()


def test_reload_and_reset_start_settings_and_counters_anew(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    for anew in (host.reload, lambda: host.reset(0), lambda: host.run("reboot")):
        host.set(0, persistence_mode=True, power_limit_w=500, compute_mode="prohibited")
        host.load(0, 100)
        host.advance(30)
        assert host.gpu()["counters_ns"]["74"] > 20e9 and host.gpu()["energy_mj"] > 1e6
        anew()
        gpu = host.gpu()
        assert gpu["counters_ns"]["74"] < 1e9 and gpu["energy_mj"] < 1e6
        assert (gpu["persistence_mode"], gpu["power_limit_w"], gpu["compute_mode"]) == (False, 700, "default")


def test_a_reboot_has_a_new_boot_id(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    boot_id = host.root / "proc/sys/kernel/random/boot_id"
    before = boot_id.read_text()
    host.run("reboot")
    assert boot_id.read_text() != before


def test_mig_takes_compute_mode_and_utilisation_away(nvsim: MakeHost) -> None:
    host = nvsim("h100", "rtx-5090-575")
    mig = "n.nvmlDeviceGetMigMode"
    ask = f"[{mig}(h)[0], code(n.nvmlDeviceSetComputeMode, h, 3), code({mig}, handles[1])]"
    assert host.ask(ask) == [0, 0, 3]
    host.run("mig", 0, "on")
    assert host.ask(ask) == [1, 3, 3]
    with pytest.raises(NvsimError, match="no MIG"):
        host.run("mig", 1, "on")


def test_a_forced_reason_runs_its_counter_until_it_ends(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.set(0, reasons="0x80")
    host.advance(10)
    gpu = host.gpu()
    assert gpu["reasons"] & 0x80 and gpu["counters_ns"]["271"] == pytest.approx(10e9, rel=0.1)
    host.set(0, reasons="none")
    host.advance(10)
    assert host.gpu()["counters_ns"]["271"] == pytest.approx(10e9, rel=0.1)
    assert host.writes(strangers=True) == []


def test_a_hot_gpu_slows_down_and_says_why(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.load(0, 100)
    host.set(0, temperature=91)
    host.advance(5)
    gpu = host.gpu()
    assert gpu["reasons"] & 0x48 == 0x48 and gpu["sm_clock_mhz"] <= 990
    assert gpu["counters_ns"]["270"] > 4e9


def test_a_call_answers_the_error_it_is_told(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.run("answer", "nvmlDeviceGetPersistenceMode", 999)
    host.run("answer", "nvmlDeviceSetPowerManagementLimit", 2)
    both = "[code(n.nvmlDeviceGetPersistenceMode, h), code(n.nvmlDeviceGetComputeMode, h)]"
    assert host.ask(both) == [999, 0]
    assert host.ask("code(n.nvmlDeviceSetPowerManagementLimit, h, 500000)") == INVALID_ARGUMENT
    host.run("answer", "nvmlDeviceGetPersistenceMode", "none")
    assert host.ask(both) == [0, 0]


def test_a_deaf_gpu_says_success_and_changes_nothing(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    with host.client():
        host.set(0, power_limit_w=600)
        host.run("deaf", 0, "on")
        assert host.ask("code(n.nvmlDeviceSetPowerManagementLimit, h, 500000)") == 0
        assert host.gpu()["power_limit_w"] == 600
        host.run("deaf", 0, "off")
        host.set(0, power_limit_w=500)
        assert host.gpu()["power_limit_w"] == 500
