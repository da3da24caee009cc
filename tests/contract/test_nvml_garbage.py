"""A driver that says SUCCESS and garbage, or any error at any call: one reading is lost, never the daemon."""

from __future__ import annotations

from typing import Any

import pynvml
import pytest

from tests.conftest import MakeHost
from tests.contract.nvml_child import play
from tests.nvsim import handed_out, number, pci_info

LOOK = """
boards = nvml.attach()
out["boards"] = [[b.gpu.uuid, b.gpu.pci, b.gpu.name] for b in boards]
out["left out"] = {index: why for index, why in list(nvml.left_out.items())[:2]}
out["version"] = nvml.driver_version()
out["seen"] = []
for board in boards:
    seen = nvml.see(board.gpu.uuid, Look(True, True))
    t = seen.telemetry
    out["seen"].append({**readings(seen), "counters": seen.counters_ns, "range": repr(board.power),
        "absent": {s.value: why for s, why in board.absent.items()}, "mask": board.reasons_mask,
        "rungs": len(board.gpu_ladder_mhz), "power": t.power_mw, "enforced": t.enforced_limit_mw,
        "temperature": t.temperature_c, "pstate": t.pstate, "busy": t.utilization_percent,
        "clocks": [t.gpu_clock_mhz, t.memory_clock_mhz], "reasons": t.reasons})
"""
ID = "GPU-5b1c9f2e-0000-4000-8000-000000000000"
OTHER = "GPU-c52be69f-0000-4000-8000-000000000001"

NAMES = [
    (b"\xff\x80\xfeA", "���A"),
    (b"", "a GPU without a name"),
    (b"NV\x1b]0;owned\x07\x1b[31m\nfake line", "NV�]0;owned��[31m�fake line"),
    (b"A" * 95, "A" * 95),
]


@pytest.mark.parametrize(("raw", "told"), NAMES)
def test_a_name_is_fit_to_be_shown(nvsim: MakeHost, raw: bytes, told: str) -> None:
    host = nvsim("h200")
    host.override(0, "nvmlDeviceGetName", 0, handed_out(raw))
    assert play(host, LOOK)["boards"] == [[ID, "0000:01:00.0", told]]


@pytest.mark.parametrize(
    "bus_id",
    ["garbage", "zz:01:00.0", b"\xff\x80", "0:../../x:00.0", "", "N/A", "00000000:01:00", "0000:01:00.0/../x"],
)
def test_what_is_no_address_names_no_file(nvsim: MakeHost, bus_id: str | bytes) -> None:
    host = nvsim("h200", "h200")
    host.override(0, "nvmlDeviceGetPciInfo_v3", 0, pci_info(bus_id))
    out = play(host, LOOK)
    assert [b[1] for b in out["boards"]] == ["-", "0000:02:00.0"]
    assert out["seen"][0]["power_limit_w"] == 700


def test_an_address_behind_a_bridge_of_its_own_domain_is_one(nvsim: MakeHost) -> None:
    assert play(nvsim("h200,pci=10000:e1:00.0"), LOOK)["boards"][0][1] == "10000:e1:00.0"


