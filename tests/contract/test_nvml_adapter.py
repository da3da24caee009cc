"""The NVML adapter on the simulated driver: what it describes, reads, writes, refuses, and how it lets go.

Each test runs in a process of its own, for the library is chosen before a process starts; what that process saw
comes back as JSON. Whether a write arrived is asked of the simulator, not of the adapter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeHost
from tests.nvsim import SIMULATOR, Nvsim

TOP = Path(__file__).parents[2]
BOARDS = sorted(path.stem for path in (SIMULATOR / "boards").glob("*.board"))

PRELUDE = """
import json, os, sys, threading, time
from pathlib import Path
sys.path.insert(0, {top!r})
from tests.nvsim import Nvsim, wait_for
from gpu_tuned.adapters.nvml import Nvml
from gpu_tuned.core.errors import DriverError
from gpu_tuned.core.model import *
from gpu_tuned.ports import Look

host = Nvsim(Path({state!r}))
nvml = Nvml()
out = {{}}

def outcome(call, *arguments):
    "The answer as text, or the name and words of the error of ours; any other error fails the test."
    try:
        return repr(call(*arguments))
    except DriverError as error:
        return f"{{type(error).__name__}}: {{error}}"

def plain(value):
    return value.why if isinstance(value, Unread) else wire(value)

def inside(thread):
    "Whether that thread waits inside the driver's library."
    frame = sys._current_frames().get(thread.ident)
    return frame is not None and frame.f_code.co_name == "nvmlEventSetWait_v2"

def readings(seen):
    return {{setting.value: plain(reading) for setting, reading in seen.readings.items()}}
"""


def play(host: Nvsim, code: str, **env: str) -> Any:
    """Run `code` on the host after the prelude; what it leaves in `out`."""
    prelude = PRELUDE.format(top=str(TOP), state=str(host.directory))
    printed = host.python(f"{prelude}\n{code}\nprint(json.dumps(out))", **env)
    return json.loads(printed.splitlines()[-1])


def data_of(board: str) -> dict[str, list[str]]:
    """A board's own file: key -> values (a key can occur twice)."""
    found: dict[str, list[str]] = {}
    for line in (SIMULATOR / "boards" / f"{board}.board").read_text().splitlines():
        key, _, value = line.partition("#")[0].partition("=")
        if value:
            found.setdefault(key.strip(), []).append(value.strip())
    return found


ATTACH_ALL = """
for board in nvml.attach():
    seen = nvml.see(board.gpu.uuid, Look(application_clocks=True, counters=True))
    telemetry = seen.telemetry
    out[board.index] = {
        "gpu": [board.gpu.uuid, board.gpu.pci, board.gpu.name],
        "power": board.power and [board.power.min_mw, board.power.default_mw, board.power.max_mw],
        "memory": board.memory_ladder_mhz,
        "ladder": board.gpu_ladder_mhz,
        "ladders": {clock: [rungs[0], rungs[-1]] for clock, rungs in board.gpu_ladders_mhz.items()},
        "absent": {setting.value: why for setting, why in board.absent.items()},
        "default": wire(board.default_application_clocks),
        "mask": board.reasons_mask,
        "readings": readings(seen),
        "counters": seen.counters_ns,
        "telemetry": [telemetry.power_mw, telemetry.enforced_limit_mw, telemetry.gpu_clock_mhz,
                      telemetry.memory_clock_mhz, telemetry.temperature_c, telemetry.utilization_percent,
                      telemetry.pstate, telemetry.reasons],
    }
"""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any]]:
    """One host with every board: what the adapter says of it, and what the simulator says."""
    host = Nvsim.create(tmp_path_factory.mktemp("every") / "host", *BOARDS)
    return play(host, ATTACH_ALL), host.show()


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_is_described_as_its_data_says(board: str, described: Any) -> None:
    said, shown = described[0][str(BOARDS.index(board))], described[1]["gpus"][BOARDS.index(board)]
    data = data_of(board)
    assert said["gpu"] == [shown["uuid"], shown["pci"], data["name"][0]]
    assert said["power"] == [int(data[key][0]) * 1000 for key in ("power_min_w", "power_default_w", "power_max_w")]
    memory = [int(line.split(":")[0]) for line in data["clocks_mhz"]]
    assert said["memory"] == sorted(memory, reverse=True)
    assert said["ladder"] == sorted(said["ladder"], reverse=True)
    for line in data["clocks_mhz"]:
        clock, _, rungs = line.partition(":")
        lowest, highest = rungs.partition(" by ")[0].split(" to ")
        assert said["ladders"][clock] == [int(highest), int(lowest)]
    assert said["mask"] == int(data["supported_reasons"][0], 16)
    has = {
        "gpu_clock_mhz": data["gpu_lock"][0] == "yes",
        "memory_clock_mhz": data["mem_lock"][0] == "yes",
        "application_clocks_mhz": data["app_clocks"][0] == "supported",
    }
    assert {key for key in has if key in said["absent"]} == {key for key, had in has.items() if not had}
    assert (said["default"] is not None) is has["application_clocks_mhz"]


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_can_be_read(board: str, described: Any) -> None:
    said = described[0][str(BOARDS.index(board))]
    data = data_of(board)
    assert None not in said["telemetry"]
    assert said["readings"] == {
        "persistence_mode": False,
        "power_limit_w": int(data["power_default_w"][0]),
        "compute_mode": "default",
        "gpu_clock_mhz": "no getter",
        "memory_clock_mhz": said["absent"].get("memory_clock_mhz", "no getter"),
        "application_clocks_mhz": said["absent"].get("application_clocks_mhz", said["default"]),
    }
    asked = {"74", "76", "77", "78", "79", "269", "270", "271"}
    assert set(said["counters"]) == asked & set("".join(data.get("counters", [])).split(", "))


