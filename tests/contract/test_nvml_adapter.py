"""What the NVML adapter says of every simulated board, and what looking costs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import MakeHost
from tests.contract.nvml_child import play
from tests.nvsim import SIMULATOR, Nvsim

BOARDS = sorted(path.stem for path in (SIMULATOR / "boards").glob("*.board"))


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
    assert out["all"] == {**out["clocks"], "nvmlDeviceGetFieldValues": 2, "nvmlDeviceGetMigMode": 1}


def test_what_a_board_does_not_answer_is_not_asked_again(nvsim: MakeHost) -> None:
    """The laptop has no counters: their batch is asked for once."""
    out = play(
        nvsim("rtx-5090-laptop"),
        """
uuid = nvml.attach()[0].gpu.uuid
for _ in range(3):
    host.run("calls", "--clear")
    nvml.see(uuid, Look(counters=True))
    out.setdefault("batches", []).append(host.calls()["nvmlDeviceGetFieldValues"])
""",
    )
    assert out["batches"] == [2, 1, 1]


def test_reasons_that_the_board_cannot_report_are_masked(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.set(0, reasons="0x84")
    out = play(
        host,
        """
import pynvml
pynvml.nvmlDeviceGetSupportedClocksEventReasons = lambda handle: 0x7
board = nvml.attach()[0]
out["mask"] = board.reasons_mask
out["reasons"] = nvml.see(board.gpu.uuid, Look()).telemetry.reasons
""",
    )
    assert out["mask"] == 0x7
    assert out["reasons"] & 0x4
    assert not out["reasons"] & 0x80
