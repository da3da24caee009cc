"""The simulated driver's other answers: one refused call, one field, garbage, drivers of other ages, other hosts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.nvsim import Nvsim, NvsimError, handed_out, number, pci_info, wait_for

MakeHost = Callable[..., Nvsim]

INVALID_ARGUMENT, NOT_SUPPORTED, FUNCTION_NOT_FOUND, UNKNOWN = 2, 3, 13, 999
FIELDS = "{i: [f.nvmlReturn, f.value.ullVal] for i in %s for f in n.nvmlDeviceGetFieldValues(h, [i])}"


def test_one_gpu_refuses_and_the_others_do_not(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h200")
    ask = "[code(n.nvmlDeviceGetPowerUsage, x) for x in handles]"
    host.answer("nvmlDeviceGetPowerUsage", UNKNOWN, gpu=1)
    assert host.ask(ask) == [0, UNKNOWN]
    host.answer("nvmlDeviceGetPowerUsage", NOT_SUPPORTED, gpu=0)
    assert host.ask(ask) == [NOT_SUPPORTED, UNKNOWN]
    host.answer("nvmlDeviceGetPowerUsage", "none", gpu=1)
    assert host.ask(ask) == [NOT_SUPPORTED, 0]


def test_a_call_is_refused_so_many_times(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    calls = "nvmlDeviceGetPowerManagementLimitConstraints", "nvmlDeviceGetPowerManagementDefaultLimit"
    for call in calls:
        host.answer(call, UNKNOWN, gpu=0, times=2)
        assert host.ask(f"[code(n.{call}, h) for _ in range(4)]") == [UNKNOWN, UNKNOWN, 0, 0]
    assert host.ask(f"code(n.{calls[0]}, h)") == 0


def test_one_gpu_hangs_and_the_others_answer(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h200")
    host.run("hang", "nvmlDeviceGetPowerUsage", 60, "--gpu", 1)
    assert host.ask("n.nvmlDeviceGetPowerUsage(h)") > 0
    with host.client(then="n.nvmlDeviceGetPowerUsage(handles[1]); print('back')") as client:
        client.go()
        host.run("hang", "nvmlDeviceGetPowerUsage", 0, "--gpu", 1)
        assert client.line() == "back"


@pytest.mark.parametrize("word", ["", "--times 0", "--gpu", "--gpu 7", "--whom 0"])
def test_what_answer_does_not_understand_is_refused(nvsim: MakeHost, word: str) -> None:
    with pytest.raises(NvsimError):
        nvsim("h200").run("answer", "all", *(["999", *word.split()] if word else []))


def test_a_field_answers_what_it_is_told(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h200")
    host.field(0, 192, "uint=0")
    host.field(0, 190, "error=3")
    host.field(0, 186, "double=nan")
    host.field(0, 83, "200=5")
    asked = "[(f.nvmlReturn, f.valueType, f.value.uiVal) for f in n.nvmlDeviceGetFieldValues(%s, [192, 190, 83])]"
    assert host.ask(asked % "h") == [[0, 1, 0], [NOT_SUPPORTED, 0, 0], [0, 200, 5]]
    assert host.ask("str(n.nvmlDeviceGetFieldValues(h, [186])[0].value.dVal)") == "nan"
    assert host.ask(asked % "handles[1]")[0] == [0, 1, 700000]
    host.field(0, "all", "ull=18446744073709551615")
    assert host.ask(FIELDS % "(74, 192)") == {"74": [0, 2**64 - 1], "192": [0, 2**64 - 1]}
    host.field(0, "all", "none")
    assert host.ask(FIELDS % "(192,)") == {"192": [0, 700000]}


GARBAGE = [
    ("nvmlDeviceGetName", [handed_out(b"\xff\x80\xfeA")], "n.nvmlDeviceGetName.__wrapped__(h).hex()", "ff80fe41"),
    ("nvmlDeviceGetUUID", [handed_out("")], "n.nvmlDeviceGetUUID(h)", ""),
    ("nvmlDeviceGetPciInfo_v3", [pci_info("zz:01:00.0")], "n.nvmlDeviceGetPciInfo(h).busId", "zz:01:00.0"),
    ("nvmlDeviceGetPersistenceMode", [number(7)], "n.nvmlDeviceGetPersistenceMode(h)", 7),
    ("nvmlDeviceGetTemperature", ["=0", number(2**31)], "n.nvmlDeviceGetTemperature(h, 0)", 2**31),
    (
        "nvmlDeviceGetPowerManagementLimitConstraints",
        [number(700000), number(200000)],
        "n.nvmlDeviceGetPowerManagementLimitConstraints(h)",
        [700000, 200000],
    ),
    (
        "nvmlDeviceGetSupportedMemoryClocks",
        ["@3", "[" + number(9)[1:] + number(8)[1:] + number(7)[1:]],
        "n.nvmlDeviceGetSupportedMemoryClocks(h)",
        [9, 8, 7],
    ),
]


@pytest.mark.parametrize(("call", "words", "ask", "answer"), GARBAGE, ids=[row[0] for row in GARBAGE])
def test_a_call_hands_out_what_it_is_told(
    nvsim: MakeHost, call: str, words: list[str], ask: str, answer: object
) -> None:
    host = nvsim("h200")
    before = host.ask(ask)
    host.override(0, call, 0, *words)
    assert host.ask(ask) == answer
    host.override(0, call, "none")
    assert host.ask(ask) == before


def test_calls_of_the_host_hand_out_what_they_are_told(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.override("host", "nvmlSystemGetDriverVersion", 0, handed_out(b"\xff\x80"))
    host.override("host", "nvmlDeviceGetCount_v2", 0, number(3))
    look = "print(n.nvmlDeviceGetCount(), n.nvmlSystemGetDriverVersion.__wrapped__())"
    code = f"import pynvml as n; n.nvmlInit(); {look}"
    assert host.python(code).strip() == r"3 b'\xff\x80'"
    host.run("override", "host", "none")
    assert host.python(code).strip() == "1 b'580.159.04'"


def test_the_slowdown_counters_have_the_numbers_of_the_drivers_age(nvsim: MakeHost) -> None:
    """They came with R575 as 251 to 253 and changed places with power smoothing at 580.82."""
    brake, ramp = 60 * 10**9, 4000
    for driver, want in {
        "570.86.15": {"251": [0, 1], "253": [NOT_SUPPORTED, 0], "266": [0, ramp], "271": [INVALID_ARGUMENT, 0]},
        "575.51.02": {"251": [0, 0], "253": [0, brake], "256": [0, 1], "271": [0, ramp]},
        "580.65.06": {"251": [0, 0], "253": [0, brake], "256": [0, 1], "271": [0, ramp]},
        "580.82.07": {"251": [0, 1], "253": [NOT_SUPPORTED, 0], "266": [0, ramp], "271": [0, brake]},
        "580.159.04": {"251": [0, 1], "253": [NOT_SUPPORTED, 0], "266": [0, ramp], "271": [0, brake]},
    }.items():
        host = nvsim("h200", driver=driver)
        host.speed(0)
        host.set(0, reasons="0x80", power_smoothing_mw_s=ramp)
        host.advance(60)
        got = host.ask(FIELDS % list(map(int, want)))
        whole_ms = {key: [code, round(value, -6) if value > ramp else value] for key, (code, value) in got.items()}
        assert whole_ms == want, driver


@pytest.mark.parametrize(
    ("driver", "newest"), [("418.226.00", 95), ("470.256.02", 160), ("535.247.01", 196), ("575.51.02", 273)]
)
def test_an_older_driver_does_not_know_later_fields(nvsim: MakeHost, driver: str, newest: int) -> None:
    got = nvsim("h200", driver=driver).ask(FIELDS % f"({newest}, {newest + 1}, 302)")
    assert got[str(newest)][0] != INVALID_ARGUMENT
    assert [got[str(newest + 1)][0], got["302"][0]] == [INVALID_ARGUMENT, INVALID_ARGUMENT]


AGES = {
    "nvmlDeviceGetPowerUsage": 418,
    "nvmlEventSetWait_v2": 450,
    "nvmlDeviceGetMigMode": 450,
    "nvmlDeviceSetMemoryLockedClocks": 470,
    "nvmlDeviceGetCurrentClocksEventReasons": 535,
    "nvmlDeviceGetTemperatureV": 570,
    "nvmlSystemEventSetCreate": 575,
}


@pytest.mark.parametrize("driver", ["418.226.00", "470.256.02", "550.163.01", "580.159.04"])
def test_an_older_driver_lacks_later_functions(nvsim: MakeHost, driver: str) -> None:
    there = nvsim("t4", driver=driver).ask(f"{{name: hasattr(n.nvmlLib, name) for name in {list(AGES)}}}")
    assert there == {name: since <= int(driver[:3]) for name, since in AGES.items()}


def test_somebody_else_limits_below_what_was_requested(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.set(0, persistence_mode=True, enforced_limit_w=500)
    both = "[n.nvmlDeviceGetPowerManagementLimit(h), n.nvmlDeviceGetEnforcedPowerLimit(h)]"
    assert host.ask(both) == [700000, 500000]
    assert host.ask(FIELDS % "(190, 192)") == {"190": [0, 500000], "192": [0, 700000]}
    host.load(0, 100)
    host.advance(20)
    assert host.gpu()["reasons"] == 0x4 and host.gpu()["power_w"] < 501
    host.set(0, power_limit_w=400)
    assert host.ask(both) == [400000, 400000]


def test_a_clock_offset_moves_the_upper_ladders(nvsim: MakeHost) -> None:
    host = nvsim("rtx-4090")
    ends = "[[m, c[0], c[-1]] for m in n.nvmlDeviceGetSupportedMemoryClocks(h)"
    ends += " for c in [n.nvmlDeviceGetSupportedGraphicsClocks(h, m)]]"
    before = host.ask(ends)
    host.set(0, clock_offset_mhz=60)
    moved = [[m, top + 60, low + 60] if m > 1000 else [m, top, low] for m, top, low in before]
    assert host.ask(ends) == moved
    host.load(0, 5)
    host.advance(1)
    assert host.gpu()["sm_clock_mhz"] == 2865
    info = "(lambda i: (n.nvmlDeviceGetClockOffsets(h, n.byref(i)), i.clockOffsetMHz)[1])"
    assert host.ask(f"{info}(n.c_nvmlClockOffset_t(version=n.nvmlClockOffset_v1, type=0, pstate=0))") == 60
    host.set(0, clock_offset_mhz="none")
    assert host.ask(ends) == before


def test_a_lock_may_lie_on_any_rungs_ladder(nvsim: MakeHost) -> None:
    """As on an RTX 2080: the low memory clock's ladder reaches below the others'."""
    host = nvsim("rtx-4090")
    host.set(0, persistence_mode=True, clock_offset_mhz=60)
    assert host.ask("[code(n.nvmlDeviceSetGpuLockedClocks, h, 210, c) for c in (225, 3180, 3400)]") == [0, 0, 0]
    host.set(0, gpu_clock_mhz="210-225")
    assert host.gpu()["gpu_clock_mhz"] == {"min": 210, "max": 225}


def test_a_host_of_64_gpus(nvsim: MakeHost) -> None:
    host = nvsim(*["h200"] * 64)
    assert host.ask("[n.nvmlDeviceGetCount(), len({n.nvmlDeviceGetUUID(x) for x in handles})]") == [64, 64]
    with pytest.raises(NvsimError, match="64 GPUs at most"):
        host.run("add", "h200")


def test_an_attached_client_keeps_a_gpu_awake(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-laptop")
    status = host.root / "sys/bus/pci/devices/0000:01:00.0/power/runtime_status"
    host.run("runtime", 0, "auto")
    assert status.read_text() == "suspended\n"
    with host.client():
        assert status.read_text() == "active\n"
    wait_for(lambda: not host.clients(), what="the killed client is noticed")
    assert [status.read_text(), host.gpu()["wakes"]] == ["suspended\n", 1]


def test_wsl_shows_a_driver_to_nvml_alone(nvsim: MakeHost) -> None:
    host = nvsim("rtx-4090", wsl=True)
    assert host.ask("n.nvmlDeviceGetName(h)") == "NVIDIA GeForce RTX 4090"
    assert not (host.root / "proc/driver").exists()
    assert list((host.root / "sys/bus/pci/devices").iterdir()) == []
    host.set(0, persistence_mode=True)
    host.reload()
    assert not (host.root / "sys/module").exists()


def test_a_jetson_has_little_to_say(nvsim: MakeHost) -> None:
    host = nvsim("jetson-orin")
    assert host.ask("[n.nvmlDeviceGetCount(), n.nvmlDeviceGetName(h), n.nvmlSystemGetDriverVersion()]") == [
        1,
        "Orin (nvgpu)",
        "540.4.0",
    ]
    refused = "[code(n.%s, h) for _ in (1,)][0]"
    for call in ("DeviceGetPowerManagementLimit", "DeviceGetPersistenceMode", "DeviceGetUtilizationRates"):
        assert host.ask(refused % f"nvml{call}") == NOT_SUPPORTED
    assert host.ask("n.nvmlDeviceGetPciInfo(h).busId") == "N/A"
    assert host.ask("code(n.nvmlDeviceSetPersistenceMode, h, 1)") == NOT_SUPPORTED
    assert [w["result"] for w in host.writes()] == ["NOT_SUPPORTED"]