def test_what_a_board_does_not_have_is_told_apart(described: Any) -> None:
    absent = {board: described[0][str(index)]["absent"] for index, board in enumerate(BOARDS)}
    assert absent["rtx-5090-575"]["application_clocks_mhz"] == "this GPU has no application clocks"
    assert "deprecated" in absent["t4"]["application_clocks_mhz"]
    assert "Ampere" in absent["t4"]["memory_clock_mhz"]
    assert absent["h200"] == {}


WRITTEN = [
    ("h200", "POWER_LIMIT", "PowerLimit(450000)", 450, "nvmlDeviceSetPowerManagementLimit", [450000]),
    ("rtx-5090-575", "POWER_LIMIT", "PowerLimit(500000)", 500, "nvmlDeviceSetPowerManagementLimit", [500000]),
    ("h200", "PERSISTENCE_MODE", "True", True, "nvmlDeviceSetPersistenceMode", [1]),
    (
        "h200",
        "COMPUTE_MODE",
        "ComputeMode.EXCLUSIVE_PROCESS",
        "exclusive_process",
        "nvmlDeviceSetComputeMode",
        [3],
    ),
    ("h200", "COMPUTE_MODE", "ComputeMode.PROHIBITED", "prohibited", "nvmlDeviceSetComputeMode", [2]),
    (
        "h200",
        "APPLICATION_CLOCKS",
        "ApplicationClocks(3201, 1200)",
        {"memory": 3201, "gpu": 1200},
        "nvmlDeviceSetApplicationsClocks",
        [3201, 1200],
    ),
    (
        "rtx-5090-575",
        "GPU_CLOCK",
        "ClockLock(2400, 2550)",
        {"min": 2400, "max": 2550},
        "nvmlDeviceSetGpuLockedClocks",
        [2400, 2550],
    ),
    (
        "rtx-5090-575",
        "GPU_CLOCK",
        "ClockLock(0, 2550)",
        {"min": 180, "max": 2550},
        "nvmlDeviceSetGpuLockedClocks",
        [180, 2550],
    ),
    (
        "rtx-5090-575",
        "MEMORY_CLOCK",
        "ClockLock(0, 14001)",
        {"min": 405, "max": 14001},
        "nvmlDeviceSetMemoryLockedClocks",
        [405, 14001],
    ),
]