def test_a_gpu_without_a_uuid_or_with_anothers_is_left_out(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h200")
    host.override(0, "nvmlDeviceGetUUID", 0, handed_out(""))
    out = play(host, LOOK)
    assert [b[0] for b in out["boards"]] == [OTHER]
    assert out["left out"] == {"0": "the driver names no UUID for the GPU with index 0"}
    host.override(0, "nvmlDeviceGetUUID", "none")
    host.override(1, "nvmlDeviceGetUUID", 0, handed_out(ID))
    out = play(host, LOOK)
    assert [b[1] for b in out["boards"]] == ["0000:01:00.0"]
    assert out["left out"] == {"1": "it has the UUID of the GPU with index 0"}


@pytest.mark.parametrize("count", [300, 4_000_000_000])
def test_a_count_beyond_reason_is_cut(nvsim: MakeHost, count: int) -> None:
    host = nvsim("h200")
    host.override("host", "nvmlDeviceGetCount_v2", 0, number(count))
    out = play(host, LOOK + "out['told'] = nvml.left_out[256]")
    assert len(out["boards"]) == 1
    assert out["told"] == f"the driver counts {count} GPUs; 256 are looked at"


MEMORY_CLOCKS, GRAPHICS_CLOCKS = "nvmlDeviceGetSupportedMemoryClocks", "nvmlDeviceGetSupportedGraphicsClocks"
# What the call of that name says: how many clocks there are, and some of them or none.
# And how many rungs the board has then: those of its other memory clock.
LYING_LISTS = [
    (MEMORY_CLOCKS, 7, f"@{2**32 - 1} -", 0),
    (MEMORY_CLOCKS, 0, f"@{2**32 - 1} [" + number(3201)[1:], 0),
    (MEMORY_CLOCKS, 0, "@1000000 [" + number(3201)[1:], 0),
    (MEMORY_CLOCKS, 0, "@40 [" + "".join(number(clock)[1:] for clock in range(1000, 1040)), 0),
    (GRAPHICS_CLOCKS, 0, f"=3201 @{2**32 - 1} [" + number(1980)[1:], 110),
]
IN_A_GIBIBYTE = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
"""


@pytest.mark.parametrize(
    ("call", "code", "words", "rungs"), LYING_LISTS, ids=[f"{row[0]} {row[2][:12]}" for row in LYING_LISTS]
)
def test_a_list_that_claims_any_length_takes_no_memory_for_it(
    nvsim: MakeHost, sound: Any, call: str, code: int, words: str, rungs: int
) -> None:
    """What the driver says of a length is not believed, and no clock is guessed at."""
    host = nvsim("h200")
    host.override(0, call, code, *words.split())
    out = play(host, IN_A_GIBIBYTE + LOOK + "out['unknown'] = [[*b.unknown.values()] for b in boards]")
    same(out["seen"][0], sound, {"rungs": rungs})
    assert len(out["unknown"][0]) == 3 and all("its clocks are not known" in why for why in out["unknown"][0])


def test_nobody_asks_for_every_gpu_of_a_count_beyond_reason(nvsim: MakeHost) -> None:
    """The doctor's look, and the list of processes for an audit, end."""
    host = nvsim("h200")
    host.override("host", "nvmlDeviceGetCount_v2", 0, number(BIG))
    host.override("host", "nvmlSystemGetDriverVersion", 0, handed_out(b"58\xff\x1b"))
    look = """
from gpu_tuned.adapters.nvml.inspect import inspect
from gpu_tuned.adapters.nvml.processes import gpu_pids
seen = inspect(samples=1)
out = [len(seen.gpus), seen.left_out[256], seen.version, gpu_pids()]
"""
    assert play(host, look) == [1, f"the driver counts {BIG} GPUs; 256 are looked at", "58�" * 1 + "�", []]


def test_a_list_of_processes_without_end_costs_that_list(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.override(0, "nvmlDeviceGetComputeRunningProcesses_v3", 7, "@1500000000", "-")
    look = "from gpu_tuned.adapters.nvml.detail import look_at; out = look_at('0').processes.why"
    assert play(host, IN_A_GIBIBYTE + look) == "the driver's answer makes no sense"


VERSIONS = [(b"\xff\x80", "��"), (b"N/A", None), (b"", None), (b"580.159.04\n", "580.159.04�")]


@pytest.mark.parametrize(("raw", "told"), VERSIONS)
def test_a_version_is_a_text_or_none(nvsim: MakeHost, raw: bytes, told: str | None) -> None:
    host = nvsim("h200")
    host.override("host", "nvmlSystemGetDriverVersion", 0, handed_out(raw))
    assert play(host, LOOK)["version"] == told


CONSTRAINTS = "nvmlDeviceGetPowerManagementLimitConstraints"
BIG = 2**32 - 1
# What one call hands out -> what of the look says so; the rest is as it was.
VALUES: list[tuple[str, str, dict[str, Any]]] = [
    ("nvmlDeviceGetPersistenceMode", number(7), {"persistence_mode": "the driver answers persistence mode 7"}),
    ("nvmlDeviceGetComputeMode", number(77), {"compute_mode": "the driver answers compute mode 77, unknown here"}),
    ("nvmlDeviceGetPerformanceState", number(999), {"pstate": None}),
    ("nvmlDeviceGetPerformanceState", number(32), {"pstate": None}),
    ("nvmlDeviceGetTemperature", f"=0 {number(2**31)}", {"temperature": None}),
    ("nvmlDeviceGetUtilizationRates", "{:" + "ff" * 8, {"busy": None}),
    ("nvmlDeviceGetClockInfo", f"=1 {number(BIG)}", {"clocks": [None, 3201]}),
    ("nvmlDeviceGetClockInfo", f"=1 {number(0)}", {"clocks": [0, 3201]}),
    ("nvmlDeviceGetSupportedClocksEventReasons", number(0, 8), {"mask": -1}),
    ("nvmlDeviceGetCurrentClocksEventReasons", number(2**64 - 1, 8), {"reasons": 0x1FF}),
    ("nvmlDeviceGetSupportedMemoryClocks", "@0", {"rungs": 0}),
    ("nvmlDeviceGetSupportedMemoryClocks", "@1 [" + number(BIG)[1:], {"rungs": 0}),
    ("nvmlDeviceGetSupportedEventTypes", number(2**64 - 1, 8), {}),
    ("nvmlDeviceGetMigMode", f"{number(5)} {number(5)}", {}),
    ("nvmlDeviceGetArchitecture", number(BIG), {}),
    (
        "nvmlDeviceGetApplicationsClock",
        f"=2 {number(0)}",
        {"application_clocks_mhz": "the driver answers application clocks of 0 and 1980 MHz, which are none"},
    ),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.nvsim import Nvsim

    return play(Nvsim.create(tmp_path_factory.mktemp("sound") / "host", "h200"), LOOK)["seen"][0]


def same(seen: dict[str, Any], sound: dict[str, Any], but: dict[str, Any]) -> None:
    moving = ("counters",)
    assert {k: v for k, v in seen.items() if k not in moving} == {
        k: v for k, v in {**sound, **but}.items() if k not in moving
    }


@pytest.mark.parametrize(("call", "words", "told"), VALUES, ids=[f"{row[0]} {row[1]}" for row in VALUES])
def test_a_value_that_no_board_has_costs_itself_alone(
    nvsim: MakeHost, sound: Any, call: str, words: str, told: dict[str, Any]
) -> None:
    host = nvsim("h200")
    host.override(0, call, 0, *words.split())
    same(play(host, LOOK)["seen"][0], sound, told)


RANGES = [(700000, 200000, "700 to 200 W"), (0, 0, "0 to 0 W"), (0, BIG, "0 to 4294967.295 W")]


@pytest.mark.parametrize(("least", "most", "named"), RANGES)
def test_an_impossible_range_is_no_range(nvsim: MakeHost, sound: Any, least: int, most: int, named: str) -> None:
    host = nvsim("h200")
    host.override(0, CONSTRAINTS, 0, number(least), number(most))
    why = f"no power limit to manage: the driver names an impossible range ({named}, default 700 W)"
    seen = play(host, LOOK)["seen"][0]
    same(seen, sound, {"range": "None", "absent": {"power_limit_w": why}, "power_limit_w": why})


@pytest.mark.parametrize("value", [0, BIG])
def test_a_limit_that_cannot_be_is_not_read(nvsim: MakeHost, sound: Any, value: int) -> None:
    host = nvsim("h200")
    host.override(0, "nvmlDeviceGetPowerManagementLimit", 0, number(value))
    host.field(0, 192, f"uint={value}")
    said = value // 1000 if value % 1000 == 0 else value / 1000
    same(play(host, LOOK)["seen"][0], sound, {"power_limit_w": f"the driver answers {said} W, which is no limit"})


@pytest.mark.parametrize("value", ["double=nan", "double=inf", "200=5", "ull=18446744073709551615", "error=999"])
@pytest.mark.parametrize("late", [False, True], ids=["from the start", "later"])
def test_garbage_in_every_field_costs_no_reading(nvsim: MakeHost, sound: Any, value: str, late: bool) -> None:
    """Each power field has a call of its own, which is asked instead; counters have none."""
    host = nvsim("h200")
    if not late:
        host.field(0, "all", value)
    later = f"nvml.attach(); host.field(0, 'all', {value!r}); nvml.attach = lambda: tuple(nvml._boards.values())"
    seen = play(host, (later if late else "") + LOOK)["seen"][0]
    assert seen["counters"] == {}
    same(seen, sound, {})


CODES = sorted(
    value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_") and isinstance(value, int)
)
EVERY = """
from gpu_tuned.ports import DriverEvent
host.run("calls", "--clear")
nvml.attach()
uuid = next(iter(nvml._boards))
values = {Setting.POWER_LIMIT: PowerLimit(500000), Setting.PERSISTENCE_MODE: True, Setting.COMPUTE_MODE:
    ComputeMode.DEFAULT, Setting.GPU_CLOCK: ClockLock(400, 1755), Setting.MEMORY_CLOCK: UNLOCKED,
    Setting.APPLICATION_CLOCKS: ApplicationClocks(3201, 1200)}
def all_of_it():
    outcome(nvml.attach)
    for uuid in nvml._boards:
        outcome(nvml.see, uuid, Look(True, True))
        for setting, value in values.items():
            outcome(nvml.read, uuid, setting)
            outcome(nvml.write, uuid, setting, value)
    nvml.wait_events(0)
    nvml.detach()
all_of_it()
calls = [call for call in host.calls()]
for code in %s:
    for call in calls:
        host.answer(call, code)
        all_of_it()
        host.answer(call, "none")
        out[call] = out.get(call, 0) + 1
out["boards"] = len(nvml.attach())
"""


def test_any_error_at_any_call_is_one_of_ours(nvsim: MakeHost) -> None:
    """`outcome` lets errors of core.errors pass and no other. A few codes here; every code has a meaning, and that
    one is tested by itself."""
    chosen = [1, 2, 3, 4, 6, 7, 10, 13, 15, 17, 18, 20, 25, 26, 999, 777]
    assert set(chosen) <= {*CODES, 777}
    out = play(nvsim("h200"), EVERY % chosen)
    assert out.pop("boards") == 1
    assert len(out) > 30 and set(out.values()) == {len(chosen)}


WHOLE = """
host.run("calls", "--clear")
nvml.attach()
uuids = list(nvml._boards)
[nvml.see(uuid, Look(True, True)) for uuid in uuids]
out = {}
for code in (1, 9, 15, 16, 18):
    for call in host.calls():
        host.answer(call, code, gpu=0)
        if outcome(lambda: len(nvml.attach())) != "2":
            out.setdefault(call, []).append(code)
        else:
            for uuid in uuids:
                nvml.see(uuid, Look(True, True))
        host.answer(call, "none", gpu=0)
"""


def test_one_call_that_speaks_of_the_whole_gpu_costs_itself_alone(nvsim: MakeHost) -> None:
    """One getter was seen to answer so for ever, while all others went on. A GPU needs its UUID and its name."""
    codes = [1, 9, 15, 16, 18]
    assert play(nvsim("h200", "h200"), WHOLE) == {"nvmlDeviceGetName": codes, "nvmlDeviceGetUUID": codes}


def test_ladders_that_could_not_be_had_are_asked_for_again(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.answer("nvmlDeviceGetSupportedMemoryClocks", 999, times=1)
    out = play(
        host,
        """
board = nvml.attach()[0]
out["at first"] = len(board.gpu_ladder_mhz)
out["then"] = [len(seen.board.gpu_ladder_mhz) if seen.board else None
               for seen in (nvml.see(board.gpu.uuid, Look()) for _ in range(3))]
""",
    )
    assert out == {"at first": 0, "then": [110, None, None]}