@pytest.mark.parametrize(("board", "setting", "value", "shown", "function", "arguments"), WRITTEN)
def test_a_value_is_written_once_and_read_back(
    nvsim: MakeHost, board: str, setting: str, value: str, shown: Any, function: str, arguments: list[int]
) -> None:
    host = nvsim(board)
    out = play(
        host,
        f"""
uuid = nvml.attach()[0].gpu.uuid
nvml.write(uuid, Setting.{setting}, {value})
out["key"] = Setting.{setting}.value
out["read"] = plain(nvml.read(uuid, Setting.{setting}))
out["seen"] = readings(nvml.see(uuid, Look(application_clocks=True)))[out["key"]]
out["shown"] = host.gpu()[out["key"]]
""",
    )
    lock = setting in ("GPU_CLOCK", "MEMORY_CLOCK")
    assert out["shown"] == shown
    assert out["read"] == out["seen"] == ("no getter" if lock else shown)
    assert [(write["function"], write["args"]) for write in host.writes()] == [(function, arguments)]


def test_unlocked_is_a_reset_and_a_new_lock_is_none(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    play(
        host,
        """
uuid = nvml.attach()[0].gpu.uuid
for value in (ClockLock(2400, 2550), ClockLock(0, 2400), UNLOCKED):
    nvml.write(uuid, Setting.GPU_CLOCK, value)
    nvml.write(uuid, Setting.MEMORY_CLOCK, UNLOCKED)
""",
    )
    assert [w["function"] for w in host.writes() if "Gpu" in w["function"]] == [
        "nvmlDeviceSetGpuLockedClocks",
        "nvmlDeviceSetGpuLockedClocks",
        "nvmlDeviceResetGpuLockedClocks",
    ]
    assert [w["function"] for w in host.writes() if "Memory" in w["function"]] == [
        "nvmlDeviceResetMemoryLockedClocks"
    ] * 3


def test_what_the_driver_made_of_a_value_is_what_is_read(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200"),
        """
uuid = nvml.attach()[0].gpu.uuid
nvml.write(uuid, Setting.POWER_LIMIT, PowerLimit(450500))
out["read"] = plain(nvml.read(uuid, Setting.POWER_LIMIT))
""",
    )
    assert out["read"] == 450


def test_a_strangers_write_is_seen(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200"),
        """
uuid = nvml.attach()[0].gpu.uuid
host.set(0, power_limit_w=450, persistence_mode=True, compute_mode="prohibited")
out = readings(nvml.see(uuid, Look()))
""",
    )
    assert (out["power_limit_w"], out["persistence_mode"], out["compute_mode"]) == (450, True, "prohibited")
    assert "application_clocks_mhz" not in out


REFUSED = [
    ("POWER_LIMIT", "PowerLimit(-1)", "200 to 700 W"),
    ("POWER_LIMIT", "PowerLimit(0)", "200 to 700 W"),
    ("POWER_LIMIT", "PowerLimit(700001)", "200 to 700 W"),
    ("POWER_LIMIT", "PowerLimit(2**32 + 450000)", "200 to 700 W"),
    ("GPU_CLOCK", "ClockLock(1500, 1400)", "345 to 1980 MHz"),
    ("GPU_CLOCK", "ClockLock(-5, 1400)", "345 to 1980 MHz"),
    ("GPU_CLOCK", "ClockLock(0, 344)", "345 to 1980 MHz"),
    ("GPU_CLOCK", "ClockLock(0, 2**32 + 1400)", "345 to 1980 MHz"),
    ("GPU_CLOCK", "ClockLock(0xffffff01, 0xffffff02)", "345 to 1980 MHz"),
    ("MEMORY_CLOCK", "ClockLock(0, 3202)", "2201 to 3201 MHz"),
    ("APPLICATION_CLOCKS", "ApplicationClocks(1200, 3201)", "2201 to 3201 MHz"),
    ("APPLICATION_CLOCKS", "ApplicationClocks(3201, 2**32 + 1200)", "345 to 1980 MHz"),
    ("APPLICATION_CLOCKS", "ClockLock(3201, 1200)", "no value"),
    ("PERSISTENCE_MODE", "ComputeMode.DEFAULT", "no value"),
    ("COMPUTE_MODE", "True", "no value"),
    ("POWER_LIMIT", "UNLOCKED", "no value"),
    ("NUMA_BALANCING", "NumaBalancing.OFF", "no value"),
]


def test_what_a_board_cannot_take_never_reaches_the_driver(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    tries = ", ".join(f"(Setting.{setting}, {value})" for setting, value, _ in REFUSED)
    out = play(
        host,
        f"""
uuid = nvml.attach()[0].gpu.uuid
out = [outcome(nvml.write, uuid, setting, value) for setting, value in [{tries}]]
""",
    )
    for (setting, value, words), said in zip(REFUSED, out, strict=True):
        assert said.startswith("DriverRefused: "), (setting, value)
        assert words in said
    assert host.writes() == []


def test_a_setting_that_the_board_does_not_have(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-laptop", "t4")
    out = play(
        host,
        """
laptop, t4 = [board.gpu.uuid for board in nvml.attach()]
out["clocks"] = outcome(nvml.write, laptop, Setting.APPLICATION_CLOCKS, ApplicationClocks(14001, 2400))
out["memory"] = outcome(nvml.write, t4, Setting.MEMORY_CLOCK, ClockLock(0, 5001))
out["before"] = len(host.writes())
out["power"] = outcome(nvml.write, laptop, Setting.POWER_LIMIT, PowerLimit(100000))
out["see"] = readings(nvml.see(laptop, Look()))["power_limit_w"]
""",
    )
    assert out["clocks"] == "NotSupported: this GPU has no application clocks"
    assert out["memory"].startswith("NotSupported: ")
    assert out["before"] == 0
    # A laptop names a range and refuses all the same: that is known from the write alone.
    assert out["power"] == "NotSupported: the power limit cannot be set to 100 W: not supported by this GPU"
    assert out["see"] == 150


def test_without_the_capability_every_setter_is_refused_and_reading_goes_on(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    out = play(
        host,
        """
uuid = nvml.attach()[0].gpu.uuid
out["said"] = [outcome(nvml.write, uuid, setting, value) for setting, value in (
    (Setting.POWER_LIMIT, PowerLimit(450000)), (Setting.PERSISTENCE_MODE, True),
    (Setting.GPU_CLOCK, ClockLock(0, 1755)), (Setting.GPU_CLOCK, UNLOCKED),
    (Setting.COMPUTE_MODE, ComputeMode.PROHIBITED))]
out["limit"] = plain(nvml.read(uuid, Setting.POWER_LIMIT))
""",
        NVSIM_CAP_SYS_ADMIN="0",
    )
    assert all(said.startswith("DriverPermission: ") and "CAP_SYS_ADMIN" in said for said in out["said"])
    assert out["limit"] == 700


def test_mig_takes_the_compute_mode_away(nvsim: MakeHost) -> None:
    host = nvsim("h100")
    host.run("mig", 0, "on")
    out = play(
        host,
        """
board = nvml.attach()[0]
out["mig"] = board.mig
out["said"] = outcome(nvml.write, board.gpu.uuid, Setting.COMPUTE_MODE, ComputeMode.PROHIBITED)
out["power"] = outcome(nvml.write, board.gpu.uuid, Setting.POWER_LIMIT, PowerLimit(400000))
""",
    )
    assert out["mig"] is True
    assert out["said"].startswith("NotSupported: MIG is on")
    assert out["power"] == "None"


def test_a_lost_gpu_costs_the_others_nothing(nvsim: MakeHost) -> None:
    host = nvsim("h200", "rtx-5090-575")
    out = play(
        host,
        """
lost, other = [board.gpu.uuid for board in nvml.attach()]
host.lose(0)
out["while attached"] = [outcome(nvml.see, lost, Look()), outcome(nvml.see, lost, Look(True, True)),
                         outcome(nvml.read, lost, Setting.POWER_LIMIT),
                         outcome(nvml.write, lost, Setting.POWER_LIMIT, PowerLimit(450000))]
out["other"] = readings(nvml.see(other, Look()))["power_limit_w"]
out["attached"] = [board.gpu.uuid == other for board in nvml.attach()]
out["left out"] = list(nvml.left_out.items())
out["after"] = outcome(nvml.see, lost, Look())
host.restore(0)
out["back"] = [board.gpu.uuid in (lost, other) for board in nvml.attach()]
out["read"] = readings(nvml.see(lost, Look()))["power_limit_w"]
""",
    )
    assert all(said.startswith("GpuLost: ") for said in out["while attached"])
    assert out["other"] == 575
    assert out["attached"] == [True]
    assert out["left out"] == [[0, "the GPU is lost: it fell off the bus, or cannot be reached any more"]]
    assert out["after"].startswith("GpuLost: ")
    assert out["back"] == [True, True]
    assert out["read"] == 700


def test_driver_absent_and_mismatch_say_so_and_pass(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    out = play(
        host,
        """
host.run("unload")
out["absent"] = [outcome(nvml.attach), outcome(nvml.see, "GPU-x", Look()), nvml.driver_version()]
host.run("load-driver", "--driver", "580.200.01")
host.run("mismatch", "on")
out["mismatch"] = [outcome(nvml.attach), nvml.driver_version()]
out["clients"] = host.clients()
host.run("mismatch", "off")
out["boards"] = len(nvml.attach())
out["version"] = nvml.driver_version()
""",
    )
    assert out["absent"][0] == "DriverAbsent: the NVIDIA driver is not loaded"
    assert out["absent"][1].startswith("DriverAbsent: ")
    assert out["absent"][2] is None
    assert out["mismatch"][0].startswith("DriverMismatch: the NVIDIA library and the loaded kernel module")
    assert out["mismatch"][1] is None
    assert out["clients"] == []
    assert out["boards"] == 1
    assert out["version"] == "580.200.01"


MISSING = [
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetSupportedClocksEventReasons",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetArchitecture",
    "nvmlEventSetWait_v2",
    "nvmlEventSetCreate",
    "nvmlDeviceSetGpuLockedClocks",
    "nvmlDeviceGetSupportedGraphicsClocks",
]


def test_an_older_library_lacks_calls_and_the_rest_works(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.load(0, 100)
    host.advance(20)
    host.run("missing", *MISSING)
    out = play(
        host,
        """
board = nvml.attach()[0]
uuid = board.gpu.uuid
seen = nvml.see(uuid, Look(True, True))
out["readings"] = readings(seen)
telemetry = seen.telemetry
out["power"] = [telemetry.enforced_limit_mw, telemetry.power_mw > 600000]
out["reasons"] = [board.reasons_mask, telemetry.reasons]
out["temperature"] = telemetry.temperature_c
out["counters"] = seen.counters_ns
out["lock"] = outcome(nvml.write, uuid, Setting.GPU_CLOCK, ClockLock(400, 1755))
out["limit"] = outcome(nvml.write, uuid, Setting.POWER_LIMIT, PowerLimit(450000))
out["events"] = outcome(nvml.wait_events, 0.05)
""",
    )
    assert out["readings"]["power_limit_w"] == 700
    assert out["power"] == [700000, True]
    assert out["reasons"] == [0x1FF, 0x4]
    assert out["temperature"] > 40
    assert out["counters"] == {}
    assert out["lock"].startswith("NotSupported: the gpu clock cannot be set to 400-1755 MHz: the installed")
    assert out["limit"] == "None"
    assert out["events"] == "()"


def test_detach_lets_go_and_attach_takes_up_again(nvsim: MakeHost) -> None:
    host = nvsim("h200", "rtx-5090-575")
    out = play(
        host,
        """
nvml.detach()
for _ in range(3):
    uuid = nvml.attach()[0].gpu.uuid
    out.setdefault("attached", []).append(len(host.clients()))
    nvml.attach()
    nvml.detach()
    nvml.detach()
    out.setdefault("let go", []).append(len(host.clients()))
out["after"] = outcome(nvml.see, uuid, Look())
out["version"] = nvml.driver_version()
""",
    )
    assert out["attached"] == [1, 1, 1]
    assert out["let go"] == [0, 0, 0]
    assert out["after"] == "DriverAbsent: the driver library is not attached"
    assert out["version"] is None


def test_detach_sends_a_waiting_thread_out_first(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200"),
        """
nvml.attach()
heard = []
thread = threading.Thread(target=lambda: heard.append(nvml.wait_events(60)), daemon=True)
thread.start()
wait_for(lambda: inside(thread), what="the wait")
began = time.monotonic()
nvml.detach()
out["took"] = time.monotonic() - began
thread.join(5)
out["heard"] = [list(events) for events in heard]
out["clients"] = host.clients()
""",
    )
    assert out["took"] < 3
    assert out["heard"] == [[]]
    assert out["clients"] == []


def test_detach_does_not_wait_for_a_hung_waiter(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200"),
        """
nvml.attach()
host.hang("nvmlEventSetWait_v2", 30)
thread = threading.Thread(target=nvml.wait_events, args=(60,), daemon=True)
thread.start()
wait_for(lambda: inside(thread), what="the wait")
began = time.monotonic()
nvml.detach()
out["took"] = time.monotonic() - began
print(json.dumps(out), flush=True)
os._exit(0)
""",
    )
    assert 0.9 < out["took"] < 5


def test_an_xid_arrives_and_clock_events_do_not(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200", "rtx-5090-575"),
        """
uuids = [board.gpu.uuid for board in nvml.attach()]
out["nothing"] = list(nvml.wait_events(0.05))
host.run("storm", 1, 200)
out["storm"] = list(nvml.wait_events(0.3))
host.xid(1, 31)
event, = nvml.wait_events(5)
out["xid"] = [event.kind, uuids.index(event.uuid), event.data]
out["counted"] = host.calls()["nvmlEventSetWait_v2"]
""",
    )
    assert out["nothing"] == out["storm"] == []
    assert out["xid"] == ["xid", 1, 31]
    assert out["counted"] < 10


def test_a_lost_gpu_is_told_once_and_does_not_make_the_wait_spin(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200", "rtx-5090-575"),
        """
uuids = [board.gpu.uuid for board in nvml.attach()]
nvml.wait_events(0.05)
host.lose(0)
events = []
def hear(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        events.extend(nvml.wait_events(until - time.monotonic()))
hear(1.5)
out["told"] = sorted({(event.kind, uuids.index(event.uuid), event.data) for event in events})
out["often"] = len(events)
out["calls"] = host.calls()["nvmlEventSetWait_v2"]
events.clear()
host.xid(1, 43)
hear(0.5)
out["other"] = [(event.kind, uuids.index(event.uuid), event.data) for event in events]
""",
    )
    assert [tuple(event) for event in out["told"]] == [("other", 0, 0), ("xid", 0, 79)]
    assert out["often"] <= 4
    assert out["calls"] < 20, "1.5 s in slices of a quarter of a second"
    assert [tuple(event) for event in out["other"]] == [("xid", 1, 43)]


def test_a_pass_pays_for_what_was_asked(nvsim: MakeHost) -> None:
    """By the recorded costs of each call: an H200 is looked at for less than half a millisecond."""
    host = nvsim("h200")
    out = play(
        host,
        """
uuid = nvml.attach()[0].gpu.uuid
for name, look in (("cheap", Look()), ("clocks", Look(application_clocks=True)), ("all", Look(True, True))):
    host.run("calls", "--clear")
    nvml.see(uuid, look)
    out[name] = {call: times for call, times in host.calls().items() if times}
""",
    )
    costs: dict[str, int] = {"nvmlDeviceGetFieldValues": 44}  # the power fields in one batch
    for line in (SIMULATOR / "boards" / "costs.txt").read_text().splitlines():
        words = line.split()
        if words[:1] and words[0].startswith("nvml"):
            costs[words[0]] = int(words[1])
    assert sum(costs[call] * times for call, times in out["cheap"].items()) < 500
    assert out["cheap"]["nvmlDeviceGetFieldValues"] == 1
    assert "nvmlDeviceGetPowerManagementLimit" not in out["all"]
    assert out["clocks"] == {**out["cheap"], "nvmlDeviceGetApplicationsClock": 2}
    assert out["all"] == {**out["clocks"], "nvmlDeviceGetFieldValues": 2}
